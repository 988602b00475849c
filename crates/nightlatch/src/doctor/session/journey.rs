//! One person's way: log in, read, list, revoke, exchange tokens, log out; and after each end the
//! refusal that has to follow.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};
use nightlatch_core::{FailureClass, Secret};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::{Answer, Client, Login, Shows};
use super::failure::Failure;
use super::socket::Socket;
use super::{Canary, Parts, watching};

/// How long a revocation may take to bind whoever answers: what the contract promises while all nodes
/// live, and the look that follows it.
pub(super) const REVOKED_WITHIN: Duration = Duration::from_secs(3);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) const SESSION: &str = "/api/v1/session";
const SESSIONS: &str = "/api/v1/sessions";

/// A step that worked.
pub(super) struct Seen {
    what: &'static str,
    took: Duration,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.took.as_micros() / 100;
        write!(f, "{} {}.{} ms", self.what, tenths / 10, tenths % 10)
    }
}

/// The way of one person.
pub(super) struct Journey<'a> {
    client: &'a Client,
    canary: &'a Canary,
    steps: Vec<Seen>,
    /// Sessions that have not ended yet.
    open: Vec<Login>,
    /// The refresh token that was not revoked yet.
    refresh: Option<Secret<String>>,
}

impl<'a> Journey<'a> {
    pub(super) const fn new(client: &'a Client, canary: &'a Canary) -> Self {
        Self { client, canary, steps: Vec::new(), open: Vec::new(), refresh: None }
    }

    pub(super) fn steps(&self) -> &[Seen] {
        &self.steps
    }

    /// All of it, up to the first step that does not work.
    pub(super) async fn walk(&mut self, parts: Parts) -> Result<(), Failure> {
        let first = self.log_in("log in").await?;
        if parts == Parts::All {
            let second = self.log_in("log in elsewhere").await?;
            self.read(first).await?;
            self.list(first, second).await?;
            self.revoke(first, second).await?;
            self.exchange_tokens().await?;
        }
        let third = self.log_in("log in for a WebSocket").await?;
        let mut of_first = self.watch(first, "open a WebSocket").await?;
        let mut of_third = self.watch(third, "open a WebSocket elsewhere").await?;
        self.revoke(first, third).await?;
        self.hear_end("a WebSocket hears of it", &mut of_third).await?;
        watching::hear_nothing(&mut of_first).await?;
        self.log_out(first).await?;
        self.hear_end("a WebSocket hears of the logout", &mut of_first).await
    }

    async fn watch(&mut self, number: usize, what: &'static str) -> Result<Socket, Failure> {
        let began = Instant::now();
        let socket = watching::open(self.client, &self.open[number]).await?;
        self.note(what, began.elapsed());
        Ok(socket)
    }

    async fn hear_end(&mut self, what: &'static str, socket: &mut Socket) -> Result<(), Failure> {
        let took = watching::hear_end(socket).await?;
        self.note(what, took);
        Ok(())
    }

    /// Logs out whatever is still open; that it fails was told by then.
    pub(super) async fn clean_up(&mut self) {
        if self.refresh.is_some() {
            let _ = self.post("/api/v1/auth/revoke", self.refresh_body()).await;
        }
        for login in self.open.drain(..) {
            let shows = Shows::Cookie(&login);
            let _ = self.client.send(Method::POST, "/api/v1/auth/logout", &shows, None).await;
        }
    }

    async fn log_in(&mut self, what: &'static str) -> Result<usize, Failure> {
        let answer = log_in(self.client, self.canary).await;
        let (login, took) = answer.map_err(|failure| failure.told(what))?;
        self.note(what, took);
        self.open.push(login);
        Ok(self.open.len() - 1)
    }

    async fn read(&mut self, number: usize) -> Result<(), Failure> {
        const WHAT: &str = "read the session";
        let answer = self.ask(Method::GET, SESSION, number, WHAT).await?;
        if answer.body["session"]["id"] != *self.open[number].id {
            return Err(mixed(WHAT));
        }
        self.note(WHAT, answer.took);
        Ok(())
    }

