//! Nodes that all reach the record, and get in each other's way.

use std::time::Duration;

use nightlatch_testkit::load::Crowd;

use super::GROUP;
use crate::outage::drill::{Drill, LIMIT, full_or};
use crate::outage::postgres::Way;
use crate::outage::report::{Expected, Wanted};

const UNNOTICED: Expected =
    Expected { writes: Wanted::Served, checks: Wanted::Served, class: None };

/// Until a start has looked at the record it knows nothing of it, and says so.
const RESTARTED: Expected =
    Expected { writes: Wanted::Either, checks: Wanted::Either, class: Some("none") };

/// Revocations of two nodes wait for the row that gives them their order, and all go at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_that_wait_for_each_other_are_all_heard() {
    let way = Way::shared().await;
    let nodes = vec![way.straight_node(), way.straight_node()];
    let crowd = Crowd { movers: 6, checkers: 4, changers: 2, programs: 2, logouts_in_ten: 5 };
    let fault = "revocations committed out of order";
    let mut drill = Drill::begin_among(GROUP, fault, nodes, crowd).await;
    let (holder, session) = (way.session().await, way.session().await);
    drill.fault_begins();
    for _ in 0..full_or(20, 5) {
        holder.run("BEGIN; SELECT FROM nightlatch.feed_head FOR UPDATE").await;
        session.wait_for(crate::outage::postgres::WAITING, 2).await;
        holder.run("COMMIT").await;
        drill.stay_under_load().await;
    }
    drill.remark = String::from("the row that orders them is held until two wait for it");
    drill.fault_ends(UNNOTICED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_restarted_one_after_the_other() {
    let way = Way::shared().await;
    let nodes = vec![way.straight_node(), way.straight_node()];
    let fault = "rolling restart of two nodes";
    let mut drill = Drill::begin_among("Own process", fault, nodes, Crowd::STEADY).await;
    drill.fault_begins();
    for _ in 0..full_or(5, 1) {
        drill.restart().await;
        drill.stay_under_load().await;
        drill.restart_other(1);
        drill.others[0].server.wait_until_ready().await;
        drill.stay_under_load().await;
    }
    drill.fault_ends(RESTARTED).await;
}

/// What a newer release may write that this one has never heard of: a migration, a column, a kind of
/// feed row, a shared secret, and a node that says "alive".
const NEWER_RELEASE: &[&str] = &[
    "ALTER TABLE nightlatch.feed ADD COLUMN family uuid",
    "INSERT INTO nightlatch.schema_migrations (version, name, checksum, applied_at)
     SELECT 9999, '9999_of_a_newer_release', sha256('another text'), max(applied_at)
     FROM nightlatch.schema_migrations",
    "INSERT INTO nightlatch.shared_secrets (name, value) VALUES ('of_a_newer_release', 'x')",
    "INSERT INTO nightlatch.nodes (id, beat_at)
     SELECT gen_random_uuid(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
];

/// As a newer release writes the feed: the head last, and the row at its place.
const OF_AN_UNKNOWN_KIND: &str = "
    WITH moved AS (
        UPDATE nightlatch.feed_head
        SET position = position + 1, row_id = (random() * 9007199254740992)::bigint
        RETURNING position, row_id
    )
    INSERT INTO nightlatch.feed (position, id, kind, at, family)
    SELECT position, row_id, 99, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
        gen_random_uuid()
    FROM moved";

/// A node of this release goes on, and another is started, beside a newer one at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_release_goes_on_beside_a_newer_one() {
    let way = Way::shared().await;
    let nodes = vec![way.straight_node(), way.straight_node()];
    let fault = "old and new release together";
    let mut drill = Drill::begin_among(GROUP, fault, nodes, Crowd::STEADY).await;
    let newer = way.session().await;
    drill.fault_begins();
    for statement in NEWER_RELEASE {
        newer.run(statement).await;
    }
    for _ in 0..full_or(20, 3) {
        newer.run(OF_AN_UNKNOWN_KIND).await;
        drill.stay_under_load().await;
    }
    drill.restart().await;
    newer.run(OF_AN_UNKNOWN_KIND).await;
    drill.stay_under_load().await;
    drill.remark = String::from("rows of the feed, columns and migrations that it does not know");
    drill.fault_ends_among(RESTARTED, UNNOTICED).await;
}

pub(crate) const OLD_SECRET: &str = "wq8ZtL3vXn6RkE1yHs9UbJ5mGd2PcAf7";
pub(crate) const NEW_SECRET: &str = "Tz4KpR7cWq2NsV9eGx5YhB8mLd3JfUa6";
const CSRF_SECRET: &str = "bV6nXk2RtW9qLs5ZdH8yPf3MgC7jEa4U";

/// One node is started with the new key first while the other still has `keys_there`.
async fn keys_are_rotated(fault: &'static str, keys_there: &str, of_other: Expected) {
    let way = Way::shared().await;
    let node = |keys: &str| {
        way.straight_node().set("SESSION_SECRET_KEY", keys).set("CSRF_SECRET_KEY", CSRF_SECRET)
    };
    let nodes = vec![node(keys_there), node(keys_there)];
    let mut drill = Drill::begin_among(GROUP, fault, nodes, Crowd::STEADY).await;
    drill.fault_begins();
    drill.server.set("SESSION_SECRET_KEY", &format!("{NEW_SECRET},{OLD_SECRET}"));
    drill.restart().await;
    drill.wait_since_beginning(Duration::from_secs(full_or(20, 2))).await;
    drill.stay_under_load().await;
    drill.server.set("SESSION_SECRET_KEY", keys_there);
    drill.restart().await;
    drill.fault_ends_among(RESTARTED, of_other).await;
}

/// As the manual says: the new key second on every node before it is first on any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_on_one_node_first() {
    let both = format!("{OLD_SECRET},{NEW_SECRET}");
    keys_are_rotated("keys rotated on one first", &both, UNNOTICED).await;
}

