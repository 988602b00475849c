//! One keep-alive connection: a request goes out, its answer comes back.
//!
//! Written on the bare socket: a client library would cost as much as the handler it measures.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer that is measured is longer, head and body together.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, as long as the connection is not used again.
pub(crate) struct Answer<'c> {
    pub(crate) status: u16,
    pub(crate) head: &'c str,
    pub(crate) body: &'c [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to the server")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER_BYTES_MAX] })
    }

    /// Sends a whole request and waits for its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await.context("sending a request")?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await;
            let read = read.context("reading an answer")?;
            anyhow::ensure!(read > 0, "the server closed the connection instead of answering");
            filled += read;
            if let Some(frame) = Frame::find(&self.buffer[..filled])? {
                anyhow::ensure!(frame.end <= filled || filled < ANSWER_BYTES_MAX, "a huge answer");
                if frame.end <= filled {
                    return self.answer(&frame);
                }
            }
        }
    }

    fn answer(&self, frame: &Frame) -> anyhow::Result<Answer<'_>> {
        let head = std::str::from_utf8(&self.buffer[..frame.head_end]).context("a binary head")?;
        Ok(Answer { status: frame.status, head, body: &self.buffer[frame.head_end..frame.end] })
    }
}

/// Where the parts of an answer end.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    status: u16,
    /// Behind the empty line.
    head_end: usize,
    end: usize,
}

impl Frame {
    /// `None`: the head is not complete yet.
    fn find(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(blank) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            anyhow::ensure!(bytes.len() < ANSWER_BYTES_MAX, "a head without end");
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..blank]).context("a binary head")?;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.with_context(|| format!("no status in {head:?}"))?;
        let length = header(head, "content-length").next();
        let length: usize = length.map_or(Ok(0), str::parse).context("a wrong content-length")?;
        let head_end = blank + 4;
        Ok(Some(Self { status, head_end, end: head_end + length }))
    }
}

/// The values of a header. Names are lower case, as our servers write them.
pub(crate) fn header<'h>(head: &'h str, name: &str) -> impl Iterator<Item = &'h str> {
    head.split("\r\n").filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=b\r\n\r\n{}";
        for length in 0..whole.len() - 2 {
            assert_eq!(Frame::find(&whole[..length]).unwrap(), None, "{length}");
        }
        let end = whole.len();
        let frame = Frame { status: 200, head_end: end - 2, end };
        assert_eq!(Frame::find(&whole[..end - 1]).unwrap(), Some(frame));
        let head = std::str::from_utf8(whole).unwrap();
        assert_eq!(header(head, "set-cookie").collect::<Vec<_>>(), ["a=b"]);
        assert!(Frame::find(b"nonsense\r\n\r\n").is_err());
    }
}
