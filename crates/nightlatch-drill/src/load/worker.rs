//! One person of the crowd, who keeps asking whatever the answers are.
//!
//! Load that waits for a server to be well would see nothing of a fault.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use hyper::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::book::{Book, Known, Shown};
use super::program::Tokens;
use super::{LoadError, Person, SESSIONS, clients, in_words};
use crate::chance::Chance;
use crate::client::{Answer, Client, Lost};
use crate::history::{Asked, Operation, Outcome, Told};
use crate::until::until;

/// How long a server that is well may take to know a session.
const KNOW_LIMIT: Duration = Duration::from_secs(30);

/// What somebody does all day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Logs in and out.
    Moves {
        /// How many in ten requests are logouts.
        logouts_in_ten: u64,
    },
    /// Asks who they are, and who others are.
    Checks,
    /// Changes the password.
    ChangesPassword,
    /// Has tokens, and exchanges them.
    HasTokens,
}

impl Habit {
    /// From one request to the next, if the answer is there by then.
    const fn pace(self) -> Duration {
        match self {
            Self::Moves { .. } => Duration::from_millis(80),
            Self::HasTokens => Duration::from_millis(50),
            Self::Checks => Duration::from_millis(25),
            Self::ChangesPassword => Duration::from_millis(900),
        }
    }
}

pub(super) struct Worker {
    pub(super) book: Arc<Book>,
    person: Person,
    pub(super) chance: Chance,
    /// One of each server, and which start of it that leads to.
    clients: Vec<(Client, u32)>,
    /// Which of them is asked.
    node: usize,
    /// Which of the passwords the user has.
    password: usize,
    is_password_known: bool,
    /// For somebody who changes the password: the session to do it with.
    pub(super) own: Option<Known>,
    /// For a program.
    pub(super) tokens: Option<Tokens>,
}

