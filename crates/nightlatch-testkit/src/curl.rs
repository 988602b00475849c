//! curl as a browser: TLS, hosts by name, and a jar that keeps cookies as browsers do.

use std::fs;
use std::path::PathBuf;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tempfile::TempDir;
use tokio::process::Command;

use crate::client::Answer;

/// Seconds that an answer may take.
const ANSWER_LIMIT_S: &str = "60";

/// Somebody with a jar of cookies, for whom every host is on one port of 127.0.0.1.
pub struct Curl {
    port: u16,
    authority: PathBuf,
    folder: TempDir,
}

impl Curl {
    /// With an empty jar, who believes this authority.
    #[must_use]
    pub fn new(port: u16, authority: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        Self { port, authority, folder }
    }

    /// GET, as a person does.
    pub async fn visit(&self, url: &str) -> Answer {
        self.send(url, &["--header", "Accept: text/html,*/*;q=0.8"]).await
    }

    /// A request as curl's own arguments say; panics when there is no answer. Redirects are not followed.
    pub async fn send(&self, url: &str, arguments: &[&str]) -> Answer {
        let file = |name: &str| self.folder.path().join(name);
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", ANSWER_LIMIT_S, "--cacert"]);
        command.arg(&self.authority).arg("--connect-to").arg(format!("::127.0.0.1:{}", self.port));
        command.arg("--cookie").arg(file("jar")).arg("--cookie-jar").arg(file("jar"));
        command.arg("--dump-header").arg(file("head")).arg("--output").arg(file("body"));
        // No answer without a body leaves that of the one before.
        fs::write(file("body"), "").expect("our folder takes a file");
        let output = command.args(arguments).arg(url).kill_on_drop(true).output().await;
        let output = output.expect("curl is not installed: Debian package `curl`");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{url} {arguments:?}: {told}");
        let head = fs::read(file("head")).expect("curl has written it");
        let body = fs::read(file("body")).expect("curl has written it");
        let (status, headers) = parse(&String::from_utf8_lossy(&head));
        Answer { status, headers, body: body.into() }
    }

    /// The value of a cookie in the jar.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let jar = fs::read_to_string(self.folder.path().join("jar")).ok()?;
        let mut fields = jar.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        fields
            .find(|fields| fields.len() == 7 && fields[5] == name)
            .map(|fields| fields[6].to_owned())
    }
}

/// Status and headers of the last answer.
fn parse(head: &str) -> (u16, HeaderMap) {
    let last = head.trim_end().rsplit("\r\n\r\n").next().unwrap_or_default();
    let mut lines = last.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    });
    (status.expect("an answer has a status"), headers.collect())
}
