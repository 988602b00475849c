//! What Django's `manage.py dumpdata auth` writes: users, and the groups they are in.
//!
//! Each is `{"model": .., "pk": .., "fields": {..}}`, in one array or one a line. A user names its
//! groups by key, or by name (`--natural-foreign`), and they may stand behind it; so the text is
//! gone through twice. Only the text and the names of the groups are held.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Deserializer, Map, Value};

use super::entry::Entry;
use super::{DUMP_BYTES_MAX, ImportError, json_lines};

const GROUP: &str = "auth.group";
/// Projects with a user model of their own name it `accounts.user` and the like.
const USER_SUFFIX: &str = ".user";

/// Reads a dump.
pub(super) fn read(source: impl Read) -> Result<Users, ImportError> {
    let mut text = Vec::new();
    let count =
        source.take(DUMP_BYTES_MAX + 1).read_to_end(&mut text).map_err(ImportError::Read)?;
    if count as u64 > DUMP_BYTES_MAX {
        return Err(ImportError::TooLarge);
    }
    let mut groups = BTreeMap::new();
    let mut has_users = false;
    for object in (Objects { text: &text, at: 0, line: 1 }) {
        // A dump is one document: where it is damaged, nobody knows which groups are missing.
        let (_, object) = object?;
        has_users |= object.is_user();
        if let (true, Some(Value::String(name))) =
            (object.model == GROUP, object.fields.get("name"))
        {
            groups.insert(object.pk.to_string(), name.clone());
        }
    }
    if !has_users {
        return Err(ImportError::NoUsers);
    }
    Ok(Users { text, groups, at: 0, line: 1 })
}

#[derive(Deserialize)]
struct Object {
    model: String,
    #[serde(default)]
    pk: Value,
    fields: Map<String, Value>,
}

impl Object {
    fn is_user(&self) -> bool {
        self.model.to_lowercase().ends_with(USER_SUFFIX)
    }
}

/// The users of a dump whose groups are known.
pub(super) struct Users {
    text: Vec<u8>,
    groups: BTreeMap<String, String>,
    at: usize,
    line: u64,
}

impl Iterator for Users {
    type Item = Result<Entry, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut objects = Objects { text: &self.text, at: self.at, line: self.line };
        let found = objects.find(|object| object.as_ref().map_or(true, |(_, o)| o.is_user()));
        (self.at, self.line) = (objects.at, objects.line);
        Some(found?.map(|(line, object)| entry(line, object, &self.groups)))
    }
}

/// A user with the names of its groups in place of their keys.
fn entry(line: u64, object: Object, groups: &BTreeMap<String, String>) -> Entry {
    let mut fields = object.fields;
    let keys = fields.remove("groups").unwrap_or_default();
    let mut entry = json_lines::from_members(line, fields);
    let Value::Array(keys) = keys else { return entry };
    for key in keys {
        let name = match &key {
            Value::String(name) => Some(name),
            // Natural keys are lists; that of a group is its name alone.
            Value::Array(natural) => match natural.as_slice() {
                [Value::String(name)] => Some(name),
                _ => None,
            },
            Value::Number(_) => groups.get(&key.to_string()),
            Value::Null | Value::Bool(_) | Value::Object(_) => None,
        };
        match name {
            Some(name) => entry.groups.push(name.clone()),
            None => entry.damage = Some("it is in a group that the dump does not name".to_owned()),
        }
    }
    entry
}

/// The objects of a text, whatever stands between them of an array or of lines.
struct Objects<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Objects<'_> {
    fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn advance(&mut self, count: usize) {
        let passed = &self.text[self.at..self.at + count];
        self.line += passed.split(|byte| *byte == b'\n').count() as u64 - 1;
        self.at += count;
    }
}

impl Iterator for Objects<'_> {
    type Item = Result<(u64, Object), ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_between = |byte: &&u8| byte.is_ascii_whitespace() || b"[],".contains(byte);
        self.advance(self.text[self.at..].iter().take_while(is_between).count());
        if self.is_at_end() {
            return None;
        }
        let line = self.line;
        let mut objects = Deserializer::from_slice(&self.text[self.at..]).into_iter::<Object>();
        let object = objects.next()?;
        let read = objects.byte_offset();
        let malformed = ImportError::Malformed { line, expected: "a model of a Django dump" };
        let Ok(object) = object else {
            return Some(Err(malformed));
        };
        self.advance(read);
        Some(Ok((line, object)))
    }
}
