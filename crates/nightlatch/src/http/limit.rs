//! Limits of every request: how many at once, how many headers, how long in all.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use crate::http::app::Settings;
use crate::http::problem::{Code, Problem};

/// Requests at once. More would only wait for the record's own limits, holding memory.
const REQUESTS_MAX: usize = 4096;

/// Header lines of a request.
const HEADERS_MAX: usize = 100;

/// Bytes of all header names and values of a request.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// What a body and the calls beneath may take beyond the deadline, before the request is cut.
const GRACE: Duration = Duration::from_secs(11);

/// The limits of a server.
#[derive(Clone)]
pub(crate) struct Limits {
    at_once: Arc<Semaphore>,
    total: Duration,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let longest = settings.login_deadline.max(settings.request_deadline);
        Self { at_once: Arc::new(Semaphore::new(REQUESTS_MAX)), total: longest + GRACE }
    }
}

/// Refuses what is over a limit, early. Every call beneath has its own deadline; the total is the
/// backstop that ends what ignores it.
pub(crate) async fn enforce(
    State(limits): State<Limits>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_permit) = limits.at_once.try_acquire() else {
        return Problem::new(Code::Overloaded)
            .with_retry_after(Duration::from_secs(1))
            .into_response();
    };
    if is_over(request.headers()) {
        return Problem::new(Code::HeadersTooLarge).into_response();
    }
    match tokio::time::timeout(limits.total, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(Code::Deadline).with_retry_after(Duration::from_secs(1)).into_response()
        }
    }
}

fn is_over(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX
}
