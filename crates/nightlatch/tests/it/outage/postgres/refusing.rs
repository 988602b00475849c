//! The record is reached and does not do what it is asked.

use nightlatch_testkit::disk::SmallDisk;
use nightlatch_testkit::process::give_to_server;
use nightlatch_testkit::wait::wait_until;

use super::{CONNECTIONS, END_CONNECTIONS, FROM_COPIES, GONE, ROLE, ROLE_PASSWORD, Way, node_on};
use crate::outage::drill::{Drill, LIMIT};
use crate::outage::report::{Expected, Wanted};

fn gone(class: &'static str) -> Expected {
    Expected { writes: Wanted::Refused, checks: FROM_COPIES, class: Some(class) }
}

async fn until_refused(drill: &Drill, class: &'static str) {
    drill.wait_for_class(class).await;
    drill.wait_for_writes(503, 5).await;
    drill.stay_under_load().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_with_too_many_clients_is_waited_for() {
    let way = Way::alone(&[("max_connections", "24")]).await;
    let mut drill = Drill::begin(GONE, "too many clients", way.modest_node()).await;
    let session = way.session().await;
    session.run("CREATE ROLE crowd LOGIN PASSWORD 'x'").await;
    let url = way.postgres.url_as("crowd", "x", &way.database);
    drill.fault_begins();
    let mut crowd = Vec::new();
    // Places are kept for the superuser, who makes room and sees it taken.
    wait_until("every place is taken", LIMIT, async || {
        session.run(END_CONNECTIONS).await;
        while let Ok(one) = way.postgres.try_session(&url).await {
            crowd.push(one);
        }
        session.number(CONNECTIONS).await == 0
    })
    .await;
    until_refused(&drill, "too_many_connections").await;
    drill.remark = format!("max_connections 24, {} of them taken", crowd.len());
    drop(crowd);
    drill.fault_ends(gone("too_many_connections")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_tables_are_waited_for() {
    let way = Way::shared().await;
    let mut drill = Drill::begin(GONE, "tables locked", way.straight_node()).await;
    let holder = way.session().await;
    drill.fault_begins();
    holder
        .run("BEGIN; LOCK TABLE nightlatch.users, nightlatch.sessions, nightlatch.feed_head")
        .await;
    // Whether the server or the client gives up first is chance.
    let class = "locked|timeout";
    until_refused(&drill, class).await;
    holder.run("COMMIT").await;
    drill.remark = String::from("LOCK TABLE by another session");
    drill.fault_ends(gone(class)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_only_reads_stops_logins() {
    let way = Way::alone(&[]).await;
    let mut drill = Drill::begin(GONE, "read-only", way.straight_node()).await;
    let set = |value| {
        way.postgres.configure(&[("default_transaction_read_only", value)]);
        way.postgres.reload();
    };
    drill.fault_begins();
    set("on");
    until_refused(&drill, "readonly").await;
    set("off");
    drill.remark = String::from("default_transaction_read_only");
    drill.fault_ends(gone("readonly")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_is_waited_for() {
    let way = Way::alone(&[]).await;
    let mut drill = Drill::begin(GONE, "password changed", way.modest_node()).await;
    let session = way.session().await;
    let change = |password| format!("ALTER ROLE {ROLE} PASSWORD '{password}'");
    drill.fault_begins();
    session.run(&change("another")).await;
    session.run(END_CONNECTIONS).await;
    until_refused(&drill, "auth_failed").await;
    session.run(&change(ROLE_PASSWORD)).await;
    drill.fault_ends(gone("auth_failed")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_right_is_waited_for() {
    let way = Way::alone(&[]).await;
    let mut drill = Drill::begin(GONE, "right revoked", way.modest_node()).await;
    let session = way.session().await;
    let tables = "ALL ON ALL TABLES IN SCHEMA nightlatch";
    drill.fault_begins();
    // Also from whoever owns them.
    session.run(&format!("REVOKE {tables} FROM {ROLE}")).await;
    until_refused(&drill, "forbidden").await;
    session.run(&format!("GRANT {tables} TO {ROLE}")).await;
    drill.remark = String::from("those on its tables");
    drill.fault_ends(gone("forbidden")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_too_old_is_waited_for() {
    let way = Way::shared().await;
    let mut drill = Drill::begin(GONE, "schema too old", way.straight_node()).await;
    let session = way.session().await;
    let columns = [("feed_head", "pruned_to"), ("sessions", "remember"), ("users", "enabled")];
    drill.fault_begins();
    for (table, column) in columns {
        let rename = format!("ALTER TABLE nightlatch.{table} RENAME {column} TO was_{column}");
        session.run(&rename).await;
    }
    until_refused(&drill, "schema").await;
    for (table, column) in columns {
        let rename = format!("ALTER TABLE nightlatch.{table} RENAME was_{column} TO {column}");
        session.run(&rename).await;
    }
    drill.remark = String::from("columns that are not there");
    drill.fault_ends(gone("schema")).await;
}

/// Room for an empty database and some hundred sessions.
const DISK_MEBIBYTES: u32 = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_record_stops_logins() {
    let disk = SmallDisk::in_memory(DISK_MEBIBYTES);
    let way = Way::alone(&[]).await;
    let place = disk.file("tables");
    std::fs::create_dir(&place).expect("the disk has room");
    give_to_server(&place);
    let place = place.display();
    way.postgres.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{place}'"));
    way.postgres.sql("postgres", "CREATE DATABASE on_small TABLESPACE small");
    let url = way.postgres.url("on_small");
    let mut drill = Drill::begin(GONE, "disk full", node_on(&url)).await;
    let session = way.postgres.session("on_small").await;
    drill.fault_begins();
    disk.fill();
    // What is left in pages that were begun is used up first: by long rows, then by short ones.
    for length in [600, 1] {
        let fill = format!(
            "INSERT INTO nightlatch.sessions SELECT gen_random_uuid(), sha256(token_hash), user_id,
                 generation, created_at, last_seen_at, expires_at, remember, address,
                 repeat('x', {length}), ended_at
             FROM nightlatch.sessions ON CONFLICT DO NOTHING"
        );
        while session.try_run(&fill).await.is_ok() {}
    }
    until_refused(&drill, "disk_full").await;
    disk.make_room();
    drill.remark = String::from("the tables on a full tmpfs, the log elsewhere");
    let expected =
        Expected { writes: Wanted::Refused, checks: Wanted::Served, class: Some("disk_full") };
    drill.fault_ends(expected).await;
}
