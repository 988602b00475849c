//! Completes the document: what the layers and extractors around each handler answer, and an example of
//! every body.
//!
//! A handler's description says what is particular to it. What every request can be told is put here once,
//! so that each operation names all of its statuses: "any other problem" would let a test of the document
//! pass whatever the server says.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, Header, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, Type,
};

use super::sample::sample;
use crate::http::api::check;
use crate::http::problem::Code;

/// Names the operation that another path leads to, too.
pub(super) const SAME_AS: &str = "x-same-as";

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// Of every request.
const OF_ALL: &[Code] = &[Code::HeadersTooLarge, Code::Overloaded, Code::Deadline];

/// Of requests with a JSON body.
const OF_BODIES: &[Code] =
    &[Code::BadRequest, Code::BodyTooLarge, Code::WrongContentType, Code::InvalidField];

/// Of requests that need a session.
const OF_SESSIONS: &[Code] = &[Code::NoSession, Code::StoreUnavailable, Code::StalenessExceeded];

/// Of requests that change something by a session's cookie.
const OF_WRITES: &[Code] = &[Code::CsrfFailed];

pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (is_write, operation) in operations(item) {
            let is_write = is_write && operation.security.is_some() && path != check::PATH;
            add_what_layers_say(operation, is_write);
        }
    }
    repeat_where_the_same(document);
    let components = document.components.get_or_insert_default();
    let schemas = serde_json::to_value(&components.schemas).unwrap_or_default();
    components.examples =
        Code::all().map(|code| (code.as_str().to_owned(), example(code))).collect();
    components.security_schemes = security_schemes();
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                add_sample_of_body(body, &schemas);
            }
            for (status, response) in &mut operation.responses.responses {
                if let (Ok(status), RefOr::T(response)) = (status.parse(), response) {
                    finish(status, response, &schemas);
                }
            }
        }
    }
}

/// The operations of a path, and whether they change anything.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    [
        (false, &mut item.get),
        (false, &mut item.head),
        (false, &mut item.options),
        (false, &mut item.trace),
        (true, &mut item.post),
        (true, &mut item.put),
        (true, &mut item.patch),
        (true, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(is_write, operation)| Some((is_write, operation.as_mut()?)))
}

fn add_what_layers_say(operation: &mut Operation, is_write: bool) {
    let when = |is_so: bool, codes: &'static [Code]| if is_so { codes } else { &[] };
    let codes = [
        OF_ALL,
        when(operation.security.is_some(), OF_SESSIONS),
        when(operation.request_body.is_some(), OF_BODIES),
        when(is_write, OF_WRITES),
    ];
    for code in codes.into_iter().flatten() {
        add(operation, *code);
    }
    if is_write {
        let parameter = ParameterBuilder::new()
            .name("X-CSRF-Token")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The `csrf_token` of the session. Needed with the cookie, not with `Authorization: Bearer`."))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        operation.parameters.get_or_insert_default().push(parameter.into());
    }
}

/// A description of problems begins with their codes; words may follow behind a colon.
pub(super) fn codes_of(description: &str) -> impl Iterator<Item = &str> {
    description.split(':').next().unwrap_or_default().split(',').map(str::trim)
}

fn add(operation: &mut Operation, code: Code) {
    let status = code.status().as_str().to_owned();
    let response = operation.responses.responses.entry(status);
    let RefOr::T(response) = response.or_insert_with(|| Response::default().into()) else { return };
    if response.description.is_empty() {
        code.as_str().clone_into(&mut response.description);
    } else if codes_of(&response.description).all(|known| known != code.as_str()) {
        response.description = format!("{}, {}", code.as_str(), response.description);
    }
}

/// An alias answers as what it stands for.
fn repeat_where_the_same(document: &mut OpenApi) {
    let mut known = BTreeMap::new();
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            if let Some(id) = &operation.operation_id {
                known.insert(id.clone(), operation.responses.clone());
            }
        }
    }
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let same = operation.extensions.as_ref().and_then(|all| all.get(SAME_AS)?.as_str());
            if let Some(responses) = same.and_then(|id| known.get(id)) {
                operation.responses = responses.clone();
            }
        }
    }
}

fn add_sample_of_body(body: &mut RequestBody, schemas: &Value) {
    if let Some(RefOr::T(content)) = body.content.get_mut(JSON) {
        add_sample(content, schemas);
    }
    body.required = Some(Required::True);
}

fn add_sample(content: &mut Content, schemas: &Value) {
    let schema = content.schema.as_ref().and_then(|schema| serde_json::to_value(schema).ok());
    if content.example.is_none() {
        content.example = schema.and_then(|schema| sample(&schema, schemas));
    }
}

