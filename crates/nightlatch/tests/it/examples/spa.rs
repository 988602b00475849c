//! `examples/spa`: a page on another origin, in a browser, before the real server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nightlatch_testkit::browser::{Browser, Scripts};
use nightlatch_testkit::process::ServerProcess;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use tempfile::TempDir;

use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::launch;

/// How long Python may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A web server for the files of the example, which know where Nightlatch is.
struct Site {
    _process: ServerProcess,
    port: u16,
    folder: TempDir,
}

impl Site {
    fn serve() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let mut command = Command::new("setpriv");
        command.args(["--", "/usr/bin/python3", "-u", "-m", "http.server", "0"]);
        command.args(["--bind", "127.0.0.1", "--directory"]).arg(folder.path());
        let process = ServerProcess::spawn(command);
        let port = process.wait_for_log(START_LIMIT, |line| {
            let (_, rest) = line.split_once(" port ")?;
            rest.split(' ').next()?.parse().ok()
        });
        let port = port.unwrap_or_else(|log| panic!("no web server: {log}"));
        Self { _process: process, port, folder }
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The example's files, changed as its README says.
    fn point_at(&self, server: &NightlatchServer) {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/spa");
        let read = |name: &str| {
            let path: PathBuf = example.join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let (page, default) = (read("index.html"), "http://127.0.0.1:8080");
        assert_eq!(page.matches(default).count(), 1, "{page}");
        let page = page.replace(default, &server.origin());
        for (name, text) in [("index.html", page), ("app.js", read("app.js"))] {
            fs::write(self.folder.path().join(name), text).expect("our folder takes a file");
        }
    }
}

async fn wait_for(browser: &Browser, words: &str) {
    wait_until(words, LIMIT, async || browser.text().await.contains(words)).await;
}

async fn click(browser: &Browser, selector: &str) {
    browser.find(selector).await.click().await.expect("it can be pressed");
}

async fn log_in(browser: &Browser, password: &str) {
    browser.fill("username", "alice").await;
    browser.fill("password", password).await;
    click(browser, "#login button").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_logs_in_stays_in_and_learns_of_the_end() {
    let site = Site::serve();
    let server = launch().set("ALLOWED_ORIGINS", &site.origin()).ready().await;
    site.point_at(&server);
    let mut alice = Person::registered(&server, "alice").await;
    let browser = Browser::launch(Scripts::On).await;
    browser.open(&site.origin()).await;
    wait_for(&browser, "Log in").await;
    log_in(&browser, "not her password").await;
    wait_for(&browser, "The name or the password is wrong.").await;
    log_in(&browser, PASSWORD).await;
    wait_for(&browser, "Hello, alice.").await;
    browser.reload().await;
    wait_for(&browser, "Hello, alice.").await;

    // Elsewhere.
    alice.log_in().await;
    assert_eq!(alice.revoke("/api/v1/sessions").await.status, 200);
    wait_for(&browser, "Your session has ended.").await;

    log_in(&browser, PASSWORD).await;
    wait_for(&browser, "Hello, alice.").await;
    click(&browser, "#logout").await;
    wait_for(&browser, "You are logged out.").await;
    browser.reload().await;
    wait_for(&browser, "Log in").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_no_logout_on_the_page() {
    let site = Site::serve();
    let mut server = launch()
        .set("ALLOWED_ORIGINS", &site.origin())
        // Chosen beforehand, so that it is the same after the outage.
        .set(
            "NIGHTLATCH_LISTEN",
            &format!("127.0.0.1:{}", nightlatch_testkit::process::free_port()),
        )
        .ready()
        .await;
    site.point_at(&server);
    let _ = Person::registered(&server, "alice").await;
    let browser = Browser::launch(Scripts::On).await;
    browser.open(&site.origin()).await;
    wait_for(&browser, "Log in").await;
    log_in(&browser, PASSWORD).await;
    wait_for(&browser, "Hello, alice.").await;
    server.kill_9();
    wait_for(&browser, "You stay logged in.").await;
    assert!(browser.text().await.contains("Hello, alice."));
    server.start_again();
    server.wait_until_ready().await;
    wait_until("it is looked up again", LIMIT, async || {
        let text = browser.text().await;
        text.contains("Hello, alice.") && !text.contains("You stay logged in.")
    })
    .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_nobody_has_named_reads_nothing() {
    let site = Site::serve();
    let server = launch().set("ALLOWED_ORIGINS", "http://127.0.0.1:1").ready().await;
    site.point_at(&server);
    let _ = Person::registered(&server, "alice").await;
    let browser = Browser::launch(Scripts::On).await;
    browser.open(&site.origin()).await;
    wait_for(&browser, "It cannot be looked up just now").await;
    assert!(!browser.text().await.contains("Hello"));
    browser.close().await;
}
