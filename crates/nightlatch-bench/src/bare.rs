//! The bare handler: what this machine can answer at most, behind the server's own accept loop.
//!
//! It answers with the headers and the body of one real answer, so that it sends as many bytes, and
//! does nothing else: what the server takes longer is the price of checking a session.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::get;
use nightlatch::http::Routes;
use nightlatch::http::server::{Drain, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tower_http::normalize_path::NormalizePath;

use crate::child::{Process, read_line};
use crate::connection::{Answer, Connection};
use crate::cores::Cores;

/// What makes this program the bare handler.
pub(crate) const ARGUMENT: &str = "be-bare";

/// More connections than the load generator opens.
const CONNECTIONS_MAX: usize = 1024;

/// What hyper writes by itself.
const WRITTEN_BY_HYPER: &[&str] = &["date", "content-length"];

/// The running bare handler.
pub(crate) struct Bare {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Bare {
    /// Starts one that answers as `server` answers `request`.
    pub(crate) async fn like(
        server: SocketAddr,
        request: &str,
        cores: Cores,
    ) -> anyhow::Result<Self> {
        let mut connection = Connection::open(server).await?;
        let real = connection.exchange(request.as_bytes()).await?;
        anyhow::ensure!(real.status == 200, "a good session is answered with {}", real.status);
        let bare = Self::spawn(&real, cores)?;
        let mut other = Connection::open(bare.address).await?;
        let copy = other.exchange(request.as_bytes()).await?;
        let length = |answer: &Answer<'_>| answer.head.len() + answer.body.len();
        anyhow::ensure!(
            length(&copy) == length(&real),
            "the bare handler answers with other headers:\n{}\n{}",
            copy.head,
            real.head
        );
        Ok(bare)
    }

    fn spawn(answer: &Answer<'_>, cores: Cores) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut process = Process::spawn(cores, &program, |command| {
            command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        })?;
        let mut stdin = process.take_stdin();
        stdin.write_all(answer.head.as_bytes())?;
        stdin.write_all(answer.body)?;
        drop(stdin);
        let address = read_line(&mut process.take_stdout())?;
        Ok(Self { process, address: address.parse().context("where the bare handler listens")? })
    }
}

/// Serves the answer on standard input until it is killed; says on standard output where.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut answer = String::new();
    std::io::stdin().read_to_string(&mut answer).context("reading the answer to give")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    let (headers, body) = (headers(head)?, Bytes::copy_from_slice(body.as_bytes()));
    // As the server starts its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        crate::say(&listener.local_addr()?.to_string());
        let (_publish, routes) = watch::channel(routes(headers, body));
        let (_driver, drain) = Drain::new();
        serve((listener, routes, drain), (TaskTracker::new(), CONNECTIONS_MAX)).await;
        Ok(())
    })
}

fn routes(headers: HeaderMap, body: Bytes) -> Routes {
    let handler = move || {
        let answer = (headers.clone(), body.clone());
        async { answer }
    };
    NormalizePath::trim_trailing_slash(Router::new().route("/api/v1/session", get(handler)))
}

fn headers(head: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in head.split("\r\n").skip(1) {
        let (name, value) = line.split_once(": ").with_context(|| format!("a header: {line:?}"))?;
        if !WRITTEN_BY_HYPER.contains(&name) {
            headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_is_copied_but_those_that_hyper_writes() {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 2\r\ndate: now\r\nvary: x\r\nvary: y";
        let headers = headers(head).unwrap();
        assert_eq!(headers.len(), 3);
        assert_eq!(headers["content-type"], "a/b");
        assert!(super::headers("HTTP/1.1 200 OK\r\nnonsense").is_err());
    }
}
