//! The reader of `nightlatch.toml`.
//!
//! Keys are the names of the settings in upper or lower case. Sections are for people: a key in a
//! section is the section's name, `_` and the key (`[database] url`) if that is a setting, else
//! the key alone (`[web] public_url`). A line that cannot be read does not take the others with
//! it.

use nightlatch_core::Secret;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting;

/// One value.
#[derive(Debug)]
pub(super) struct TomlValue {
    /// The line, from 1.
    pub(super) line: usize,
    pub(super) name: String,
    /// The value as other sources would write it; why it has no such form otherwise.
    pub(super) value: Result<Secret<String>, &'static str>,
}

/// Reads the text of a TOML file: what was read, and line and reason of what was not.
pub(super) fn parse(text: &str) -> (Vec<TomlValue>, Vec<(usize, String)>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut values = Vec::new();
    flatten(text, "", table.get_ref(), &mut values);
    values.sort_by_key(|value| value.line);
    let error_line = |error: &toml::de::Error| error.span().map_or(1, |s| line_of(text, s.start));
    let errors = errors.iter().map(|error| (error_line(error), error.message().to_owned()));
    (values, errors.collect())
}

/// The parser limits how deep tables nest, and so how deep this goes.
fn flatten(text: &str, section: &str, table: &DeTable<'_>, into: &mut Vec<TomlValue>) {
    for (key, value) in table {
        let key_name = key.get_ref().replace('-', "_").to_ascii_uppercase();
        let joined =
            if section.is_empty() { key_name.clone() } else { format!("{section}_{key_name}") };
        if let Some(inner) = value.get_ref().as_table() {
            flatten(text, &joined, inner, into);
            continue;
        }
        let is_own = !is_known(&joined) && is_known(&key_name);
        into.push(TomlValue {
            line: line_of(text, key.span().start),
            name: if is_own { key_name } else { joined },
            value: as_text(value).map(Secret::new),
        });
    }
}

fn is_known(name: &str) -> bool {
    setting::find_or_file(name).is_some()
}

fn as_text(value: &Spanned<DeValue<'_>>) -> Result<String, &'static str> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(integer) if integer.radix() == 10 => Ok(integer.as_str().replace('_', "")),
        DeValue::Float(float) => Ok(float.as_str().replace('_', "")),
        DeValue::Boolean(on) => Ok(on.to_string()),
        DeValue::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(as_text).collect();
            Ok(items?.join(","))
        }
        DeValue::Integer(_) => Err("the number is not decimal"),
        DeValue::Datetime(_) => Err("no setting is a date"),
        DeValue::Table(_) => Err("a table stands where a value belongs"),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(usize, String, String)> {
        let (values, _) = parse(text);
        let text_of = |value: Result<Secret<String>, &str>| match value {
            Ok(value) => value.expose().clone(),
            Err(why) => format!("! {why}"),
        };
        values.into_iter().map(|v| (v.line, v.name, text_of(v.value))).collect()
    }

    #[test]
    fn keys_are_setting_names_flat_or_in_sections() {
        let text = "PUBLIC_URL = 'https://a.example'\n\
                    log_level = \"debug\"\n\
                    [database]\n\
                    url = \"sqlite://x.db\"\n\
                    password_file = \"/run/p\"\n\
                    [session.cookie]\n\
                    age = 3_600\n\
                    [web]\n\
                    trusted-proxies = [\"10.0.0.0/8\", \"::1\"]\n\
                    api_docs = false\n\
                    colour = 1.5\n";
        let expected = [
            (1, "PUBLIC_URL", "https://a.example"),
            (2, "LOG_LEVEL", "debug"),
            (4, "DATABASE_URL", "sqlite://x.db"),
            (5, "DATABASE_PASSWORD_FILE", "/run/p"),
            (7, "SESSION_COOKIE_AGE", "3600"),
            (9, "TRUSTED_PROXIES", "10.0.0.0/8,::1"),
            (10, "API_DOCS", "false"),
            (11, "WEB_COLOUR", "1.5"),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(l, n, v)| (l, n.to_owned(), v.to_owned())).collect();
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_line_that_cannot_be_read_does_not_take_the_others_with_it() {
        let (values, errors) =
            parse("registration = \"closed\"\nlog_level = debug\napi_docs = true\n");
        let names: Vec<_> = values.iter().map(|v| v.name.as_str()).collect();
        assert!(names.contains(&"REGISTRATION"), "{names:?}");
        assert!(names.contains(&"API_DOCS"), "{names:?}");
        assert_eq!(errors[0].0, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s)[\\PC\n\r\t\"'=#\\[\\]{}]{0,200}") {
            let _ = parse(&text);
        }
    }
}
