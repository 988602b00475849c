//! From an SQLite file to PostgreSQL, with everybody logged in.

use std::fmt::Write as _;
use std::sync::Arc;

use nightlatch_testkit::client::Client;
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::postgres::{PASSWORD as POSTGRES_PASSWORD, PostgresServer};
use nightlatch_testkit::server::NightlatchServer;
use serde_json::{Value, json};

use crate::person::{PASSWORD, Person};
use crate::record::launch;

/// More than travel at once.
const OTHERS: usize = 2500;

/// A server on a file, and an empty PostgreSQL that it can move to.
struct Stand {
    server: NightlatchServer,
    url: String,
    database: String,
    postgres: Arc<PostgresServer>,
}

impl Stand {
    async fn start() -> Self {
        let postgres = PostgresServer::shared();
        let database = postgres.create_database();
        let url = format!("postgres://postgres@127.0.0.1:{}/{database}", postgres.port());
        let server = launch().set("DATABASE_PASSWORD", POSTGRES_PASSWORD).ready().await;
        Self { server, url, database, postgres }
    }

    /// What the move says: whether it worked, and its words.
    fn migrate(&self) -> (bool, String) {
        let output = self.server.command_given(&["migrate", "--to", &self.url], "");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn count(&self, table: &str) -> String {
        self.postgres.query(&self.database, &format!("SELECT count(*) FROM nightlatch.{table}"))
    }
}

async fn pair_of(client: &mut Client, path: &str, body: &Value) -> (String, String) {
    let answer = client.post_json(path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = |name: &str| answer.json()[name].as_str().expect("a token").to_owned();
    (text("access"), text("refresh"))
}

async fn is_good(client: &mut Client, access: &str) -> u16 {
    let request = client.request(Method::GET, "/api/v1/session").without_cookies();
    request.header("authorization", format!("Bearer {access}")).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_moves_into_postgresql_and_nobody_has_to_log_in_again() {
    let mut stand = Stand::start().await;
    let mut alice = Person::logged_in(&stand.server, "alice").await;
    let mut gone = alice.on_another_device(&stand.server).await;
    assert_eq!(gone.log_out().await.status, 200);
    let mut bob = Person::registered(&stand.server, "bob").await;
    let login = json!({ "username": "bob", "password": PASSWORD });
    let (access, refresh) = pair_of(&mut bob.client, "/api/v1/auth/token", &login).await;
    let _ = Person::registered(&stand.server, "carol").await;
    let _ = stand.server.command(&["user", "set-groups", "alice", "staff", "night \"shift\""]);
    let _ = stand.server.command(&["user", "disable", "carol"]);
    let others = (0..OTHERS).fold(String::new(), |mut lines, number| {
        writeln!(lines, "{{\"username\": \"other{number}\"}}").expect("a string takes text");
        lines
    });
    let imported = stand.server.command_given(&["user", "import", "-"], &others);
    assert!(imported.status.success(), "{imported:?}");
    let keys = stand.server.client().get("/.well-known/jwks.json").await.json();

    let (moved, said) = stand.migrate();
    assert!(!moved && said.contains("still live"), "{said}");
    assert_eq!(stand.count("users"), "0");
    assert_eq!(stand.server.terminate(), Some(0));
    let (moved, said) = stand.migrate();
    assert!(moved && said.contains(&format!("moved {} rows of users", OTHERS + 3)), "{said}");
    let (moved, said) = stand.migrate();
    assert!(!moved && said.contains("not empty: its table users"), "{said}");

    stand.server.start_again();
    assert!(stand.server.log().contains("record.moved"), "who starts on the file is told");
    assert_eq!(stand.server.terminate(), Some(0));
    stand.server.set("DATABASE_URL", &stand.url);
    stand.server.start_again();
    stand.server.wait_until_ready().await;
    for person in [&mut alice, &mut gone, &mut bob] {
        person.client.move_to(stand.server.address());
    }
    let session = alice.session().await;
    assert_eq!(session.status, 200, "{}", session.text());
    assert_eq!(session.json()["user"]["groups"], json!(["night \"shift\"", "staff"]));
    assert_eq!(gone.session().await.status, 401, "a logout is final");
    assert_eq!(is_good(&mut bob.client, &access).await, 200);
    let refresh = json!({ "refresh": refresh });
    let (next, _) = pair_of(&mut bob.client, "/api/v1/auth/refresh", &refresh).await;
    assert_eq!(is_good(&mut bob.client, &next).await, 200);
    let keys_now = stand.server.client().get("/.well-known/jwks.json").await.json();
    assert_eq!(keys_now, keys);
    let carol = json!({ "username": "carol", "password": PASSWORD });
    let answer = stand.server.client().post_json("/api/v1/auth/login", &carol).await;
    assert_eq!(answer.status, 401, "who was disabled stays so");
    // Copies and tokens of the file's history say nothing here.
    assert_eq!(alice.log_out().await.status, 200);
    assert_eq!(alice.session().await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_breaks_in_the_middle_leaves_nothing_there_and_all_here() {
    let mut stand = Stand::start().await;
    let mut alice = Person::logged_in(&stand.server, "alice").await;
    assert_eq!(stand.server.terminate(), Some(0));
    stand.server.set("DATABASE_URL", &stand.url);
    let _ = stand.server.command(&["migrate"]);
    stand.server.set("DATABASE_URL", "sqlite://nightlatch.db");
    let broken = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'forged' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER fail BEFORE INSERT ON nightlatch.known_prefixes
         FOR EACH ROW EXECUTE FUNCTION fail()";
    stand.postgres.sql(&stand.database, broken);
    let (moved, said) = stand.migrate();
    assert!(!moved && said.contains("nothing was moved"), "{said}");
    for table in ["users", "sessions", "shared_secrets"] {
        assert_eq!(stand.count(table), "0", "{table}");
    }
    stand.server.start_again();
    stand.server.wait_until_ready().await;
    alice.client.move_to(stand.server.address());
    assert_eq!(alice.session().await.status, 200);
    assert!(!stand.server.log().contains("record.moved"));
    // And when it can be done, it is.
    assert_eq!(stand.server.terminate(), Some(0));
    stand.postgres.sql(&stand.database, "DROP TRIGGER fail ON nightlatch.known_prefixes");
    let (moved, said) = stand.migrate();
    assert!(moved, "{said}");
}

#[test]
fn a_password_in_the_url_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let arguments = ["migrate", "--to", "postgres://nightlatch:hunter2@127.0.0.1:1/x"];
    let output = launch().command(folder.path(), &arguments).output().expect("our own binary");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("DATABASE_PASSWORD") && !said.contains("hunter2"), "{said}");
    assert!(!folder.path().join("nightlatch.db").exists());
}
