//! A WebSocket of a browser or a program, for tests: shows each message, and how it was closed.
//!
//! Nothing is answered by itself but pings, so that a test says what a client does.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::Client;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// An open socket.
pub struct Socket(WebSocketStream<TcpStream>);

/// What came.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A message.
    Said(Value),
    /// It was closed with this code.
    Closed(u16),
    /// It ended without a word.
    Lost,
}

impl Socket {
    /// Opens one, with such headers beside those that it needs. An error: the status of the answer.
    ///
    /// # Errors
    /// The server has answered something else.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let mut request =
            format!("ws://{address}{path}").into_client_request().expect("it is a URL");
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().expect("it is a name");
            request.headers_mut().insert(name, value.parse().expect("it is a value"));
        }
        let tcp = TcpStream::connect(address).await.map_err(|_| 0_u16)?;
        match timeout(LIMIT, client_async(request, tcp)).await.expect("it is answered") {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// As a browser with the cookies of this client opens one.
    ///
    /// # Errors
    /// The server has answered something else.
    pub async fn of(client: &Client, address: SocketAddr, path: &str) -> Result<Self, u16> {
        let cookies: Vec<String> =
            client.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (cookies, origin) = (cookies.join("; "), format!("http://{address}"));
        Self::open(address, path, &[("cookie", &cookies), ("origin", &origin)]).await
    }

    /// What comes next, pings apart.
    pub async fn hear(&mut self) -> Heard {
        self.hear_within(LIMIT).await
    }

    /// What comes next, pings apart, if nothing has to come soon.
    pub async fn hear_within(&mut self, limit: Duration) -> Heard {
        loop {
            match timeout(limit, self.0.next()).await.expect("something comes") {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Said(serde_json::from_str(&text).expect("it is JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Lost,
            }
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn say(&mut self, text: &str) -> Result<(), Error> {
        self.0.send(Message::text(text.to_owned())).await
    }
}
