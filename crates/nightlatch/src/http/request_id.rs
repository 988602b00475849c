//! Request ids: tie a generic answer to the full log line.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use nightlatch_core::Entropy as _;

use nightlatch_core::SystemEntropy;

/// Where the id travels.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: 128 random bits in hex, or what a proxy in front gave it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

/// The longest id that is taken over.
const FOREIGN_BYTES_MAX: usize = 64;

impl RequestId {
    pub(crate) fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(Self::fresh)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn fresh() -> Self {
        let mut bytes = [0; 16];
        SystemEntropy.fill(&mut bytes);
        let hex = format!("{:032x}", u128::from_be_bytes(bytes));
        Self(HeaderValue::try_from(hex).expect("hex is a header value"))
    }

    /// Takes over only what cannot forge a log line or a header.
    fn foreign(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        (!text.is_empty() && text.len() <= FOREIGN_BYTES_MAX && text.chars().all(plain))
            .then(|| Self(value.clone()))
    }
}

/// Gives every request an id and every answer the same.
pub(crate) async fn assign_request_id(mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(&X_REQUEST_ID)
        .and_then(RequestId::foreign)
        .unwrap_or_else(RequestId::fresh);
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(X_REQUEST_ID, id.0);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_short_ids_are_taken_over() {
        let taken =
            |text: &str| RequestId::foreign(&HeaderValue::from_str(text).unwrap()).is_some();
        assert!(taken("req-1.a:b_c"));
        assert!(!taken(""));
        assert!(!taken("a b"));
        assert!(!taken("{\"forged\":1}"));
        assert!(!taken(&"a".repeat(65)));
    }
}
