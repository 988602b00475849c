//! Every error code is explained, and nothing is explained that does not exist.
//!
//! A problem body points to `docs/errors.md#code`: who follows it must find it.

use super::source::{Source, after_closing, end_of_head, words};
use super::tree::{Finding, Tree};

/// Where the codes are: an enum whose `as_str` has one arm `Self::X => "x"` for each.
const CODES: &str = "crates/nightlatch/src/http/problem/code.rs";

/// Those of the auth service, in an enum of their own.
const MORE_CODES: &str = "crates/nightlatch/src/http/problem/upstream.rs";

/// Where they are explained: one heading for each, of the code alone, in backquotes.
const DOCUMENT: &str = "docs/errors.md";

/// What the text under a heading says.
const SECTION: &[&str] = &["**Status:**", "**Cause:**", "**User:**", "**Operator:**"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(source), Some(document)) = (tree.find(CODES), tree.find(DOCUMENT)) else {
        let missing = if tree.find(CODES).is_none() { CODES } else { DOCUMENT };
        let fix =
            format!("tidy compares {CODES} with {DOCUMENT}; if one moved, change its constant");
        return vec![Finding::new(missing, 1, "is not there", fix)];
    };
    let more = tree.find(MORE_CODES);
    let codes: Vec<_> = [Some(source), more]
        .into_iter()
        .flatten()
        .flat_map(|source| codes(source).into_iter().map(move |(at, code)| (source, at, code)))
        .collect();
    if codes.is_empty() {
        let what = "no error code found";
        let fix = "expected an enum with `fn as_str` whose arms read `Self::BadRequest => \"bad_request\"`";
        return vec![Finding::new(CODES, 1, what, fix)];
    }
    let sections = sections(&document.text);
    let mut findings = Vec::new();
    for (source, at, code) in &codes {
        if !sections.iter().any(|section| section.code == *code) {
            let fix = format!("add a heading `{code}` with its text to {DOCUMENT}");
            findings.push(Finding::at(source, *at, format!("`{code}` is not explained"), fix));
        }
    }
    for section in sections {
        if !codes.iter().any(|(_, _, code)| *code == section.code) {
            let what = format!("explains `{}`, which no answer carries", section.code);
            findings.push(Finding::new(DOCUMENT, section.line, what, "remove it, or add the code"));
        }
        for part in SECTION.iter().filter(|part| !section.text.contains(**part)) {
            let what = format!("`{}` has no {part}", section.code);
            findings.push(Finding::new(DOCUMENT, section.line, what, "say all four for each code"));
        }
    }
    findings
}

/// The codes with where they stand.
fn codes(source: &Source) -> Vec<(usize, &str)> {
    let code = &source.code;
    let Some(open) = words(code, "as_str")
        .find(|at| code[..*at].trim_end().ends_with("fn"))
        .and_then(|at| end_of_head(code, at))
    else {
        return Vec::new();
    };
    let body = open..after_closing(code, open);
    let arms = code[body.clone()].match_indices("=>").map(|(at, _)| body.start + at + 2);
    arms.filter_map(|at| {
        let value = source.literals[at..].trim_start().strip_prefix('"')?.split('"').next()?;
        is_code(value).then_some((at, value))
    })
    .collect()
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

struct Section<'a> {
    line: usize,
    code: &'a str,
    text: String,
}

fn sections(document: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(document.lines()) {
        if line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim();
            let code = heading.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            let code = code.filter(|code| is_code(code));
            inside = code.is_some();
            sections.extend(code.map(|code| Section { line: number, code, text: String::new() }));
        } else if inside && let Some(section) = sections.last_mut() {
            section.text.push_str(line);
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    const SOURCE: &str = "impl Code {\n    fn title(self) -> &str {\n        match self { Self::A => \"other\" }\n    }\n    fn as_str(self) -> &'static str {\n        match self {\n            Self::A => \"bad_request\",\n            Self::B => \"no_session\",\n        }\n    }\n}\n";

    fn section(code: &str) -> String {
        format!("### `{code}`\n{}\n\n", SECTION.join(" x\n"))
    }

    #[test]
    fn codes_of_both_enums_are_explained() {
        let document = format!("{}{}", section("bad_request"), section("no_session"));
        let more =
            SOURCE.replace("bad_request", "upstream_dns").replace("no_session", "upstream_tls");
        let found = places(check, &[(CODES, SOURCE), (MORE_CODES, &more), (DOCUMENT, &document)]);
        assert_eq!(found, [format!("{MORE_CODES}:7"), format!("{MORE_CODES}:8")]);
    }

    #[test]
    fn codes_and_document_say_the_same() {
        let (bad, none) = (section("bad_request"), section("no_session"));
        for (document, expected) in [
            (format!("# Errors\n{bad}{none}"), Vec::new()),
            (bad.clone(), vec![format!("{CODES}:8")]),
            (format!("{bad}{none}{}", section("gone")), vec![format!("{DOCUMENT}:13")]),
            (format!("{bad}### `no_session`\n**Status:**\n"), vec![format!("{DOCUMENT}:7"); 3]),
            (format!("{bad}{none}## Reading them\n"), Vec::new()),
        ] {
            let found = places(check, &[(CODES, SOURCE), (DOCUMENT, &document)]);
            assert_eq!(found, expected, "{document}");
        }
    }

    #[test]
    fn nothing_is_skipped_silently() {
        let document = section("bad_request");
        assert_eq!(places(check, &[(DOCUMENT, &document)]), [format!("{CODES}:1")]);
        assert_eq!(places(check, &[(CODES, SOURCE)]), [format!("{DOCUMENT}:1")]);
        let other = "const CODES: &[&str] = &[\"bad_request\"];";
        assert_eq!(places(check, &[(CODES, other), (DOCUMENT, &document)]), [format!("{CODES}:1")]);
    }
}
