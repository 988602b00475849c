//! An auth service that does as it is told: it knows its users, or breaks in whatever way.
//!
//! It speaks over plain sockets, since most of what it has to do no library for servers lets anybody do.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::listener::serve_each;
use crate::request::{self, say};

pub use crate::request::Asked;

/// What it wants of those who ask.
pub const SERVICE_ID: &str = "nightlatch-under-test";
/// The same.
pub const SERVICE_SECRET: &str = "sesame-of-the-service-0815";

/// The largest request that it reads.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Conduct {
    /// Answers as such a service should.
    Sound,
    /// The same, so much later.
    Late(Duration),
    /// Says this, whatever it is, and ends the connection.
    Says(Vec<u8>),
    /// Says this, and then nothing more.
    SaysAndStops(Vec<u8>),
    /// Says this a byte at a time, with this between two.
    Drips(Vec<u8>, Duration),
    /// Says this again and again, for as long as anybody listens.
    Repeats(Vec<u8>),
    /// Ends the connection without a word.
    Closes,
    /// Resets it.
    Resets,
}

impl Conduct {
    /// An answer of this status with this body in JSON.
    #[must_use]
    pub fn answers(status: u16, body: &str) -> Self {
        Self::answers_with(status, &[("content-type", "application/json")], body)
    }

    /// An answer with these headers.
    #[must_use]
    pub fn answers_with(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!("HTTP/1.1 {status} Whatever\r\n");
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
        Self::Says(text.into_bytes())
    }
}

/// The service. Dropped, it is gone.
pub struct FakeAuthService {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

struct State {
    conduct: Conduct,
    /// With questions about people who are logged in, if it is another one.
    of_questions: Option<Conduct>,
    next: VecDeque<Conduct>,
    users: Vec<(String, Value)>,
    logins: Vec<Asked>,
    asked_about: Vec<String>,
    connections: usize,
    /// Requests that it is busy with, and the most there were.
    busy: (usize, usize),
}

impl FakeAuthService {
    /// Starts it on a free port; it knows nobody yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State {
            conduct: Conduct::Sound,
            of_questions: None,
            next: VecDeque::new(),
            users: Vec::new(),
            logins: Vec::new(),
            asked_about: Vec::new(),
            connections: 0,
            busy: (0, 0),
        }));
        let mut serving = JoinSet::new();
        let known = Arc::clone(&state);
        serving.spawn(serve_each(listener, move |stream| {
            lock(&known).connections += 1;
            serve(stream, Arc::clone(&known))
        }));
        Self { address, state, _serving: serving }
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it knows this user by `username` and `email` in what it answers.
    pub fn knows(&self, password: &str, user: Value) {
        let mut state = self.lock();
        state.users.retain(|(_, known)| known["id"] != user["id"]);
        state.users.push((password.to_owned(), user));
    }

    /// From now on it knows somebody of this name, and nothing else of them.
    pub fn knows_user(&self, name: &str, password: &str) {
        self.knows(password, json!({ "id": name, "username": name }));
    }

    /// From now on it does this.
    pub fn set(&self, conduct: Conduct) {
        self.lock().conduct = conduct;
    }

    /// From now on it does this with questions about people who are logged in, whatever it does else.
    pub fn set_for_questions(&self, conduct: Conduct) {
        self.lock().of_questions = Some(conduct);
    }

    /// With the next login it does this, after what was said before.
    pub fn next(&self, conduct: Conduct) {
        self.lock().next.push_back(conduct);
    }

    /// The logins that it was asked for.
    #[must_use]
    pub fn logins(&self) -> Vec<Asked> {
        self.lock().logins.clone()
    }

    /// The ids of those whom it was asked about beside their logins.
    #[must_use]
    pub fn asked_about(&self) -> Vec<String> {
        self.lock().asked_about.clone()
    }

    /// From now on it has never heard of whoever has this id.
    pub fn forgets(&self, id: &Value) {
        self.lock().users.retain(|(_, known)| known["id"] != *id);
    }

    /// The most requests that it was busy with at once.
    #[must_use]
    pub fn busiest(&self) -> usize {
        self.lock().busy.1
    }

    /// How many connections were made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufStream::new(stream);
    while let Some(asked) = request::read(&mut stream, REQUEST_BYTES_MAX).await {
        let (conduct, sound) = state_after(&state, asked);
        lock(&state).begin();
        let goes_on = match conduct {
            Conduct::Sound => say(&mut stream, &sound).await,
            Conduct::Late(span) => {
                tokio::time::sleep(span).await;
                say(&mut stream, &sound).await
            }
            Conduct::Says(text) => {
                say(&mut stream, &text).await;
                false
            }
            Conduct::SaysAndStops(text) => {
                say(&mut stream, &text).await;
                // Until the other side ends it.
                while stream.read_u8().await.is_ok() {}
                false
            }
            Conduct::Drips(text, between) => {
                for byte in text {
                    if !say(&mut stream, &[byte]).await {
                        break;
                    }
                    tokio::time::sleep(between).await;
                }
                false
            }
            Conduct::Repeats(text) => {
                while say(&mut stream, &text).await {
                    tokio::task::yield_now().await;
                }
                false
            }
            Conduct::Closes => false,
            Conduct::Resets => {
                let _ = stream.get_ref().set_zero_linger();
                false
            }
        };
        lock(&state).busy.0 -= 1;
        if !goes_on {
            return;
        }
    }
}

