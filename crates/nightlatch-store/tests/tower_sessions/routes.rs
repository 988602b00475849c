//! Behind tower-sessions' own layer: which cookies come, what they are worth, and when they go.

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt as _;
use nightlatch_store::tower_sessions::NightlatchStore;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;
use tower_sessions::{Expiry, Session, SessionManagerLayer};

use super::fresh;

type Layer = SessionManagerLayer<NightlatchStore>;

fn routes() -> Router {
    Router::new()
        .route("/", get(async |_: Session| "nothing is asked of the session"))
        .route(
            "/keep",
            get(async |session: Session| session.insert("n", 42).await.expect("it works")),
        )
        .route(
            "/show",
            get(async |session: Session| {
                format!("{:?}", session.get::<u32>("n").await.expect("it works"))
            }),
        )
        .route(
            "/drop",
            get(async |session: Session| _ = session.remove_value("n").await.expect("it works")),
        )
        .route("/cycle", get(async |session: Session| session.cycle_id().await.expect("it works")))
        .route("/flush", get(async |session: Session| session.flush().await.expect("it works")))
        .route("/clear", get(async |session: Session| session.clear().await))
        .route(
            "/a_day",
            get(async |session: Session| {
                let tomorrow = OffsetDateTime::now_utc() + Duration::days(1);
                session.set_expiry(Some(Expiry::AtDateTime(tomorrow)));
            }),
        )
        .route(
            "/until_closed",
            get(async |session: Session| session.set_expiry(Some(Expiry::OnSessionEnd))),
        )
}

struct Site {
    routes: Router,
    _folder: TempDir,
}

/// What a client was told: the status, the body, and the session's cookie.
struct Told {
    status: StatusCode,
    body: String,
    cookie: Option<Cookie>,
}

/// A cookie that was set: its value and its attributes.
#[derive(Debug)]
struct Cookie {
    value: String,
    attributes: Vec<String>,
}

impl Site {
    async fn open(manage: impl FnOnce(Layer) -> Layer) -> Self {
        let (store, folder) = fresh().await;
        let sessions = manage(SessionManagerLayer::new(store));
        Self { routes: routes().layer(sessions), _folder: folder }
    }

    async fn ask(&self, path: &str, cookie: Option<&str>) -> Told {
        let mut request = Request::get(path);
        if let Some(value) = cookie {
            request = request.header(COOKIE, format!("id={value}"));
        }
        let request = request.body(Body::empty()).expect("it works");
        let answer = self.routes.clone().oneshot(request).await.expect("it works");
        let status = answer.status();
        let cookies: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().collect();
        assert!(cookies.len() <= 1, "{cookies:?}");
        let cookie = cookies.first().map(|line| Cookie::read(line.to_str().expect("it works")));
        let body = answer.into_body().collect().await.expect("it works").to_bytes();
        Told { status, body: String::from_utf8(body.to_vec()).expect("it works"), cookie }
    }

    /// The cookie of a session that holds something.
    async fn keep(&self) -> String {
        self.ask("/keep", None).await.cookie.expect("a new session").value
    }
}

impl Cookie {
    fn read(line: &str) -> Self {
        let mut parts = line.split("; ");
        let value =
            parts.next().expect("it works").strip_prefix("id=").expect("the session's").to_owned();
        Self { value, attributes: parts.map(str::to_ascii_lowercase).collect() }
    }

    fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|there| there == attribute)
    }

    fn max_age(&self) -> Option<i64> {
        let age = self.attributes.iter().find_map(|there| there.strip_prefix("max-age="));
        age.map(|age| age.parse().expect("it works"))
    }
}

fn for_an_hour(manager: Layer) -> Layer {
    manager.with_expiry(Expiry::OnInactivity(Duration::hours(1)))
}

