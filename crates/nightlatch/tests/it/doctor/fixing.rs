//! `--fix`: the corrected line is written, the file as it was is kept, and nothing is weakened.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::redis::RedisServer;

use super::{Verdict, doctor, doctor_in, run};

mod auth_service;
mod database;
mod env;

/// Writes what can be written, and returns the file as it is then, and what is wrong with it.
fn fixed(topic: &str, text: &str) -> (String, Verdict) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(".env");
    fs::write(&path, text).expect("our folder takes a file");
    let found = doctor_in(folder.path(), &[topic, "--env-file", ".env", "--fix"]);
    let after = fs::read_to_string(&path).expect("it is there");
    let copy = folder.path().join(".env.bak-1");
    assert_eq!(copy.exists(), after != text, "a copy, if anything was written: {after}");
    if let Ok(kept) = fs::read_to_string(&copy) {
        let mode = fs::metadata(&copy).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((kept.as_str(), mode), (text, 0o600));
    }
    (after, found)
}

/// What a password holds that needs encoding.
const PASSWORD: &str = "sesame/1@#%";

#[test]
fn a_wrong_password_is_replaced_by_the_one_that_works_and_the_file_is_kept() {
    let redis = RedisServer::launch_with(&[("requirepass", PASSWORD)]);
    let port = redis.port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(".env");
    let text = format!(
        "# kept\nREDIS_URL=\"redis://127.0.0.1:{port}/0\" # why\nREDIS_PASSWORD='{PASSWORD}'\nA=b\n"
    );
    fs::write(&file, &text).expect("our folder takes a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    let found = doctor_in(folder.path(), &["redis", "--env-file", ".env"]);
    assert!(found.wrong().contains(&"redis-auth-required"), "{:?}", found.findings);
    let finding = found.find("redis-auth-required");
    let why = finding["why"].as_str().expect("a text");
    assert!(why.contains("it works with the password of REDIS_PASSWORD"), "{why}");
    let fix = format!("REDIS_URL=redis://:PASSWORD@127.0.0.1:{port}/0");
    assert_eq!((finding["fix"].as_str(), &finding["line"]), (Some(&*fix), &2.into()));
    assert_eq!(fs::read_to_string(&file).expect("it is there"), text, "nothing is changed unasked");

    let output = run(folder.path(), &["redis", "--env-file", ".env", "--fix"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(".env:2: REDIS_URL is corrected"), "{told}");
    let corrected = format!(
        "# kept\nREDIS_URL=\"redis://:sesame%2F1%40%23%25@127.0.0.1:{port}/0\" # why\n\
         REDIS_PASSWORD='{PASSWORD}'\nA=b\n"
    );
    assert_eq!(fs::read_to_string(&file).expect("it is there"), corrected);
    let copy = folder.path().join(".env.bak-1");
    assert_eq!(fs::read_to_string(&copy).expect("it was made"), text);
    let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&copy), mode(&file)), (0o600, 0o640));
    let found = doctor_in(folder.path(), &["redis", "--env-file", ".env"]);
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:?}", found.findings);
}

/// Where host and password stand apart, a line is missing.
#[test]
fn a_setting_beside_the_host_that_is_missing_is_added() {
    let authority = Authority::new();
    let redis = RedisServer::launch_with(&[("requirepass", PASSWORD)]);
    let tls = RedisServer::launch_tls(&authority, ("localhost", 2), &[("tls-auth-clients", "no")]);
    let ours = "SESSION_SECRET_KEY=0123456789-sesame-0123456789-abcdef\n";
    let apart = format!("REDIS_HOST=127.0.0.1\nREDIS_PORT={}\n", redis.port());
    let encoded = "sesame%2F1%40%23%25";
    let beside = format!("REDIS_CACHE_URL=redis://:{encoded}@127.0.0.1:{}/1\n", redis.port());
    let text = format!("{ours}{apart}{beside}");
    let (written, found) = fixed("redis", &text);
    // A # behind a value, and what stands there as it is.
    assert_eq!(written, format!("{text}REDIS_PASSWORD={PASSWORD}\n"), "{:#?}", found.findings);
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    // What another program calls it nobody knows: it is shown.
    let others = format!("{apart}{beside}");
    let (written, found) = fixed("redis", &others);
    assert_eq!((written, found.code), (others, Some(1)));
    assert_eq!(found.find("redis-auth-required")["fix"], "REDIS_PASSWORD=PASSWORD");

    let text = format!("{ours}REDIS_HOST=localhost\nREDIS_PORT={}\n", tls.port());
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(".env"), &text).expect("our folder takes a file");
    let trusted = authority.path("ca.pem").display().to_string();
    let launch = crate::record::launch().set("SSL_CERT_FILE", &trusted);
    let arguments = ["doctor", "redis", "--env-file", ".env", "--fix"];
    let output = launch.command(folder.path(), &arguments).output().expect("it runs");
    let written = fs::read_to_string(folder.path().join(".env")).expect("it is there");
    assert_eq!(written, format!("{text}REDIS_TLS=true\n"), "{output:?}");
}

