//! `nightlatch health`: whether the server here can serve, for health checks of containers.
//!
//! Images have no curl, and what a health check decides on must not depend on what is beneath: a server
//! that serves sessions while its database is away must not be stopped for it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{FINE, block_on};
use crate::config::Config;

/// How long the answer may take: it is given from memory.
const LIMIT: Duration = Duration::from_secs(2);

/// What is read of the answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// Runs the command.
pub(super) fn run(config: &Config, out: &mut dyn Write) -> anyhow::Result<u8> {
    let address = from_here(config.web.listen);
    let status = block_on(async {
        timeout(LIMIT, ask(address)).await.context("it does not answer").flatten()
    });
    match status.with_context(|| format!("asking http://{address}/health/ready"))? {
        200 => {
            writeln!(out, "ready")?;
            Ok(FINE)
        }
        status => bail!("not ready: http://{address}/health/ready is {status}"),
    }
}

/// The status that it answers.
async fn ask(address: SocketAddr) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(address).await.context("nobody listens there")?;
    let request =
        format!("GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).context("what answers there is no Nightlatch")
}

/// An address that stands for all of a machine's, as one that can be connected to.
fn from_here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_this_machine() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.5:80", "10.0.0.5:80"),
        ] {
            assert_eq!(from_here(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
