//! From one schema to the next and back, with people logged in.

use std::process::Stdio;
use std::time::Duration;

use nightlatch_testkit::chance;
use nightlatch_testkit::load::{Crowd, SteadyLoad};
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::process::free_port;
use tokio::time::timeout;

use super::compose::{Beneath, Compose, assert_nothing_failed, for_a_crowd, stay_under_load};
use super::schema;
use crate::record::launch;

const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_logged_out_by_an_upgrade_from_the_schema_before() {
    let beneath = Beneath::launch();
    let earlier = for_a_crowd(beneath.node("nightlatch-1", free_port()));
    let mut earlier = earlier.set("DATABASE_SCHEMA", "seed").ready().await;
    let mut chance = chance::from_environment("upgrade");
    let load = SteadyLoad::start(&[earlier.address()], Crowd::STEADY, &mut chance, None).await;
    stay_under_load(&load).await;
    load.rest().await;
    assert_eq!(earlier.terminate(), Some(0));
    let latest = schema::latest();
    schema::make_before(&latest, &beneath.postgres, &beneath.database, "nightlatch");
    schema::fill(&beneath.postgres, &beneath.database, "seed");
    let sessions = "SELECT count(*) FROM nightlatch.sessions WHERE ended_at IS NULL";
    let live: usize =
        beneath.postgres.query(&beneath.database, sessions).parse().expect("a number");
    assert!(live > 10, "people are logged in: {live}");

    let mut stand = Compose::up_on(beneath).await;
    let log = stand.nodes[0].log();
    let applied = format!("\"applied\":\"{latest}\"");
    assert!(log.contains("record.migrated") && log.contains(&applied), "{log}");
    assert!(!stand.nodes[1].log().contains("record.migrated"), "once is enough");
    load.move_to(0, ([127, 0, 0, 1], stand.nginx.port()).into());
    load.go_on();
    stay_under_load(&load).await;
    stand.restart(0, &load).await;
    // Whoever was logged in then is asked about now, too.
    assert_nothing_failed(&load.finish().await);
}

/// What a later release may do to the schema: it only adds.
const NEXT_STEP: &str = "
    BEGIN; SET LOCAL ROLE nightlatch;
    ALTER TABLE nightlatch.users ADD COLUMN next_word text;
    ALTER TABLE nightlatch.sessions ADD COLUMN next_place text NOT NULL DEFAULT 'nowhere';
    ALTER TABLE nightlatch.feed ADD COLUMN next_number bigint;
    ALTER TABLE nightlatch.feed_head ADD COLUMN next_number bigint NOT NULL DEFAULT 0;
    CREATE TABLE nightlatch.next_things (id uuid PRIMARY KEY);
    INSERT INTO nightlatch.schema_migrations VALUES (900, '0900_next', '\\x00', 0);
    COMMIT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_release_goes_on_under_a_newer_schema_and_can_be_rolled_back_to() {
    let mut stand = Compose::up().await;
    let load = stand.load().await;
    stay_under_load(&load).await;
    // The servers hold statements that were prepared for the tables as they were.
    let database = stand.beneath().database.clone();
    stand.beneath().postgres.session(&database).await.run(NEXT_STEP).await;
    stay_under_load(&load).await;
    // Those of the next release have been tried, and these come back.
    for number in [0, 1] {
        stand.restart(number, &load).await;
    }
    assert_nothing_failed(&load.finish().await);
    assert_eq!(stand.nodes[0].command(&["migrate"]), "the schema is up to date\n");
    let told = stand.nodes[0].command(&["doctor", "database", "--json"]);
    assert!(told.contains("database-schema-newer"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_has_to_wait_for_a_backup_keeps_nobody_else_waiting() {
    let postgres = PostgresServer::shared();
    let database = postgres.create_database();
    // The next step changes a table that a dump holds.
    schema::make_before("0006_standings", &postgres, &database, "postgres");
    let node = launch().set("DATABASE_URL", &postgres.url(&database));
    let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
    let (pg_dump, server, watcher) = tokio::join!(
        postgres.session(&database),
        postgres.session(&database),
        postgres.session(&database)
    );
    pg_dump
        .run("BEGIN; LOCK TABLE nightlatch.users, nightlatch.sessions IN ACCESS SHARE MODE")
        .await;
    server.run("SET statement_timeout = 500").await;
    let mut migrating = tokio::process::Command::from(node.command(folder.path(), &["migrate"]));
    let migrating = migrating.kill_on_drop(true).stdout(Stdio::piped()).spawn();
    let migrating = migrating.expect("our own binary");
    let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
         WHERE NOT granted AND datname = current_database()";
    for _ in 0..3 {
        watcher.wait_for(waiting, 1).await;
        // A request of the servers that serve meanwhile.
        server.run("SELECT count(*) FROM nightlatch.users, nightlatch.sessions").await;
    }
    pg_dump.run("COMMIT").await;
    let migrated = timeout(LIMIT, migrating.wait_with_output()).await;
    let migrated = migrated.expect("it goes on by itself").expect("it is our child");
    let steps = schema::migrations();
    let steps: Vec<&str> = steps.iter().map(|(name, _)| name.as_str()).collect();
    let since: Vec<&str> = steps.into_iter().skip_while(|name| *name != "0006_standings").collect();
    let applied: Vec<String> = since.iter().map(|name| format!("applied {name}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&migrated.stdout), applied.concat());
}
