//! TLS to the service, through a real nginx: whom we believe, and what is told when we do not.

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::nginx::Nginx;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{delegating_to, knowing_alice, log_in};

fn before(port: u16, authority: &Authority, (host, days): (&str, i32)) -> Nginx {
    let (certificate, key) = authority.issue(host, days);
    Nginx::in_front_of(port, &certificate, &key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_believed_and_nobody_else_is() {
    let service = knowing_alice().await;
    let authority = Authority::new();
    let ca = authority.path("ca.pem");
    let stranger = authority.path("stranger.pem");
    let good = before(service.port(), &authority, ("localhost", 2));
    let expired = before(service.port(), &authority, ("localhost", -1));
    let other = before(service.port(), &authority, ("elsewhere.example", 2));
    let plain = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let plain_port = plain.local_addr().expect("it is bound").port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        // As servers of HTTP do when they are spoken to in TLS.
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for (what, port, ca, status, class) in [
        ("good", good.port(), &ca, 200, ""),
        ("a stranger", good.port(), &stranger, 502, "tls_untrusted"),
        ("expired", expired.port(), &ca, 502, "tls_expired"),
        ("another host", other.port(), &ca, 502, "tls_hostname"),
        ("no TLS there", plain_port, &ca, 502, "tls_not_spoken"),
    ] {
        let server = delegating_to(&format!("https://localhost:{port}"))
            .set("AUTH_SERVICE_CA_FILE", ca.to_str().expect("a plain path"))
            .ready()
            .await;
        let answer = log_in(&server).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        if status != 200 {
            assert_eq!(answer.code(), "upstream_tls", "{what}");
            assert_eq!(answer.json()["debug_info"]["connectivity"], class, "{what}");
            let health = server.client().get("/health").await.json();
            assert_eq!(health["auth_service"], format!("error: {class}"), "{what}");
        }
    }
    assert_eq!(service.logins().len(), 1, "a password goes only to whom we believe");
}
