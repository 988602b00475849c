//! A body as an example, from its schema: each member's own example, or a value of its type.

use serde_json::{Map, Value, json};

/// Schemas name others, these again others, never in a circle: the limit is for one that does.
const DEPTH_MAX: usize = 8;

/// An example of a schema, if it says enough for one.
pub(super) fn sample(schema: &Value, schemas: &Value) -> Option<Value> {
    sample_at(schema, schemas, DEPTH_MAX)
}

/// The name of the schema that is meant.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

fn sample_at(schema: &Value, schemas: &Value, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    if let Some(example) = schema.get("example") {
        return Some(example.clone());
    }
    if let Some(name) = referred(schema) {
        return sample_at(schemas.get(name)?, schemas, depth);
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let mut whole = Map::new();
        for part in parts {
            if let Some(Value::Object(members)) = sample_at(part, schemas, depth) {
                whole.extend(members);
            }
        }
        return Some(Value::Object(whole));
    }
    match kind(schema) {
        "object" => {
            let mut whole = Map::new();
            let members = schema.get("properties").and_then(Value::as_object);
            for (name, member) in members.into_iter().flatten() {
                // What may be left out, and has no example, is left out.
                if is_required(schema, name) || member.get("example").is_some() {
                    whole.insert(name.clone(), sample_at(member, schemas, depth)?);
                }
            }
            Some(Value::Object(whole))
        }
        "array" => Some(json!([sample_at(schema.get("items")?, schemas, depth)?])),
        "boolean" => Some(json!(false)),
        "integer" | "number" => Some(json!(0)),
        "string" => Some(json!("…")),
        _ => None,
    }
}

/// Whether an object has to have a member.
pub(super) fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

/// The type, of several the first.
fn kind(schema: &Value) -> &str {
    let kind = schema.get("type");
    let first = kind.and_then(|kind| kind.as_array()?.first());
    first.or(kind).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_what_is_required_and_what_is_shown_by_example() {
        let schemas = json!({
            "Name": { "type": "string", "example": "alice" },
            "Base": { "type": "object", "required": ["name"], "properties": {
                "name": { "$ref": "#/components/schemas/Name" },
                "left_out": { "type": ["string", "null"] },
                "shown": { "type": ["integer", "null"], "example": 7 },
            } },
            "Round": { "$ref": "#/components/schemas/Round" },
        });
        let whole = json!({ "allOf": [
            { "$ref": "#/components/schemas/Base" },
            { "type": "object", "required": ["list", "is"], "properties": {
                "list": { "type": "array", "items": { "type": "string" } },
                "is": { "type": "boolean" },
            } },
        ] });
        let expected = json!({ "name": "alice", "shown": 7, "list": ["…"], "is": false });
        assert_eq!(sample(&whole, &schemas), Some(expected));
        assert_eq!(sample(&json!({ "$ref": "#/components/schemas/Round" }), &schemas), None);
        assert_eq!(sample(&json!({ "type": "object" }), &schemas), Some(json!({})));
        assert_eq!(sample(&json!({}), &schemas), None);
    }
}
