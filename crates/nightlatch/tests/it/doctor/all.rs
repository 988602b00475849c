//! `doctor` as a whole, and as the health check of a container: it fails when logins do.

use std::fs;

use nightlatch_testkit::process::free_port;

use super::doctor_in;
use crate::record::launch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_serves_is_well_even_without_its_redis() {
    let mut server = launch().ready().await;
    let url = server.origin();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["--url", url.as_str(), "--env-file", ".env"];
    let write = |text: &str| fs::write(folder.path().join(".env"), text).expect("our folder");
    write("LOG_LEVEL=info\n");
    let found = doctor_in(folder.path(), &arguments);
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    found.find("server-healthy");
    found.find("redis-none");

    let redis = format!("REDIS_URL=redis://127.0.0.1:{}/0\n", free_port());
    write(&format!("SESSION_SECRET_KEY=0123456789abcdef0123456789abcdef\n{redis}"));
    let found = doctor_in(folder.path(), &arguments);
    assert_eq!((found.wrong(), found.code), (vec!["redis-unreachable"], Some(0)));
    let found = doctor_in(folder.path(), &["redis", "--env-file", ".env"]);
    assert_eq!((found.wrong(), found.code), (vec!["redis-unreachable"], Some(1)));

    write("LOG_LEVEL=info\n");
    server.kill_9();
    let found = doctor_in(folder.path(), &arguments);
    assert_eq!((found.wrong(), found.code), (vec!["server-unreachable"], Some(1)));
}

#[test]
fn wrong_usage_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [
        &["doctor", "everything"][..],
        &["doctor", "session", "--url", "localhost"],
        &["doctor", "session", "--url", "http://localhost/path"],
    ] {
        let output = launch().command(folder.path(), arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}
