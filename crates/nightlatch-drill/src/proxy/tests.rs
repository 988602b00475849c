//! Each fault as a client sees it, in front of a server that echoes.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::*;

/// Within which an answer comes, if one comes.
const SOON: Duration = Duration::from_secs(10);

/// How long a silence is listened to: whatever would come, comes in far less.
const SILENCE: Duration = Duration::from_millis(150);

/// A server that sends everything back, behind a proxy.
async fn echo() -> (FaultProxy, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    (
        FaultProxy::start(([127, 0, 0, 1], 0).into(), Place::here(port))
            .await
            .expect("a port is free"),
        server,
    )
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address).await.expect("it listens")
}

/// Sends `text` and reads as many bytes back.
async fn ask(stream: &mut TcpStream, text: &str) -> Result<String, ErrorKind> {
    let answer = async {
        stream.write_all(text.as_bytes()).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer: Result<String, io::Error> =
        timeout(SOON, answer).await.expect("it is answered or ended");
    answer.map_err(|error| error.kind())
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn without_a_fault_everything_passes_and_ends_in_order() {
    let (proxy, _server) = echo().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(ask(&mut stream, "hello").await.as_deref(), Ok("hello"));
    stream.shutdown().await.expect("it is open");
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.expect("it ends in order"), 0);
    until(SOON, async || proxy.live() == 0).await.expect("the connection is gone");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_proxy_that_refuses_keeps_its_port() {
    let (proxy, _server) = echo().await;
    let mut live = connect(&proxy).await;
    assert!(ask(&mut live, "hello").await.is_ok());
    for _ in 0..3 {
        proxy.set(Fault::Refuse).await.expect("it is in force");
        let refused = TcpStream::connect(proxy.address).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let taken = std::net::TcpListener::bind(proxy.address).expect_err("the port is kept");
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        proxy.set(Fault::None).await.expect("it is in force");
        assert!(ask(&mut connect(&proxy).await, "again").await.is_ok());
    }
    assert!(ask(&mut live, "hello").await.is_err());
}

#[tokio::test]
async fn reset_accepts_first() {
    let (proxy, _server) = echo().await;
    let mut live = connect(&proxy).await;
    assert!(ask(&mut live, "hello").await.is_ok());
    proxy.set(Fault::Reset).await.expect("it is in force");
    for mut stream in [live, connect(&proxy).await] {
        let told = ask(&mut stream, "hello").await.expect_err("it is reset");
        assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&told), "{told}");
    }
    proxy.set(Fault::None).await.expect("it is in force");
    let mut stream = connect(&proxy).await;
    assert!(ask(&mut stream, "hello").await.is_ok());
    proxy.cut();
    assert!(stream.read_u8().await.is_err());
    assert!(ask(&mut connect(&proxy).await, "hello").await.is_ok());
}

#[tokio::test]
async fn silence_holds_for_those_it_is_meant_for_and_loses_nothing() {
    let (proxy, _server) = echo().await;
    for (fault, is_old_silent, is_new_silent) in [
        (Fault::Silent, true, true),
        (Fault::SilentNew, false, true),
        (Fault::SilentLive, true, false),
        (Fault::SilentAfter("hello"), true, false),
    ] {
        proxy.set(Fault::None).await.expect("it is in force");
        let mut old = connect(&proxy).await;
        // No PostgreSQL, so that its bytes are taken as its statements.
        assert!(ask(&mut old, "hello").await.is_ok());
        proxy.set(fault).await.expect("it is in force");
        let mut new = connect(&proxy).await;
        for (stream, silent) in [(&mut old, is_old_silent), (&mut new, is_new_silent)] {
            if silent {
                stream.write_all(b"later").await.expect("it is open");
                assert!(is_silent(stream).await, "{fault:?}");
            } else {
                assert!(ask(stream, "later").await.is_ok(), "{fault:?}");
            }
        }
        proxy.set(Fault::None).await.expect("it is in force");
        for (stream, silent) in [(&mut old, is_old_silent), (&mut new, is_new_silent)] {
            if silent {
                let mut answer = [0; 5];
                let read = timeout(SOON, stream.read_exact(&mut answer)).await;
                read.expect("what was sent arrives in the end").expect("it is open");
                assert_eq!(&answer, b"later");
            }
        }
    }
}

