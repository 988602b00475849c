//! Bodies without what differs from run to run, so that whole answers can be compared.

use serde_json::{Map, Value};

/// The value with ids, times, tokens and request ids replaced by their kind.
pub(crate) fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), member(name, value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(elements) => elements.iter().map(shape).collect(),
        Value::String(text) if is_time(text) => "<time>".into(),
        Value::String(text) if is_id(text) => "<id>".into(),
        other => other.clone(),
    }
}

fn member(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("request_id", Value::String(text)) if is_hex(text, 32) => "<request id>".into(),
        ("csrf_token", Value::String(text)) if text.len() > 20 => "<token>".into(),
        (_, value) => shape(value),
    }
}

fn is_time(text: &str) -> bool {
    text.len() == 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z')
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
