//! `cargo xtask tidy`: the rules of this project that no compiler checks.
//!
//! A remark that had to be made twice in a review becomes a rule here, with the reason in what it
//! prints. Each rule is a file with a table of what it lets pass and what it stops, and sees the
//! tracked files as values, so that the table is its whole test.

mod error_codes;
mod file_sizes;
mod function_sizes;
mod heads;
mod layers;
mod leaks;
mod links;
mod log_events;
mod manifests;
mod map;
mod names;
mod routes;
mod source;
mod tree;
mod unfinished;
mod unwraps;

use std::process::ExitCode;

use crate::{Task, reference, say};
use tree::Tree;
pub(crate) use tree::{Finding, root};

pub(crate) const TASK: Task = Task {
    name: "tidy",
    about: "check the rules that no compiler knows; `tidy RULE…` checks only these",
    run,
};

/// What a rule is: from the tracked files to what is wrong with them.
type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[(&str, Rule)] = &[
    ("layers", layers::check),
    ("manifests", manifests::check),
    ("names", names::check),
    ("file-size", file_sizes::check),
    ("function-size", function_sizes::check),
    ("head", heads::check),
    ("unwrap", unwraps::check),
    ("unfinished", unfinished::check),
    ("routes", routes::check),
    ("error-codes", error_codes::check),
    ("log-events", log_events::check),
    ("map", map::check),
    ("links", links::check),
    ("leaks", leaks::check),
];

/// Builds the server, so it comes after the rules that take no time.
const REFERENCE: &str = "reference";

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let known = || RULES.iter().map(|(name, _)| *name).chain([REFERENCE]);
    if let Some(unknown) = arguments.iter().find(|name| !known().any(|rule| rule == *name)) {
        let rules: Vec<&str> = known().collect();
        anyhow::bail!("there is no rule `{unknown}`; there are {}", rules.join(", "));
    }
    let wanted = |rule: &str| arguments.is_empty() || arguments.iter().any(|name| name == rule);
    let tree = Tree::read()?;
    let mut lines: Vec<String> = Vec::new();
    for (name, rule) in RULES.iter().filter(|(name, _)| wanted(name)) {
        lines.extend(rule(&tree).iter().map(|finding| finding.line_of_rule(name)));
    }
    if wanted(REFERENCE) {
        lines.extend(reference::check()?.iter().map(|finding| finding.line_of_rule(REFERENCE)));
    }
    for line in &lines {
        say(line);
    }
    say(&format!(
        "tidy: {} files, {}, {}: {}",
        tree.sources.len(),
        file_sizes::summary(&tree),
        function_sizes::summary(&tree),
        if lines.is_empty() { "fine".to_owned() } else { format!("{} findings", lines.len()) },
    ));
    Ok(if lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