fn finish(status: u16, response: &mut Response, schemas: &Value) {
    if status < 400 {
        if let Some(RefOr::T(content)) = response.content.get_mut(JSON) {
            add_sample(content, schemas);
        }
        if response.description.is_empty() {
            let reason = StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason());
            reason.unwrap_or_default().clone_into(&mut response.description);
        }
        return;
    }
    let examples = codes_of(&response.description).map(|code| {
        (code.to_owned(), RefOr::Ref(Ref::new(format!("#/components/examples/{code}"))))
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build();
    response.content.insert(PROBLEM_JSON.to_owned(), content.into());
    for (name, header) in headers_of(status) {
        response.headers.insert(name.to_owned(), header.into());
    }
}

fn headers_of(status: u16) -> Vec<(&'static str, Header)> {
    let header = |kind, about: &str| {
        let schema = ObjectBuilder::new().schema_type(kind).build();
        HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
    };
    match status {
        401 => {
            vec![("WWW-Authenticate", header(Type::String, "Always `Bearer realm=\"nightlatch\"`"))]
        }
        429 | 503 | 504 => {
            vec![("Retry-After", header(Type::Integer, "When to come back, in seconds"))]
        }
        _ => Vec::new(),
    }
}

/// What a problem looks like, by its code.
fn example(code: Code) -> RefOr<utoipa::openapi::example::Example> {
    let mut body = json!({
        "type": format!("/docs/errors#{}", code.as_str()),
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": code.detail(),
        "code": code.as_str(),
        "request_id": "5f2d8e6a1b030198f7a30b5e7a419c77",
    });
    if headers_of(code.status().as_u16()).iter().any(|(name, _)| *name == "Retry-After") {
        body["retry_after_s"] = json!(2);
    }
    if matches!(code, Code::InvalidField) {
        body["errors"] = json!([{ "field": "username", "message": "is required" }]);
    }
    ExampleBuilder::new().summary(code.title()).value(Some(body)).build().into()
}

fn security_schemes() -> BTreeMap<String, RefOr<SecurityScheme>> {
    let cookie = ApiKeyValue::with_description(
        "__Host-nightlatch",
        "The cookie `__Host-nightlatch`, set by a login. It is `__Secure-nightlatch` with SESSION_COOKIE_DOMAIN; `nightlatch` in development; SESSION_COOKIE_NAME names it.",
    );
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "An access token. A request with an `Authorization` header is judged by it alone.",
        ))
        .build();
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
    let bearer = SecurityScheme::Http(bearer);
    [("cookie", cookie), ("bearer", bearer)]
        .map(|(name, scheme)| (name.to_owned(), scheme.into()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi;

    /// Path, operation, status and answer.
    fn answers(document: &Value) -> Vec<(String, u16, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        operations
            .flat_map(|(name, operation)| {
                let answers = operation["responses"].as_object().unwrap().iter();
                answers.map(move |(status, answer)| {
                    (name.clone(), status.parse().expect("a status"), answer.clone())
                })
            })
            .collect()
    }

    fn document() -> Value {
        serde_json::from_str(&openapi::document_text()).unwrap()
    }

    #[test]
    fn every_problem_names_codes_that_there_are_with_their_own_status() {
        for (operation, status, answer) in answers(&document()) {
            if status < 400 {
                continue;
            }
            for name in codes_of(answer["description"].as_str().unwrap()) {
                let code = Code::all().find(|code| code.as_str() == name);
                let code = code.unwrap_or_else(|| panic!("{operation} {status}: {name:?}"));
                assert_eq!(code.status().as_u16(), status, "{operation}: {name}");
            }
        }
    }

    #[test]
    fn every_answer_has_words_and_an_example_that_leads_somewhere() {
        let document = document();
        for (operation, status, answer) in answers(&document) {
            assert_ne!(answer["description"], "", "{operation} {status}");
            let Some(contents) = answer["content"].as_object() else { continue };
            for content in contents.values() {
                let examples = content["examples"].as_object();
                let names = examples.map(|all| all.keys().collect::<Vec<_>>()).unwrap_or_default();
                for name in &names {
                    assert!(!document["components"]["examples"][name].is_null(), "{name}");
                }
                assert!(!names.is_empty() || !content["example"].is_null(), "{operation} {status}");
            }
        }
    }

    #[test]
    fn an_alias_answers_as_what_it_stands_for() {
        let document = document();
        let responses = |path: &str| document["paths"][path]["post"]["responses"].clone();
        for (alias, of) in [
            ("/api/token", "/api/v1/auth/token"),
            ("/api/auth/refresh", "/api/v1/auth/refresh"),
            ("/api/token/refresh", "/api/v1/auth/refresh"),
            ("/api/token/verify", "/api/v1/auth/verify"),
            ("/api/token/blacklist", "/api/v1/auth/revoke"),
        ] {
            assert_eq!(responses(alias), responses(of), "{alias}");
        }
    }
}
