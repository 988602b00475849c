//! The service of systemd, by systemd's own judge, and the settings that come with it.

use std::fs;
use std::process::Command;

use nightlatch_testkit::installed::assert_installed;
use nightlatch_testkit::process::{free_port, run};
use nightlatch_testkit::shipped::Shipped;

use crate::record::launch;

/// Of 10, which is a service without any restriction; what systemd calls OK begins below 5.
const EXPOSURE_TENTHS_MAX: &str = "20";

/// A folder with the unit, for a program and user that are there.
fn unit() -> tempfile::TempDir {
    assert_installed(Command::new("systemd-analyze").arg("--version"), "systemd");
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let unit = Shipped::read("systemd/nightlatch.service")
        .with(&[("/usr/bin/nightlatch", env!("CARGO_BIN_EXE_nightlatch").to_owned())]);
    fs::write(folder.path().join("nightlatch.service"), unit).expect("our folder takes a file");
    folder
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let folder = unit();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]);
    let output = verify.arg(folder.path().join("nightlatch.service")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("nightlatch.service")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_service_may_do_little() {
    let folder = unit();
    let mut judge = Command::new("systemd-analyze");
    judge.args(["security", "--offline=true", "--no-pager"]);
    judge.arg(format!("--threshold={EXPOSURE_TENTHS_MAX}"));
    let said = run(judge.arg(folder.path().join("nightlatch.service")));
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_with_the_shipped_settings_and_its_secret() {
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let port = free_port();
    let database = folder.path().join("nightlatch.db").display().to_string();
    let settings = Shipped::read("systemd/nightlatch.env").with(&[
        ("127.0.0.1:8080", format!("127.0.0.1:{port}")),
        ("/var/lib/nightlatch/nightlatch.db", database),
    ]);
    let secret = folder.path().join("session_secret_key");
    fs::write(&secret, "5c4f3e2d1b0a99887766554433221100ffeeddccbbaa998877665544332211aa\n")
        .expect("our folder takes a file");
    // As systemd does it: the lines of the file are the environment.
    let lines = settings.lines().filter(|line| !line.starts_with('#'));
    let service = lines
        .filter_map(|line| line.split_once('='))
        .fold(launch(), |launch, (n, v)| launch.set(n, v));
    let service = service.set("SESSION_SECRET_KEY_FILE", &secret.display().to_string());
    let mut server = service.set("NIGHTLATCH_METRICS_LISTEN", "127.0.0.1:0").ready().await;
    assert_eq!(server.command(&["health"]), "ready\n");
    let doctor = server.command(&["doctor", "--json"]);
    assert!(doctor.contains("\"summary\""), "{doctor}");
    let warnings = server.log();
    let warnings: Vec<_> = warnings.lines().filter(|line| line.contains("\"WARN\"")).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
    server.kill_9();
    let away = server.command_given(&["health"], "");
    assert_eq!(away.status.code(), Some(1));
    let said = String::from_utf8_lossy(&away.stderr);
    assert!(said.contains("nobody listens there"), "{said}");
}
