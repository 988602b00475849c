//! Members of objects, parameters and headers: a name, a type in words, and what it is for.

use serde_json::Value;

use super::words::Words;
use super::{members, text};
use crate::http::openapi::sample::{is_required, referred};

/// One of them.
pub(super) struct Field {
    pub(super) name: String,
    /// Where it stands, of a parameter.
    pub(super) place: String,
    /// The type in words.
    pub(super) kind: String,
    /// The object that it is, or that it is a list of.
    pub(super) shape: Option<String>,
    pub(super) is_required: bool,
    pub(super) about: Words,
}

impl Field {
    /// A header, or a member: the schema may be within, or be it.
    pub(super) fn of(name: &str, value: &Value) -> Self {
        let schema = value.get("schema").unwrap_or(value);
        let shape = referred(schema).or_else(|| referred(&schema["items"]));
        Self {
            name: name.to_owned(),
            place: text(value, "in").to_owned(),
            kind: kind(schema),
            shape: shape.map(str::to_owned),
            is_required: value["required"] == true,
            about: Words::of(text(value, "description")),
        }
    }
}

/// The parameters of an operation.
pub(super) fn parameters(value: &Value) -> Vec<Field> {
    let parameters = value.as_array().into_iter().flatten();
    parameters.map(|parameter| Field::of(text(parameter, "name"), parameter)).collect()
}

/// The members of an object, those of its parts included.
pub(super) fn fields(schema: &Value, schemas: &Value) -> Vec<Field> {
    if let Some(name) = referred(schema) {
        return fields(&schemas[name], schemas);
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let of_parts = parts.flat_map(|part| fields(part, schemas));
    let own = members(&schema["properties"]).map(|(name, member)| Field {
        is_required: is_required(schema, name),
        ..Field::of(name, member)
    });
    of_parts.chain(own).collect()
}

fn kind(schema: &Value) -> String {
    if referred(schema).is_some() {
        return String::new();
    }
    let one = |kind: &Value| kind.as_str().unwrap_or_default().to_owned();
    let mut words = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(one).collect::<Vec<_>>().join(" or "),
        kind => one(kind),
    };
    if words == "array" {
        let of = kind(&schema["items"]);
        words = if of.is_empty() { "list of".to_owned() } else { format!("list of {of}") };
    }
    if let Some(format) = schema["format"].as_str().filter(|format| !format.starts_with("int")) {
        words = format!("{words}, {format}");
    }
    match (schema["minLength"].as_u64(), schema["maxLength"].as_u64()) {
        (Some(least), Some(most)) => format!("{words}, {least} to {most} characters"),
        (None, Some(most)) => format!("{words}, at most {most} characters"),
        (Some(_) | None, None) => words,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_told_in_words() {
        for (schema, expected) in [
            (json!({ "type": "string" }), "string"),
            (
                json!({ "type": ["string", "null"], "format": "date-time" }),
                "string or null, date-time",
            ),
            (
                json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
                "string, 1 to 64 characters",
            ),
            (json!({ "type": "integer", "format": "int64" }), "integer"),
            (json!({ "type": "array", "items": { "type": "string" } }), "list of string"),
            (json!({ "type": "array", "items": { "$ref": "#/components/schemas/A" } }), "list of"),
            (json!({ "$ref": "#/components/schemas/A" }), ""),
            (json!({}), ""),
        ] {
            assert_eq!(kind(&schema), expected, "{schema}");
        }
    }
}
