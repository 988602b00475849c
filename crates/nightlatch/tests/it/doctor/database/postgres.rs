//! A PostgreSQL that lets us in: its schema, rights, limits, pools, and clock.

use std::time::Duration;

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::clock::FakeClock;
use nightlatch_testkit::pgbouncer::PgBouncer;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::wait::wait_until;

use super::super::doctor;
use super::{assert_wrong, fix, judge, why};
use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::launch;

fn migrate(url: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let migrated = launch().set("DATABASE_URL", url).command(folder.path(), &["migrate"]).output();
    let migrated = migrated.expect("it runs");
    assert!(migrated.status.success(), "{migrated:?}");
}

/// Creates a role that may log in and nothing else.
fn role(server: &PostgresServer, name: &str) {
    server.sql("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD 'sesame-1'"));
}

#[test]
fn a_sound_postgres_is_described_and_left_as_it_is() {
    let server = PostgresServer::shared();
    let database = server.create_database();
    let url = server.url(&database);
    let tables = || server.query(&database, "SELECT count(*) FROM pg_class");
    let before = tables();
    let found = assert_wrong(&url, &[]);
    assert!(why(&found, "database-schema-old").contains("0001_record"));
    assert_eq!(tables(), before, "nothing was made");
    migrate(&url);
    let found = assert_wrong(&url, &[]);
    let told = why(&found, "database-answers");
    for part in ["PostgreSQL 1", "primary", "of 297 connections", "100 round trips: median"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let sql = "INSERT INTO nightlatch.schema_migrations VALUES (99, '0099_x', '\\x00', 0)";
    server.sql(&database, sql);
    assert_wrong(&url, &["database-schema-newer"]);
    let sql = "UPDATE nightlatch.schema_migrations SET checksum = '\\x00' WHERE version = 2";
    server.sql(&database, sql);
    assert_wrong(&url, &["database-schema-changed", "database-schema-newer"]);
}

/// Each statement that is told is run as it is told, until nothing is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_a_role_lacks_are_given_by_the_statement_that_is_told() {
    let server = PostgresServer::shared();
    let database = server.create_database();
    role(&server, "maker");
    let maker = server.url_as("maker", "sesame-1", &database);
    let found = assert_wrong(&maker, &["database-migration-forbidden"]);
    let told = fix(&found, "database-migration-forbidden");
    assert_eq!(told, format!("GRANT CREATE ON DATABASE {database} TO maker;"));
    server.sql(&database, told);
    assert_wrong(&maker, &[]);
    migrate(&maker);
    assert_wrong(&maker, &[]);

    role(&server, "\"Lesser Role\"");
    let lesser = server.url_as("Lesser%20Role", "sesame-1", &database);
    for _ in ["the schema", "its tables"] {
        let found = assert_wrong(&lesser, &["database-forbidden"]);
        server.sql(&database, fix(&found, "database-forbidden"));
    }
    assert_wrong(&lesser, &[]);
    // What is asked for is enough.
    let running = launch().set("DATABASE_URL", &lesser).ready().await;
    let mut alice = Person::logged_in(&running, "alice").await;
    assert_eq!(alice.session().await.status, 200);
    assert!(alice.change_password(PASSWORD, "another-parade-99-anchor").await.status < 300);
    assert!(alice.log_out().await.status < 300);
    drop(running);

    server.sql(&database, "DELETE FROM nightlatch.schema_migrations WHERE version = 6");
    let found = assert_wrong(&lesser, &["database-migration-forbidden"]);
    assert_eq!(fix(&found, "database-migration-forbidden"), "nightlatch migrate");
    assert_wrong(&maker, &[]).find("database-schema-old");
    server.sql(&database, "REVOKE DELETE ON nightlatch.users FROM \"Lesser Role\"");
    server.sql(&database, "REVOKE CONNECT ON DATABASE \"postgres\" FROM PUBLIC");
    let found = assert_wrong(&lesser, &["database-forbidden", "database-migration-forbidden"]);
    let told = fix(&found, "database-forbidden");
    assert_eq!(told, "GRANT DELETE ON nightlatch.users TO \"Lesser Role\";");
    let outside = server.url_as("maker", "sesame-1", "postgres");
    assert_wrong(&outside, &["database-forbidden"]);
}

