//! A program of the crowd, which has tokens: it shows the access token, and exchanges the refresh token.
//!
//! It goes on with what it has: whoever lost an answer asks again with the same token.

use hyper::Method;
use serde_json::json;

use super::PASSWORDS;
use super::book::{Known, Shown};
use super::worker::{Worker, with_session};
use crate::client::{Answer, Lost, Request};
use crate::history::Asked;

/// A pair of tokens, and its session.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    known: Known,
    refresh: String,
}

impl Worker {
    pub(super) async fn go_on_with_tokens(&mut self) -> Result<(), Lost> {
        let Some(tokens) = self.tokens.clone() else { return self.log_in_for_tokens().await };
        match self.chance.below(100) {
            0..40 => self.verify(&tokens).await,
            40..60 => self.check(&tokens.known).await.map(|_| ()),
            60..97 => self.exchange(tokens).await,
            _ => self.end_tokens(tokens).await,
        }
    }

    async fn log_in_for_tokens(&mut self) -> Result<(), Lost> {
        let body = json!({ "username": self.name, "password": PASSWORDS[0] });
        let begun = self.begin(Asked::LogIn);
        let answer = self.post("/api/v1/auth/token").json(&body).try_send().await;
        let pair = answer.as_ref().ok().and_then(pair_of);
        self.tokens = pair.map(|(access, refresh)| Tokens {
            known: self.book.add(&self.name, Shown::AccessToken(access)),
            refresh,
        });
        let known = self.tokens.as_ref().map(|tokens| tokens.known.clone());
        self.end(begun, known.as_ref(), &answer)
    }

    async fn verify(&mut self, tokens: &Tokens) -> Result<(), Lost> {
        let begun = self.begin(Asked::Verify);
        let Shown::AccessToken(access) = &tokens.known.shown else {
            unreachable!("it logged in for tokens")
        };
        let body = json!({ "token": access });
        let answer = self.post("/api/v1/auth/verify").json(&body).try_send().await;
        self.end(begun, Some(&tokens.known), &answer)
    }

    async fn exchange(&mut self, tokens: Tokens) -> Result<(), Lost> {
        let begun = self.begin(Asked::Exchange);
        let body = json!({ "refresh": tokens.refresh });
        let answer = self.post("/api/v1/auth/refresh").json(&body).try_send().await;
        self.end(begun, Some(&tokens.known), &answer)?;
        match answer {
            Ok(answer) if answer.status == 401 => self.tokens = None,
            Ok(answer) => {
                if let Some((access, refresh)) = pair_of(&answer) {
                    let known = self.book.renew(tokens.known.number, access);
                    self.tokens = Some(Tokens { known, refresh });
                }
            }
            Err(_) => {}
        }
        Ok(())
    }

    async fn end_tokens(&mut self, tokens: Tokens) -> Result<(), Lost> {
        let begun = self.begin(Asked::LogOut);
        self.tokens = None;
        let request = with_session(self.post("/api/v1/auth/logout"), &tokens.known);
        let answer = request.try_send().await;
        self.end(begun, Some(&tokens.known), &answer)
    }

    fn post(&mut self, path: &str) -> Request<'_> {
        self.request(Method::POST, path).without_cookies()
    }
}

fn pair_of(answer: &Answer) -> Option<(String, String)> {
    let pair = Some(answer).filter(|answer| answer.status == 200)?.json();
    let text = |name: &str| pair[name].as_str().map(str::to_owned);
    Some((text("access")?, text("refresh")?))
}
