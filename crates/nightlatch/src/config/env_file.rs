//! The reader of `.env` files.
//!
//! There is no standard, so it takes what shells, Docker and the usual libraries agree on: one
//! `NAME=value` a line, `export` in front, comments, single quotes (exact) and double quotes
//! (with `\n`, `\"`, `\\`, `\$`), which may hold line breaks. Nothing is expanded: a `$` in a
//! password is a `$`. What cannot be read is named by its line and skipped.

use std::ops::Range;

use nightlatch_core::Secret;

/// One assignment.
#[derive(Debug)]
pub(crate) struct Assignment {
    /// The line it begins at, from 1.
    pub(crate) line: usize,
    /// Where its value begins there, in characters from 1.
    pub(crate) column: usize,
    /// Where it stands in the text, its quotes included, in bytes.
    pub(crate) span: Range<usize>,
    /// The quotes that it was written in.
    pub(crate) quote: Option<char>,
    pub(crate) name: String,
    pub(crate) value: Secret<String>,
}

/// A line that could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    /// The name, where that much was clear.
    pub(crate) name: Option<String>,
    pub(crate) why: &'static str,
}

/// Reads the text of an env file. Never fails as a whole.
pub(crate) fn parse(text: &str) -> (Vec<Assignment>, Vec<BadLine>) {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut assignments, mut bad_lines) = (Vec::new(), Vec::new());
    let mut line = 1;
    // Bounded by the text: each round takes a line, its end included, or the whole rest.
    while !rest.is_empty() {
        let (taken, read) = statement(rest);
        match read {
            Ok(None) => {}
            Ok(Some(assignment)) => {
                let begin = text.len() - rest.len();
                let span = begin + assignment.span.start..begin + assignment.span.end;
                assignments.push(Assignment { line, span, ..assignment });
            }
            Err((name, why)) => bad_lines.push(BadLine { line, name, why }),
        }
        line += rest[..taken].matches('\n').count();
        rest = &rest[taken..];
    }
    (assignments, bad_lines)
}

type Statement = Result<Option<Assignment>, (Option<String>, &'static str)>;

/// Reads one statement; how many bytes it took, and what it says.
fn statement(text: &str) -> (usize, Statement) {
    let line_end = text.find('\n').map_or(text.len(), |at| at + 1);
    let line = text[..line_end].trim();
    if line.is_empty() || line.starts_with('#') {
        return (line_end, Ok(None));
    }
    let Some((left, right)) = text[..line_end].split_once('=') else {
        let bad = of_other_kind(line).unwrap_or((None, "there is no = in this line"));
        return (line_end, Err(bad));
    };
    let left = left.trim();
    let exported = left.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let name = exported.unwrap_or(left).trim();
    if !is_name(name) {
        let bad = of_other_kind(line).unwrap_or((None, "what stands before the = is no name"));
        return (line_end, Err(bad));
    }
    let value_at = line_end - right.len();
    let value_at = value_at + right.len() - right.trim_start_matches(is_blank).len();
    let quote = text[value_at..].chars().next().filter(|first| matches!(first, '"' | '\''));
    let (taken, value) = if let Some(quote) = quote {
        quoted(&text[value_at..], quote)
    } else {
        let value = plain(right);
        let bytes = value.len();
        (line_end - value_at, Ok((Secret::new(value.to_owned()), bytes)))
    };
    let named = |why| (Some(name.to_owned()), why);
    match value {
        Ok((value, bytes)) => {
            let span = value_at..value_at + bytes;
            let column = text[..value_at].chars().count() + 1;
            let assignment =
                Assignment { line: 1, column, span, quote, name: name.to_owned(), value };
            (value_at + taken, Ok(Some(assignment)))
        }
        Err(why) => (line_end, Err(named(why))),
    }
}

/// What is said of a quote that other readers take everything behind it into.
pub(crate) const UNCLOSED: &str = "the quote is never closed";

/// What is said of lines of YAML and of other shells.
pub(crate) const AS_YAML: &str = "it is written as in YAML, where NAME=value belongs";
pub(crate) const AS_COMMAND: &str = "it begins with a command of a shell, where NAME=value belongs";

/// A line that sets something in another language, and the name.
fn of_other_kind(line: &str) -> Option<(Option<String>, &'static str)> {
    let named = |name: &str, why| is_name(name).then(|| (Some(name.to_owned()), why));
    if let Some((name, value)) = line.split_once(':')
        && (value.is_empty() || value.starts_with([' ', '\t']))
    {
        return named(name.trim(), AS_YAML);
    }
    let mut words = line.split([' ', '\t', '=', ':']).filter(|word| !word.is_empty());
    let command = words.next().filter(|it| ["set", "setx", "setenv", "env", "$env"].contains(it));
    command.and_then(|_| named(words.find(|word| !word.starts_with(['-', '/']))?, AS_COMMAND))
}

/// All that is cut off a value, but not the end of its line.
fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n' && c != '\r'
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= NAME_BYTES_MAX
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

const NAME_BYTES_MAX: usize = 128;

/// A value without quotes: up to a blank followed by `#`, without the blanks around it.
fn plain(text: &str) -> &str {
    let comment =
        text.match_indices('#').map(|(at, _)| at).find(|at| text[..*at].ends_with([' ', '\t']));
    text[..comment.unwrap_or(text.len())].trim()
}

/// A quoted value, and how many bytes it took: with the rest of its last line, and up to its quote.
fn quoted(text: &str, quote: char) -> (usize, Result<(Secret<String>, usize), &'static str>) {
    let mut value = Secret::new(String::new());
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let (taken, end) = closing(text, at + 1);
            return (taken, end.map(|()| (value, at + 1)));
        }
        if c != '\\' || quote == '\'' {
            value.expose_mut().push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => value.expose_mut().push('\n'),
            Some((_, 'r')) => value.expose_mut().push('\r'),
            Some((_, 't')) => value.expose_mut().push('\t'),
            Some((_, escaped @ ('"' | '\\' | '$' | '`' | '\''))) => {
                value.expose_mut().push(escaped);
            }
            // As shells do: a backslash before anything else is a backslash.
            Some((_, other)) => value.expose_mut().extend(['\\', other]),
            None => break,
        }
    }
    (text.len(), Err(UNCLOSED))
}

