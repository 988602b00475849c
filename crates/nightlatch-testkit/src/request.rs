//! Requests as stand-ins for services read them: over plain sockets.
//!
//! Most of what stand-ins have to do no library for servers lets anybody do.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

/// A request that a stand-in was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and path.
    pub target: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

/// Says something; whether anybody listens.
pub(crate) async fn say(stream: &mut BufStream<TcpStream>, text: &[u8]) -> bool {
    stream.write_all(text).await.is_ok() && stream.flush().await.is_ok()
}

/// The next request, which must not be larger than this; `None`: there is none.
pub(crate) async fn read(stream: &mut BufStream<TcpStream>, bytes_max: usize) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        assert!(head.len() < bytes_max, "a request that never ends");
    }
    let head = String::from_utf8(head).expect("a head of text");
    let mut lines = head.split("\r\n");
    let first = lines.next()?;
    // Who looks what is spoken here says less than a request.
    let target = first.strip_suffix(" HTTP/1.1")?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut asked = Asked { target, headers, body: Vec::new() };
    let length = asked.header("content-length").map_or(0, |text| text.parse().expect("a number"));
    assert!(length < bytes_max, "a body that is too large");
    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body).await.ok()?;
    Some(asked)
}
