//! Who uses the server that is measured: users, their logins, their sessions.

use std::net::SocketAddr;

use anyhow::Context;

use crate::connection::{Connection, header};
use crate::server::SESSION_COOKIE;

/// Users that logins are spread over.
const USERS: usize = 16;

/// The request of a user's login, as text.
pub(crate) fn login_requests() -> Vec<String> {
    (0..USERS).map(|user| post("/api/v1/auth/login", &body(user))).collect()
}

/// The request of somebody's login who has the password of the first user.
pub(crate) fn login_request_as(name: &str) -> String {
    post("/api/v1/auth/login", &body_as(name, 0))
}

/// The request of a login for tokens.
pub(crate) fn token_request(user: usize) -> String {
    post("/api/v1/auth/token", &body(user % USERS))
}

/// The request that exchanges a refresh token.
pub(crate) fn exchange_request(refresh: &str) -> String {
    post("/api/v1/auth/refresh", &format!(r#"{{"refresh":"{refresh}"}}"#))
}

/// The request that verifies an access token.
pub(crate) fn verify_request(access: &str) -> String {
    post("/api/v1/auth/verify", &format!(r#"{{"token":"{access}"}}"#))
}

/// The request of a session check.
pub(crate) fn check_request(token: &str) -> String {
    format!(
        "GET /api/v1/session HTTP/1.1\r\nhost: login.example.org\r\n\
         cookie: {SESSION_COOKIE}={token}\r\naccept: application/json\r\n\r\n"
    )
}

/// A request that changes something, with the session's CSRF token.
pub(crate) fn change_request(method_and_path: &str, token: &str, csrf: &str) -> String {
    format!(
        "{method_and_path} HTTP/1.1\r\nhost: login.example.org\r\n\
         cookie: {SESSION_COOKIE}={token}\r\nx-csrf-token: {csrf}\r\ncontent-length: 0\r\n\r\n"
    )
}

/// Registers the users.
pub(crate) async fn register(server: SocketAddr) -> anyhow::Result<()> {
    let mut connection = Connection::open(server).await?;
    for user in 0..USERS {
        let request = post("/api/v1/auth/register", &body(user));
        let answer = connection.exchange(request.as_bytes()).await?;
        let said = String::from_utf8_lossy(answer.body);
        anyhow::ensure!(answer.status == 201, "registering: {}: {said}", answer.status);
    }
    Ok(())
}

/// Logs in `count` times and returns the requests that check the new sessions.
pub(crate) async fn open_sessions(server: SocketAddr, count: usize) -> anyhow::Result<Vec<String>> {
    let mut connection = Connection::open(server).await?;
    let logins = login_requests();
    let mut checks = Vec::with_capacity(count);
    for login in logins.iter().cycle().take(count) {
        let answer = connection.exchange(login.as_bytes()).await?;
        let said = String::from_utf8_lossy(answer.body);
        anyhow::ensure!(answer.status == 200, "logging in: {}: {said}", answer.status);
        checks.push(check_request(token(answer.head).context("a login without a cookie")?));
    }
    Ok(checks)
}

fn token(head: &str) -> Option<&str> {
    let value = header(head, "set-cookie")
        .find_map(|cookie| cookie.strip_prefix(SESSION_COOKIE)?.strip_prefix('='))?;
    value.split(';').next()
}

fn body(user: usize) -> String {
    body_as(&name(user), user)
}

/// What the users are called.
pub(crate) fn name(user: usize) -> String {
    format!("walker{user:02}")
}

fn body_as(name: &str, user: usize) -> String {
    format!(r#"{{"username":"{name}","password":"nine slow herons over {user:02} ponds"}}"#)
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: login.example.org\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_taken_from_the_cookie_of_the_session() {
        let head = "HTTP/1.1 200 OK\r\nset-cookie: __Host-nightlatch-device=x; Path=/\r\n\
            set-cookie: __Host-nightlatch=tok.en; HttpOnly; Path=/\r\n\r\n";
        assert_eq!(token(head), Some("tok.en"));
        assert_eq!(token("HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
