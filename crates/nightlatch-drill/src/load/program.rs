//! A program of the crowd, which has tokens: it shows the access token, and exchanges the refresh token.
//!
//! It goes on with what it has: whoever lost an answer asks again with the same token.

use serde_json::json;

use super::book::{Known, Shown};
use super::worker::{Ask, Worker};
use crate::client::{Answer, Lost};
use crate::history::Asked;

/// A pair of tokens, and its session.
#[derive(Clone)]
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
        let body = json!({ "username": self.name(), "password": self.password() });
        let begun = self.begin(Asked::LogIn);
        let answer = self.ask(Ask::post("/api/v1/auth/token").json(&body)).await;
        let pair = answer.as_ref().ok().and_then(pair_of);
        self.tokens = pair.and_then(|(access, refresh)| {
            let known = self.book.add(self.name(), Shown::AccessToken(access))?;
            Some(Tokens { known, refresh })
        });
        let known = self.tokens.as_ref().map(|tokens| tokens.known.clone());
        self.end(begun, known.as_ref(), &answer)
    }

    async fn verify(&mut self, tokens: &Tokens) -> Result<(), Lost> {
        let begun = self.begin(Asked::Verify);
        let body = json!({ "token": tokens.known.shown.access_token() });
        let answer = self.ask(Ask::post("/api/v1/auth/verify").json(&body)).await;
        self.end(begun, Some(&tokens.known), &answer)
    }

    async fn exchange(&mut self, tokens: Tokens) -> Result<(), Lost> {
        let begun = self.begin(Asked::Exchange);
        let body = json!({ "refresh": tokens.refresh });
        let answer = self.ask(Ask::post("/api/v1/auth/refresh").json(&body)).await;
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
        self.tokens = None;
        self.end_session(&tokens.known).await.map(|_| ())
    }
}

fn pair_of(answer: &Answer) -> Option<(String, String)> {
    let pair = Some(answer).filter(|answer| answer.status == 200)?.json();
    let text = |name: &str| pair[name].as_str().map(str::to_owned);
    Some((text("access")?, text("refresh")?))
}
