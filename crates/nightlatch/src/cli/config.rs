//! `nightlatch config`: what is in force, where it came from, and what is wrong.
//!
//! The first question of every outage at start is "which file did it read". Secrets are shown as
//! set or not set, so that the answer can be pasted into a ticket.

use std::io::{self, Write};

use serde::Serialize;

use super::args::ConfigArgs;
use super::printable::printable;
use crate::config::{self, Config, InForce, LoadArgs, Problem, Report, Shown};

/// Runs the command; the exit code: 1 if a server would not start with this.
///
/// # Errors
/// What `out` or `err` refused.
pub fn run(
    args: ConfigArgs,
    load: &LoadArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if args.reference {
        out.write_all(config::reference().as_bytes())?;
        return Ok(0);
    }
    let (report, exit_code) = match Config::load(load) {
        Ok(loaded) => (loaded.report, 0),
        Err(errors) => (errors.report, 1),
    };
    if args.json {
        print_json(&report, out)?;
    } else {
        print_text(&report, out, err)?;
    }
    Ok(exit_code)
}

fn print_text(report: &Report, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
    for InForce { setting, value, origin } in &report.in_force {
        let value = value.to_string();
        writeln!(out, "{} = {}  # {origin}", setting.name, printable(&value))?;
    }
    for problem in &report.problems {
        writeln!(err, "{}: {}", problem.level.as_str(), printable(&problem.to_string()))?;
    }
    if let Some(warning) = report.env_file_warning() {
        writeln!(err, "warn: {warning}")?;
    }
    Ok(())
}

fn print_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let json = ReportJson {
        settings: report.in_force.iter().map(SettingJson::from).collect(),
        problems: report.problems.iter().map(ProblemJson::from).collect(),
        files: report.files.iter().map(|path| path.display().to_string()).collect(),
        other_env_files: report.other_env_files.iter().map(|p| p.display().to_string()).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}

#[derive(Serialize)]
struct ReportJson {
    settings: Vec<SettingJson>,
    problems: Vec<ProblemJson>,
    files: Vec<String>,
    other_env_files: Vec<String>,
}

#[derive(Serialize)]
struct SettingJson {
    name: &'static str,
    /// Absent for secrets and for what is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    is_set: bool,
    is_used: bool,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl From<&InForce> for SettingJson {
    fn from(InForce { setting, value, origin }: &InForce) -> Self {
        let (file, line) = origin.place();
        Self {
            name: setting.name,
            value: match value {
                Shown::Text(text) => Some(text.clone()),
                Shown::Set | Shown::NotSet(_) => None,
            },
            is_set: !matches!(value, Shown::NotSet(_)),
            is_used: setting.is_used,
            source: origin.to_string(),
            file,
            line,
        }
    }
}

#[derive(Serialize)]
struct ProblemJson {
    level: &'static str,
    name: Option<String>,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    why: String,
    fix: Option<String>,
}

impl From<&Problem> for ProblemJson {
    fn from(problem: &Problem) -> Self {
        Self {
            level: problem.level.as_str(),
            name: problem.name.clone(),
            source: problem.origin.to_string(),
            line: problem.origin.place().1,
            why: problem.why.clone(),
            fix: problem.fix.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: bool, env: &str) -> (u8, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("test.env");
        std::fs::write(&file, env).unwrap();
        let load = LoadArgs { env_file: Some(file), ..LoadArgs::default() };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = ConfigArgs { json, reference: false };
        let exit_code = run(args, &load, &mut out, &mut err).unwrap();
        (exit_code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    const ENV: &str = "DATABASE_URL=postgres://u:hunter2@h/d\nSESSION_SECRET_KEY=hunter2\n\
                       REDIS_PASSWORD=hunter2\nSERVICE_SECRET='hunter2'\nTHROTTLE_LOGIN=lots\n";

    #[test]
    fn text_shows_every_setting_its_origin_and_no_secret() {
        let (exit_code, out, err) = printed(false, ENV);
        assert_eq!(exit_code, 0);
        let has = |name: &str, rest: &str| {
            let start = format!("{name} = ");
            let line = out.lines().find(|line| line.starts_with(&start)).expect(name);
            assert!(line.contains(rest), "{line}");
        };
        has("DATABASE_URL", "postgres://u:***@h/d  # ");
        has("SESSION_SECRET_KEY", "= set  # ");
        has("REDIS_PASSWORD", "test.env:3");
        has("LOG_LEVEL", "= info  # default");
        assert_eq!(out.lines().count(), config::setting::all().count());
        assert!(err.contains("THROTTLE_LOGIN=5/m"), "{err}");
        assert!(!out.contains("hunter2") && !err.contains("hunter2"));
    }

    #[test]
    fn json_says_the_same_and_fatal_mistakes_exit_with_one() {
        let (exit_code, out, _) = printed(true, &format!("{ENV}ENVIRONMENT=production\n"));
        assert_eq!(exit_code, 1);
        assert!(!out.contains("hunter2"), "{out}");
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let settings = json["settings"].as_array().unwrap();
        let secret = settings.iter().find(|s| s["name"] == "SESSION_SECRET_KEY").unwrap();
        assert_eq!((&secret["is_set"], &secret["line"]), (&true.into(), &2.into()));
        assert!(secret.get("value").is_none());
        let levels: Vec<_> = json["problems"].as_array().unwrap().iter().collect();
        assert!(levels.iter().any(|p| p["level"] == "error" && p["name"] == "PUBLIC_URL"));
    }
}
