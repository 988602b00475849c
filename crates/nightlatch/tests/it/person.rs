//! A person with a browser: registers, logs in, keeps the cookie and the token against CSRF.

use std::time::Duration;

use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The name of the session cookie in development.
pub(crate) const SESSION: &str = "nightlatch";

/// The name of the device cookie in development.
pub(crate) const DEVICE: &str = "nightlatch-device";

/// A password that nobody guesses.
pub(crate) const PASSWORD: &str = "violet-anchor-parade-47";

/// The time in which an end on one node binds all others.
const S: Duration = Duration::from_secs(2);

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Somebody who uses the server.
pub(crate) struct Person {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) client: Client,
    /// The token of the session.
    pub(crate) csrf: String,
}

impl Person {
    /// Somebody whom the server may know.
    pub(crate) fn new(server: &NightlatchServer, username: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: PASSWORD.to_owned(),
            client: server.client(),
            csrf: String::new(),
        }
    }

    /// Somebody who has registered.
    pub(crate) async fn registered(server: &NightlatchServer, username: &str) -> Self {
        let mut person = Self::new(server, username);
        let body = json!({ "username": username, "password": person.password });
        let answer = person.client.post_json("/api/v1/auth/register", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        person
    }

    /// Somebody who has registered and logged in.
    pub(crate) async fn logged_in(server: &NightlatchServer, username: &str) -> Self {
        let mut person = Self::registered(server, username).await;
        person.log_in().await;
        person
    }

    /// The same person in another browser, logged in there too.
    pub(crate) async fn on_another_device(&self, server: &NightlatchServer) -> Self {
        let mut there = Self::new(server, &self.username);
        there.password.clone_from(&self.password);
        there.log_in().await;
        there
    }

    /// Logs in; panics if that fails.
    pub(crate) async fn log_in(&mut self) -> Answer {
        let password = self.password.clone();
        let answer = self.try_password(&password).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }

    /// Tries to log in with any password.
    pub(crate) async fn try_password(&mut self, password: &str) -> Answer {
        let body = json!({ "username": self.username, "password": password });
        let answer = self.client.post_json("/api/v1/auth/login", &body).await;
        self.note_csrf(&answer);
        answer
    }

    /// GET /api/v1/session.
    pub(crate) async fn session(&mut self) -> Answer {
        self.client.get("/api/v1/session").await
    }

    /// Waits until the server knows that the session has ended somewhere else. Within S, 2 s, it
    /// may not know; beyond it nobody is let in, and then it does know.
    pub(crate) async fn is_logged_out_within_s(&mut self) {
        let ended = Instant::now();
        wait_until("the server knows of the end", LIMIT, async || {
            let is_late = ended.elapsed() > S;
            let status = self.session().await.status;
            assert!(status != 200 || !is_late, "let in more than {S:?} after the end");
            status == 401
        })
        .await;
    }

    /// The device list, newest first.
    pub(crate) async fn devices(&mut self) -> Vec<Value> {
        let answer = self.client.get("/api/v1/sessions").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["sessions"].as_array().expect("a list").clone()
    }

    /// The id of the session.
    pub(crate) async fn session_id(&mut self) -> String {
        let answer = self.session().await;
        answer.json()["session"]["id"].as_str().expect("a session has an id").to_owned()
    }

    /// POST /api/v1/auth/logout.
    pub(crate) async fn log_out(&mut self) -> Answer {
        self.write(Method::POST, "/api/v1/auth/logout").await
    }

    /// DELETE of one or more sessions.
    pub(crate) async fn revoke(&mut self, path: &str) -> Answer {
        self.write(Method::DELETE, path).await
    }

    /// POST /api/v1/auth/password.
    pub(crate) async fn change_password(&mut self, current: &str, new: &str) -> Answer {
        let body = json!({ "current_password": current, "new_password": new });
        let request = self.client.request(Method::POST, "/api/v1/auth/password");
        let answer = request.header("x-csrf-token", &self.csrf).json(&body).send().await;
        self.note_csrf(&answer);
        answer
    }

    /// The session cookie's value; panics when there is none.
    pub(crate) fn token(&self) -> String {
        self.client.cookie(SESSION).expect("the person is logged in").to_owned()
    }

    async fn write(&mut self, method: Method, path: &str) -> Answer {
        self.client.request(method, path).header("x-csrf-token", &self.csrf).send().await
    }

    fn note_csrf(&mut self, answer: &Answer) {
        if answer.status == 200 {
            let body = answer.json();
            body["csrf_token"].as_str().expect("a session has a token").clone_into(&mut self.csrf);
        }
    }
}
