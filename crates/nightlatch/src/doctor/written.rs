//! Settings as somebody wrote them, and where: in a file, in the environment.
//!
//! Apart from what the server makes of them, since a line is corrected where it stands.

use std::collections::HashMap;

use nightlatch_core::Secret;

use crate::config::env_file::Assignment;
use crate::config::source;

/// A setting as it was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) value: Secret<String>,
    /// The quotes that it was written in.
    pub(super) quote: Option<char>,
    pub(super) place: Place,
}

/// Where something stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) source: Option<String>,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
}

/// What the source of a setting of the environment is called.
const ENVIRONMENT: &str = "environment";

/// How far a reference is followed, and how long what it leads to may be.
const REFERENCES_DEEP_MAX: usize = 8;
const VALUE_BYTES_MAX: usize = 64 * 1024;

impl Written {
    /// In a file.
    pub(super) fn in_file(source: &str, assignment: Assignment) -> Self {
        let Assignment { line, column, quote, name, value, .. } = assignment;
        let source = Some(source.to_owned());
        let place = Place { source, line: Some(line), column: Some(column) };
        Self { name, value, quote, place }
    }

    /// All that this process was given.
    pub(super) fn in_environment() -> Vec<Self> {
        let read = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let value = Secret::new(value.into_string().ok()?);
            let source = Some(ENVIRONMENT.to_owned());
            let place = Place { source, line: None, column: None };
            Some(Self { name: name.into_string().ok()?, value, quote: None, place })
        };
        source::environment().filter_map(read).collect()
    }
}

/// What is said of each name at last.
pub(super) struct Last<'a> {
    in_order: Vec<&'a Written>,
    by_name: HashMap<&'a str, &'a Written>,
}

impl<'a> Last<'a> {
    /// The later one holds.
    pub(super) fn of(all: impl IntoIterator<Item = &'a Written>) -> Self {
        let all: Vec<&Written> = all.into_iter().collect();
        let by_name: HashMap<_, _> = all.iter().map(|it| (it.name.as_str(), *it)).collect();
        let holds = |it: &&Written| {
            by_name.get(it.name.as_str()).is_some_and(|last| std::ptr::eq(*last, *it))
        };
        Self { in_order: all.iter().copied().filter(holds).collect(), by_name }
    }

    /// Those that hold, in the order in which they stand.
    pub(super) fn in_order(&self) -> &[&'a Written] {
        &self.in_order
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether it stands in a file.
    pub(super) fn is_in_file(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|it| it.place.line.is_some())
    }

    pub(super) fn find(&self, name: &str) -> Option<&'a Written> {
        self.by_name.get(name).copied()
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.find(name).map(|it| it.value.expose().as_str())
    }

    /// References to other names are replaced, as the usual readers do; others stay.
    pub(super) fn expanded(&self, written: &Written) -> Secret<String> {
        let mut value = Secret::new(written.value.expose().clone());
        if written.quote == Some('\'') {
            return value;
        }
        for _ in 0..REFERENCES_DEEP_MAX {
            if !value.expose().contains('$') || value.expose().len() > VALUE_BYTES_MAX {
                break;
            }
            value = self.expanded_once(value.expose());
        }
        value
    }

    fn expanded_once(&self, text: &str) -> Secret<String> {
        let (mut expanded, mut rest) = (Secret::new(String::new()), text);
        while let Some((before, after)) = rest.split_once('$')
            && expanded.expose().len() <= VALUE_BYTES_MAX
        {
            expanded.expose_mut().push_str(before);
            let reference = Reference::at(after);
            let value = reference.as_ref().and_then(|it| self.value(it.name).or(it.preset));
            if let (Some(reference), Some(value)) = (reference, value) {
                expanded.expose_mut().push_str(value);
                rest = &after[reference.bytes..];
            } else {
                expanded.expose_mut().push('$');
                rest = after;
            }
        }
        expanded.expose_mut().push_str(rest);
        expanded
    }
}

/// `{NAME}`, `{NAME:-preset}` (also with `-`, `:?`, `?`) or `NAME`, behind a `$`.
struct Reference<'a> {
    name: &'a str,
    preset: Option<&'a str>,
    bytes: usize,
}

impl<'a> Reference<'a> {
    fn at(text: &'a str) -> Option<Self> {
        let name_of = |text: &'a str| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, _) = text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()));
            (!name.is_empty()).then_some(name)
        };
        let Some(braced) = text.strip_prefix('{') else {
            let name = name_of(text)?;
            return Some(Self { name, preset: None, bytes: name.len() });
        };
        let (inner, _) = braced.split_once('}')?;
        let name = name_of(inner)?;
        let behind = inner[name.len()..].trim_start_matches(':');
        Some(Self { name, preset: behind.strip_prefix('-'), bytes: inner.len() + 2 })
    }
}
