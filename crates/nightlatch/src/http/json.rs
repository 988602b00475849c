//! JSON answers: written straight into the one buffer that is sent.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Room for the usual answer, which then is not copied while it grows.
const USUAL_BYTES: usize = 768;

/// Room for the headers of the usual answer, those of the layers included.
const USUAL_HEADERS: usize = 12;

/// An answer of 200 with `body` as JSON.
pub(crate) fn json(body: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, body).expect("answers are plain data, and memory takes all");
    let mut response = Response::new(Body::from(bytes));
    let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
    headers.insert(CONTENT_TYPE, APPLICATION_JSON);
    *response.headers_mut() = headers;
    response
}
