//! Sockets that nobody says anything on: what thousands of them cost a node.
//!
//! Each looks at its session once a second, so they cost time on the core as well as memory.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::memory::megabytes;
use crate::people;
use crate::plan::Plan;
use crate::report::{Row, SETTLE, micros};
use crate::server::{Program, Server};

/// A session has at most 16, an address 2048.
const OF_SESSION: usize = 10;
const OF_ADDRESS: usize = 2000;

/// Descriptors beside the sockets: of the runtime, files and pipes.
const DESCRIPTORS_BESIDE: u64 = 256;

/// How long a socket may take to open.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// An answer of 101 and the first message are shorter.
const FIRST_BYTES_MAX: usize = 4096;

/// Opens them and looks at the server before and after.
pub(crate) async fn measure(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    allow_descriptors(u64::try_from(plan.sockets)? + DESCRIPTORS_BESIDE)?;
    let home = TempDir::new().context("making a temporary directory")?;
    let server = program.start_with(home.path(), |command| {
        // So that sockets of one machine count as those of several.
        command.env("TRUSTED_PROXIES", "127.0.0.1/32");
    })?;
    crate::start::become_ready(&server).await?;
    people::register(server.address).await?;
    let sessions = plan.sockets.div_ceil(OF_SESSION);
    let checks = people::open_sessions(server.address, sessions).await?;
    sleep(plan.watched + SETTLE).await;
    let before = server.process.resident()?.anonymous_bytes();
    let mut sockets = Vec::with_capacity(plan.sockets);
    for number in 0..plan.sockets {
        let request = upgrade_of(&checks[number % sessions], number);
        sockets.push(open(server.address, &request).await?);
    }
    sleep(SETTLE).await;
    let grown = server.process.resident()?.anonymous_bytes().saturating_sub(before);
    let core = core_while_idle(&server, plan.watched).await?;
    let count = u64::try_from(plan.sockets)?;
    let memory = format!("{}, {} bytes each", megabytes(grown), grown / count.max(1));
    let each = core / u32::try_from(count)?;
    let share = core.as_secs_f64() * 100.0;
    let what = format!("{count} idle sockets of {sessions} sessions");
    Ok(vec![
        Row::new(format!("memory of {what}"), memory),
        Row::new(
            format!("the time that {what} take"),
            format!("{share:.1} % of a core; {} a second each", micros(each)),
        ),
    ])
}

/// The time on the core in a second.
async fn core_while_idle(server: &Server, watched: Duration) -> anyhow::Result<Duration> {
    let before = server.process.ran()?;
    sleep(watched).await;
    let took = (server.process.ran()? - before).all();
    Ok(took.div_f64(watched.as_secs_f64()))
}

/// Raises this process's limit; what it starts inherits that.
fn allow_descriptors(needed: u64) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    anyhow::ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "{needed} descriptors are needed: raise the hard limit (`ulimit -Hn`)"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .context("raising the limit of descriptors")
}

/// A session check, turned into the opening of a socket (RFC 6455, 4.1).
fn upgrade_of(check: &str, number: usize) -> String {
    let of_socket = check.replacen("GET /api/v1/session ", "GET /api/v1/session/events ", 1);
    let head = of_socket.trim_end();
    let address = number / OF_ADDRESS;
    format!(
        "{head}\r\nx-forwarded-for: 192.0.2.{address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
}

/// A socket that has said whose session it is.
async fn open(server: SocketAddr, request: &str) -> anyhow::Result<TcpStream> {
    let opened = async {
        let mut stream = TcpStream::connect(server).await.context("connecting to the server")?;
        stream.write_all(request.as_bytes()).await.context("asking for a socket")?;
        let (mut bytes, mut filled) = ([0; FIRST_BYTES_MAX], 0);
        while !has_said_session(&bytes[..filled]) {
            let read = stream.read(&mut bytes[filled..]).await.context("opening a socket")?;
            let said = String::from_utf8_lossy(&bytes[..filled]);
            anyhow::ensure!(read > 0, "no socket: {said}");
            filled += read;
        }
        Ok(stream)
    };
    timeout(OPEN_LIMIT, opened).await.context("a socket does not open")?
}

/// Whether the first message, `{"type":"session","session":{..}}`, is there to its end.
fn has_said_session(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 101") && bytes.ends_with(b"}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_becomes_the_opening_of_a_socket() {
        let check = people::check_request("token");
        let upgrade = upgrade_of(&check, 2 * OF_ADDRESS);
        assert!(upgrade.starts_with("GET /api/v1/session/events HTTP/1.1\r\n"), "{upgrade}");
        assert!(upgrade.contains("cookie: __Host-nightlatch=token\r\n"), "{upgrade}");
        assert!(upgrade.contains("\r\nx-forwarded-for: 192.0.2.2\r\n"), "{upgrade}");
        assert!(upgrade.ends_with("\r\n\r\n") && !upgrade.trim_end().contains("\r\n\r\n"));
    }

    #[test]
    fn a_socket_is_open_when_its_first_message_has_come() {
        let whole = b"HTTP/1.1 101 Switching\r\n\r\n\x81\x02{\"session\":{}}";
        assert!(has_said_session(whole));
        for length in 0..whole.len() {
            assert!(!has_said_session(&whole[..length]), "{length}");
        }
        assert!(!has_said_session(b"HTTP/1.1 429 Too Many\r\n\r\n{\"a\":{}}"));
    }
}
