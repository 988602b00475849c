//! JSON answers: written straight into the one buffer that is sent.

mod writer;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;

use writer::Writer;

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Room for the usual answer, which then is not copied while it grows.
const USUAL_BYTES: usize = 768;

/// Room for the headers of the usual answer, those of the layers included.
const USUAL_HEADERS: usize = 12;

/// An answer of 200 with `body` as JSON.
pub(crate) fn json(body: &impl Serialize) -> Response {
    let mut writer = Writer::with_capacity(USUAL_BYTES);
    body.serialize(&mut writer).expect("answers are objects, lists and plain values");
    let mut response = Response::new(Body::from(writer.into_bytes()));
    let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
    headers.insert(CONTENT_TYPE, APPLICATION_JSON);
    *response.headers_mut() = headers;
    response
}
