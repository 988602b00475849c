//! What the sections read their settings through.
//!
//! It takes the default where nothing was set, reports what cannot be understood with the weight
//! the table gives it, and notes what is in force, so that no section can forget any of it.

use std::collections::BTreeMap;

use super::Origin;
use super::environment::Environment;
use super::problem::{Problem, ProblemLevel};
use super::report::{InForce, Report, Shown};
use super::resolve::{Found, Resolved, may_hold_password};
use super::setting::{self, Fallback, Form, Setting, WhenWrong};
use super::value::{self, Wrong};

/// Hands out settings and collects what there is to say about them.
pub(super) struct Reader {
    environment: Environment,
    resolved: Resolved,
    problems: Vec<Problem>,
    in_force: BTreeMap<&'static str, InForce>,
}

impl Reader {
    pub(super) fn new(mut resolved: Resolved) -> Self {
        let problems = std::mem::take(&mut resolved.problems);
        let environment = Environment::Production;
        let mut reader = Self { environment, resolved, problems, in_force: BTreeMap::new() };
        reader.environment = reader.required("ENVIRONMENT", Environment::parse);
        reader
    }

    pub(super) fn environment(&self) -> Environment {
        self.environment
    }

    /// A setting that has a default.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str, Form) -> Result<T, Wrong>,
    ) -> T {
        self.optional(name, parse).expect("a setting that is required has a default in the table")
    }

    /// A setting that may have none.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str, Form) -> Result<T, Wrong>,
    ) -> Option<T> {
        let setting = setting_of(name);
        if let Some(found) = self.resolved.values.get(name).cloned() {
            match parse(found.value.expose(), setting.form) {
                Ok(value) => {
                    self.note(setting, shown(setting, found.value.expose()), found.origin);
                    return Some(value);
                }
                Err(wrong) => {
                    self.report(setting, &found, wrong);
                    if let WhenWrong::Strict(strict) = setting.when_wrong {
                        self.note(setting, Shown::Text(strict.to_owned()), found.origin);
                        return Some(parse_own(strict, setting, parse));
                    }
                }
            }
        }
        let preset = self.preset(setting);
        self.note(setting, default_shown(setting, preset), Origin::Default);
        preset.map(|text| parse_own(text, setting, parse))
    }

    /// The good items of a comma list; each other one is reported.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<T> {
        let setting = setting_of(name);
        let Some(found) = self.resolved.values.get(name).cloned() else {
            self.note(setting, default_shown(setting, None), Origin::Default);
            return Vec::new();
        };
        let (mut parsed, mut used, mut wrongs) = (Vec::new(), Vec::new(), Vec::new());
        let mut corrected = Vec::new();
        for item in value::items(found.value.expose()) {
            match parse(item) {
                Ok(value) => {
                    parsed.push(value);
                    used.push(item);
                    corrected.push(item.to_owned());
                }
                Err(Wrong { why, better, .. }) => {
                    wrongs.push(format!("{} {why}; it is left out", self.quoted(setting, item)));
                    corrected.extend(better);
                }
            }
        }
        let better = (!corrected.is_empty()).then(|| corrected.join(","));
        for why in wrongs {
            let wrong = Wrong { why, better: better.clone(), id: Some(UNUSABLE) };
            self.remark_on(setting, &found.origin, wrong);
        }
        self.note(setting, shown(setting, &used.join(",")), found.origin);
        parsed
    }

    /// Whether anything, good or bad, was set.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.resolved.values.contains_key(name) || self.resolved.broken.contains(name)
    }

    /// Where the value of a setting came from.
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.resolved.values.get(name).map_or(Origin::Default, |found| found.origin.clone())
    }

    /// Something to say about a value that was understood. `why` follows the setting's name.
    pub(super) fn remark(&mut self, name: &'static str, wrong: Wrong) {
        let origin = self.origin(name);
        self.remark_on(setting_of(name), &origin, wrong);
    }

    /// A mistake that nothing starts with.
    pub(super) fn fatal(&mut self, name: &'static str, wrong: Wrong) {
        self.push(ProblemLevel::Error, setting_of(name), &self.origin(name), wrong);
    }

    /// Says in other words what is in force for a setting that was read.
    pub(super) fn amend(&mut self, name: &'static str, text: String) {
        if let Some(in_force) = self.in_force.get_mut(name) {
            in_force.value = Shown::Text(text);
        }
    }

    /// What is left to say: settings that nothing read, because this release does not use them.
    pub(super) fn finish(mut self) -> Report {
        for setting in setting::all() {
            if self.in_force.contains_key(setting.name) {
                continue;
            }
            let Some(found) = self.resolved.values.get(setting.name).cloned() else {
                let preset = self.preset(setting);
                self.note(setting, default_shown(setting, preset), Origin::Default);
                continue;
            };
            if !setting.is_used {
                let why = "accepted, not used by this release".to_owned();
                let wrong = Wrong::new(why).id("setting-unused");
                self.push(ProblemLevel::Info, setting, &found.origin, wrong);
            }
            self.note(setting, shown(setting, found.value.expose()), found.origin);
        }
        let mut in_force = self.in_force;
        Report {
            problems: self.problems,
            in_force: setting::all().filter_map(|s| in_force.remove(s.name)).collect(),
            files: self.resolved.files,
            other_env_files: self.resolved.other_env_files,
        }
    }

    fn preset(&self, setting: &Setting) -> Option<&'static str> {
        match setting.fallback {
            Fallback::Unset(_) => None,
            Fallback::Preset(text) => Some(text),
            Fallback::InProduction(text, elsewhere) => {
                if self.environment.is_production() {
                    Some(text)
                } else {
                    elsewhere
                }
            }
        }
    }

    /// Reports a value that cannot be understood, with the table's weight.
    fn report(&mut self, setting: &Setting, found: &Found, wrong: Wrong) {
        let preset = self.preset(setting);
        let is_fatal = match setting.when_wrong {
            WhenWrong::Fatal => true,
            WhenWrong::FatalInProduction => self.environment.is_production(),
            WhenWrong::LeftOut | WhenWrong::Strict(_) => false,
        };
        let consequence = match (setting.when_wrong, preset) {
            _ if is_fatal => String::new(),
            (WhenWrong::Strict(strict), _) => format!("; taken as {strict}"),
            (_, Some(preset)) => format!("; the default {preset} holds"),
            (_, None) => "; it is left out".to_owned(),
        };
        let value = self.quoted(setting, found.value.expose());
        let better = wrong.better.or_else(|| example(setting, preset));
        let why = format!("{value} {}{consequence}", wrong.why);
        let level = if is_fatal { ProblemLevel::Error } else { ProblemLevel::Warn };
        let id = wrong.id.or(Some(UNUSABLE));
        self.push(level, setting, &found.origin, Wrong { why, better, id });
    }

    /// A value as a message names it.
    fn quoted(&self, setting: &Setting, value: &str) -> String {
        let is_hidden =
            self.resolved.hides_values || setting.is_secret() || may_hold_password(value);
        if is_hidden { "the value".to_owned() } else { excerpt(value) }
    }

    fn remark_on(&mut self, setting: &Setting, origin: &Origin, wrong: Wrong) {
        self.push(ProblemLevel::Warn, setting, origin, wrong);
    }

    fn push(&mut self, level: ProblemLevel, setting: &Setting, origin: &Origin, wrong: Wrong) {
        self.problems.push(Problem {
            id: wrong.id.unwrap_or("setting-doubtful"),
            level,
            name: Some(setting.name.to_owned()),
            origin: origin.clone(),
            why: wrong.why,
            fix: wrong.better.map(|better| origin.line_setting(setting.name, &better)),
        });
    }

    fn note(&mut self, setting: &'static Setting, value: Shown, origin: Origin) {
        self.in_force.insert(setting.name, InForce { setting, value, origin });
    }
}

