//! The journey of a person through the pages, over the real routes and the reference record.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use nightlatch_core::service::{Keys, Policy, Ports};
use nightlatch_core::{
    BoxFuture, Deadline, FailedTry, HashError, Limit, MasterKeys, NewPassword, NodeId, Password,
    PasswordAssessor, PasswordHash, PasswordHasher, RecordClock, Refused, Secret, Service,
    SystemClock, SystemEntropy, Throttle, ThrottleKey, Ticket, Verified, Weakness,
};
use nightlatch_store::memory::MemoryRecord;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::*;
use crate::config::{Environment, SameSite, SessionConfig, WebOrigin};
use crate::health::{Health, Optional};
use crate::http::Routes;
use crate::http::app::Settings;
use crate::http::client::Peer;
use crate::http::cookie::CookieNames;
use crate::jwt::{Jwt, KeySource, Parties};
use crate::status::Board;

/// Hashes in no time. The password "busy" finds the pool full.
struct InstantHasher;

impl PasswordHasher for InstantHasher {
    fn hash(
        &self,
        password: Password,
        _: Deadline,
    ) -> BoxFuture<'_, Result<PasswordHash, HashError>> {
        Box::pin(async move { Ok(PasswordHash::from_stored(password.expose().to_owned())) })
    }

    fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
        _: Deadline,
    ) -> BoxFuture<'_, Result<Verified, HashError>> {
        Box::pin(async move {
            if password.expose() == "busy" {
                return Err(HashError::Busy { retry_after: Duration::from_secs(2) });
            }
            let is_right = hash.is_some_and(|hash| hash.expose() == password.expose());
            Ok(if is_right { Verified::Yes { needs_upgrade: false } } else { Verified::No })
        })
    }

    fn failed_login_span(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// Finds "password" weak and nothing else.
struct Assessor;

impl PasswordAssessor for Assessor {
    fn assess(
        &self,
        candidate: NewPassword,
        _: Deadline,
    ) -> BoxFuture<'_, Result<Option<Weakness>, HashError>> {
        let is_weak = candidate.password.expose() == "password";
        Box::pin(async move { Ok(is_weak.then(|| Weakness("Everybody knows it.".to_owned()))) })
    }
}

/// Lets everything through.
struct NoThrottle;

struct NoTicket;

impl Ticket for NoTicket {
    fn give_back(self: Box<Self>) {}

