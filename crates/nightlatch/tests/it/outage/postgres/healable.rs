//! Faults of the record that nobody has to notice but the operator.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_testkit::chaos_proxy::Fault;
use nightlatch_testkit::clock::FakeClock;
use nightlatch_testkit::load::Crowd;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::wait::wait_until;

use super::{CONNECTIONS, HEALABLE, WAITING, Way};
use crate::outage::drill::{Drill, LIMIT};
use crate::outage::report::{Expected, Wanted};

const UNNOTICED: Expected =
    Expected { writes: Wanted::Served, checks: Wanted::Served, class: None };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_idle_connections_are_made_again() {
    let way = Way::alone(&[("idle_session_timeout", "500ms")]).await;
    let mut drill = Drill::begin(HEALABLE, "idle connections closed", way.straight_node()).await;
    let session = way.session().await;
    session.run("SET idle_session_timeout = 0").await;
    drill.fault_begins();
    for _ in 0..2 {
        drill.load.rest().await;
        let all = session.number(CONNECTIONS).await;
        // Those of the jobs beside the requests are in use now and then.
        wait_until("most are closed", LIMIT, async || {
            session.number(CONNECTIONS).await <= all.min(2)
        })
        .await;
        drill.load.go_on();
        drill.stay_under_load().await;
    }
    drill.fault_ends(UNNOTICED).await;
}

/// Every eighth insert into the table of sessions or end of one fails so, and may be done then:
/// whoever tries it at once is not the eighth again.
async fn fail_some_changes(way: &Way, code: &str) {
    let session = way.session().await;
    session
        .run(&format!(
            "CREATE SEQUENCE tries;
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('tries') % 8 = 0 THEN
                     RAISE EXCEPTION 'forged' USING ERRCODE = '{code}';
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER fail BEFORE INSERT OR UPDATE OF ended_at ON nightlatch.sessions
             FOR EACH ROW EXECUTE FUNCTION fail()"
        ))
        .await;
}

async fn retried(fault: &'static str, code: &'static str) {
    let way = Way::shared().await;
    let mut drill = Drill::begin(HEALABLE, fault, way.straight_node()).await;
    drill.fault_begins();
    fail_some_changes(&way, code).await;
    drill.stay_under_load().await;
    let session = way.session().await;
    session.wait_for("SELECT last_value FROM tries", 48).await;
    session.run("DROP TRIGGER fail ON nightlatch.sessions").await;
    drill.remark = format!("every eighth change of a session, SQLSTATE {code} by a trigger");
    drill.fault_ends(UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serialization_failures_are_tried_again() {
    retried("serialization failures", "40001").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlocks_are_tried_again() {
    retried("deadlocks", "40P01").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_clock_is_wrong_from_the_start_is_the_clock() {
    let clock = FakeClock::of_wall();
    clock.move_to(3600);
    let way = Way::to(Arc::new(PostgresServer::launch_under(&clock, &[]))).await;
    let fault = "database clock an hour ahead, from the start on";
    let mut drill = Drill::begin(HEALABLE, fault, way.straight_node()).await;
    drill.fault_begins();
    drill.stay_under_load().await;
    let seen = drill.watch.seen();
    assert!(seen.warnings.contains("clock_skew"), "{seen:?}");
    drill.fault_ends(UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_that_only_adds_is_no_news() {
    let way = Way::shared().await;
    let nodes = vec![way.straight_node(), way.straight_node()];
    let fault = "newer, expand-only schema";
    let mut drill = Drill::begin_among(HEALABLE, fault, nodes, Crowd::STEADY).await;
    let session = way.session().await;
    drill.fault_begins();
    // One lock at a time: two at once would meet the load's own in a deadlock.
    for statement in [
        "CREATE TABLE nightlatch.of_a_newer_release (id bigint PRIMARY KEY)",
        "ALTER TABLE nightlatch.sessions ADD COLUMN newer text NOT NULL DEFAULT ''",
        "ALTER TABLE nightlatch.users ADD COLUMN newer text",
        "ALTER TABLE nightlatch.feed ADD COLUMN newer bigint",
        "ALTER TABLE nightlatch.feed_head ADD COLUMN newer bigint NOT NULL DEFAULT 0",
        "INSERT INTO nightlatch.schema_migrations (version, name, checksum, applied_at)
         SELECT 9999, '9999_of_a_newer_release', sha256('another text'), max(applied_at)
         FROM nightlatch.schema_migrations",
    ] {
        session.run(statement).await;
    }
    drill.stay_under_load().await;
    // An older release is started on it too.
    drill.restart().await;
    drill.stay_under_load().await;
    drill.remark = String::from("one of two nodes is restarted on it");
    let restarted =
        Expected { writes: Wanted::Either, checks: Wanted::Either, class: Some("none") };
    drill.fault_ends_among(restarted, UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_statement_is_tried_again() {
    let way = Way::shared().await;
    let mut drill = Drill::begin(HEALABLE, "cancelled statements", way.straight_node()).await;
    let (holder, session) = (way.session().await, way.session().await);
    drill.fault_begins();
    for _ in 0..3 {
        holder.run("BEGIN; LOCK TABLE nightlatch.sessions IN EXCLUSIVE MODE").await;
        session.wait_for(WAITING, 2).await;
        session
            .run(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'nightlatch'
                   AND wait_event_type = 'Lock'",
            )
            .await;
        holder.run("COMMIT").await;
        drill.stay_under_load().await;
    }
    drill.remark = String::from("by an operator, while they wait for a lock");
    drill.fault_ends(UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_record_is_told_and_serves() {
    let way = Way::shared().await;
    let mut drill = Drill::begin(HEALABLE, "500 ms late", way.node()).await;
    drill.fault_begins();
    let half = Duration::from_millis(250);
    way.proxy.set(Fault::Late { there: half, back: half }).await;
    drill.wait_for_class("slow").await;
    drill.stay_under_load().await;
    way.proxy.set(Fault::None).await;
    let expected = Expected { writes: Wanted::Served, checks: Wanted::Either, class: Some("slow") };
    drill.fault_ends(expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_restart_is_waited_for() {
    // A disk that others keep busy makes it no fast one.
    let way = Way::alone(&[("fsync", "off")]).await;
    let mut drill = Drill::begin(HEALABLE, "fast restart", way.straight_node()).await;
    drill.fault_begins();
    way.postgres.stop();
    way.postgres.start();
    drill.stay_under_load().await;
    // Health may look before it is away, while it is, while it starts, or not at all.
    let class = Some("none|closed|unreachable|loading");
    drill.fault_ends(Expected { class, ..UNNOTICED }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_was_lost_is_looked_up() {
    let way = Way::shared().await;
    let fault = "connection lost between commit and answer";
    let mut drill = Drill::begin(HEALABLE, fault, way.node()).await;
    drill.fault_begins();
    // What only a login or a password change has in it; a logout; a password change.
    let statements =
        ["INSERT INTO nightlatch.sessions", "SET ended_at = v.at", "generation = generation + 1"];
    let (mut lost, each) = (0, 2);
    for statement in statements {
        way.proxy.lose_answers_to(statement, each);
        wait_until("answers are lost", LIMIT, async || way.proxy.answers_lost() == each).await;
        lost += each;
        drill.stay_under_load().await;
    }
    drill.remark = format!("{lost} times, logins, logouts and password changes");
    drill.fault_ends(UNNOTICED).await;
}
