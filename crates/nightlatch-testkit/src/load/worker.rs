//! One person of the crowd, who keeps asking whatever the answers are.
//!
//! Load that waits for a server to be well would see nothing of a fault.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::book::{Book, Known, Shown};
use super::program::Tokens;
use super::{PASSWORDS, SESSIONS};
use crate::auth_service::FakeAuthService;
use crate::chance::Chance;
use crate::client::{Answer, Client, Lost, Request};
use crate::history::{Asked, Operation, Outcome, Told};
use crate::wait::wait_until;

/// How long a server that is well may take to know a session.
const KNOW_LIMIT: Duration = Duration::from_secs(30);

/// What somebody does all day.
#[derive(Clone, Copy, Debug)]
pub(super) enum Habit {
    Moves { logouts_in_ten: u64 },
    Checks,
    ChangesPassword,
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

struct Connection {
    client: Client,
    /// Which start of the server it leads to.
    start: u32,
}

pub(super) struct Worker {
    pub(super) book: Arc<Book>,
    pub(super) name: String,
    habit: Habit,
    pub(super) chance: Chance,
    /// One to each server.
    connections: Vec<Connection>,
    /// Which of them is asked.
    node: usize,
    /// Which of the passwords the user has.
    password: usize,
    is_password_known: bool,
    /// For somebody who changes the password: the session to do it with.
    own: Option<Known>,
    /// For a program.
    pub(super) tokens: Option<Tokens>,
}

impl Worker {
    pub(super) fn new(book: Arc<Book>, name: String, habit: Habit, chance: Chance) -> Self {
        let nodes = book.nodes().into_iter();
        let connections = nodes
            .map(|node| Connection { client: Client::new(node.address), start: node.start })
            .collect();
        Self {
            book,
            name,
            habit,
            chance,
            connections,
            node: 0,
            password: 0,
            is_password_known: true,
            own: None,
            tokens: None,
        }
    }

    pub(super) async fn register(&mut self, known_by: Option<&FakeAuthService>) {
        if let Some(service) = known_by {
            service.knows_user(&self.name, PASSWORDS[0]);
        } else {
            register(&mut self.connections[self.node].client, &self.name, PASSWORDS[0]).await;
        }
        assert!(self.log_in().await.is_ok(), "a server that is well answers");
    }

    /// Until the load is stopped.
    pub(super) async fn work(mut self) {
        let mut pace = interval(self.habit.pace());
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.book.is_stopped() {
            pace.tick().await;
            if !self.book.may_ask() {
                continue;
            }
            self.turn_to_any();
            // Who gets no answer asks again at its pace; the log has what is to be judged.
            let _ = match self.habit {
                Habit::Moves { logouts_in_ten } => self.move_on(logouts_in_ten).await,
                Habit::Checks => self.check_any().await,
                Habit::ChangesPassword => self.change_password().await,
                Habit::HasTokens => self.go_on_with_tokens().await,
            };
            self.book.has_asked();
        }
    }

    /// Asks every server about every session until it knows.
    pub(super) async fn check_all(&mut self) {
        for node in 0..self.connections.len() {
            self.turn_to(node);
            for known in self.book.sessions() {
                wait_until("a server that is well knows a session", KNOW_LIMIT, async || {
                    self.check(&known).await.is_ok_and(|status| status != 503)
                })
                .await;
            }
        }
    }

    fn turn_to_any(&mut self) {
        let nodes: Vec<usize> = (0..self.connections.len()).collect();
        let node = self.chance.pick(&nodes).copied();
        self.turn_to(node.expect("there is a server"));
    }

    fn turn_to(&mut self, node: usize) {
        self.node = node;
        let now = self.book.nodes()[node];
        let connection = &mut self.connections[node];
        if now.start != connection.start {
            connection.start = now.start;
            connection.client.move_to(now.address);
        }
    }

    pub(super) fn request(&mut self, method: Method, path: &str) -> Request<'_> {
        self.connections[self.node].client.request(method, path)
    }