#[test]
fn servers_that_take_no_changes_are_told_apart() {
    let server = PostgresServer::launch();
    let database = server.create_database();
    role(&server, "reader");
    server.sql("postgres", &format!("GRANT CREATE ON DATABASE {database} TO reader"));
    server.sql("postgres", "ALTER ROLE reader SET default_transaction_read_only = on");
    let url = server.url_as("reader", "sesame-1", &database);
    let found = assert_wrong(&url, &["database-readonly"]);
    server.sql("postgres", fix(&found, "database-readonly"));
    assert_wrong(&url, &[]);

    let standby = server.launch_standby(server.port());
    assert_wrong(&standby.url(&database), &["database-standby"]);
    // That is what a URL with several hosts is for; that one of them is gone is not.
    let both = |first: u16| {
        let (user, port) = ("postgres://reader:sesame-1@", server.port());
        format!("{user}127.0.0.1:{first},127.0.0.1:{port}/{database}")
    };
    assert_wrong(&both(standby.port()), &[]);
    let gone = free_port();
    let found = assert_wrong(&both(gone), &["database-one-unusable"]);
    assert!(why(&found, "database-one-unusable").contains(&format!("127.0.0.1:{gone} (unreach")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_taken_are_counted() {
    let server = PostgresServer::launch_with(&[
        ("max_connections", "13"),
        ("superuser_reserved_connections", "3"),
    ]);
    role(&server, "app");
    server.sql("postgres", "GRANT CREATE ON DATABASE postgres TO app");
    let url = server.url_as("app", "sesame-1", "postgres");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(server.try_session(&url).await.expect("there is room"));
    }
    assert_wrong(&url, &["database-connections-low"]);
    for _ in 0..2 {
        held.push(server.try_session(&url).await.expect("there is room"));
    }
    let found = assert_wrong(&url, &["database-too-many-connections"]);
    assert!(why(&found, "database-too-many-connections").contains("max_connections"));
    drop(held);
    server.sql("postgres", "ALTER ROLE app CONNECTION LIMIT 0");
    let found = assert_wrong(&url, &["database-too-many-connections"]);
    server.sql("postgres", fix(&found, "database-too-many-connections"));
    server.sql("postgres", "ALTER DATABASE postgres CONNECTION LIMIT 0");
    let found = assert_wrong(&url, &["database-too-many-connections"]);
    server.sql("postgres", fix(&found, "database-too-many-connections"));
    assert_wrong(&url, &[]);
}

#[test]
fn a_pool_in_transaction_mode_is_seen() {
    let server = PostgresServer::shared();
    let database = server.create_database();
    let pool = PgBouncer::launch(&server, 3);
    let found = assert_wrong(&pool.url(&database), &["database-pool-undeclared"]);
    assert!(why(&found, "database-pool-undeclared").contains("it works with pgbouncer=true"));
    let line = fix(&found, "database-pool-undeclared").to_owned();
    assert!(line.ends_with("?pgbouncer=true") && line.contains(":PASSWORD@"), "{line}");
    let declared = format!("{}?pgbouncer=true", pool.url(&database));
    let found = assert_wrong(&declared, &[]);
    assert!(found.findings.iter().all(|finding| finding["id"] != "database-pool-unseen"));
    let direct = format!("{}?pgbouncer=true", server.url(&database));
    assert_wrong(&direct, &[]).find("database-pool-unseen");
}

/// Neither is to be had from a package, so a real server is told, or tells, something else on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_and_one_that_cannot_be_listened_to_are_told() {
    const ASKED: &str = "current_setting('server_version_num')";
    const OLD: &str = "'120022'                             ";
    const LISTENED: &str = "LISTEN nightlatch_feed;";
    const REFUSED: &str = "SET ROLE postgres     ;";
    let server = PostgresServer::shared();
    let database = server.create_database();
    role(&server, "hearer");
    server.sql("postgres", &format!("GRANT CREATE ON DATABASE {database} TO hearer"));
    let proxy = ChaosProxy::start(server.port()).await;
    let url = format!("postgres://hearer:sesame-1@127.0.0.1:{}/{database}", proxy.port());
    assert_wrong(&url, &[]);
    proxy.set(Fault::Replaces(ASKED, OLD)).await;
    let found = assert_wrong(&url, &["database-old"]);
    let told = why(&found, "database-old");
    assert!(told.contains("leads to PostgreSQL 12.22, for which there are no more"), "{told}");
    assert_eq!((found.find("database-old")["level"].as_str(), found.code), (Some("warn"), Some(0)));
    // As one that says no: a role that it may not take on (42501).
    proxy.set(Fault::Replaces(LISTENED, REFUSED)).await;
    let found = assert_wrong(&url, &["database-listen"]);
    let told = why(&found, "database-listen");
    assert!(told.contains("cannot be listened to (forbidden): news of other nodes come"), "{told}");
}

#[test]
fn another_clock_is_told() {
    let clock = FakeClock::of_wall();
    clock.move_to(-120);
    let server = PostgresServer::launch_under(&clock, &[]);
    let found = assert_wrong(&server.url("postgres"), &["database-clock"]);
    assert!(why(&found, "database-clock").contains("behind"));
}

#[test]
fn a_way_that_proves_nothing_is_told_in_production() {
    let text = |mode: &str| {
        format!("ENVIRONMENT=production\nDATABASE_URL=postgres://u:sesame@192.0.2.1/db{mode}\n")
    };
    let found = doctor("database", &text(""));
    assert!(found.wrong().contains(&"database-tls-weak"), "{:#?}", found.findings);
    let line = "DATABASE_URL=postgres://u:PASSWORD@192.0.2.1/db?sslmode=verify-full";
    assert_eq!(fix(&found, "database-tls-weak"), line);
    let found = doctor("database", &text("?sslmode=verify-full"));
    assert!(!found.wrong().contains(&"database-tls-weak"), "{:#?}", found.findings);
    // On this machine nobody is in between.
    let server = PostgresServer::shared();
    let url = server.url(&server.create_database());
    let found = doctor("database", &format!("ENVIRONMENT=production\nDATABASE_URL={url}\n"));
    judge("here", found, &[]);
}

/// A pool that leaves out what it is asked for instead of refusing it, as people configure it.
#[test]
fn limits_that_a_pool_swallows_are_to_be_set_on_the_role() {
    let server = PostgresServer::launch();
    let database = server.create_database();
    let lenient = ("ignore_startup_parameters", "options,extra_float_digits");
    let undeclared = PgBouncer::launch_with(&server, 3, &[lenient]);
    let url = undeclared.url(&database);
    let found = assert_wrong(&url, &["database-pool-undeclared", "database-timeouts"]);
    assert!(why(&found, "database-pool-undeclared").contains("news of other nodes come late"));
    // One that keeps connections is no such pool, and swallows them, too.
    let by_session = PgBouncer::launch_with(&server, 3, &[lenient, ("pool_mode", "session")]);
    let of_sessions = by_session.url(&database);
    let found = assert_wrong(&of_sessions, &["database-timeouts"]);
    server.sql("postgres", fix(&found, "database-timeouts"));
    drop(by_session);
    let by_session = PgBouncer::launch_with(&server, 3, &[lenient, ("pool_mode", "session")]);
    assert_wrong(&by_session.url(&database), &[]);
    server.sql("postgres", "ALTER ROLE postgres SET statement_timeout = '500ms'");
    let pool = PgBouncer::launch(&server, 3);
    let declared = format!("{}?pgbouncer=true", pool.url(&database));
    let found = assert_wrong(&declared, &["database-timeouts"]);
    assert!(why(&found, "database-timeouts").contains("after 500 ms"));
    server.sql("postgres", fix(&found, "database-timeouts"));
    drop(pool);
    let pool = PgBouncer::launch(&server, 3);
    assert_wrong(&format!("{}?pgbouncer=true", pool.url(&database)), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_late_or_falls_silent_is_told() {
    let server = PostgresServer::shared();
    let database = server.create_database();
    let proxy = ChaosProxy::start(server.port()).await;
    let port = |port: u16| format!(":{port}/");
    let url = server.url(&database).replace(&port(server.port()), &port(proxy.port()));
    assert_wrong(&url, &[]);
    proxy.set(Fault::Late { there: Duration::ZERO, back: Duration::from_millis(120) }).await;
    let found = assert_wrong(&url, &["database-slow"]);
    assert!(why(&found, "database-slow").contains("round trips: median"));
    proxy.set(Fault::SilentAfter("server_version_num")).await;
    let found = assert_wrong(&url, &["database-hangs"]);
    assert!(why(&found, "database-hangs").contains("lets us in and does not answer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopping_is_waited_for() {
    let server = PostgresServer::launch();
    let url = server.url("postgres");
    let held = server.try_session(&url).await.expect("it is up");
    server.begin_stop();
    wait_until("nobody else is let in", LIMIT, async || server.try_session(&url).await.is_err())
        .await;
    let found = assert_wrong(&url, &["database-starting"]);
    assert_eq!(found.find("database-starting")["level"], "warn");
    drop(held);
}
