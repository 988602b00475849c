//! `examples/django`: an application that knows its people by `Remote-User`, behind the nginx that we ship.

use nightlatch_testkit::curl::Curl;
use nightlatch_testkit::gateway::{Gateway, Kind};
use nightlatch_testkit::process::{ServerProcess, free_port};
use nightlatch_testkit::server::NightlatchServer;
use serde_json::json;
use tempfile::TempDir;

use super::guide::{Guide, copied, start, with};
use crate::forward_auth::{APP, LOGIN, as_in_the_guide};
use crate::person::PASSWORD;

struct Stand {
    gateway: Gateway,
    server: NightlatchServer,
    _application: ServerProcess,
    _folder: TempDir,
}

impl Stand {
    async fn serve() -> Self {
        let folder = copied("django");
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let commands = &Guide::read("examples/django/README.md").blocks("sh")[0];
        let commands = with(commands, &[("127.0.0.1:3000", &address)]);
        let application = start(folder.path(), &commands, &[], port);
        let server = as_in_the_guide().ready().await;
        let gateway = Gateway::launch(Kind::Nginx, server.address().port(), port);
        Self { gateway, server, _application: application, _folder: folder }
    }

    async fn logged_in(&self, name: &str) -> Curl {
        let visitor = self.gateway.visitor();
        log_in(&visitor, name, PASSWORD).await;
        visitor
    }

    fn add(&self, name: &str, groups: &[&str]) {
        let done = self.server.command_given(&["user", "add", name], &format!("{PASSWORD}\n"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let _ = self.server.command(&[&["user", "set-groups", name], groups].concat());
    }
}

/// Logs somebody in at Nightlatch, through nginx.
pub(super) async fn log_in(visitor: &Curl, name: &str, password: &str) {
    let body = json!({ "username": name, "password": password }).to_string();
    let answer = visitor.send(&format!("{LOGIN}/api/v1/auth/login"), &["--json", &body]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_known_by_name_and_groups_and_have_a_row_each() {
    let stand = Stand::serve().await;
    stand.add("alice", &["staff", "night shift"]);
    stand.add("josé", &[]);
    let stranger = stand.gateway.visitor();
    let answer = stranger.visit(APP).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(answer.header("location").is_some_and(|to| to.starts_with(LOGIN)), "{answer:?}");
    let spoofed = stranger.send(APP, &["--header", "Remote-User: alice"]).await;
    assert_eq!(spoofed.status, 401, "{spoofed:?}");

    let alice = stand.logged_in("alice").await;
    for _ in 0..2 {
        assert_eq!(alice.visit(APP).await.text(), "user 1: alice (night shift, staff)\n");
    }
    assert_eq!(alice.visit(&format!("{APP}/staff/")).await.text(), "for the staff\n");
    let jose = stand.logged_in("josé").await;
    assert_eq!(jose.visit(APP).await.text(), "user 2: josé ()\n");
    assert_eq!(jose.visit(&format!("{APP}/staff/")).await.status, 403);

    // What is said of them at Nightlatch holds here at the next request.
    let _ = stand.server.command(&["user", "set-groups", "josé", "staff"]);
    let _ = stand.server.command(&["user", "disable", "alice"]);
    let jose = stand.logged_in("josé").await;
    assert_eq!(jose.visit(APP).await.text(), "user 2: josé (staff)\n");
    nightlatch_testkit::wait::wait_until("alice is nobody", crate::person::LIMIT, async || {
        alice.visit(APP).await.status == 302
    })
    .await;
}