#[tokio::test]
async fn late_and_trickling_bytes_arrive_whole() {
    let (proxy, _server) = echo().await;
    let mut stream = connect(&proxy).await;
    let span = Duration::from_millis(100);
    for fault in [
        Fault::Late { there: span, back: Duration::ZERO },
        Fault::Late { there: Duration::ZERO, back: span },
        // Ten bytes have nine gaps, and a timer may fire a little early.
        Fault::Trickle(span / 8),
    ] {
        proxy.set(fault).await.expect("it is in force");
        let asked = Instant::now();
        assert_eq!(ask(&mut stream, "ten  bytes").await.as_deref(), Ok("ten  bytes"));
        assert!(asked.elapsed() >= span, "{fault:?}: {:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn what_was_sent_in_a_burst_is_late_once() {
    let (proxy, _server) = echo().await;
    let mut stream = connect(&proxy).await;
    let span = Duration::from_millis(300);
    proxy.set(Fault::Late { there: span, back: Duration::ZERO }).await.expect("it is in force");
    let asked = Instant::now();
    for _ in 0..20 {
        stream.write_all(b"1").await.expect("it is open");
        tokio::task::yield_now().await;
    }
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).await.expect("it is open");
    assert!(asked.elapsed() < 10 * span, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn answers_are_cut_garbled_or_ended() {
    let (proxy, _server) = echo().await;
    let mut cut = connect(&proxy).await;
    let mut garbled = connect(&proxy).await;
    let mut ended = connect(&proxy).await;
    for stream in [&mut cut, &mut garbled, &mut ended] {
        assert!(ask(stream, "hello").await.is_ok());
    }
    proxy.set(Fault::CutAfter(2)).await.expect("it is in force");
    cut.write_all(b"hello").await.expect("it is open");
    let mut begun = [0; 2];
    cut.read_exact(&mut begun).await.expect("so much arrives");
    assert_eq!(&begun, b"he");
    assert!(cut.read_u8().await.is_err());

    proxy.set(Fault::Garbage).await.expect("it is in force");
    assert_ne!(ask(&mut garbled, "hello").await.as_deref(), Ok("hello"));

    proxy.set(Fault::Says("never")).await.expect("it is in force");
    assert_eq!(ask(&mut connect(&proxy).await, "hello").await.as_deref(), Ok("never"));
    proxy.set(Fault::SaysFirst("no")).await.expect("it is in force");
    assert_eq!(ask(&mut connect(&proxy).await, "hello").await.as_deref(), Ok("nohel"));
    // On its way there, too: the echo of what has become of it is left as it is.
    proxy.set(Fault::Replaces("hello", "holla")).await.expect("it is set");
    let said = ask(&mut connect(&proxy).await, "hell! hello").await;
    assert_eq!(said.as_deref(), Ok("hell! holla"));

    proxy.set(Fault::HalfClose).await.expect("it is in force");
    let mut rest = Vec::new();
    let read = timeout(SOON, ended.read_to_end(&mut rest)).await.expect("it is told");
    assert_eq!(read.expect("in order"), 0);
    ended.write_all(b"still").await.expect("this way is open");
}

#[tokio::test]
async fn an_answer_is_lost_after_it_was_given() {
    let (proxy, _server) = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.lose_answers_to("COMMIT", 1);
    assert!(ask(&mut stream, "SELECT").await.is_ok());
    assert!(ask(&mut stream, "COMMIT").await.is_err());
    assert_eq!(proxy.answers_lost(), 1, "the server had answered");
    assert!(ask(&mut connect(&proxy).await, "COMMIT").await.is_ok());
}

#[tokio::test]
async fn it_leads_elsewhere_and_resets_who_wants_a_server_that_is_gone() {
    let (proxy, mut server) = echo().await;
    let (other, _other_server) = echo().await;
    server.shutdown().await;
    assert!(ask(&mut connect(&proxy).await, "hello").await.is_err());
    proxy.lead_to(Place::here(other.port()));
    assert!(ask(&mut connect(&proxy).await, "hello").await.is_ok());
}
