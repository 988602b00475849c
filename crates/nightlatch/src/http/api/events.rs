//! GET /api/v1/session/events: a WebSocket that says at once when its session ends.
//!
//! Each socket looks at its session once a second, as a session check does: what ends a session, on
//! whichever node and by whichever way, ends its sockets, and there is no second way to learn of it. A
//! look is answered from memory, and is no use of the session.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use nightlatch_core::Deadline;
use nightlatch_core::service::{ActiveSession, WatchedSession};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::shape::SessionShape;
use crate::http::app::App;
use crate::http::csrf;
use crate::http::problem::{Code, Problem};
use crate::http::server::Phase;
use crate::http::session::{Authenticated, From};
use crate::http::sockets::{Full, Place, Upgradable};

/// How often a socket looks at its session.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many looks there are from one ping to the next: proxies cut what is silent for a minute.
const LOOKS_PER_PING: u32 = 20;

/// A client that has said nothing for so many pings is gone.
const PINGS_UNHEARD_MAX: u32 = 2;

/// How long a socket stays open while nobody knows how it is with its session, in looks.
const UNKNOWN_MAX: u32 = 60;

/// How long a client may take to take what it is sent.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Clients have nothing to say, so they may say little.
const MESSAGE_BYTES_MAX: usize = 1024;

/// How many messages a client may send from one ping to the next.
const MESSAGES_MAX: u32 = 100;

/// What is read at once: sockets are many, and idle.
const BUFFER_BYTES: usize = 1024;

/// When to come back for a socket that there was no room for.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Of RFC 6455, 7.4, and one of our own: the session has ended.
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
const TRY_AGAIN: u16 = 1013;
const SESSION_ENDED: u16 = 4401;

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    /// It is open, and this is the session.
    Session { session: SessionShape<'a> },
    /// The session was ended.
    Revoked,
    /// Its time is over.
    Expired,
}

/// Opens a WebSocket that tells when the session ends.
#[utoipa::path(
    get,
    path = "/api/v1/session/events",
    tag = "session",
    security(("cookie" = []), ("bearer" = [])),
    responses(
        (status = 101, description = "A WebSocket. It says `{\"type\":\"session\",\"session\":{..}}`, and when the session ends `{\"type\":\"revoked\"}` or `{\"type\":\"expired\"}` and closes with 4401. While nobody knows it stays open, then closes with 1013."),
        (status = 400, description = "bad_request: no WebSocket was asked for"),
        (status = 403, description = "csrf_failed: another site's page"),
        (status = 429, description = "throttled: the session or the address has too many"),
    )
)]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    asked: AskedForSocket,
    Authenticated(active): Authenticated,
    From(client): From,
) -> Result<Response, Problem> {
    let AskedForSocket { upgrade, upgradable } = asked;
    let place = app.sockets.admit(active.session().id, client.address).map_err(|full| {
        let code = if full == Full::Node { Code::Overloaded } else { Code::Throttled };
        Problem::new(code).with_retry_after(RETRY_AFTER)
    })?;
    let tasks = upgradable.tasks.clone();
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| {
        let watch = Watch { app, active, socket, _place: place };
        // A stop waits for it.
        tasks.track_future(watch.run(upgradable))
    }))
}

/// A request for a socket that no other site's page has sent.
pub(crate) struct AskedForSocket {
    upgrade: WebSocketUpgrade,
    upgradable: Arc<Upgradable>,
}

impl FromRequestParts<Arc<App>> for AskedForSocket {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        // Browsers let any page open a socket to anybody, with our cookie.
        csrf::check_origin(app, &parts.headers)?;
        let upgradable = parts.extensions.get::<Arc<Upgradable>>().cloned();
        let upgrade = WebSocketUpgrade::from_request_parts(parts, app).await.ok();
        let (Some(upgrade), Some(upgradable)) = (upgrade, upgradable) else {
            let why = "This address is for WebSockets (RFC 6455).";
            return Err(Problem::new(Code::BadRequest).with_detail(why));
        };
        Ok(Self { upgrade, upgradable })
    }
}

/// An open socket.
struct Watch {
    app: Arc<App>,
    active: ActiveSession,
    socket: WebSocket,
    _place: Place,
}

