//! Backups that come back: what is in them, what is not, and who says so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nightlatch_testkit::postgres::{PASSWORD, PostgresServer};
use nightlatch_testkit::process::run;
use nightlatch_testkit::server::NightlatchServer;

use crate::person::{Person, SESSION};
use crate::record::launch;

/// Who logged out after the backup is in again, which the server says until somebody has dealt with it.
async fn deals_with_the_restore(server: &mut NightlatchServer, alice: &mut Person) {
    alice.client.move_to(server.address());
    assert_eq!(alice.session().await.status, 200, "the logout is not in it");
    let told = |server: &NightlatchServer| server.log().matches("record.restored").count();
    let log = server.log();
    assert_eq!(told(server), 1, "{log}");
    assert!(log.contains("nightlatch session revoke --all"), "{log}");
    assert_eq!(server.terminate(), Some(0));
    server.start_again();
    assert_eq!(told(server), 2, "it says so at every start");
    server.wait_until_ready().await;

    let ended = server.command(&["session", "revoke", "--all"]);
    assert!(ended.starts_with("ended "), "{ended}");
    alice.client.move_to(server.address());
    alice.is_logged_out_within_s().await;
    assert_eq!(server.terminate(), Some(0));
    server.start_again();
    server.wait_until_ready().await;
    assert_eq!(told(server), 2, "and then no more");
    alice.client.move_to(server.address());
    alice.log_in().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_file_says_that_it_is_one_until_its_sessions_were_revoked() {
    let mut server = launch().ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let _ = server.command(&["backup", "copy.db"]);
    let folder = server.folder().to_owned();
    let mode = fs::metadata(folder.join("copy.db")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = alice.token();
    assert_eq!(alice.log_out().await.status, 200);
    // Somebody has kept it.
    alice.client.set_cookie(SESSION, &token);
    assert_eq!(server.terminate(), Some(0));
    assert!(!server.log().contains("record.restored"), "the original is none");
    for name in ["nightlatch.db-wal", "nightlatch.db-shm"] {
        let _ = fs::remove_file(folder.join(name));
    }
    fs::rename(folder.join("copy.db"), folder.join("nightlatch.db")).expect("same folder");
    server.start_again();
    server.wait_until_ready().await;
    deals_with_the_restore(&mut server, &mut alice).await;
}

fn client_of(postgres: &PostgresServer, program: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--host", "127.0.0.1", "--port", &postgres.port().to_string()]);
    command.args(["--username", "postgres"]).env("PGPASSWORD", PASSWORD).current_dir("/");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_dump_is_noticed_though_no_server_has_lived_through_it() {
    let postgres = PostgresServer::shared();
    let (before, after) = (postgres.create_database(), postgres.create_database());
    let mut server = launch().set("DATABASE_URL", &postgres.url(&before)).ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let dump = server.folder().join("nightlatch.dump");
    let to_file = ["--format=custom", "--dbname", &before, "--file"];
    run(client_of(&postgres, "pg_dump").args(to_file).arg(&dump));
    let token = alice.token();
    assert_eq!(alice.log_out().await.status, 200);
    // Somebody has kept it.
    alice.client.set_cookie(SESSION, &token);
    assert_eq!(server.terminate(), Some(0));
    server.start_again();
    server.wait_until_ready().await;
    assert_eq!(server.terminate(), Some(0));
    assert!(!server.log().contains("record.restored"), "the original is none");

    let into = ["--exit-on-error", "--dbname", &after];
    run(client_of(&postgres, "pg_restore").args(into).arg(&dump));
    let epoch = |database: &str| postgres.query(database, "SELECT epoch FROM nightlatch.feed_head");
    server.set("DATABASE_URL", &postgres.url(&after));
    server.start_again();
    server.wait_until_ready().await;
    assert_ne!(epoch(&before), epoch(&after), "it begins a history of its own");
    deals_with_the_restore(&mut server, &mut alice).await;
}