    async fn move_on(&mut self, logouts_in_ten: u64) -> Result<(), Lost> {
        if self.chance.below(10) < logouts_in_ten {
            self.log_out().await
        } else {
            self.log_in().await
        }
    }

    async fn log_in(&mut self) -> Result<(), Lost> {
        let body = json!({ "username": self.name, "password": PASSWORDS[self.password] });
        let begun = self.begin(Asked::LogIn);
        let request = self.request(Method::POST, "/api/v1/auth/login").without_cookies();
        let answer = request.json(&body).try_send().await;
        let known = self.note_session(&answer);
        self.end(begun, known.as_ref(), &answer)?;
        match answer?.status {
            200 => {
                self.is_password_known = true;
                self.own = known;
            }
            401 if !self.is_password_known => self.password = 1 - self.password,
            _ => {}
        }
        Ok(())
    }

    async fn log_out(&mut self) -> Result<(), Lost> {
        let Some(known) = self.book.take_to_end(&self.name, &mut self.chance) else {
            return self.log_in().await;
        };
        let begun = self.begin(Asked::LogOut);
        let request = self.request(Method::POST, "/api/v1/auth/logout");
        let answer = with_session(request, &known).try_send().await;
        self.end(begun, Some(&known), &answer)?;
        Ok(())
    }

    async fn check_any(&mut self) -> Result<(), Lost> {
        let Some(known) = self.book.any(&mut self.chance) else { return Ok(()) };
        self.check(&known).await.map(|_| ())
    }

    pub(super) async fn check(&mut self, known: &Known) -> Result<u16, Lost> {
        let begun = Begun { username: known.username.clone(), ..self.begin(Asked::Check) };
        let request = self.request(Method::GET, "/api/v1/session");
        let answer = with_session(request, known).try_send().await;
        self.end(begun, Some(known), &answer)?;
        answer.map(|answer| answer.status)
    }

    async fn change_password(&mut self) -> Result<(), Lost> {
        let Some(own) = self.own.take() else { return self.log_in().await };
        let new = 1 - self.password;
        let body = json!({
            "current_password": PASSWORDS[self.password],
            "new_password": PASSWORDS[new],
        });
        let begun = self.begin(Asked::ChangePassword);
        self.is_password_known = false;
        let request = self.request(Method::POST, "/api/v1/auth/password");
        let answer = with_session(request, &own).json(&body).try_send().await;
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
        let set = SESSIONS.iter().find_map(|name| answer.set_cookie(name))?;
        let cookie = format!("{}={}", set.name, set.value);
        let csrf = answer.json()["csrf_token"].as_str()?.to_owned();
        Some(self.book.add(&self.name, Shown::Cookie { cookie, csrf }))
    }

    pub(super) fn begin(&self, asked: Asked) -> Begun {
        let username = self.name.clone();
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
            start: self.connections[self.node].start,
            outcome,
        });
        Ok(())
    }
}

/// Registers somebody, which a server that is well does however busy the machine is.
pub(super) async fn register(client: &mut Client, name: &str, password: &str) {
    let body = json!({ "username": name, "password": password });
    let answer = client.post_json("/api/v1/auth/register", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// A request on its way.
pub(super) struct Begun {
    asked: Asked,
    username: String,
    at: Duration,
    is_password_known: bool,
}

pub(super) fn with_session<'c>(request: Request<'c>, known: &Known) -> Request<'c> {
    let request = request.without_cookies();
    match &known.shown {
        Shown::Cookie { cookie, csrf } => {
            request.header("cookie", cookie).header("x-csrf-token", csrf)
        }
        Shown::AccessToken(token) => request.header("authorization", format!("Bearer {token}")),
    }
}

fn told(answer: &Answer) -> Told {
    let username = || -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        Some(body.get("user")?.get("username")?.as_str()?.to_owned())
    };
    Told {
        status: answer.status,
        code: answer.code(),
        says_when: answer.headers.contains_key("retry-after"),
        touches_cookie: SESSIONS.iter().any(|name| answer.set_cookie(name).is_some()),
        username: username(),
    }
}
