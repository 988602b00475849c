//! The commands of `docs/operating.md`, run as they stand there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use nightlatch_testkit::postgres::{PASSWORD as POSTGRES_PASSWORD, PostgresServer};
use nightlatch_testkit::process::{free_port, run};
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::shipped::{Shipped, repository};

use crate::person::{Person, SESSION};
use crate::record::launch;

/// The blocks of one chapter that are to be run.
fn blocks(chapter: &str) -> Vec<String> {
    let guide = Shipped::at(&repository().join("docs/operating.md")).text().to_owned();
    let text = guide.split("\n## ").find(|text| text.starts_with(&format!("{chapter}\n")));
    let text = text.unwrap_or_else(|| panic!("there is no chapter {chapter}"));
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("it ends").to_owned());
    blocks.collect()
}

/// Somebody at a shell in the server's folder, with its settings.
struct Operator {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    ran: usize,
}

impl Operator {
    fn of(server: &NightlatchServer, variables: &[(&str, &str)]) -> Self {
        let folder = server.folder().to_owned();
        fs::create_dir_all(folder.join("bin")).expect("the folder takes a folder");
        let program = folder.join("bin/nightlatch");
        let _ = fs::remove_file(&program);
        symlink(env!("CARGO_BIN_EXE_nightlatch"), &program).expect("the folder takes a link");
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { folder, variables: variables.iter().map(owned).collect(), ran: 0 }
    }

    /// Runs a block, with other places than the guide's; what it prints.
    fn runs(&mut self, block: &str, places: &[(&str, &str)]) -> String {
        let block = places.iter().fold(block.to_owned(), |block, (from, to)| {
            assert!(block.contains(from), "`{from}` is no longer there: {block}");
            block.replace(from, to)
        });
        self.ran += block.lines().count();
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", &block]).current_dir(&self.folder).env_clear();
        let path = format!("{}:/usr/sbin:/usr/bin:/bin", self.folder.join("bin").display());
        shell.env("PATH", path).env("HOME", &self.folder);
        run(shell.envs(self.variables.iter().map(|(name, value)| (name, value))))
    }
}

fn one(chapter: &str) -> String {
    let mut blocks = blocks(chapter);
    assert_eq!(blocks.len(), 1, "{chapter}");
    blocks.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_verified_rotated_backed_up_restored_and_grown_as_the_guide_says() {
    let address = format!("127.0.0.1:{}", free_port());
    let mut server = launch().set("NIGHTLATCH_LISTEN", &address).ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let mut operator = Operator::of(&server, &[("NIGHTLATCH_LISTEN", &address)]);

    let told = operator.runs(&one("Verify"), &[("127.0.0.1:8080", &address)]);
    assert!(told.contains("NIGHTLATCH_LISTEN") && told.contains("\nready\n"), "{told}");
    let told = operator.runs(&one("Rotate keys"), &[]);
    assert!(told.contains("made key 2"), "{told}");

    let [back_up, restore] = &blocks("Back up and restore SQLite")[..] else {
        panic!("a backup and a restore")
    };
    operator.runs(back_up, &[]);
    let token = alice.token();
    assert_eq!(alice.log_out().await.status, 200);
    // Somebody has kept it.
    alice.client.set_cookie(SESSION, &token);
    assert_eq!(server.terminate(), Some(0));
    operator.runs(restore, &[]);
    server.start_again();
    server.wait_until_ready().await;
    assert!(server.log().contains("record.restored"));
    alice.client.hang_up();
    assert_eq!(alice.session().await.status, 200, "the logout is not in it");
    operator.runs(&one("What a restore brings back"), &[]);
    alice.is_logged_out_within_s().await;
    alice.log_in().await;
    assert_eq!(server.terminate(), Some(0));

    let postgres = PostgresServer::shared();
    let database = postgres.create_database();
    let password = server.folder().join("database_password");
    fs::write(&password, POSTGRES_PASSWORD).expect("the folder takes a file");
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", postgres.port());
    let places = [
        ("/etc/nightlatch/database_password", password.to_str().expect("a plain path")),
        ("postgres://nightlatch@db.example.org:5432/nightlatch", &url),
    ];
    let told = operator.runs(&one("Grow from SQLite to PostgreSQL"), &places);
    assert!(told.contains("moved 1 rows of users"), "{told}");
    server.set("DATABASE_URL", &postgres.url(&database));
    server.start_again();
    server.wait_until_ready().await;
    alice.client.hang_up();
    assert_eq!(alice.session().await.status, 200);
    assert!(operator.ran > 8, "{} lines", operator.ran);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_is_backed_up_and_restored_as_the_guide_says() {
    let postgres = PostgresServer::shared();
    let (before, after) = (postgres.create_database(), postgres.create_database());
    let mut server = launch().set("DATABASE_URL", &postgres.url(&before)).ready().await;
    let _ = Person::logged_in(&server, "alice").await;
    let [back_up, restore] = &blocks("Back up and restore PostgreSQL")[..] else {
        panic!("a backup and a restore")
    };
    Operator::of(&server, &[("DATABASE_URL", &postgres.url(&before))]).runs(back_up, &[]);
    assert_eq!(server.terminate(), Some(0));
    Operator::of(&server, &[("DATABASE_URL", &postgres.url(&after))]).runs(restore, &[]);
    server.set("DATABASE_URL", &postgres.url(&after));
    server.start_again();
    server.wait_until_ready().await;
    let users = server.command(&["user", "list"]);
    assert!(users.contains("alice"), "{users}");
    assert!(server.log().contains("record.restored"));
}
