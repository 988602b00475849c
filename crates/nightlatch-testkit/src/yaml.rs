//! YAML as JSON, to look at files that other programs read.
//!
//! Plain scalars become what they mean in YAML; aliases and merged maps are written out.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// The documents of a text; panics if it is no YAML.
#[must_use]
pub fn documents(text: &str) -> Vec<Value> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.unwrap_or_else(|error| panic!("it is no YAML: {error}"));
        builder.take(event, span.start.line());
    }
    builder.documents
}

#[derive(Default)]
struct Builder {
    documents: Vec<Value>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Value>,
}

/// A list or map that has not ended.
struct Open {
    anchor: usize,
    value: Value,
    key: Option<String>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) {
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style)),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                (0, known.unwrap_or_else(|| panic!("line {line}: no such anchor")).clone())
            }
            Event::SequenceStart(anchor, _) => return self.begin(anchor, Value::Array(Vec::new())),
            Event::MappingStart(anchor, _) => return self.begin(anchor, Value::Object(Map::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { anchor, value, .. } = self.open.pop().expect("it was begun");
                (anchor, value)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => return,
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        self.add(value, line);
    }

    fn begin(&mut self, anchor: usize, value: Value) {
        self.open.push(Open { anchor, value, key: None });
    }

    fn add(&mut self, value: Value, line: usize) {
        let Some(open) = self.open.last_mut() else { return self.documents.push(value) };
        match (&mut open.value, open.key.take()) {
            (Value::Object(map), Some(key)) if key == "<<" => {
                let merged = value.as_object().unwrap_or_else(|| panic!("line {line}: no map"));
                for (name, value) in merged {
                    map.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
            (Value::Object(map), Some(key)) => {
                map.insert(key, value);
            }
            (Value::Object(_), None) => {
                open.key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            (Value::Array(items), _) => items.push(value),
            _ => unreachable!("only lists and maps are begun"),
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), |n| Value::Number(Number::from(n))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn aliases_and_merged_maps_are_written_out() {
        let text = "a: &a {x: 1, y: '2'}\nb:\n  <<: *a\n  x: no\n---\n- ~\n- true\n- |\n  c\n";
        let first = json!({ "a": { "x": 1, "y": "2" }, "b": { "x": "no", "y": "2" } });
        assert_eq!(documents(text), [first, json!([null, true, "c\n"])]);
    }
}
