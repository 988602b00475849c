//! The one table of settings: name, form, default, meaning, and what a wrong value means.
//!
//! The readers take names, bounds, words and defaults from here, `nightlatch config` walks it, and
//! `docs/config.md` is printed from it: there is no second list that could drift.

mod table;

pub use table::SECTIONS;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the environment.
    pub name: &'static str,
    /// What a value looks like.
    pub form: Form,
    /// What holds when it is not set.
    pub fallback: Fallback,
    /// What it does, for people.
    pub meaning: &'static str,
    /// What happens to a value that cannot be understood.
    pub when_wrong: WhenWrong,
    /// Whether this release does anything with it.
    pub is_used: bool,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// One of these words.
    Words(&'static [&'static str]),
    /// on or off.
    Switch,
    /// Seconds between the two, both included.
    Seconds(u32, u32),
    /// Something described by these words.
    Text(&'static str),
    /// A secret: nothing ever shows it.
    Secret(&'static str),
    /// A URL that may hold a password.
    SecretUrl(&'static str),
}

/// What holds when a setting is not set.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// Nothing, or what these words say.
    Unset(&'static str),
    /// This value.
    Preset(&'static str),
    /// The first value in production, the second (if any) elsewhere.
    InProduction(&'static str, Option<&'static str>),
}

/// What happens to a value that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenWrong {
    /// It is reported and left out: the default holds.
    LeftOut,
    /// It is reported and taken as this, the strict one.
    Strict(&'static str),
    /// The server does not start.
    Fatal,
    /// The server does not start in production; elsewhere it is left out.
    FatalInProduction,
}

/// Settings that belong together.
#[derive(Debug)]
pub struct Section {
    /// The heading in `docs/config.md`.
    pub title: &'static str,
    /// The settings, the most used first.
    pub settings: &'static [Setting],
}

impl Setting {
    const fn new(
        name: &'static str,
        form: Form,
        fallback: Fallback,
        meaning: &'static str,
    ) -> Self {
        Self { name, form, fallback, meaning, when_wrong: WhenWrong::LeftOut, is_used: true }
    }

    const fn wrong(self, when_wrong: WhenWrong) -> Self {
        Self { when_wrong, ..self }
    }

    /// The contract names it, a later release uses it.
    const fn later(name: &'static str, form: Form, meaning: &'static str) -> Self {
        Self { is_used: false, ..Self::new(name, form, Fallback::Unset("none"), meaning) }
    }

    /// Whether nothing may show its value.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.form, Form::Secret(_) | Form::SecretUrl(_))
    }
}

/// All settings.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The setting of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.name == name)
}

/// The setting of this name; or, for `NAME_FILE`, that of `NAME` and `true`.
#[must_use]
pub fn find_or_file(name: &str) -> Option<(&'static Setting, bool)> {
    if let Some(setting) = find(name) {
        return Some((setting, false));
    }
    Some((find(name.strip_suffix("_FILE")?)?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice_and_none_is_taken_for_the_file_of_another() {
        let mut names: Vec<_> = all().map(|setting| setting.name).collect();
        for name in &names {
            assert!(find_or_file(name).is_some_and(|(s, is_file)| s.name == *name && !is_file));
            assert!(name.strip_suffix("_FILE").is_none_or(|stem| find(stem).is_none()), "{name}");
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
