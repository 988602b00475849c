//! Which service answers at a port where another was expected, by its first bytes.
//!
//! "Not the protocol" helps nobody who has mixed up two ports.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::tcp;

/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

/// Enough to know any of them.
const READ_MAX: usize = 64;

/// A service that is known by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherService {
    /// A web server.
    Http,
    /// Redis, or what takes its place.
    Redis,
    /// PostgreSQL.
    Postgres,
    /// `MySQL` or `MariaDB`.
    MySql,
    /// Memcached.
    Memcached,
    /// `RabbitMQ` or another broker that speaks AMQP.
    Amqp,
    /// A login shell.
    Ssh,
    /// A mail server.
    Smtp,
}

impl OtherService {
    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "a web server",
            Self::Redis => "Redis",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL or MariaDB",
            Self::Memcached => "Memcached",
            Self::Amqp => "a broker that speaks AMQP",
            Self::Ssh => "SSH",
            Self::Smtp => "a mail server",
        }
    }

    fn by_first_bytes(bytes: &[u8]) -> Option<Self> {
        let begins = |text: &str| bytes.starts_with(text.as_bytes());
        let is_handshake_of_mysql = bytes.len() > 5 && bytes[3] == 0 && bytes[4] == 10;
        match bytes {
            _ if begins("HTTP/") || begins("<") => Some(Self::Http),
            _ if begins("+PONG") || begins("-NOAUTH") || begins("-DENIED") => Some(Self::Redis),
            _ if begins("ERROR\r\n") => Some(Self::Memcached),
            _ if begins("SSH-") => Some(Self::Ssh),
            _ if begins("AMQP") => Some(Self::Amqp),
            _ if begins("220 ") || begins("220-") => Some(Self::Smtp),
            _ if is_handshake_of_mysql => Some(Self::MySql),
            _ => None,
        }
    }
}

/// Which of the services that are known answers there, if one does. Nothing secret is sent.
pub async fn other_service(host: &str, port: u16) -> Option<OtherService> {
    const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
    for said in ["PING\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let answer = first_bytes(host, port, said.as_bytes()).await;
        if let Some(known) = answer.as_deref().and_then(OtherService::by_first_bytes) {
            return Some(known);
        }
    }
    let answer = first_bytes(host, port, SSL_REQUEST).await?;
    matches!(&answer[..], b"S" | b"N").then_some(OtherService::Postgres)
}

async fn first_bytes(host: &str, port: u16, said: &[u8]) -> Option<Vec<u8>> {
    let looking = async {
        let (mut tcp, _) = tcp::connect(host, port).await.ok()?;
        tcp.write_all(said).await.ok()?;
        let mut answer = vec![0; READ_MAX];
        let length = tcp.read(&mut answer).await.ok()?;
        answer.truncate(length);
        Some(answer)
    };
    timeout(LOOK_LIMIT, looking).await.ok()?
}