/// The finding of a value that cannot be understood.
const UNUSABLE: &str = "setting-unusable";

fn setting_of(name: &str) -> &'static Setting {
    setting::find(name).expect("sections read only settings of the table")
}

/// Reads a text of the table itself.
fn parse_own<T>(
    text: &str,
    setting: &Setting,
    parse: impl Fn(&str, Form) -> Result<T, Wrong>,
) -> T {
    parse(text, setting.form)
        .unwrap_or_else(|wrong| unreachable!("the table's {text:?} {}", wrong.why))
}

fn shown(setting: &Setting, text: &str) -> Shown {
    if setting.is_secret() { Shown::Set } else { Shown::Text(text.to_owned()) }
}

fn default_shown(setting: &Setting, preset: Option<&str>) -> Shown {
    match (preset, setting.fallback) {
        (Some(text), _) => Shown::Text(text.to_owned()),
        (None, Fallback::Unset(words)) => Shown::NotSet(words),
        (None, Fallback::Preset(_) | Fallback::InProduction(..)) => Shown::NotSet("none"),
    }
}

/// A text for the corrected line where the value gives no hint.
fn example(setting: &Setting, preset: Option<&str>) -> Option<String> {
    match (setting.when_wrong, setting.form) {
        (WhenWrong::Strict(strict), _) => Some(strict.to_owned()),
        (_, Form::Secret(_)) => Some(super::SECRET_EXAMPLE.to_owned()),
        (
            _,
            Form::Words(_) | Form::Switch | Form::Seconds(..) | Form::Text(_) | Form::SecretUrl(_),
        ) => preset.map(str::to_owned),
    }
}

/// A value as it may stand in a message: control characters escaped, and not endless.
pub(super) fn excerpt(value: &str) -> String {
    let shown: String = value.chars().take(EXCERPT_CHARS_MAX).collect();
    let dots = if shown.len() < value.len() { ".." } else { "" };
    format!("{shown:?}{dots}")
}

const EXCERPT_CHARS_MAX: usize = 80;
