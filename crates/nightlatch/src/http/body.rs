//! Bodies: read within limits of size and time, and taken only in the one form an endpoint knows.

use std::fmt;
use std::time::Duration;

use axum::body::{HttpBody as _, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::http::problem::{Code, FieldError, Problem};

/// The largest body of a request.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// The longest a body may take to arrive as a whole: a drip of bytes does not start it anew.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON object without doubled members; unknown members are ignored.
pub(crate) struct Json<T>(pub(crate) T);

/// An `application/x-www-form-urlencoded` form.
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if media_type(&request) != Some("application/json") {
            return Err(Problem::new(Code::WrongContentType));
        }
        let bytes = read(request).await?;
        let object: Object = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
        let value = Value::Object(object.0);
        // The library's own message would repeat the value, which may be a password.
        serde_path_to_error::deserialize(value).map(Self).map_err(|error| {
            let field = error.path().to_string();
            let known = KNOWN_FIELDS.iter().find(|known| **known == field);
            Problem::invalid(vec![FieldError {
                field: known.copied().unwrap_or("body"),
                message: "has the wrong type".to_owned(),
            }])
        })
    }
}

/// The fields of all JSON bodies, for errors that name one.
const KNOWN_FIELDS: &[&str] = &[
    "username",
    "email",
    "name",
    "password",
    "remember",
    "current_password",
    "new_password",
    "refresh",
    "token",
];

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if media_type(&request) != Some("application/x-www-form-urlencoded") {
            return Err(
                Problem::new(Code::WrongContentType).with_detail("This page takes only forms.")
            );
        }
        let bytes = read(request).await?;
        let form = Request::builder()
            .method("POST")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(bytes.into())
            .map_err(|_| Problem::new(Code::BadRequest))?;
        let axum::Form(form) = axum::Form::from_request(form, state).await.map_err(|_| {
            Problem::new(Code::BadRequest).with_detail("The form could not be read.")
        })?;
        Ok(Self(form))
    }
}

fn media_type(request: &Request) -> Option<&str> {
    let value = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim()).filter(|media| !media.is_empty())
}

async fn read(request: Request) -> Result<axum::body::Bytes, Problem> {
    let body = request.into_body();
    // An announced length is believed before anything of it is waited for.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(Problem::new(Code::BodyTooLarge));
    }
    let body = to_bytes(body, BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(Problem::new(Code::BodyTooLarge)),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest).with_detail("The body was cut off.")),
        Err(_) => {
            Err(Problem::new(Code::BadRequest).with_detail("The body took too long to arrive."))
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

fn unreadable(error: &serde_json::Error) -> Problem {
    let problem = Problem::new(Code::BadRequest);
    match error.classify() {
        serde_json::error::Category::Data => {
            problem.with_detail("The body must be a JSON object without doubled members.")
        }
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => problem.with_detail("The body is not JSON."),
    }
}

/// A JSON object that refuses doubled members: two parsers that pick different ones of them are how
/// checks are bypassed (RFC 8259, 4).
struct Object(Map<String, Value>);

impl<'de> serde::Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("doubled member"));
            }
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_members_are_refused_and_unknown_ones_are_not() {
        let read = serde_json::from_str::<Object>;
        assert!(read(r#"{"a":1,"b":2}"#).is_ok());
        assert!(read(r#"{"a":1,"a":1}"#).is_err());
        assert!(read("[1]").is_err());
        assert!(read(r#""a""#).is_err());
    }
}
