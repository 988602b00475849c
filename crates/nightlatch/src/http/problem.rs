//! Problems: what every answer but a success is (RFC 9457).
//!
//! A handler says what is wrong; how it is shown is decided in one place behind it, because that
//! depends on who asked (JSON or a page) and where (production tells nothing about what is beneath).

mod code;
mod render;
mod upstream;

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nightlatch_core::Limit;

pub use code::Code;
pub(crate) use render::render;
pub use upstream::Upstream;

/// What is wrong, for the person or program that asked.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    limit: Option<Limit>,
    // Boxed: the usual answer has none, and an error travels by value.
    cause: Option<Box<Cause>>,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name in the request.
    pub field: &'static str,
    /// What to do about it, for the person who filled it in.
    pub message: String,
}

/// What happened beneath us: for the log always, for the answer only outside production.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Which dependency.
    pub dependency: &'static str,
    /// Its class of failure.
    pub class: &'static str,
    /// The whole chain of errors in one line.
    pub original: String,
    /// What was tried, if it was the auth service.
    pub tried: Option<Tried>,
}

/// What was tried at the auth service.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    /// How often it was asked.
    pub attempts: u32,
    /// Whether we have credentials for it.
    pub service_id_configured: bool,
}

impl Problem {
    /// A problem with its usual text.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code,
            detail: code.detail().to_owned(),
            fields: Vec::new(),
            retry_after: None,
            limit: None,
            cause: None,
        }
    }

    /// Fields that were refused, each with its reason.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(Code::InvalidField) }
    }

    /// Says it in other words.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Names a field that is to blame.
    #[must_use]
    pub fn with_field(mut self, field: &'static str, message: impl Into<String>) -> Self {
        self.fields.push(FieldError { field, message: message.into() });
        self
    }

    /// Says when to try again.
    #[must_use]
    pub const fn with_retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// Names the limit that is used up.
    #[must_use]
    pub const fn with_limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Says what happened beneath us.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// What happened beneath us.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_deref()
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// What is wrong, in a sentence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are to blame.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// When to try again, in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after
            .map(|span| span.as_millis().div_ceil(1000).max(1))
            .map(|seconds| u64::try_from(seconds).unwrap_or(u64::MAX))
    }
}

/// The answer carries the problem itself; `render` gives it a body on the way out.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}
