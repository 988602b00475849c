//! `nightlatch drill`: what it shows, what it refuses, and that nothing is left of it.

mod mutant;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nightlatch_testkit::browser::{Browser, Scripts};
use nightlatch_testkit::postgres::{self, PostgresServer};
use nightlatch_testkit::process::{ServerProcess, free_port};
use nightlatch_testkit::redis::RedisServer;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::person::{LIMIT, PASSWORD};
use crate::record::launch;

const BINARY: &str = env!("CARGO_BIN_EXE_nightlatch");

/// Runs a drill of `binary` in a folder of its own, where its private set-up lies, too.
fn drill_by(binary: &Path, folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(binary);
    command.arg("drill").args(arguments).current_dir(folder);
    command.env("TMPDIR", folder).env("DATABASE_PASSWORD", postgres::PASSWORD);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Who asks for nothing may have ended before.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it is our child")
}

fn drill(folder: &Path, arguments: &[&str]) -> Output {
    drill_by(Path::new(BINARY), folder, arguments, "")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("the temporary folder takes a folder")
}

/// What a drill prints with `--json`, when it ended with this code.
fn told(output: &Output, code: i32) -> Value {
    let err = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// What a drill says when it is not held.
fn refusal(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{err}");
    err
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_of_its_own_servers_keeps_every_promise_and_shows_it() {
    const FAULTS: [&str; 5] =
        ["redis-refuses", "redis-flushed", "redis-stale", "file-locked", "server-stopped"];
    let folder = folder();
    let mut arguments = vec!["--seconds", "3", "--json", "--report", "drill.html"];
    arguments.extend(FAULTS.iter().flat_map(|fault| ["--fault", fault]));
    let output = drill(folder.path(), &arguments);
    let report = told(&output, 0);
    assert_eq!(report["kept"], true);
    let shown: Vec<&str> = report["faults"]
        .as_array()
        .expect("a list of faults")
        .iter()
        .map(|fault| fault["fault"].as_str().expect("a name"))
        .collect();
    assert_eq!(shown, FAULTS);
    for fault in report["faults"].as_array().expect("a list of faults") {
        assert!(fault["requests"].as_u64() > Some(100), "{fault}");
        assert_eq!((&fault["lost"], &fault["resurrected"]), (&Value::from(0), &Value::from(0)));
        assert!(fault["recovery_ms"].is_u64(), "{fault}");
    }
    let of = |name: &str| {
        let mut faults = report["faults"].as_array().expect("a list of faults").iter();
        faults.find(|fault| fault["fault"] == name).expect("it was shown")
    };
    assert_eq!(of("redis-refuses")["failures"], 0, "nobody notices");
    // How it failed at first is told, too: connections that were there were closed.
    let classes = of("redis-refuses")["health"].as_array().expect("a list of classes");
    assert!(classes.iter().any(|class| class == "unreachable"), "{classes:?}");
    assert!(classes.iter().all(|it| it == "unreachable" || it == "closed"), "{classes:?}");
    assert!(of("file-locked")["failures"].as_u64() > Some(0), "logins are told 503");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(err.lines().count(), 1 + FAULTS.len(), "a line for each fault:\n{err}");

    let page = fs::read_to_string(folder.path().join("drill.html")).expect("it was written");
    assert_eq!(page.matches("<svg class=\"picture\"").count(), 2 * FAULTS.len());
    for outside in ["<script", "src=", "http://", "https://", "url("] {
        assert!(!page.contains(outside), "the page needs {outside}");
    }
    assert_no_secret(&page);
    assert_no_secret(&String::from_utf8_lossy(&output.stdout));
    let left: Vec<_> = fs::read_dir(folder.path()).expect("our folder").flatten().collect();
    assert_eq!(left.len(), 1, "nothing is left but the report: {left:?}");

    let browser = Browser::launch(Scripts::Off).await;
    browser.open(&format!("file://{}", folder.path().join("drill.html").display())).await;
    assert!(browser.text().await.contains("Every promise was kept under 5 faults"));
    browser.close().await;
}

/// All secrets of a drill are long hexadecimal numbers, or tokens that are longer.
fn assert_no_secret(text: &str) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words = text.split(|c| !is_word(c));
    let mut suspect = words.filter(|word| {
        word.len() >= 32 && word.bytes().any(|b| b.is_ascii_digit()) && !word.contains("--")
    });
    assert_eq!(suspect.next(), None);
}

#[test]
fn a_list_tells_what_people_must_see() {
    let folder = folder();
    let output = drill(folder.path(), &["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(list.lines().any(|line| line.starts_with("redis-silent") && line.contains("Nobody")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_taken_if_it_holds_no_record_but_one_of_a_drill() {
    let folder = folder();
    let postgres = PostgresServer::shared();
    let lived_in = postgres.create_database();
    let server = launch().set("DATABASE_URL", &postgres.url(&lived_in)).ready().await;
    drop(server);
    let url =
        |database: &str| format!("postgres://postgres@127.0.0.1:{}/{database}", postgres.port());
    let refused =
        |url: &str| refusal(&drill(folder.path(), &["--no-redis", "--database-url", url]));
    let refusals = [refused(&url(&lived_in)), refused(&postgres.url(&lived_in))];
    assert!(refusals[0].contains("holds a record, in the schema nightlatch:"), "{refusals:?}");
    assert!(refusals[1].contains("the URL holds a password"), "{refusals:?}");

    let empty = url(&postgres.create_database());
    let faults = ["--fault", "database-silent", "--fault", "database-refuses"];
    // The second time there is the record of the first.
    for fault in faults.chunks(2) {
        let arguments =
            [&["--no-redis", "--seconds", "3", "--json", "--database-url", &empty], fault];
        let report = told(&drill(folder.path(), &arguments.concat()), 0);
        assert!(report["faults"][0]["failures"].as_u64() > Some(0), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staging_system_is_taken_through_the_proxies_once_somebody_says_that_it_is_none_of_production()
 {
    let folder = folder();
    let redis = RedisServer::launch();
    let port = free_port();
    let server = launch().set("REDIS_URL", &format!("redis://127.0.0.1:{port}")).ready().await;
    let _ = server.command_given(&["user", "add", "ada"], PASSWORD);
    fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).expect("our folder");
    let proxy = format!("127.0.0.1:{port}=127.0.0.1:{}", redis.port());
    let origin = server.origin();
    let mut arguments = vec!["--url", &origin, "--user", "ada", "--password-file", "password"];
    let unsure = refusal(&drill(folder.path(), &arguments));
    assert!(unsure.contains("--i-know-this-is-not-production"), "{unsure}");

    arguments.extend(["--i-know-this-is-not-production", "--redis-proxy", &proxy]);
    arguments.extend(["--fault", "redis-silent", "--fault", "server-killed"]);
    arguments.extend(["--seconds", "2", "--json"]);
    let report = told(&drill(folder.path(), &arguments), 0);
    let shown = report["faults"].as_array().expect("a list of faults");
    assert_eq!((shown.len(), &shown[0]["failures"]), (1, &Value::from(0)), "{report}");
    assert_eq!(shown[0]["health"], serde_json::json!(["timeout"]), "its Redis was silent");
    assert_eq!(report["left_out"][0]["fault"], "server-killed");
}

#[test]
fn who_is_interrupted_leaves_nothing_behind() {
    let folder = folder();
    let mut command = Command::new("env");
    command.arg("-i").arg(format!("TMPDIR={}", folder.path().display())).arg("PATH=/usr/bin:/bin");
    command.args([BINARY, "drill", "--fault", "redis-killed", "--seconds", "600"]);
    command.current_dir(folder.path());
    let mut wrapped = Command::new("setpriv");
    wrapped.arg("--").arg("env").args(command.get_args()).current_dir(folder.path());
    let process = ServerProcess::spawn(wrapped);
    // Said when all of it runs.
    process.wait_for_line("With a private set-up", LIMIT).expect("the drill begins");
    let children = children_of(process.pid());
    assert_eq!(children.len(), 3, "two servers and a Redis: {children:?}");
    process.signal(Signal::INT);
    let exit = process.exit_within(Duration::from_secs(20)).expect("it ends");
    assert_eq!(exit.code(), Some(2), "{}", process.log());
    assert!(process.log().contains("interrupted"), "{}", process.log());
    for child in children {
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "{child} lives on");
    }
    let left = fs::read_dir(folder.path()).expect("our folder").count();
    assert_eq!(left, 0, "its folder is gone");
}

fn children_of(parent: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned());
        let of = after_name.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        of == Some(parent)
    };
    pids.filter(is_child).collect()
}