/// Why a socket is closed: what is said before, and with which code.
type Ending = (Option<Event<'static>>, u16);

impl Watch {
    async fn run(mut self, upgradable: Arc<Upgradable>) {
        let session = SessionShape::of_active(&self.active);
        let opened = text_of(&Event::Session { session });
        if !self.send(opened).await {
            return;
        }
        let ending = tokio::select! {
            biased;
            () = upgradable.drain.reached(Phase::Closing) => Some((None, GOING_AWAY)),
            ending = self.watch() => ending,
        };
        let Some((event, code)) = ending else { return };
        if let Some(event) = event
            && !self.send(text_of(&event)).await
        {
            return;
        }
        let frame = CloseFrame { code, reason: "".into() };
        let _ = self.send(Message::Close(Some(frame))).await;
    }

    /// Until the session or the socket ends; `None`: there is nobody to tell.
    async fn watch(&mut self) -> Option<Ending> {
        let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut number, mut unheard, mut messages) = (0_u32, 0, 0);
        let mut patience = Patience::default();
        loop {
            tokio::select! {
                biased;
                _ = looks.tick() => {}
                message = self.socket.recv() => {
                    messages += 1;
                    unheard = 0;
                    match message {
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                        Some(Ok(_)) if messages > MESSAGES_MAX => return Some((None, POLICY)),
                        Some(Ok(_)) => continue,
                    }
                }
            }
            if let Some(ending) = patience.after(look(&self.app, &self.active).await) {
                return Some(ending);
            }
            number = number.wrapping_add(1);
            if number.is_multiple_of(LOOKS_PER_PING) {
                if unheard >= PINGS_UNHEARD_MAX || !self.send(Message::Ping("".into())).await {
                    return None;
                }
                (unheard, messages) = (unheard + 1, 0);
            }
        }
    }

    /// Whether the client takes it.
    async fn send(&mut self, message: Message) -> bool {
        timeout(SEND_LIMIT, self.socket.send(message)).await.is_ok_and(|sent| sent.is_ok())
    }
}

/// How long nobody has known, in looks.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    /// Whether a look ends the socket. Not knowing is no end: it is closed with 1013 only where that lasts.
    fn after(&mut self, look: Result<WatchedSession, ()>) -> Option<Ending> {
        let Self(unknown) = self;
        match look {
            Ok(WatchedSession::Active) => *unknown = 0,
            Ok(WatchedSession::Revoked) => return Some((Some(Event::Revoked), SESSION_ENDED)),
            Ok(WatchedSession::Expired) => return Some((Some(Event::Expired), SESSION_ENDED)),
            Err(()) if *unknown >= UNKNOWN_MAX => return Some((None, TRY_AGAIN)),
            Err(()) => *unknown += 1,
        }
        None
    }
}

/// An error: nobody knows.
async fn look(app: &App, active: &ActiveSession) -> Result<WatchedSession, ()> {
    let deadline = Deadline::within(app.service.clock(), LOOK_EVERY);
    app.service.watch_session(active, deadline).await.map_err(|_| ())
}

fn text_of(event: &Event<'_>) -> Message {
    Message::Text(serde_json::to_string(event).unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_knowing_closes_a_socket_only_after_a_minute_of_it() {
        let mut patience = Patience::default();
        for _ in 0..UNKNOWN_MAX {
            assert!(patience.after(Err(())).is_none());
        }
        assert!(patience.after(Ok(WatchedSession::Active)).is_none(), "the minute begins anew");
        for _ in 0..UNKNOWN_MAX {
            assert!(patience.after(Err(())).is_none());
        }
        assert!(matches!(patience.after(Err(())), Some((None, TRY_AGAIN))));
        assert_eq!(LOOK_EVERY * UNKNOWN_MAX, Duration::from_mins(1));
    }

    #[test]
    fn an_end_is_told_at_once_whatever_was_known_before() {
        for is_unknown in [false, true] {
            let mut patience = Patience::default();
            if is_unknown {
                assert!(patience.after(Err(())).is_none());
            }
            let ending = patience.after(Ok(WatchedSession::Revoked));
            assert!(matches!(ending, Some((Some(Event::Revoked), SESSION_ENDED))));
            let ending = Patience::default().after(Ok(WatchedSession::Expired));
            assert!(matches!(ending, Some((Some(Event::Expired), SESSION_ENDED))));
        }
    }
}