fn is_about(age: Option<i64>, expected: Duration) -> bool {
    let expected = expected.whole_seconds();
    age.is_some_and(|age| (expected - 60..=expected).contains(&age))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_nothing_gets_no_cookie() {
    let site = Site::open(for_an_hour).await;
    assert!(site.ask("/", None).await.cookie.is_none());
    assert!(site.ask("/show", None).await.cookie.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_has_a_careful_cookie() {
    let site = Site::open(for_an_hour).await;
    let told = site.ask("/keep", None).await;
    let cookie = told.cookie.expect("a new session");
    assert_eq!(told.status, StatusCode::OK);
    for attribute in ["httponly", "samesite=strict", "secure", "path=/"] {
        assert!(cookie.has(attribute), "{attribute} in {cookie:?}");
    }
    assert!(is_about(cookie.max_age(), Duration::hours(1)), "{cookie:?}");
    let site = Site::open(|manager| manager).await;
    let cookie = site.ask("/keep", None).await.cookie.expect("a new session");
    assert_eq!(cookie.max_age(), None, "until the browser is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_nobody_gave_out_opens_nothing_and_is_not_taken_over() {
    let site = Site::open(for_an_hour).await;
    let invented = "AAAAAAAAAAAAAAAAAAAAAA";
    let told = site.ask("/keep", Some(invented)).await;
    let cookie = told.cookie.expect("a session of its own");
    assert_ne!(cookie.value, invented);
    assert_eq!(site.ask("/show", Some(&cookie.value)).await.body, "Some(42)");
    assert_eq!(site.ask("/show", Some(invented)).await.body, "None");
    // tower-sessions saves what it has not loaded.
    assert_eq!(site.ask("/clear", Some(invented)).await.status, StatusCode::OK);
    site.ask("/keep", Some(invented)).await;
    assert_eq!(site.ask("/show", Some(invented)).await.body, "None");
    let told = site.ask("/", Some("malformed")).await;
    assert_eq!((told.status, told.cookie.expect("it works").value.as_str()), (StatusCode::OK, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_shown_until_it_is_dropped() {
    let site = Site::open(for_an_hour).await;
    let cookie = site.keep().await;
    assert_eq!(site.ask("/show", Some(&cookie)).await.body, "Some(42)");
    assert_eq!(site.ask("/drop", Some(&cookie)).await.status, StatusCode::OK);
    assert_eq!(site.ask("/show", Some(&cookie)).await.body, "None");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_a_new_id_has_what_it_had_and_the_old_id_opens_nothing() {
    let site = Site::open(for_an_hour).await;
    let old = site.keep().await;
    let new = site.ask("/cycle", Some(&old)).await.cookie.expect("a new id").value;
    assert_ne!(old, new);
    assert_eq!(site.ask("/show", Some(&new)).await.body, "Some(42)");
    assert_eq!(site.ask("/show", Some(&old)).await.body, "None");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_ends_the_session_and_its_cookie() {
    for domain in [None, Some("example.com")] {
        let site = Site::open(|manager| match domain {
            Some(domain) => for_an_hour(manager).with_domain(domain),
            None => for_an_hour(manager),
        })
        .await;
        let cookie = site.keep().await;
        let gone = site.ask("/flush", Some(&cookie)).await.cookie.expect("it is taken away");
        assert_eq!((gone.value.as_str(), gone.max_age()), ("", Some(0)));
        assert!(gone.has("path=/"));
        assert_eq!(gone.has("domain=example.com"), domain.is_some());
        assert_eq!(site.ask("/show", Some(&cookie)).await.body, "None");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_change_how_long_it_lives() {
    let site = Site::open(for_an_hour).await;
    let cookie = site.keep().await;
    let day = site.ask("/a_day", Some(&cookie)).await.cookie.expect("it is renewed");
    assert!(is_about(day.max_age(), Duration::days(1)), "{day:?}");
    let closed = site.ask("/until_closed", Some(&cookie)).await.cookie.expect("it is renewed");
    assert_eq!(closed.max_age(), None);
    assert_eq!(site.ask("/show", Some(&cookie)).await.body, "Some(42)");
}
