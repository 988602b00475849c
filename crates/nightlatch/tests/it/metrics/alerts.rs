//! The alert rules: what they ask for exists, each is explained, and promtool finds no fault with them.

use std::path::PathBuf;
use std::process::Command;

use super::promql;
use super::reference::Reference;

const RULES: &str = include_str!("../../../../../deploy/prometheus/alerts.yml");
const EXPLAINED: &str = include_str!("../../../../../docs/alerts.md");

/// Where the rules are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus"))
}

/// Has promtool do something, which must succeed.
pub(crate) fn promtool(arguments: &[&str], folder: &std::path::Path) {
    let output = Command::new("promtool").args(arguments).current_dir(folder).output();
    let output = output.expect("promtool is not installed: Debian package `prometheus`");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}:\n{}", String::from_utf8_lossy(&told));
}

/// One rule, as far as it is read here.
#[derive(Debug, Default)]
struct Alert {
    name: &'static str,
    expression: String,
    severity: &'static str,
    summary: &'static str,
    description: &'static str,
    runbook_url: &'static str,
}

/// The file is ours: every rule is written with the same keys on lines of their own.
fn alerts() -> Vec<Alert> {
    let (_, rules) = RULES.split_once("groups:\n").expect("groups");
    let mut alerts: Vec<Alert> = Vec::new();
    for line in rules.lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            alerts.push(Alert { name, ..Alert::default() });
        }
        let Some(alert) = alerts.last_mut() else { continue };
        if line.starts_with("          ") && alert.severity.is_empty() {
            let text = line.trim();
            match text.strip_prefix("severity: ") {
                Some(severity) => alert.severity = severity,
                None => alert.expression.extend([text, " "]),
            }
        }
        for (key, value) in [
            ("summary: ", &mut alert.summary),
            ("description: ", &mut alert.description),
            ("runbook_url: ", &mut alert.runbook_url),
        ] {
            if let Some(text) = line.trim().strip_prefix(key) {
                *value = text;
            }
        }
    }
    alerts
}

#[test]
fn alerts_ask_for_what_there_is() {
    let reference = Reference::read();
    let alerts = alerts();
    assert!(alerts.len() > 20, "the rules are not read: {alerts:?}");
    for Alert { name, expression, .. } in &alerts {
        promql::check(&reference, name, expression);
    }
}

#[test]
fn every_alert_is_explained_and_nothing_else_is() {
    const BASE: &str = "https://github.com/nightlatch/nightlatch/blob/main/docs/alerts.md#";
    let sections: Vec<&str> = EXPLAINED.split("\n## ").skip(1).collect();
    let alerts = alerts();
    let explained: Vec<&str> = sections.iter().filter_map(|text| text.lines().next()).collect();
    let named: Vec<&str> = alerts.iter().map(|alert| alert.name).collect();
    assert_eq!(explained, named);
    for (alert, section) in alerts.iter().zip(sections) {
        let Alert { name, severity, summary, description, runbook_url, .. } = alert;
        assert!(matches!(*severity, "page" | "ticket"), "{name} is {severity}");
        assert!(!summary.is_empty() && !description.is_empty(), "{name} says nothing");
        assert_eq!(*runbook_url, format!("{BASE}{}", name.to_lowercase()));
        for part in ["**What it means.**", "**What users see.**", "**What to do.**"] {
            assert!(section.contains(part), "{name}: {part}");
        }
        assert!(section.contains("\n```sh\nnightlatch doctor"), "{name} has no first command");
        let row = format!("| [{name}](#{}) | {severity} |", name.to_lowercase());
        assert!(EXPLAINED.contains(&row), "{name} is not in the table as {severity}");
    }
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    promtool(&["check", "rules", "alerts.yml"], &folder());
    promtool(&["test", "rules", "alerts_test.yml"], &folder());
    let tests = include_str!("../../../../../deploy/prometheus/alerts_test.yml");
    for Alert { name, .. } in alerts() {
        for says in ["fires", "does not fire"] {
            assert!(tests.contains(&format!("- name: {name} {says}\n")), "{name} {says}: no test");
        }
    }
}