/// What may follow a closing quote: blanks and a comment.
fn closing(text: &str, after: usize) -> (usize, Result<(), &'static str>) {
    let end = text[after..].find('\n').map_or(text.len(), |at| after + at + 1);
    let tail = text[after..end].trim();
    if tail.is_empty() || tail.starts_with('#') {
        return (end, Ok(()));
    }
    (end, Err("something stands after the closing quote"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<(usize, String, String)> {
        let (assignments, _) = parse(text);
        assignments.into_iter().map(|a| (a.line, a.name, a.value.expose().clone())).collect()
    }

    #[test]
    fn one_line_is_read_as_shells_and_docker_read_it() {
        let cases = [
            ("A=b", "b"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("  A  =  b  ", "b"),
            ("A=b # comment", "b"),
            ("A=b#not-a-comment", "b#not-a-comment"),
            ("A= # comment", ""),
            ("A=#no-comment", "#no-comment"),
            ("A=", ""),
            ("A=b=c==", "b=c=="),
            ("A=pa$$word", "pa$$word"),
            ("A=\"b # c\" # d", "b # c"),
            ("A=' b '", " b "),
            ("A='it\\n'", "it\\n"),
            ("A=\"one\\ntwo\\t\\\"\\\\ \\$x \\d\"", "one\ntwo\t\"\\ $x \\d"),
            ("A=\"one\ntwo\"\n", "one\ntwo"),
            ("A=it's", "it's"),
            ("export=b", "b"),
        ];
        for (text, expected) in cases {
            let values = values(text);
            assert_eq!(values.len(), 1, "{text:?}");
            assert_eq!(values[0].2, expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_through_values_that_span_several() {
        let text = "# head\n\nA=1\nB=\"x\ny\"\r\nC=3\n";
        let lines: Vec<_> = values(text).into_iter().map(|(line, name, _)| (line, name)).collect();
        assert_eq!(lines, [(3, "A".to_owned()), (4, "B".to_owned()), (6, "C".to_owned())]);
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_are_read() {
        let cases = [
            ("A=1\nnonsense\nB=2", 2, None, "there is no = in this line"),
            ("A=1\n1X=2\nB=2", 2, None, "what stands before the = is no name"),
            ("A=1\nA B=2\nB=2", 2, None, "what stands before the = is no name"),
            ("A=1\nX='y\nB=2", 2, Some("X"), "the quote is never closed"),
            ("A=1\nX=\"y\\\nB=2", 2, Some("X"), "the quote is never closed"),
            ("A=1\nX='y'z\nB=2", 2, Some("X"), "something stands after the closing quote"),
        ];
        for (text, line, name, why) in cases {
            let (assignments, bad_lines) = parse(text);
            let names: Vec<_> = assignments.iter().map(|a| a.name.as_str()).collect();
            assert_eq!(names, ["A", "B"], "{text:?}");
            let name = name.map(str::to_owned);
            assert_eq!(bad_lines, [BadLine { line, name, why }], "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s)[\\PC\n\r\t\"'=#\\\\]{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_in_single_quotes_is_read_exactly(value in "[^']{0,60}") {
            let text = format!("# c\nA='{value}'\nB=1\n");
            let read = values(&text);
            prop_assert_eq!(&read[0].2, &value);
            prop_assert_eq!(&read[1].1, "B");
        }
    }
}