fn is_login(asked: &Asked) -> bool {
    asked.target.starts_with("POST ")
}

/// What is to be done with a request, and what the sound answer is.
fn state_after(state: &Mutex<State>, asked: Asked) -> (Conduct, Vec<u8>) {
    let mut state = lock(state);
    let sound = state.answer(&asked);
    let next = if is_login(&asked) { state.next.pop_front() } else { None };
    if let Some(id) = asked.target.strip_prefix("GET /users/") {
        state.asked_about.push(id.to_owned());
        if let Some(conduct) = state.of_questions.clone() {
            return (conduct, sound);
        }
    }
    if is_login(&asked) {
        state.logins.push(asked);
    }
    (next.unwrap_or_else(|| state.conduct.clone()), sound)
}

impl State {
    fn begin(&mut self) {
        let (now, most) = &mut self.busy;
        *now += 1;
        *most = (*most).max(*now);
    }

    /// What such a service should say.
    fn answer(&self, asked: &Asked) -> Vec<u8> {
        let (status, body) = self.judge(asked);
        let body = body.to_string();
        let Conduct::Says(text) = Conduct::answers(status, &body) else {
            unreachable!("that is what it makes")
        };
        text
    }

    fn judge(&self, asked: &Asked) -> (u16, Value) {
        let credentials = (asked.header("x-service-id"), asked.header("x-service-secret"));
        if credentials != (Some(SERVICE_ID), Some(SERVICE_SECRET)) {
            return (403, json!({ "code": "service_unknown" }));
        }
        if let Some(id) = asked.target.strip_prefix("GET /users/") {
            // What the ids of these tests hold.
            let id = id.replace("%2F", "/").replace("%20", " ");
            let is_meant = |user: &Value| {
                user["id"].as_str().map_or_else(|| user["id"].to_string(), str::to_owned) == id
            };
            return match self.users.iter().find(|(_, user)| is_meant(user)) {
                Some((_, user)) => (200, json!({ "user": user })),
                None => (404, json!({ "code": "user_not_found" })),
            };
        }
        match asked.target.as_str() {
            "POST /auth/login" => {}
            target if target.ends_with(" /auth/login") => return (405, json!({})),
            _ => return (404, json!({})),
        }
        let body = asked.json();
        let user = self.users.iter().find(|(password, user)| {
            let is_named = [&user["username"], &user["email"]].contains(&&body["username"]);
            is_named && body["password"] == password.as_str()
        });
        match user {
            Some((_, user)) => (200, json!({ "user": user })),
            None => (401, json!({ "code": "wrong" })),
        }
    }
}