    fn fail(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl Throttle for NoThrottle {
    fn reserve(
        &self,
        _: Vec<(ThrottleKey, Limit)>,
        _: Option<FailedTry>,
        _: Deadline,
    ) -> BoxFuture<'_, Result<Box<dyn Ticket>, Refused>> {
        Box::pin(async { Ok(Box::new(NoTicket) as Box<dyn Ticket>) })
    }

    fn share_among(&self, _: u32) {}
}

fn app() -> Arc<App> {
    app_with(Vec::new())
}

/// Pages of these origins may call with credentials.
fn app_with(allowed_origins: Vec<WebOrigin>) -> Arc<App> {
    let clock = Arc::new(RecordClock::new(Arc::new(SystemClock)));
    clock.observe(None, Duration::ZERO, Duration::ZERO);
    let ports = Ports {
        announcer: Arc::new(()),
        access_tokens: Arc::new(()),
        record: Arc::new(MemoryRecord::new(Arc::new(SystemClock), Arc::new(SystemEntropy))),
        auth_service: None,
        hasher: Arc::new(InstantHasher),
        assessor: Arc::new(Assessor),
        throttle: Arc::new(NoThrottle),
        clock: Arc::clone(&clock),
        entropy: Arc::new(SystemEntropy),
        node: NodeId::fresh(&SystemEntropy, clock.now()),
    };
    let masters = MasterKeys::try_new(vec![Secret::new(b"k".repeat(32))]).unwrap();
    let policy = Policy {
        session_age: Duration::from_hours(24),
        remember_age: Duration::from_hours(24 * 30),
        idle_timeout: None,
        access_age: Duration::from_mins(5),
        refresh_age: Duration::from_hours(24),
        refresh_grace: Duration::from_secs(30),
        registration_open: true,
        max_staleness: Duration::from_mins(5),
        throttles: None,
    };
    let session = SessionConfig {
        age: policy.session_age,
        remember_age: policy.remember_age,
        idle_timeout: None,
        cookie_base_name: "nightlatch".to_owned(),
        cookie_secure: true,
        cookie_same_site: SameSite::Lax,
        cookie_domain: None,
    };
    let settings = Settings {
        environment: Environment::Production,
        public_origin: "https://id.example.org".parse().unwrap(),
        trusts_host: false,
        allowed_origins,
        redirect_hosts: vec!["https://app.example.org".parse().unwrap()],
        login_redirect: "/auth/profile".to_owned(),
        trusted_proxies: Vec::new(),
        cookies: CookieNames::new(&session),
        request_deadline: Duration::from_secs(2),
        login_deadline: Duration::from_secs(5),
        api_docs: true,
        serves_metrics: true,
    };
    let health = Health::new(Arc::clone(&clock), Optional::default(), false);
    let health = Arc::new(health);
    Arc::new(App {
        service: Arc::new(Service::new(ports, Keys::derive(&masters, &masters), policy)),
        jwt: Arc::new(Jwt::new(
            Parties { issuer: String::new(), audience: String::new() },
            KeySource::Configured(Vec::new()),
        )),
        settings,
        board: Arc::new(Board::new(clock, Arc::clone(&health), Arc::default())),
        health,
        tasks: TaskTracker::new(),
        traffic: Arc::default(),
        sockets: Arc::default(),
        metrics: Arc::default(),
        traces: None,
    })
}

/// A browser that keeps cookies and knows the page it is on.
struct Browser {
    routes: Routes,
    cookies: BTreeMap<String, String>,
    page: String,
}

struct Answer {
    status: StatusCode,
    location: String,
    headers: HeaderMap,
}

impl Browser {
    fn new(app: &Arc<App>) -> Self {
        Self { routes: crate::http::routes(app), cookies: BTreeMap::new(), page: String::new() }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path), Body::empty()).await
    }

    /// Sends a form with the token of the page that is shown.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token();
        let body = fields.iter().map(|(name, value)| format!("{name}={value}"));
        let body: Vec<String> = body.chain(Some(format!("csrf_token={token}"))).collect();
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", "https://id.example.org");
        self.send(request, Body::from(body.join("&"))).await
    }

    fn token(&self) -> String {
        let (_, rest) = self.page.split_once("name=\"csrf_token\" value=\"").unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    async fn send(&mut self, request: http::request::Builder, body: Body) -> Answer {
        let jar: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let peer = Peer(SocketAddr::from(([192, 0, 2, 7], 4711)));
        let request = request.header(COOKIE, jar.join("; ")).extension(peer).body(body).unwrap();
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        self.page = String::from_utf8(bytes.to_vec()).unwrap();
        let location = parts.headers.get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        Answer {
            status: parts.status,
            location: location.unwrap_or_default(),
            headers: parts.headers,
        }
    }

    /// Registers and logs in.
    async fn enter(&mut self, name: &str) {
        self.get("/auth/register").await;
        let password = "correct+horse";
        let answer =
            self.post("/auth/register", &[("username", name), ("password", password)]).await;
        assert_eq!(answer.location, "/auth/login");
        self.log_in(name, password).await;
    }

    async fn log_in(&mut self, name: &str, password: &str) {
        self.get("/auth/login").await;
        let fields = [("username", name), ("password", password)];
        let answer = self.post("/auth/login", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", self.page);
        assert_eq!(answer.location, "/auth/profile");
    }
}

#[tokio::test]
async fn a_person_registers_logs_in_reloads_and_logs_out() {
    let mut browser = Browser::new(&app());
    assert_eq!(browser.get("/").await.location, "/auth/login");
    browser.enter("alice").await;
    browser.get("/auth/profile/").await;
    assert!(browser.page.contains("You are logged in."));
    assert!(browser.page.contains("<bdi>alice</bdi>"));
    browser.get("/auth/profile").await;
    assert!(!browser.page.contains("You are logged in."), "a message is shown once");
    assert!(browser.page.contains("<bdi>alice</bdi>"), "a reload changes nothing");
    assert_eq!(browser.get("/").await.location, "/auth/profile");
    assert_eq!(browser.get("/auth/login").await.location, "/auth/profile");

    browser.get("/auth/profile").await;
    let answer = browser.post("/auth/logout", &[]).await;
    assert_eq!((answer.status, &*answer.location), (StatusCode::SEE_OTHER, "/auth/login"));
    browser.get("/auth/login").await;
    assert!(browser.page.contains("You are logged out."));
    let answer = browser.get("/auth/profile").await;
    assert_eq!(answer.location, "/auth/login?next=/auth/profile");
    browser.get("/auth/login?next=/auth/profile").await;
    assert!(browser.page.contains("Please log in to see this page."));
}

#[tokio::test]
async fn a_refused_registration_comes_back_with_what_was_typed_and_says_why() {
    let mut browser = Browser::new(&app());
    browser.enter("alice").await;
    let mut other = Browser { cookies: BTreeMap::new(), ..browser };

    other.get("/auth/register").await;
    let answer = other
        .post("/auth/register", &[("username", "Alice"), ("email", "me"), ("password", "x")])
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(other.page.contains("value=\"Alice\"") && other.page.contains("id=\"email-error\""));
    let answer =
        other.post("/auth/register", &[("username", "Alice"), ("password", "secret+words")]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(other.page.contains("This user name is taken."));
    let answer =
        other.post("/auth/register", &[("username", "bob"), ("password", "password")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        other.page.contains("Everybody knows it.") && !other.page.contains("value=\"password\"")
    );
}

#[tokio::test]
async fn a_refused_login_comes_back_with_what_was_typed_and_says_why() {
    let mut browser = Browser::new(&app());
    browser.enter("alice").await;
    let mut other = Browser { cookies: BTreeMap::new(), ..browser };

    other.get("/auth/login").await;
    let answer = other.post("/auth/login", &[("username", "alice"), ("remember", "true")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(other.page.contains("Password is required.") && other.page.contains(" checked"));
    let answer = other.post("/auth/login", &[("username", "alice"), ("password", "wrong")]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(other.page.contains("The name or the password is wrong."));
    let answer = other.post("/auth/login", &[("username", "alice"), ("password", "busy")]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[RETRY_AFTER], "2");
    assert!(
        other.page.contains("Try again in 2 seconds.") && other.page.contains("value=\"alice\"")
    );
}

#[tokio::test]
async fn a_form_without_its_token_does_nothing_and_can_be_sent_again() {
    let mut browser = Browser::new(&app());
    browser.enter("alice").await;
    browser.get("/auth/profile").await;
    let page = std::mem::take(&mut browser.page);
    for path in ["/auth/logout", "/auth/sessions", "/auth/profile"] {
        let answer = browser.post(path, &[("end", "everywhere")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        browser.page.clear();
    }
    browser.page = page;
    assert_eq!(browser.get("/auth/profile").await.status, StatusCode::OK);

    browser.cookies.clear();
    browser.page.clear();
    let fields = [("username", "alice"), ("password", "correct+horse")];
    assert_eq!(browser.post("/auth/login", &fields).await.status, StatusCode::FORBIDDEN);
    assert!(browser.page.contains("value=\"alice\""));
    assert_eq!(browser.post("/auth/login", &fields).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn devices_are_listed_and_logged_out_one_by_one_or_all() {
    let mut phone = Browser::new(&app());
    phone.enter("alice").await;
    let mut laptop = Browser { cookies: BTreeMap::new(), page: String::new(), ..phone };
    let phone_cookies = phone.cookies;
    let mut phone =
        Browser { routes: laptop.routes.clone(), cookies: phone_cookies, page: String::new() };
    laptop.log_in("alice", "correct+horse").await;

    laptop.get("/auth/sessions").await;
    assert_eq!(laptop.page.matches("192.0.2.7").count(), 3, "two rows and a button's name");
    let (_, id) = laptop.page.split_once("name=\"end\" value=\"").unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    let answer = laptop.post("/auth/sessions", &[("end", &id)]).await;
    assert_eq!(answer.location, "/auth/sessions");
    laptop.get("/auth/sessions").await;
    assert!(laptop.page.contains("That device is logged out."));
    assert!(!laptop.page.contains("value=\"others\""));
    assert_eq!(phone.get("/auth/sessions").await.status, StatusCode::SEE_OTHER);
    laptop.post("/auth/sessions", &[("end", &id)]).await;
    laptop.get("/auth/sessions").await;
    assert!(laptop.page.contains("already logged out"));
    let answer = laptop.post("/auth/sessions", &[("end", "nonsense")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);

    phone.log_in("alice", "correct+horse").await;
    phone.get("/auth/sessions").await;
    phone.post("/auth/sessions", &[("end", "others")]).await;
    assert_eq!(laptop.get("/auth/profile").await.status, StatusCode::SEE_OTHER);
    phone.get("/auth/sessions").await;
    let answer = phone.post("/auth/sessions", &[("end", "everywhere")]).await;
    assert_eq!(answer.location, "/auth/login");
    assert_eq!(phone.get("/auth/profile").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_password_change_keeps_this_device_and_says_what_was_wrong() {
    let mut browser = Browser::new(&app());
    browser.enter("alice").await;
    browser.get("/auth/profile").await;
    let fields = [("current_password", "wrong"), ("new_password", "better+words")];
    let answer = browser.post("/auth/profile", &fields).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(browser.page.contains("id=\"current_password-error\""));
    let fields = [("current_password", "correct+horse"), ("new_password", "better+words")];
    let answer = browser.post("/auth/profile", &fields).await;
    assert_eq!(answer.location, "/auth/profile");
    browser.get("/auth/profile").await;
    assert!(browser.page.contains("Your password is changed"));
    browser.cookies.clear();
    browser.log_in("alice", "better+words").await;
}

#[tokio::test]
async fn a_login_leads_only_where_it_is_safe() {
    let mut browser = Browser::new(&app());
    browser.enter("alice").await;
    for (next, target) in [
        ("/auth/sessions", "/auth/sessions"),
        ("https://app.example.org/x", "https://app.example.org/x"),
        ("https://evil.example/", "/auth/profile"),
        ("//evil.example/", "/auth/profile"),
    ] {
        browser.cookies.clear();
        browser.get(&format!("/auth/login?next={next}")).await;
        assert_eq!(
            browser.page.contains(&format!("name=\"next\" value=\"{next}\"")),
            next == target
        );
        let fields = [("username", "alice"), ("password", "correct+horse"), ("next", next)];
        assert_eq!(browser.post("/auth/login", &fields).await.location, target);
    }
}

#[tokio::test]
async fn problems_are_pages_and_files_are_kept_by_browsers() {
    let mut browser = Browser::new(&app());
    let answer = browser.get("/auth/nothing").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(browser.page.contains("There is nothing here"));
    let answer = browser.get("/auth/logout").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);

    let (_, href) = browser.page.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let href = href.split('"').next().unwrap().to_owned();
    let answer = browser.get(&href).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.headers[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    let answer = browser.get("/static/style.css?v=other").await;
    assert_eq!(answer.headers[CACHE_CONTROL], "max-age=60");
}

/// A preflight is answered with 200 before anybody asks for a session, which a proxy would take for "yes".
#[tokio::test]
async fn a_preflight_is_answered_everywhere_but_where_a_proxy_asks() {
    const ORIGIN: &str = "https://app.example.org";
    let app = app_with(vec![ORIGIN.parse().unwrap()]);
    for (path, expected, is_allowed) in [
        ("/api/v1/session", StatusCode::OK, true),
        ("/api/v1/auth/login", StatusCode::OK, true),
        ("/api/v1/auth/checks", StatusCode::OK, true),
        ("/api/v1/auth/check", StatusCode::UNAUTHORIZED, false),
        ("/api/v1/auth/check/", StatusCode::UNAUTHORIZED, false),
        ("/api/v1/auth/check/reports/7", StatusCode::UNAUTHORIZED, false),
    ] {
        let request = Request::options(path)
            .header("origin", ORIGIN)
            .header("access-control-request-method", "POST");
        let answer = Browser::new(&app).send(request, Body::empty()).await;
        assert_eq!(answer.status, expected, "{path}");
        let is_named = answer.headers.contains_key("access-control-allow-origin");
        assert_eq!(is_named, is_allowed, "{path}");
    }
}
