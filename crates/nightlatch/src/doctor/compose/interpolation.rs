//! `${NAME}` in a compose file: what Docker puts there, from the `.env` beside it.
//!
//! What a shell sets wins over that file and is not known here, so what the file does not name is not
//! known either.

use nightlatch_core::Secret;

use crate::doctor::written::Last;

/// How deep presets may stand within presets, and how long a text may become.
const DEPTH_MAX: usize = 4;
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A text with its references replaced. `None`: one of them is not known.
pub(super) fn interpolated(text: &str, values: &Last<'_>) -> Option<Secret<String>> {
    replaced(text, values, 0)
}

fn replaced(text: &str, values: &Last<'_>, depth: usize) -> Option<Secret<String>> {
    if depth > DEPTH_MAX || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let (mut whole, mut rest) = (Secret::new(String::new()), text);
    while let Some((before, after)) = rest.split_once('$') {
        whole.expose_mut().push_str(before);
        if let Some(escaped) = after.strip_prefix('$') {
            whole.expose_mut().push('$');
            rest = escaped;
            continue;
        }
        let (value, behind) = reference(after, values, depth)?;
        whole.expose_mut().push_str(value.expose());
        rest = behind;
        if whole.expose().len() > TEXT_BYTES_MAX {
            return None;
        }
    }
    whole.expose_mut().push_str(rest);
    Some(whole)
}

/// What a reference behind a `$` stands for, and what follows it.
fn reference<'a>(
    text: &'a str,
    values: &Last<'_>,
    depth: usize,
) -> Option<(Secret<String>, &'a str)> {
    let value_of = |name: &str| values.find(name).map(|written| values.expanded(written));
    let Some(braced) = text.strip_prefix('{') else {
        let name = name_of(text)?;
        return Some((value_of(name)?, &text[name.len()..]));
    };
    let inner = &braced[..closing(braced)?];
    let behind = &braced[inner.len() + 1..];
    let name = name_of(inner)?;
    let value = value_of(name);
    let (is_set, operator) = match inner[name.len()..].strip_prefix(':') {
        Some(operator) => (value.as_ref().is_some_and(|it| !it.expose().is_empty()), operator),
        None => (value.is_some(), &inner[name.len()..]),
    };
    let mut operator = operator.chars();
    let value = match (operator.next(), is_set) {
        (None | Some('-' | '?'), true) => value?,
        (Some('-'), false) | (Some('+'), true) => replaced(operator.as_str(), values, depth + 1)?,
        (Some('+'), false) => Secret::new(String::new()),
        _ => return None,
    };
    Some((value, behind))
}

/// Where the brace that was opened before ends.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

fn name_of(text: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = &text[..text.find(|c| !is_name(c)).unwrap_or(text.len())];
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
}

/// The name, where a text is a reference to it and nothing else.
pub(super) fn sole_reference(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('$')?;
    let Some(braced) = rest.strip_prefix('{') else {
        return name_of(rest).filter(|name| name.len() == rest.len());
    };
    (closing(braced)? + 1 == braced.len()).then(|| name_of(braced))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::env::read_lines;

    #[test]
    fn references_are_replaced_as_docker_does() {
        let (written, _) = read_lines(".env", "A=a\nEMPTY=\nB=${A}b\nQUOTED='$A'\n");
        let values = Last::of(&written);
        for (text, expected) in [
            ("x", Some("x")),
            ("$A-${A}", Some("a-a")),
            ("$$A", Some("$A")),
            ("$${A}", Some("${A}")),
            ("${B}", Some("ab")),
            ("$QUOTED", Some("$A")),
            ("${EMPTY}", Some("")),
            ("${EMPTY:-x}", Some("x")),
            ("${EMPTY-x}", Some("")),
            ("${NONE:-x}", Some("x")),
            ("${NONE:-${A}}", Some("a")),
            ("${NONE:-$$}", Some("$")),
            ("${A:?must be set}", Some("a")),
            ("${A:+x}", Some("x")),
            ("${NONE:+x}", Some("")),
            ("${NONE}", None),
            ("$NONE", None),
            ("${NONE:?x}", None),
            ("${NONE", None),
            ("$", None),
            ("$1", None),
            ("${}", None),
        ] {
            let read = interpolated(text, &values);
            assert_eq!(read.as_ref().map(|it| it.expose().as_str()), expected, "{text}");
        }
        for (text, expected) in [
            ("$A", Some("A")),
            ("${A}", Some("A")),
            ("${A:-x}", Some("A")),
            ("$A/0", None),
            ("A", None),
        ] {
            assert_eq!(sole_reference(text), expected, "{text}");
        }
        let deep = format!("{}x{}", "${N:-".repeat(40), "}".repeat(40));
        assert!(interpolated(&deep, &values).is_none());
    }
}