/// Not as the manual says. Tokens of a key that a node does not have are looked up, some a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_only_one_node_has_logs_nobody_out() {
    let fault = "keys rotated on one first, the new one unknown to the other";
    let of_other = Expected { checks: Wanted::Either, ..UNNOTICED };
    keys_are_rotated(fault, OLD_SECRET, of_other).await;
}

/// Sessions that end in one moment.
const MANY: u32 = 100_000;
const SEVERAL: u32 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mass_of_revocations_stops_nobody() {
    let way = Way::shared().await;
    let nodes = vec![way.straight_node(), way.straight_node()];
    let fault = "100,000 sessions revoked at once";
    let mut drill = Drill::begin_among(GROUP, fault, nodes, Crowd::STEADY).await;
    drill.load.register("throng", crate::person::PASSWORD).await;
    let many = full_or(MANY, SEVERAL);
    let session = way.session().await;
    session
        .run(&format!(
            "INSERT INTO nightlatch.sessions SELECT gen_random_uuid(),
                 sha256(convert_to(n::text, 'UTF8')), u.id, u.generation, u.created_at,
                 u.created_at, u.created_at + 86400000000, false, '192.0.2.1', 'Firefox on Linux',
                 NULL
             FROM nightlatch.users u, generate_series(1, {many}) n
             WHERE u.username = 'throng'"
        ))
        .await;
    drill.fault_begins();
    let said = tokio::task::block_in_place(|| {
        drill.server.command(&["session", "revoke", "--user", "throng"])
    });
    drill.stay_under_load().await;
    let alive = "SELECT count(*) FROM nightlatch.sessions s JOIN nightlatch.users u
        ON u.id = s.user_id AND u.generation = s.generation
        WHERE u.username = 'throng' AND s.ended_at IS NULL";
    nightlatch_testkit::wait::wait_until("none is left", LIMIT, async || {
        session.number(alive).await == 0
    })
    .await;
    drill.remark = format!("{many} of one user: {}", said.trim());
    drill.fault_ends(UNNOTICED).await;
}
