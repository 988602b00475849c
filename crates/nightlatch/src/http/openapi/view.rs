//! What the page of the API shows, as plain values that its template is checked against when compiled.
//!
//! All of it is read from the document itself, so that the page cannot tell anything else.

mod field;
mod words;

use askama::Template;
use serde_json::Value;

use self::field::{Field, fields, parameters};
use self::words::{Piece, Words, paragraphs};
use super::complete::{SAME_AS, codes_of};
use super::sample::referred;
use crate::http::pages::asset_version;
use crate::http::problem::Code;

/// `/api/docs`
#[derive(Template)]
#[template(path = "reference.html")]
pub(super) struct ReferenceView {
    version: String,
    about: Vec<Words>,
    groups: Vec<Group>,
    schemes: Vec<(String, Words)>,
    shapes: Vec<Shape>,
    problems: Vec<Problem>,
}

/// Operations of one tag.
struct Group {
    name: String,
    about: Words,
    operations: Vec<Operation>,
}

/// Operations that differ in their method or path alone are one.
struct Operation {
    id: String,
    methods: Vec<(String, String)>,
    path: String,
    /// Other paths that lead to it.
    others: Vec<Other>,
    about: Vec<Words>,
    needs_session: bool,
    parameters: Vec<Field>,
    body: Vec<Field>,
    command: String,
    answers: Vec<Answer>,
    problems: Vec<(String, Vec<String>, Words)>,
}

struct Other {
    id: String,
    method: String,
    path: String,
}

/// A success.
struct Answer {
    status: String,
    about: Words,
    headers: Vec<Field>,
    shape: Option<String>,
    example: Option<String>,
}

/// An object that requests and answers have.
struct Shape {
    name: String,
    about: Words,
    fields: Vec<Field>,
}

struct Problem {
    code: &'static str,
    status: u16,
    title: &'static str,
    detail: &'static str,
}

impl ReferenceView {
    pub(super) fn of(document: &Value) -> Self {
        let schemas = &document["components"]["schemas"];
        let described = |value: &Value| Words::of(text(value, "description"));
        Self {
            version: text(&document["info"], "version").to_owned(),
            about: paragraphs(text(&document["info"], "description")),
            groups: groups(document),
            schemes: members(&document["components"]["securitySchemes"])
                .map(|(name, scheme)| (name.to_owned(), described(scheme)))
                .collect(),
            shapes: members(schemas)
                .map(|(name, schema)| Shape {
                    name: name.to_owned(),
                    about: described(schema),
                    fields: fields(schema, schemas),
                })
                .collect(),
            problems: Code::all().map(Problem::of).collect(),
        }
    }

    /// Changes with the files, so that browsers may keep them for good.
    #[expect(clippy::unused_self, reason = "templates reach functions through their values")]
    const fn asset_version(&self) -> u32 {
        asset_version()
    }
}

impl Problem {
    const fn of(code: Code) -> Self {
        Self {
            code: code.as_str(),
            status: code.status().as_u16(),
            title: code.title(),
            detail: code.detail(),
        }
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn groups(document: &Value) -> Vec<Group> {
    let tags = document["tags"].as_array().into_iter().flatten();
    tags.map(|tag| Group {
        name: text(tag, "name").to_owned(),
        about: Words::of(text(tag, "description")),
        operations: operations(document, text(tag, "name")),
    })
    .collect()
}

/// The operations of a tag, in the order of their paths.
fn operations(document: &Value, tag: &str) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    let mut others = Vec::new();
    for (path, item) in members(&document["paths"]) {
        for (method, value) in members(item).filter(|(_, value)| value["tags"][0] == tag) {
            let id = text(value, "operationId").to_owned();
            let upper = method.to_ascii_uppercase();
            if let Some(same) = value[SAME_AS].as_str() {
                let other = Other { id, method: upper, path: path.to_owned() };
                others.push((same.to_owned(), other));
                continue;
            }
            let said = paragraphs(text(value, "summary"))
                .into_iter()
                .chain(paragraphs(text(value, "description")))
                .collect::<Vec<_>>();
            match operations.last_mut() {
                Some(last) if last.path == path && last.about == said => {
                    last.methods.push((upper, id));
                }
                _ => operations.push(Operation::of(document, (path, &upper), value, said)),
            }
        }
    }
    for (same, other) in others {
        if let Some(of) = operations.iter_mut().find(|operation| operation.id == same) {
            of.others.push(other);
        }
    }
    operations
}

impl Operation {
    fn of(
        document: &Value,
        (path, method): (&str, &str),
        value: &Value,
        about: Vec<Words>,
    ) -> Self {
        let schemas = &document["components"]["schemas"];
        let content = &value["requestBody"]["content"]["application/json"];
        let id = text(value, "operationId").to_owned();
        let (successes, problems): (Vec<_>, Vec<_>) =
            members(&value["responses"]).partition(|(status, _)| *status < "400");
        Self {
            methods: vec![(method.to_owned(), id.clone())],
            id,
            path: path.to_owned(),
            others: Vec::new(),
            about,
            needs_session: value["security"].is_array(),
            parameters: parameters(&value["parameters"]),
            body: fields(&content["schema"], schemas),
            command: command((method, path), value, &content["example"]),
            answers: successes.into_iter().map(Answer::of).collect(),
            problems: problems.into_iter().map(problem).collect(),
        }
    }

    fn has_body(&self) -> bool {
        !self.body.is_empty()
    }
}

impl Answer {
    fn of((status, value): (&str, &Value)) -> Self {
        let (media_type, content) = members(&value["content"]).next().unwrap_or(("", &Value::Null));
        let headers = members(&value["headers"]);
        Self {
            status: status.to_owned(),
            about: Words::of(text(value, "description")),
            headers: headers.map(|(name, header)| Field::of(name, header)).collect(),
            shape: referred(&content["schema"]).map(str::to_owned),
            example: (media_type == "application/json").then(|| pretty(&content["example"])),
        }
    }
}

/// A status, its codes, and what is said beside.
fn problem((status, value): (&str, &Value)) -> (String, Vec<String>, Words) {
    let description = text(value, "description");
    let words = description.split_once(':').map_or("", |(_, words)| words.trim());
    let codes = codes_of(description).map(str::to_owned).collect();
    (status.to_owned(), codes, Words::of(words))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A command that does it, for a terminal.
fn command((method, path): (&str, &str), value: &Value, body: &Value) -> String {
    let mut words = vec!["curl".to_owned()];
    if method != "GET" && (body.is_null() || method != "POST") {
        words.push(format!("--request {method}"));
    }
    if value["security"].is_array() {
        words.push("--header \"Authorization: Bearer $ACCESS\"".to_owned());
    }
    if !body.is_null() {
        // A quote would end the word; no example has one.
        words.push(format!("--json '{body}'"));
    }
    words.push(format!("\"$NIGHTLATCH{}\"", path.replace("{id}", "$ID")));
    words.join(" ")
}