    async fn list(&mut self, first: usize, second: usize) -> Result<(), Failure> {
        const WHAT: &str = "list the sessions";
        let answer = self.ask(Method::GET, SESSIONS, first, WHAT).await?;
        let listed = answer.body["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let has = |login: &Login| listed.iter().any(|one| one["id"] == *login.id);
        // The list is the newest 200.
        if !has(&self.open[first]) || !has(&self.open[second]) {
            let why = format!("{WHAT}: a session that has just begun is not among them");
            return Err(Failure::new("session-not-listed", why));
        }
        self.note(WHAT, answer.took);
        Ok(())
    }

    async fn revoke(&mut self, by: usize, ended: usize) -> Result<(), Failure> {
        const WHAT: &str = "revoke the other one";
        let path = format!("{SESSIONS}/{}", self.open[ended].id);
        let answer = self.ask(Method::DELETE, &path, by, WHAT).await?;
        self.note(WHAT, answer.took);
        self.see_refused("refused after it was revoked", ended).await
    }

    async fn log_out(&mut self, number: usize) -> Result<(), Failure> {
        const WHAT: &str = "log out";
        let answer = self.ask(Method::POST, "/api/v1/auth/logout", number, WHAT).await?;
        self.note(WHAT, answer.took);
        self.see_refused("refused after the logout", number).await
    }

    async fn exchange_tokens(&mut self) -> Result<(), Failure> {
        const LAST: &str = "access token refused after that";
        let body = json!({"username": self.canary.name, "password": self.canary.password.expose()});
        let access = self.pair("/api/v1/auth/token", body, "get tokens").await?;
        let answer = self.read_by(&access).await;
        self.expect("read by access token", answer, StatusCode::OK)?;
        let access = self.pair("/api/v1/auth/refresh", self.refresh_body(), "refresh").await?;
        let body = self.refresh_body();
        let answer = self.post("/api/v1/auth/revoke", body.clone()).await;
        self.expect("revoke the tokens", answer, StatusCode::OK)?;
        self.refresh = None;
        let again = self.post("/api/v1/auth/refresh", body).await;
        self.expect("refresh refused after that", again, StatusCode::UNAUTHORIZED)?;
        let took = until_refused(self.client, &Shows::Bearer(&access), LAST).await?;
        self.note(LAST, took);
        Ok(())
    }

    async fn read_by(&self, access: &Secret<String>) -> Result<Answer, FailureClass> {
        self.client.send(Method::GET, SESSION, &Shows::Bearer(access), None).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Answer, FailureClass> {
        self.client.send(Method::POST, path, &Shows::Nothing, Some(body)).await
    }

    fn refresh_body(&self) -> Value {
        json!({"refresh": self.refresh.as_ref().map(Secret::expose)})
    }

    /// The access token; the refresh token is kept until it is revoked.
    async fn pair(
        &mut self,
        path: &str,
        body: Value,
        what: &'static str,
    ) -> Result<Secret<String>, Failure> {
        let answer = self.post(path, body).await;
        let answer = checked(what, answer, StatusCode::OK)?;
        self.note(what, answer.took);
        let token =
            |name: &str| answer.body[name].as_str().map(|text| Secret::new(text.to_owned()));
        let missing = || Failure::new("session-step-failed", format!("{what}: no tokens came"));
        self.refresh = Some(token("refresh").ok_or_else(missing)?);
        token("access").ok_or_else(missing)
    }

    async fn see_refused(&mut self, what: &'static str, number: usize) -> Result<(), Failure> {
        let took = until_refused(self.client, &Shows::Cookie(&self.open[number]), what).await?;
        self.note(what, took);
        Ok(())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        number: usize,
        what: &'static str,
    ) -> Result<Answer, Failure> {
        let shows = Shows::Cookie(&self.open[number]);
        checked(what, self.client.send(method, path, &shows, None).await, StatusCode::OK)
    }

    fn expect(
        &mut self,
        what: &'static str,
        answer: Result<Answer, FailureClass>,
        status: StatusCode,
    ) -> Result<(), Failure> {
        let answer = checked(what, answer, status)?;
        self.note(what, answer.took);
        Ok(())
    }

    fn note(&mut self, what: &'static str, took: Duration) {
        self.steps.push(Seen { what, took });
    }
}

/// How long it took until whoever answers refused: a node may hear of an end a little later.
async fn until_refused(
    client: &Client,
    shows: &Shows<'_>,
    what: &'static str,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    loop {
        let answer = client.send(Method::GET, SESSION, shows, None).await;
        if !answer.as_ref().is_ok_and(|answer| answer.status == StatusCode::OK) {
            checked(what, answer, StatusCode::UNAUTHORIZED)?;
            return Ok(began.elapsed());
        }
        if began.elapsed() >= REVOKED_WITHIN {
            return Err(not_revoked(what));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Why a login did not work.
pub(super) enum NoLogin {
    Failed(FailureClass),
    Answered(String),
    /// It came without what a session needs.
    Incomplete,
}

impl NoLogin {
    pub(super) fn told(&self, what: &str) -> Failure {
        let why = match self {
            Self::Failed(class) => format!("{what}: no answer ({class})"),
            Self::Answered(said) if said.contains("invalid_credentials") => format!(
                "{what}: answered {said}: the password is wrong, or nobody is called so in that server's database"
            ),
            Self::Answered(said) => format!("{what}: answered {said}"),
            Self::Incomplete => {
                format!("{what}: the answer sets no cookie, or a proxy takes it away")
            }
        };
        Failure::new("session-login-failed", why)
    }
}

/// A session by cookie.
pub(super) async fn log_in(client: &Client, canary: &Canary) -> Result<(Login, Duration), NoLogin> {
    let body = json!({"username": canary.name, "password": canary.password.expose()});
    let sent = client.send(Method::POST, "/api/v1/auth/login", &Shows::Nothing, Some(body)).await;
    let answer = sent.map_err(NoLogin::Failed)?;
    if answer.status != StatusCode::OK {
        return Err(NoLogin::Answered(answer.said()));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(NoLogin::Incomplete);
    let id = text(&answer.body["session"]["id"])?;
    let csrf_token = Secret::new(text(&answer.body["csrf_token"])?);
    // All that are set, as browsers send them: a balancer may have one of its own.
    let mut cookie = Secret::new(String::new());
    for pair in &answer.cookies {
        let mark = if cookie.expose().is_empty() { "" } else { "; " };
        cookie.expose_mut().push_str(mark);
        cookie.expose_mut().push_str(pair.expose());
    }
    if cookie.expose().is_empty() {
        return Err(NoLogin::Incomplete);
    }
    Ok((Login { id, csrf_token, cookie }, answer.took))
}

fn checked(
    what: &'static str,
    answer: Result<Answer, FailureClass>,
    status: StatusCode,
) -> Result<Answer, Failure> {
    let failed = |why| Failure::new("session-step-failed", why);
    let answer = answer.map_err(|class| failed(format!("{what}: no answer ({class})")))?;
    if answer.status == status {
        return Ok(answer);
    }
    Err(failed(format!("{what}: answered {}, not {}", answer.said(), status.as_u16())))
}

fn not_revoked(what: &str) -> Failure {
    let why = format!("{what}: it is still taken {} s later", REVOKED_WITHIN.as_secs());
    Failure::new("session-not-revoked", why)
}

pub(super) fn mixed(what: &str) -> Failure {
    let why = format!(
        "{what}: another session came than the cookie is of: something in between answers from a cache"
    );
    Failure::new("session-mixed", why)
}
