//! Limits of every request: how many at once, how many headers, how long in all.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;

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

/// When to come back to a server that is full, or that took too long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The limits of a server.
pub(crate) struct Limits {
    at_once: Semaphore,
    total: Duration,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let longest = settings.login_deadline.max(settings.request_deadline);
        Self { at_once: Semaphore::new(REQUESTS_MAX), total: longest + GRACE }
    }

    /// Lets a request in for as long as the permit lives. What is over a limit is refused early.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<SemaphorePermit<'_>, Problem> {
        let permit = self.at_once.try_acquire();
        let permit =
            permit.map_err(|_| Problem::new(Code::Overloaded).with_retry_after(RETRY_AFTER))?;
        if is_over(headers) { Err(Problem::new(Code::HeadersTooLarge)) } else { Ok(permit) }
    }

    /// What a handler answers, within the total. Every call beneath has its own deadline; the total
    /// is the backstop that ends what ignores it.
    pub(crate) async fn within_total(&self, answer: impl Future<Output = Response>) -> Response {
        let mut answer = pin!(answer);
        let mut end = None;
        poll_fn(|cx| {
            if let Poll::Ready(response) = answer.as_mut().poll(cx) {
                return Poll::Ready(response);
            }
            // Most answers wait for nobody: only one that does needs a timer.
            let end = end.get_or_insert_with(|| Box::pin(sleep(self.total)));
            end.as_mut().poll(cx).map(|()| {
                Problem::new(Code::Deadline).with_retry_after(RETRY_AFTER).into_response()
            })
        })
        .await
    }
}

fn is_over(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_answers_is_cut_at_the_total() {
        let limits = Limits { at_once: Semaphore::new(1), total: Duration::from_secs(3) };
        let begun = tokio::time::Instant::now();
        let cut = limits.within_total(std::future::pending()).await;
        assert_eq!(cut.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        let slow = limits.within_total(async {
            sleep(Duration::from_secs(2)).await;
            StatusCode::OK.into_response()
        });
        assert_eq!(slow.await.status(), StatusCode::OK);
    }

    #[test]
    fn one_more_than_the_limit_is_refused_until_there_is_room() {
        let limits = Limits { at_once: Semaphore::new(1), total: Duration::ZERO };
        let none = HeaderMap::new();
        let admitted = limits.admit(&none);
        assert!(admitted.is_ok());
        assert_eq!(limits.admit(&none).map(drop).unwrap_err().code(), Code::Overloaded);
        drop(admitted);
        assert!(limits.admit(&none).is_ok());
    }
}
