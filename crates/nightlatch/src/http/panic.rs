//! A panic is a bug of one request, not the end of its connection or of the process.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use axum::response::{IntoResponse, Response};

use crate::http::problem::{Code, Problem};

/// What a handler answers, or the problem that it panicked. The log has the panic itself.
pub(crate) async fn caught(
    handler: impl Future<Output = Result<Response, Infallible>>,
) -> Response {
    let mut handler = pin!(handler);
    std::future::poll_fn(|cx| {
        // Safe to go on after: the handler is not polled again, only dropped, and what it shares
        // with others is behind locks that survive a panic.
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(response),
            Err(_) => Poll::Ready(Problem::new(Code::InternalError).into_response()),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_with_an_internal_error() {
        let fine = caught(async { Ok(StatusCode::OK.into_response()) }).await;
        assert_eq!(fine.status(), StatusCode::OK);
        let bug = caught(async {
            tokio::task::yield_now().await;
            panic!("a bug")
        });
        assert_eq!(bug.await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
