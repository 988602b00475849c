//! Cases about nodes: who lives, who fell silent, and the clock that they carry on.
//!
//! Time passes for a record by making its heartbeats older ([`Subject::with_shifted_heartbeats`]);
//! what needs it says nothing of a record whose test gives no way to do so.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::time::Duration;

use nightlatch_core::{Cluster, HEARTBEAT_EVERY, NODE_LIFE, NODE_RETENTION, NodeId, Record};

use super::Subject;
use super::fixture::{DAY, Fixture, HOUR};

/// More than any call here takes.
const SLACK: Duration = Duration::from_secs(5);

/// Shorter than the life of a node, by more than any call here takes.
const ALMOST_A_LIFE: Duration = Duration::from_secs(25);

fn fresh(record: &Fixture) -> NodeId {
    NodeId::fresh(record.entropy(), record.now())
}

async fn beat(record: &Fixture, port: &dyn Record, node: NodeId) -> Cluster {
    port.heartbeat(node, record.deadline()).await.expect("beating works")
}

async fn cluster(record: &Fixture, node: NodeId) -> Cluster {
    let answer = record.record().find_cluster(node, record.deadline()).await;
    answer.expect("asking works")
}

pub async fn nodes_see_each_other_until_one_leaves(subject: Subject) {
    let record = Fixture::over(subject).await;
    let second = record.second_node().await;
    let (one, other) = (fresh(&record), fresh(&record));
    assert_eq!(cluster(&record, one).await.live, 1, "who asks lives");
    assert_eq!(beat(&record, record.record(), one).await.live, 1);
    assert_eq!(beat(&record, &*second, other).await.live, 2);
    assert_eq!(cluster(&record, one).await.live, 2, "before its next heartbeat");
    assert_eq!(beat(&record, record.record(), one).await.live, 2);

    second.leave(other, record.deadline()).await.expect("leaving works");
    second.leave(other, record.deadline()).await.expect("leaving twice does no harm");
    let alone = beat(&record, record.record(), one).await;
    assert_eq!((alone.live, alone.silent), (1, None), "who leaves does not fall silent");
}

pub async fn a_node_that_falls_silent_lives_for_thirty_seconds_and_is_remembered(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    beat(&record, record.record(), other).await;
    if !record.make_heartbeats_older(ALMOST_A_LIFE).await {
        return;
    }
    let seen = beat(&record, record.record(), one).await;
    assert_eq!((seen.live, seen.silent), (2, None));
    record.make_heartbeats_older(SLACK).await;
    for seen in [cluster(&record, one).await, beat(&record, record.record(), one).await] {
        assert_eq!(seen.live, 1);
        let silent = seen.silent.expect("it did not leave");
        let ago = record.wall().since(silent);
        assert!(ago < SLACK, "{ago:?} since it fell silent");
    }
    assert_eq!(cluster(&record, other).await.live, 2, "to itself a node always lives");
    assert_eq!(beat(&record, record.record(), other).await.live, 2);
    assert_eq!(cluster(&record, one).await.silent, None, "it is back");
}

pub async fn service_time_runs_with_heartbeats_and_stands_still_without(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    let first = beat(&record, record.record(), one).await.service_time;
    assert!(first < SLACK);
    for (gap, runs_on_by) in [
        (Duration::from_secs(4), Duration::from_secs(4)),
        (HEARTBEAT_EVERY, HEARTBEAT_EVERY),
        // No node reached the record, or there was none.
        (HOUR, HEARTBEAT_EVERY),
    ] {
        let before = beat(&record, record.record(), one).await.service_time;
        if !record.make_heartbeats_older(gap).await {
            return;
        }
        assert_eq!(cluster(&record, one).await.service_time, before, "only heartbeats carry it on");
        // Of whichever node.
        let after = beat(&record, record.record(), other).await.service_time;
        let ran = after.checked_sub(before).expect("it never goes back");
        assert!(ran >= runs_on_by && ran <= HEARTBEAT_EVERY, "{ran:?} in {gap:?}");
        assert!(ran < runs_on_by + SLACK, "{ran:?} in {gap:?}");
    }
}

pub async fn a_clock_that_goes_back_neither_stops_service_time_nor_keeps_anybody_alive(
    subject: Subject,
) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    beat(&record, record.record(), other).await;
    let before = beat(&record, record.record(), one).await.service_time;
    if !record.make_heartbeats_younger(HOUR).await {
        return;
    }
    let back = beat(&record, record.record(), one).await;
    assert_eq!((back.service_time, back.live), (before, 2), "nothing has passed");
    record.make_heartbeats_older(NODE_LIFE).await;
    let later = beat(&record, record.record(), one).await;
    assert_eq!(later.service_time, before + HEARTBEAT_EVERY, "it runs on from there");
    assert_eq!(later.live, 1, "no hour is added to a life");
}

pub async fn nodes_that_are_long_gone_are_swept(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (one, other) = (fresh(&record), fresh(&record));
    beat(&record, record.record(), other).await;
    if !record.make_heartbeats_older(DAY).await {
        return;
    }
    assert!(beat(&record, record.record(), one).await.silent.is_some());
    record.make_heartbeats_older(NODE_RETENTION).await;
    beat(&record, record.record(), one).await;
    assert_eq!(cluster(&record, one).await.silent, None);
}