impl Worker {
    pub(super) fn new(book: Arc<Book>, person: Person, limit: Duration, chance: Chance) -> Self {
        let clients = clients(book.nodes().into_iter(), limit);
        let clients = clients.into_iter().zip(std::iter::repeat(1)).collect();
        Self {
            book,
            person,
            chance,
            clients,
            node: 0,
            password: 0,
            is_password_known: true,
            own: None,
            tokens: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.person.name
    }

    /// The password that the user is believed to have.
    pub(super) fn password(&self) -> &str {
        self.person.passwords[self.password].expose()
    }

    /// Logs in, which a server that is well lets everybody do however busy the machine is.
    pub(super) async fn begin_day(&mut self) -> Result<(), LoadError> {
        let answer = self.log_in().await;
        let is_in = answer.as_ref().is_ok_and(|answer| answer.status == 200);
        let no_login = |why| LoadError::NoLogin(self.name().to_owned(), why);
        match (is_in, &self.own) {
            (true, Some(_)) => Ok(()),
            (true, None) => Err(no_login(format!("no cookie is called {}", SESSIONS.join(" or ")))),
            (false, _) => Err(no_login(in_words(answer))),
        }
    }

    /// Until the load is stopped.
    pub(super) async fn work(mut self) {
        let mut pace = interval(self.person.habit.pace());
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.book.is_stopped() {
            pace.tick().await;
            if !self.book.may_ask() {
                continue;
            }
            if self.turn_to_any() {
                // Who gets no answer asks again at its pace; the log has what is to be judged.
                let _ = match self.person.habit {
                    Habit::Moves { logouts_in_ten } => self.move_on(logouts_in_ten).await,
                    Habit::Checks => self.check_any().await,
                    Habit::ChangesPassword => self.change_password().await,
                    Habit::HasTokens => self.go_on_with_tokens().await,
                };
            }
            self.book.has_asked();
        }
    }

    /// Asks every server about every session until it knows.
    pub(super) async fn check_all(&mut self) -> Result<(), LoadError> {
        for node in 0..self.clients.len() {
            self.turn_to(node);
            for known in self.book.sessions() {
                let knows = until(KNOW_LIMIT, async || {
                    self.check(&known).await.is_ok_and(|status| status != 503)
                });
                knows.await.map_err(|_| LoadError::Unknowing(KNOW_LIMIT))?;
            }
        }
        Ok(())
    }

    /// Whether there is one that may be asked.
    fn turn_to_any(&mut self) -> bool {
        let node = self.chance.pick(&self.book.open_nodes()).copied();
        node.map(|node| self.turn_to(node)).is_some()
    }

    pub(super) fn turn_to(&mut self, node: usize) {
        self.node = node;
        let (server, start) = self.book.node(node);
        let (client, start_before) = &mut self.clients[node];
        if start != *start_before {
            *start_before = start;
            client.move_to(server);
        }
    }

    pub(super) async fn ask(&mut self, ask: Ask) -> Result<Answer, Lost> {
        ask.send(&mut self.clients[self.node].0).await
    }

    async fn move_on(&mut self, logouts_in_ten: u64) -> Result<(), Lost> {
        if self.chance.below(10) < logouts_in_ten {
            self.log_out().await
        } else {
            self.log_in().await.map(|_| ())
        }
    }

    pub(super) async fn log_in(&mut self) -> Result<Answer, Lost> {
        let body = json!({ "username": self.name(), "password": self.password() });
        let begun = self.begin(Asked::LogIn);
        let answer = self.ask(Ask::post("/api/v1/auth/login").json(&body)).await;
        let known = self.note_session(&answer);
        self.end(begun, known.as_ref(), &answer)?;
        let answer = answer?;
        match answer.status {
            200 => {
                self.is_password_known = true;
                self.own = known;
            }
            401 if !self.is_password_known => self.password = 1 - self.password,
            _ => {}
        }
        Ok(answer)
    }

    async fn log_out(&mut self) -> Result<(), Lost> {
        let Some(known) = self.book.take_to_end(&self.person.name, &mut self.chance) else {
            return self.log_in().await.map(|_| ());
        };
        self.end_session(&known).await.map(|_| ())
    }

    pub(super) async fn end_session(&mut self, known: &Known) -> Result<u16, Lost> {
        let begun = self.begin(Asked::LogOut);
        let answer = self.ask(Ask::post("/api/v1/auth/logout").of(known)).await;
        self.end(begun, Some(known), &answer)?;
        answer.map(|answer| answer.status)
    }

    async fn check_any(&mut self) -> Result<(), Lost> {
        let Some(known) = self.book.any(&mut self.chance) else { return Ok(()) };
        self.check(&known).await.map(|_| ())
    }

    pub(super) async fn check(&mut self, known: &Known) -> Result<u16, Lost> {
        let begun = Begun { username: known.username.clone(), ..self.begin(Asked::Check) };
        let answer = self.ask(Ask::get("/api/v1/session").of(known)).await;
        self.end(begun, Some(known), &answer)?;
        answer.map(|answer| answer.status)
    }

    async fn change_password(&mut self) -> Result<(), Lost> {
        let Some(own) = self.own.take() else { return self.log_in().await.map(|_| ()) };
        let new = 1 - self.password;
        let body = json!({
            "current_password": self.password(),
            "new_password": self.person.passwords[new].expose(),
        });
        let begun = self.begin(Asked::ChangePassword);
        self.is_password_known = false;
        let answer = self.ask(Ask::post("/api/v1/auth/password").of(&own).json(&body)).await;
        let known = self.note_session(&answer);
        self.end(begun, known.as_ref(), &answer)?;
        if answer?.status == 200 {
            (self.password, self.is_password_known) = (new, true);
            self.own = known;
        }
        Ok(())
    }

    fn note_session(&self, answer: &Result<Answer, Lost>) -> Option<Known> {
        let answer = answer.as_ref().ok().filter(|answer| answer.status == 200)?;
        let cookie = answer.cookie(&SESSIONS)?;
        let csrf = answer.json()["csrf_token"].as_str()?.to_owned();
        self.book.add(self.name(), Shown::Cookie { cookie, csrf })
    }

    pub(super) fn begin(&self, asked: Asked) -> Begun {
        let username = self.name().to_owned();
        let (at, is_password_known) = (self.book.now(), self.is_password_known);
        Begun { asked, username, at, is_password_known }
    }

    pub(super) fn end(
        &self,
        begun: Begun,
        session: Option<&Known>,
        answer: &Result<Answer, Lost>,
    ) -> Result<(), Lost> {
        let outcome = match answer {
            Ok(answer) => Outcome::Answered(told(answer)),
            // The server has not heard of it.
            Err(Lost::NotConnected) => return Err(Lost::NotConnected),
            Err(_) => Outcome::Lost,
        };
        self.book.write(Operation {
            asked: begun.asked,
            username: begun.username,
            session: session.map(|known| known.number),
            is_password_known: begun.is_password_known,
            began: begun.at,
            ended: self.book.now(),
            node: self.node,
            start: self.clients[self.node].1,
            outcome,
        });
        Ok(())
    }
}

/// Registers somebody, which a server that is well does however busy the machine is.
///
/// # Errors
/// It does not.
pub async fn register(client: &mut Client, name: &str, password: &str) -> Result<(), LoadError> {
    let body = json!({ "username": name, "password": password });
    let answer = Ask::post("/api/v1/auth/register").json(&body).send(client).await;
    if answer.as_ref().is_ok_and(|answer| answer.status == 201) {
        return Ok(());
    }
    Err(LoadError::NoRegistration(name.to_owned(), in_words(answer)))
}

/// A request on its way.
pub(super) struct Begun {
    asked: Asked,
    username: String,
    at: Duration,
    is_password_known: bool,
}

/// A request that is being put together.
pub(super) struct Ask {
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    pub(super) fn get(path: &'static str) -> Self {
        Self { method: Method::GET, path, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(super) fn post(path: &'static str) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    pub(super) fn json(mut self, body: &Value) -> Self {
        let kind = hyper::header::HeaderValue::from_static("application/json");
        self.headers.insert(CONTENT_TYPE, kind);
        self.body = Bytes::from(body.to_string());
        self
    }

    /// With what a session is used with. What is no header, no server of ours has given.
    pub(super) fn of(mut self, known: &Known) -> Self {
        match &known.shown {
            Shown::Cookie { cookie, csrf } => {
                self.headers.extend(cookie.parse().ok().map(|cookie| (COOKIE, cookie)));
                let name = hyper::header::HeaderName::from_static("x-csrf-token");
                self.headers.extend(csrf.parse().ok().map(|csrf| (name, csrf)));
            }
            Shown::AccessToken(token) => {
                let bearer = format!("Bearer {token}").parse().ok();
                self.headers.extend(bearer.map(|bearer| (AUTHORIZATION, bearer)));
            }
        }
        self
    }

    async fn send(self, client: &mut Client) -> Result<Answer, Lost> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = hyper::Uri::from_static(self.path);
        *request.headers_mut() = self.headers;
        let host = client.server().authority().parse().ok();
        request.headers_mut().extend(host.map(|host| (HOST, host)));
        client.send(request).await
    }
}

fn told(answer: &Answer) -> Told {
    Told {
        status: answer.status,
        code: answer.code(),
        says_when: answer.headers.contains_key("retry-after"),
        touches_cookie: answer.cookie(&SESSIONS).is_some(),
        username: answer.json()["user"]["username"].as_str().map(str::to_owned),
    }
}
