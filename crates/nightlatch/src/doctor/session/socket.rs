//! A WebSocket to a server, from its opening to its end.
//!
//! What stands before a server often knows nothing of them: it answers in its place, or cuts them.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::StatusCode;
use http::header::{COOKIE, HOST, HeaderValue};
use nightlatch_core::FailureClass;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::client::{Client, Connection, Login};

/// The largest message.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// How long the opening may take.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

const EVENTS: &str = "/api/v1/session/events";

/// An open one.
pub(super) struct Socket(WebSocketStream<Connection>);

/// Why there is none.
pub(super) enum NoSocket {
    Failed(FailureClass),
    Answered(StatusCode),
    /// The answer is one of a WebSocket, and is wrong.
    Broken,
}

/// What came.
pub(super) enum Heard {
    Said(Value),
    /// With this code.
    Closed(u16),
    /// It ended without a word.
    Lost,
    /// Nothing came within that time.
    Nothing,
}

impl Socket {
    /// As a browser with this cookie opens one.
    pub(super) async fn open(client: &Client, login: &Login) -> Result<Self, NoSocket> {
        let host = client.host_and_port();
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| NoSocket::Failed(FailureClass::Protocol))
        };
        let request = format!("ws://{host}{EVENTS}").into_client_request();
        let mut request = request.map_err(|_| NoSocket::Failed(FailureClass::Protocol))?;
        request.headers_mut().insert(HOST, value(&host)?);
        request.headers_mut().insert(COOKIE, value(login.cookie.expose())?);
        let stream = client.connect().await.map_err(NoSocket::Failed)?;
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
        let opening = client_async_with_config(request, stream, Some(config));
        match timeout(OPEN_LIMIT, opening).await {
            Ok(Ok((socket, _))) => Ok(Self(socket)),
            Ok(Err(Error::Http(answer))) => Err(NoSocket::Answered(answer.status())),
            Ok(Err(Error::Io(_) | Error::ConnectionClosed)) => {
                Err(NoSocket::Failed(FailureClass::Closed))
            }
            Ok(Err(_)) => Err(NoSocket::Broken),
            Err(_) => Err(NoSocket::Failed(FailureClass::Timeout)),
        }
    }

    /// What comes next, pings apart.
    pub(super) async fn hear(&mut self, within: Duration) -> Heard {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Heard::Said(serde_json::from_str(&text).unwrap_or(Value::Null));
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Heard::Closed(frame.map_or(1005, |frame| frame.code.into()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Heard::Lost,
                }
            }
        };
        timeout(within, next).await.unwrap_or(Heard::Nothing)
    }
}
