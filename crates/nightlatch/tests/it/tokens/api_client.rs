//! A program that has a pair of tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nightlatch_testkit::client::{Answer, Client, Lost};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;
use serde_json::{Value, json};

use crate::person::PASSWORD;

pub(crate) struct ApiClient {
    client: Client,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl ApiClient {
    pub(crate) async fn logged_in(server: &NightlatchServer, username: &str) -> Self {
        let mut client = server.client();
        let body = json!({ "username": username, "password": PASSWORD });
        let answer = client.post_json("/api/v1/auth/token", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.cookies().is_empty());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let mut it = Self { client, access: String::new(), refresh: String::new() };
        it.note(&answer);
        it
    }

    /// The same tokens, at another server.
    pub(crate) fn at(&self, server: &NightlatchServer) -> Self {
        let (access, refresh) = (self.access.clone(), self.refresh.clone());
        Self { client: server.client(), access, refresh }
    }

    /// The server has another address by now.
    pub(crate) fn move_to(&mut self, server: &NightlatchServer) {
        self.client.move_to(server.address());
    }

    /// What the access token says.
    pub(crate) fn claims(&self) -> Value {
        let part = self.access.split('.').nth(1).expect("it has three parts");
        let text = URL_SAFE_NO_PAD.decode(part).expect("base64");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// What the access token says of itself.
    pub(crate) fn header(&self) -> Value {
        let part = self.access.split('.').next().expect("it has three parts");
        let text = URL_SAFE_NO_PAD.decode(part).expect("base64");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// A request with the access token.
    pub(crate) async fn send(&mut self, method: Method, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.access);
        self.client.request(method, path).header("authorization", bearer).send().await
    }

    pub(crate) async fn session(&mut self) -> Answer {
        self.send(Method::GET, "/api/v1/session").await
    }

    pub(crate) async fn verify(&mut self) -> Answer {
        let body = json!({ "token": self.access });
        self.client.post_json("/api/v1/auth/verify", &body).await
    }

    pub(crate) async fn revoke(&mut self) -> Answer {
        let body = json!({ "refresh": self.refresh });
        self.client.post_json("/api/v1/auth/revoke", &body).await
    }

    /// Exchanges the refresh token, and goes on with what comes.
    pub(crate) async fn exchange(&mut self) -> Answer {
        self.try_exchange().await.expect("there is an answer")
    }

    /// The same; without an answer the tokens are as before.
    pub(crate) async fn try_exchange(&mut self) -> Result<Answer, Lost> {
        let body = json!({ "refresh": self.refresh });
        let request = self.client.request(Method::POST, "/api/v1/auth/refresh").json(&body);
        let answer = request.try_send().await?;
        self.note(&answer);
        Ok(answer)
    }

    fn note(&mut self, answer: &Answer) {
        if answer.status == 200 {
            let pair = answer.json();
            let text = |name: &str| pair[name].as_str().expect("a token").to_owned();
            (self.access, self.refresh) = (text("access"), text("refresh"));
        }
    }
}
