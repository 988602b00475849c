//! Every event of the log is explained, and nothing is explained that is never logged.
//!
//! People search their logs and set alarms by these names, so that one comes or goes unnoticed breaks
//! what they have built.

use super::tree::{Finding, Tree};

/// Where they are explained: a row of a table for each, its name in backquotes first.
const DOCUMENT: &str = "docs/logging.md";

/// What the server is made of.
const LOGGING: &[&str] = &[
    "crates/nightlatch/src/",
    "crates/nightlatch-core/src/",
    "crates/nightlatch-resilience/src/",
    "crates/nightlatch-store/src/",
];

/// How a line names its event.
const FIELD: &str = "event = \"";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.find(DOCUMENT) else {
        let fix = format!("tidy compares the events of the log with {DOCUMENT}");
        return vec![Finding::new(DOCUMENT, 1, "is not there", fix)];
    };
    let explained: Vec<(usize, &str)> = (1..)
        .zip(document.text.lines())
        .filter_map(|(number, line)| {
            let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
            is_event(name).then_some((number, name))
        })
        .collect();
    let mut logged = Vec::new();
    let mut findings = Vec::new();
    let is_logging = |path: &str| LOGGING.iter().any(|folder| path.starts_with(folder));
    for source in tree.sources.iter().filter(|source| is_logging(&source.path)) {
        for (number, line) in (1..).zip(source.text.lines()) {
            let Some((_, rest)) = line.split_once(FIELD) else { continue };
            let name = rest.split('"').next().unwrap_or_default();
            logged.push(name.to_owned());
            if !is_event(name) {
                let what = format!("`{name}` is no name of an event");
                findings.push(Finding::new(&source.path, number, what, "write `thing.happened`"));
            } else if !explained.iter().any(|(_, known)| *known == name) {
                let what = format!("`{name}` is not explained");
                let fix = format!("add a row to the table of events in {DOCUMENT}");
                findings.push(Finding::new(&source.path, number, what, fix));
            }
        }
    }
    for (number, name) in explained {
        if !logged.iter().any(|known| known == name) {
            let what = format!("explains `{name}`, which no line carries");
            findings.push(Finding::new(DOCUMENT, number, what, "remove it, or log it"));
        }
    }
    findings
}

/// `thing.happened`, of lower case letters and underscores.
fn is_event(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    text.split_once('.').is_some_and(|(thing, happened)| is_word(thing) && is_word(happened))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    const SOURCE: &str = "crates/nightlatch/src/serve.rs";

    #[test]
    fn what_is_logged_is_explained_and_nothing_else() {
        let line = |name: &str| format!("tracing::info!(event = \"{name}\");\n");
        for (code, document, expected) in [
            (line("server.listening"), "| `server.listening` | info | it listens |", vec![]),
            (line("server.listening"), "", vec![format!("{SOURCE}:1")]),
            (line("listening"), "", vec![format!("{SOURCE}:1")]),
            (String::new(), "\n| `server.gone` | info | x |", vec![format!("{DOCUMENT}:2")]),
            // A field, not an event.
            (
                String::new(),
                "| `http.method`, `http.route` | the route |",
                vec![format!("{DOCUMENT}:1")],
            ),
            (String::new(), "| `event` | what happened |", vec![]),
        ] {
            assert_eq!(places(check, &[(SOURCE, &code), (DOCUMENT, document)]), expected, "{code}");
        }
    }
}
