//! A layer that tells "we do not know" from "we are broken".
//!
//! tower-sessions and most applications answer 500 when a store fails, without a word on when to come
//! again. This layer, outside of `SessionManagerLayer`, makes 503 with `Retry-After` of it, and leaves every
//! cookie alone, if the reason was that the record did not answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use tower::{Layer, Service};

/// When to come again, in seconds: a record that is away is looked at twice a second.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

tokio::task_local! {
    /// Whether the record has failed this request.
    static HAS_FAILED: Arc<AtomicBool>;
}

/// The record has failed the request that runs here, if the layer is in use.
pub(super) fn note() {
    let _ = HAS_FAILED.try_with(|failed| failed.store(true, Ordering::Relaxed));
}

/// Answers 503 where a handler or tower-sessions answers 500 because the record did not answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnavailableLayer;

/// The service that [`UnavailableLayer`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Unavailable<S>(S);

impl<S> Layer<S> for UnavailableLayer {
    type Service = Unavailable<S>;

    fn layer(&self, inner: S) -> Unavailable<S> {
        Unavailable(inner)
    }
}

impl<S, Q, B> Service<Q> for Unavailable<S>
where
    S: Service<Q, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Default,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let failed = Arc::new(AtomicBool::new(false));
        let answering = HAS_FAILED.scope(Arc::clone(&failed), self.0.call(request));
        Box::pin(async move {
            let answer = answering.await?;
            let is_ours = failed.load(Ordering::Relaxed);
            if answer.status() == StatusCode::INTERNAL_SERVER_ERROR && is_ours {
                return Ok(unavailable());
            }
            Ok(answer)
        })
    }
}

fn unavailable<B: Default>() -> Response<B> {
    let mut answer = Response::new(B::default());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
