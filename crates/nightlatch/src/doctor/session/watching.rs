//! Whether a socket tells of its session's end, and of nobody else's.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::{Client, Login};
use super::failure::Failure;
use super::journey::{REVOKED_WITHIN, mixed};
use super::socket::{Heard, NoSocket, Socket};

/// What an ended session's socket is closed with.
const SESSION_ENDED: u16 = 4401;

/// How long the first word may take.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// How long one that nothing has happened to is listened to: a server that tells everybody of an end does so
/// at once.
const QUIET: Duration = Duration::from_millis(300);

/// Opens one, and hears whose session it is.
pub(super) async fn open(client: &Client, login: &Login) -> Result<Socket, Failure> {
    const WHAT: &str = "open a WebSocket";
    let refused = |why: String| Failure::new("socket-refused", format!("{WHAT}: {why}"));
    let mut socket = Socket::open(client, login).await.map_err(|error| match error {
        NoSocket::Failed(class) => refused(format!("no answer ({class})")),
        NoSocket::Broken => refused("what came back is no WebSocket".to_owned()),
        NoSocket::Answered(status) => refused(format!(
            "answered {}: a proxy must pass on `Upgrade` and `Connection`",
            status.as_u16()
        )),
    })?;
    match socket.hear(FIRST_WORD).await {
        Heard::Said(event) if event["type"] == "session" => {
            if event["session"]["id"] == *login.id {
                Ok(socket)
            } else {
                Err(mixed(WHAT))
            }
        }
        Heard::Said(_) => Err(refused("the first word is another".to_owned())),
        Heard::Closed(code) => Err(refused(format!("closed at once ({code})"))),
        Heard::Lost => Err(refused("ended at once".to_owned())),
        Heard::Nothing => {
            Err(refused("nothing is said: a proxy keeps what it should hand on".to_owned()))
        }
    }
}

/// Hears that the session has ended; how long that took.
pub(super) async fn hear_end(socket: &mut Socket) -> Result<Duration, Failure> {
    let not_told = |why: &str| {
        let why = format!("a WebSocket is not told that its session was ended: {why}");
        Failure::new("socket-not-told", why)
    };
    let began = Instant::now();
    match socket.hear(REVOKED_WITHIN).await {
        Heard::Said(event) if event["type"] == "revoked" => {}
        Heard::Said(_) => return Err(not_told("something else is said")),
        Heard::Closed(_) | Heard::Lost => return Err(not_told("it ends without a word")),
        Heard::Nothing => {
            let limit = REVOKED_WITHIN.as_secs();
            return Err(not_told(&format!("nothing comes within {limit} s")));
        }
    }
    match socket.hear(REVOKED_WITHIN).await {
        Heard::Closed(SESSION_ENDED) => Ok(began.elapsed()),
        _ => Err(not_told("it is not closed with 4401")),
    }
}

/// Hears nothing: what has happened to others is not this one's business.
pub(super) async fn hear_nothing(socket: &mut Socket) -> Result<(), Failure> {
    match socket.hear(QUIET).await {
        Heard::Nothing => Ok(()),
        Heard::Said(Value::Object(event)) if event.contains_key("type") => {
            Err(mixed("a WebSocket hears of another session's end"))
        }
        Heard::Said(_) | Heard::Closed(_) | Heard::Lost => {
            let why = "a WebSocket ends that nothing was to happen to";
            Err(Failure::new("socket-cut", why))
        }
    }
}
