//! TLS to the record: who is believed, and how each refusal is told apart.

use std::fs;
use std::path::Path;

use nightlatch_core::{FailureClass, RecordStore};
use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::postgres::{PASSWORD, PostgresServer};

use crate::support::{open, options, soon};

/// Gives the server a certificate and takes its clients by `rules`.
fn speak_tls(server: &PostgresServer, (certificate, key): &(String, String), rules: &str) {
    server.put_file("server.pem", certificate);
    server.put_file("server.key", key);
    server.put_file("pg_hba.conf", rules);
    server.stop();
    server.start();
}

const TLS_ONLY: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\n";

/// Connects to 127.0.0.1 while it asks for `db.test`, as a name would resolve to it.
async fn probe(server: &PostgresServer, host: &str, parameters: &str) -> Result<(), FailureClass> {
    let port = server.port();
    let url = format!(
        "postgres://postgres:{PASSWORD}@{host}:{port}/postgres?hostaddr=127.0.0.1{parameters}"
    );
    let record = open(&options(&url));
    record.migrate(soon()).await.map(drop).map_err(|error| error.class())
}

fn root(path: &Path) -> String {
    format!("&sslrootcert={}", path.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_believes_whom_it_says() {
    let authority = Authority::new();
    let server = PostgresServer::launch_with(&[
        ("fsync", "off"),
        ("ssl_cert_file", "server.pem"),
        ("ssl_key_file", "server.key"),
    ]);
    let plain = probe(&server, "db.test", "&sslmode=require").await;
    assert_eq!(plain, Err(FailureClass::TlsNotSpoken));
    assert_eq!(probe(&server, "db.test", "&sslmode=prefer").await, Ok(()));

    server.configure(&[("ssl", "on")]);
    speak_tls(&server, &authority.issue("db.test", 2), TLS_ONLY);
    let (ours, strangers) =
        (root(&authority.path("ca.pem")), root(&authority.path("stranger.pem")));
    for (host, mode, roots, answer) in [
        ("db.test", "verify-full", &ours, Ok(())),
        ("db.test", "verify-full", &strangers, Err(FailureClass::TlsUntrusted)),
        ("db.test", "verify-full", &String::new(), Err(FailureClass::TlsUntrusted)),
        ("other.test", "verify-full", &ours, Err(FailureClass::TlsHostname)),
        ("other.test", "verify-ca", &ours, Ok(())),
        ("db.test", "verify-ca", &strangers, Err(FailureClass::TlsUntrusted)),
        ("db.test", "require", &strangers, Err(FailureClass::TlsUntrusted)),
        ("db.test", "require", &String::new(), Ok(())),
        ("db.test", "prefer", &String::new(), Ok(())),
        ("db.test", "disable", &String::new(), Err(FailureClass::TlsRequired)),
    ] {
        let asked = format!("&sslmode={mode}{roots}");
        assert_eq!(probe(&server, host, &asked).await, answer, "{host} {asked}");
    }

    let rules = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    server.put_file("ca.pem", &fs::read_to_string(authority.path("ca.pem")).expect("it is there"));
    server.configure(&[("ssl_ca_file", "ca.pem")]);
    speak_tls(&server, &authority.issue("db.test", 2), rules);
    let asked = format!("&sslmode=verify-full{ours}");
    assert_eq!(probe(&server, "db.test", &asked).await, Err(FailureClass::TlsClientCert));

    speak_tls(&server, &authority.issue("db.test", -1), TLS_ONLY);
    assert_eq!(probe(&server, "db.test", &asked).await, Err(FailureClass::TlsExpired));
}
