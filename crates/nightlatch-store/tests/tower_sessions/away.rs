//! While the record is away, and when it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use nightlatch_core::{BoxFuture, Deadline, FailureClass, Outcome, StoreError, StoreErrorKind};
use nightlatch_store::intercepted::{InterceptedRecord, Interceptor};
use nightlatch_store::tower_sessions::{NightlatchStore, UnavailableLayer};
use nightlatch_testkit::wait::wait_until;
use tower::ServiceExt as _;
use tower_sessions::{Session, SessionManagerLayer, SessionStore as _};

use super::{in_memory, session, start};

const LIMIT: Duration = Duration::from_secs(10);

/// Refuses every call while it is away.
#[derive(Default)]
struct Line(AtomicBool);

impl Line {
    fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn mend(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Interceptor for Line {
    fn before(&self, call: &'static str, _: Deadline) -> BoxFuture<'_, Result<(), StoreError>> {
        let is_cut = self.0.load(Ordering::SeqCst);
        Box::pin(async move {
            let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Unreachable);
            let refused = StoreError::new(kind, class, Outcome::NotApplied, call);
            if is_cut { Err(refused) } else { Ok(()) }
        })
    }
}

struct Node {
    store: NightlatchStore,
    line: Arc<Line>,
}

impl Node {
    fn over(record: &Arc<dyn nightlatch_core::Record>) -> Self {
        let line = Arc::new(Line::default());
        let record = InterceptedRecord::new(Arc::clone(record), Arc::clone(&line) as _);
        Self { store: start(Arc::new(record)), line }
    }

    fn application(&self) -> Router {
        let ask = async |session: Session| match session.get::<u32>("cart").await {
            Ok(held) => Ok(format!("{held:?}")),
            Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let end = async |session: Session| match session.flush().await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Router::new()
            .route("/", get(ask))
            .route(
                "/keep",
                get(async |session: Session| session.insert("n", 1).await.expect("it works")),
            )
            .route("/end", get(end))
            .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
            .layer(SessionManagerLayer::new(self.store.clone()))
            .layer(UnavailableLayer)
    }

    async fn ask(&self, path: &str, cookie: &str) -> Response<Body> {
        let request = Request::get(path).header(COOKIE, format!("id={cookie}"));
        self.application()
            .oneshot(request.body(Body::empty()).expect("it works"))
            .await
            .expect("it works")
    }
}

fn assert_unavailable(answer: &Response<Body>) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    assert!(!answer.headers().contains_key(SET_COOKIE), "the cookie stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_knowing_is_an_error_and_a_503_that_leaves_the_cookie() {
    let record = in_memory();
    let (one, other) = (Node::over(&record), Node::over(&record));
    let mut kept = session("cart");
    one.store.create(&mut kept).await.expect("it works");
    other.line.cut();
    let cookie = kept.id.to_string();
    wait_until("the node has noticed", LIMIT, async || other.store.load(&kept.id).await.is_err())
        .await;
    for path in ["/", "/end"] {
        assert_unavailable(&other.ask(path, &cookie).await);
    }
    let broken = other.ask("/broken", &cookie).await;
    assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR, "that is the application's");
    other.line.mend();
    wait_until("it is back", LIMIT, async || {
        other.ask("/", &cookie).await.status() == StatusCode::OK
    })
    .await;
    assert_eq!(
        one.store.load(&kept.id).await.expect("it works"),
        Some(kept),
        "nobody was signed out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_node_knows_is_served_while_the_record_is_away() {
    let node = Node::over(&in_memory());
    let mut kept = session("cart");
    node.store.create(&mut kept).await.expect("it works");
    wait_until("a copy is believed", LIMIT, async || {
        node.store.load(&kept.id).await.expect("it works").is_some()
    })
    .await;
    node.line.cut();
    let cookie = kept.id.to_string();
    // Longer than the lease: no look at the feed has come through meanwhile.
    wait_until("the record is known to be away", LIMIT, async || {
        let served = node.store.load(&kept.id).await;
        assert_eq!(served.expect("it works").as_ref(), Some(&kept), "a copy answers");
        let state = node.store.record().copies_state();
        state.unconfirmed_for.is_some_and(|span| span > Duration::from_millis(2500))
    })
    .await;
    assert_eq!(node.ask("/", &cookie).await.status(), StatusCode::OK);
    // What cannot be saved is told, and so is an end that cannot be.
    assert_unavailable(&node.ask("/keep", &cookie).await);
    assert_unavailable(&node.ask("/end", &cookie).await);
    assert_unavailable(&node.ask("/", &cookie).await);
    node.line.mend();
    wait_until("it is back", LIMIT, async || {
        node.store.load(&kept.id).await.is_ok_and(|found| found.as_ref() == Some(&kept))
    })
    .await;
}
