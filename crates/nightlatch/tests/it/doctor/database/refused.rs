//! A PostgreSQL that lets nobody in, somebody else in its place, and nobody at all.

use std::fs;

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;

use super::{assert_wrong, fix, why};
use crate::record::launch;

#[test]
fn who_may_not_log_in_is_told_why() {
    let server = PostgresServer::launch();
    let sql =
        "CREATE ROLE app LOGIN PASSWORD 'sesame 1'; CREATE ROLE idle NOLOGIN PASSWORD 'sesame'";
    server.sql("postgres", sql);
    let url = |user: &str, password: &str, database: &str| server.url_as(user, password, database);
    let found = assert_wrong(&url("app", "sesame-no", "postgres"), &["database-auth-failed"]);
    let line = format!("DATABASE_URL=postgres://app:PASSWORD@127.0.0.1:{}/postgres", server.port());
    assert_eq!(fix(&found, "database-auth-failed"), line);
    assert_wrong(&url("nobody", "sesame-no", "postgres"), &["database-auth-failed"]);
    let bare = format!("postgres://app@127.0.0.1:{}/postgres", server.port());
    let found = assert_wrong(&bare, &["database-auth-required"]);
    let line = format!("DATABASE_URL=postgres://app:PASSWORD@127.0.0.1:{}/postgres", server.port());
    assert_eq!(fix(&found, "database-auth-required"), line);
    // Where the user belongs: none of it is shown.
    for password in ["Sesame%2F1", "sesame-0815"] {
        let bare = format!("postgres://{password}@127.0.0.1:{}/postgres", server.port());
        assert_wrong(&bare, &["database-auth-required"]);
    }
    for (password, how) in [
        ("sesame%25201", "decoded once more"),
        ("%22sesame%201%22", "without the quotes"),
        ("sesame%201%0A", "without the blanks"),
    ] {
        let found = assert_wrong(&url("app", password, "postgres"), &["database-auth-failed"]);
        let told = why(&found, "database-auth-failed");
        assert!(told.contains("Tried: it works with") || told.contains(how), "{told}");
        assert!(told.contains(how), "{told}");
    }
    let found = assert_wrong(&url("idle", "sesame", "postgres"), &["database-no-role"]);
    assert_eq!(fix(&found, "database-no-role"), "ALTER ROLE idle LOGIN;");
    let found = assert_wrong(&url("app", "sesame%201", "shop"), &["database-missing"]);
    assert_eq!(fix(&found, "database-missing"), "CREATE DATABASE shop OWNER app;");
    server.sql("postgres", fix(&found, "database-missing"));
    assert_wrong(&url("app", "sesame%201", "shop"), &[]);

    // One name is near, and the role is let in there.
    let found = assert_wrong(&url("app", "sesame%201", "Shpo"), &["database-missing"]);
    let told = why(&found, "database-missing");
    let said =
        "does not have; shop is there, and may be meant. Tried: it works with the database shop";
    assert!(told.contains(said), "{told}");
    let line = format!("DATABASE_URL=postgres://app:PASSWORD@127.0.0.1:{}/shop", server.port());
    assert_eq!(fix(&found, "database-missing"), line);
    // Of two, either may be meant; where it is not let in, nobody meant it.
    server.sql("postgres", "CREATE DATABASE shops");
    let found = assert_wrong(&url("app", "sesame%201", "shopp"), &["database-missing"]);
    assert_eq!(fix(&found, "database-missing"), "CREATE DATABASE shopp OWNER app;");
    server.sql("postgres", "REVOKE CONNECT ON DATABASE shops FROM PUBLIC");
    let found = assert_wrong(&url("app", "sesame%201", "shopp"), &["database-missing"]);
    assert_eq!(fix(&found, "database-missing"), line);

    server.put_file("pg_hba.conf", "host all postgres 127.0.0.1/32 scram-sha-256\n");
    server.reload();
    let bare = format!("postgres://sesame-0815@127.0.0.1:{}/shop", server.port());
    assert_wrong(&bare, &["database-no-access-rule"]);
    assert_wrong(&url("app", "sesame%201", "shop"), &["database-no-access-rule"]);
    server.put_file("pg_hba.conf", "host all all 127.0.0.1/32 trust\n");
    server.reload();
    assert_wrong(&url("ghost", "sesame", "shop"), &["database-no-role"]);
}

#[test]
fn tls_is_told_apart_in_all_its_ways() {
    let authority = Authority::new();
    let server = PostgresServer::launch_with(&[
        ("ssl_cert_file", "server.pem"),
        ("ssl_key_file", "server.key"),
    ]);
    server.sql("postgres", "CREATE ROLE app SUPERUSER LOGIN PASSWORD 'sesame-1'");
    let url = |parameters: &str| {
        let port = server.port();
        let at = format!("db.test:{port}/postgres?hostaddr=127.0.0.1");
        format!("postgres://app:sesame-1@{at}{parameters}")
    };
    assert_wrong(&url("&sslmode=require"), &["database-tls-not-spoken"]);
    server.configure(&[("ssl", "on")]);
    let speak = |host: &str, days: i32, rules: &str| {
        let (certificate, key) = authority.issue(host, days);
        server.put_file("server.pem", &certificate);
        server.put_file("server.key", &key);
        server.put_file("pg_hba.conf", rules);
        server.stop();
        server.start();
    };
    let rules = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
    speak("db.test", 2, rules);
    let (ours, strangers) = (authority.path("ca.pem"), authority.path("stranger.pem"));
    let full = |ca: &std::path::Path| format!("&sslmode=verify-full&sslrootcert={}", ca.display());
    assert_wrong(&url(&full(&ours)), &[]);
    assert_wrong(&url(&full(&strangers)), &["database-tls-untrusted"]);
    let found = assert_wrong(&url("&sslmode=disable"), &["database-tls-required"]);
    assert!(why(&found, "database-tls-required").contains("answers with sslmode=require"));
    speak("other.test", 2, rules);
    assert_wrong(&url(&full(&ours)), &["database-tls-hostname"]);
    speak("db.test", -1, rules);
    assert_wrong(&url(&full(&ours)), &["database-tls-expired"]);
    let pem = fs::read_to_string(&ours).expect("it is there");
    server.put_file("ca.pem", &pem);
    server.configure(&[("ssl_ca_file", "ca.pem")]);
    let rules = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    speak("db.test", 2, rules);
    assert_wrong(&url(&full(&ours)), &["database-tls-client-cert"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_somebody_else_and_silence_are_told_apart() {
    let url = |port: u16| format!("postgres://app:sesame@127.0.0.1:{port}/db");
    assert_wrong(&url(free_port()), &["database-unreachable"]);
    assert_wrong("postgres://app:sesame@nowhere.invalid/db", &["database-dns"]);
    let server = PostgresServer::launch();
    server.pause();
    assert_wrong(&url(server.port()), &["database-hangs"]);
    server.resume();
    let redis = RedisServer::launch_with(&[("requirepass", "sesame")]);
    let found = assert_wrong(&url(redis.port()), &["database-wrong-service"]);
    assert!(why(&found, "database-wrong-service").contains("where Redis answers"));
    let web = launch().ready().await;
    let found = assert_wrong(&url(web.address().port()), &["database-wrong-service"]);
    assert!(why(&found, "database-wrong-service").contains("a web server"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().display().to_string().replace('/', "%2F");
    assert_wrong(&format!("postgres://app:sesame@{socket}/db"), &["database-unreachable"]);
}