/// By the names of the Django command that people know.
#[test]
fn what_the_django_command_was_called_works_as_well() {
    let redis = RedisServer::launch_with(&[("requirepass", "sesame")]);
    for name in ["test-redis", "test_redis"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = format!("REDIS_URL=redis://sesame@127.0.0.1:{}/0\n", redis.port());
        fs::write(folder.path().join(".env"), text).expect("our folder takes a file");
        let mut command = crate::record::launch()
            .command(folder.path(), &[name, "--fix-auth", "--env-file", ".env"]);
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !said.contains("sesame"), "{said}");
        let written = fs::read_to_string(folder.path().join(".env")).expect("it is there");
        assert_eq!(written, format!("REDIS_URL=redis://:sesame@127.0.0.1:{}/0\n", redis.port()));
    }
}

/// It would work without TLS, without verification, or without the password.
#[test]
fn nothing_is_weakened() {
    let plain = RedisServer::launch();
    let authority = Authority::new();
    let tls = RedisServer::launch_tls(&authority, ("other.test", 2), &[("tls-auth-clients", "no")]);
    for (url, id) in [
        (format!("rediss://127.0.0.1:{}/0", plain.port()), "redis-tls-not-spoken"),
        (format!("rediss://localhost:{}/0", tls.port()), "redis-tls-untrusted"),
        (format!("redis://:sesame@127.0.0.1:{}/0", plain.port()), "redis-password-not-needed"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = format!("REDIS_URL={url}\n");
        fs::write(folder.path().join(".env"), &text).expect("our folder takes a file");
        let found = doctor_in(folder.path(), &["redis", "--env-file", ".env", "--fix"]);
        found.find(id);
        let after = fs::read_to_string(folder.path().join(".env")).expect("it is there");
        assert_eq!(after, text, "{id}");
        assert_eq!(fs::read_dir(folder.path()).expect("ours").count(), 1, "{id}");
    }
}

/// Redis keeps the refused logins in its ACL log, so each password that came would be there.
#[test]
fn a_password_is_sent_nowhere_but_where_its_setting_leads() {
    const RIGHT: &str = "sesame-of-the-right-one";
    let asked = RedisServer::launch_with(&[("requirepass", RIGHT)]);
    let other = RedisServer::launch_with(&[("requirepass", "sesame-of-another")]);
    let (port, elsewhere) = (asked.port(), other.port());
    for beside in [
        format!("REDIS_CACHE_URL=redis://:sesame-b@127.0.0.1:{elsewhere}/1"),
        format!("REDIS_CACHE_URL=redis://:sesame-b@localhost:{port}/1"),
        format!("REDIS_CACHE_URL=rediss://:sesame-b@127.0.0.1:{port}/1"),
        format!("REDIS_HOST=127.0.0.1\nREDIS_PORT={elsewhere}\nREDIS_PASSWORD=sesame-b"),
        format!("REDIS_CHANNELS_URL=redis://:sesame/@127.0.0.1:{port}/x@127.0.0.1:{elsewhere}/0"),
    ] {
        asked.tell(&["--no-auth-warning", "-a", RIGHT, "ACL", "LOG", "RESET"]);
        let found = doctor("redis", &format!("REDIS_URL=redis://127.0.0.1:{port}/0\n{beside}\n"));
        found.find("redis-auth-required");
        // By its other name the second one leads to the same server, with what is its own.
        let log = asked.ask(&["--no-auth-warning", "-a", RIGHT, "ACL", "LOG"]);
        let is_its_own = beside.contains("localhost");
        assert_eq!(log.matches("auth").count() > 0, is_its_own, "{beside}: {log}");
    }
    // A password of its own, which stands apart, is for REDIS_URL.
    let text = format!("REDIS_URL=redis://127.0.0.1:{port}/0\nREDIS_PASSWORD={RIGHT}\n");
    let why = doctor("redis", &text).find("redis-auth-required")["why"].clone();
    assert!(
        why.as_str().is_some_and(|why| why.contains("the password of REDIS_PASSWORD")),
        "{why}"
    );
}
