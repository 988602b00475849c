//! Request ids: tie a generic answer to the full log line.

use std::cell::RefCell;

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use nightlatch_core::{Entropy as _, SystemEntropy};

/// Where the id travels.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: 128 random bits in hex, or what a proxy in front gave it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

/// The longest id that is taken over.
const FOREIGN_BYTES_MAX: usize = 64;

/// Ids that a thread draws at once: a call of the kernel for each would take longer than the id.
const DRAWN_AT_ONCE: usize = 64;

const ID_BYTES: usize = 16;

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn::none()) };
}

/// Gives a request its id.
pub(crate) fn of(request: &Request) -> RequestId {
    request
        .headers()
        .get(&X_REQUEST_ID)
        .and_then(RequestId::foreign)
        .unwrap_or_else(RequestId::fresh)
}

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn into_value(self) -> HeaderValue {
        self.0
    }

    fn fresh() -> Self {
        let bytes = DRAWN.with_borrow_mut(Drawn::next);
        let mut hex = [0; 2 * ID_BYTES];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        Self(HeaderValue::from_bytes(&hex).expect("hex is a header value"))
    }

    /// Takes over only what cannot forge a log line or a header.
    fn foreign(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        (!text.is_empty() && text.len() <= FOREIGN_BYTES_MAX && text.chars().all(plain))
            .then(|| Self(value.clone()))
    }
}

/// The id of a request that a handler hands on; every one that may change something has one.
pub(crate) struct HandedOnId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for HandedOnId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let id = parts.extensions.get::<RequestId>().map(RequestId::as_str);
        Ok(Self(id.unwrap_or_default().to_owned()))
    }
}

/// Random bytes for the next ids of a thread.
struct Drawn {
    bytes: [u8; DRAWN_AT_ONCE * ID_BYTES],
    used: usize,
}

impl Drawn {
    const fn none() -> Self {
        Self { bytes: [0; DRAWN_AT_ONCE * ID_BYTES], used: DRAWN_AT_ONCE * ID_BYTES }
    }

    fn next(&mut self) -> [u8; ID_BYTES] {
        if self.used == self.bytes.len() {
            SystemEntropy.fill(&mut self.bytes);
            self.used = 0;
        }
        let mut next = [0; ID_BYTES];
        next.copy_from_slice(&self.bytes[self.used..self.used + ID_BYTES]);
        self.used += ID_BYTES;
        next
    }
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

    #[test]
    fn no_id_comes_twice() {
        let ids: std::collections::BTreeSet<String> =
            (0..3 * DRAWN_AT_ONCE).map(|_| RequestId::fresh().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 3 * DRAWN_AT_ONCE);
        assert!(
            ids.iter().all(|id| id.len() == 32 && !id.contains(|c: char| !c.is_ascii_hexdigit()))
        );
    }
}
