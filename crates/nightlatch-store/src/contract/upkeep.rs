//! Cases about the record as such: schema, sweeping, failures, secrets and deadlines.
//!
//! What runs beside logins must never take a living session with it.
#![expect(missing_docs, reason = "the name of a case is the promise that it checks")]

use std::fmt::Debug;
use std::time::Duration;

use nightlatch_core::{
    Actor, Deadline, Epoch, Failure, FailurePosition, Groups, LoginName, LostRevocations, LostUser,
    NodeId, Outcome, PasswordChange, Position, SessionEnd, StoreErrorKind, StoreResult, Sweep,
    ThrottleKey, ThrottleScope, Timestamp,
};

use super::Subject;
use super::fixture::{Fixture, HOUR, Login, hash, home, sweep_before};

/// More sweeps than any case here needs.
const SWEEPS_MAX: u32 = 100;

pub async fn migrating_twice_applies_nothing_the_second_time(subject: Subject) {
    let record = Fixture::unmigrated(subject);
    record.record().migrate(record.deadline()).await.expect("migrating works");
    let user = record.user("alice").await;
    let again = record.record().migrate(record.deadline()).await.expect("migrating works");
    assert!(again.is_empty(), "{again:?}");
    assert_eq!(record.find("alice").await.expect("nothing is lost").user, user);
}

async fn sweep(record: &Fixture, before: Timestamp, limit: u32) -> Sweep {
    record
        .record()
        .sweep(sweep_before(before), limit, record.deadline())
        .await
        .expect("sweeping works")
}

/// Sweeps until nothing is left to be swept; the sum.
async fn sweep_all(record: &Fixture, before: Timestamp, limit: u32) -> Sweep {
    let mut sum = Sweep::default();
    for _ in 0..SWEEPS_MAX {
        let swept = sweep(record, before, limit).await;
        let Sweep { sessions, application_sessions, feed_rows, throttle_rows, audit_rows } = swept;
        for count in [sessions, application_sessions, feed_rows, throttle_rows, audit_rows] {
            assert!(count <= u64::from(limit), "{swept:?} is over the limit of {limit}");
        }
        if swept == Sweep::default() {
            return sum;
        }
        sum.sessions += swept.sessions;
        sum.application_sessions += swept.application_sessions;
        sum.feed_rows += swept.feed_rows;
        sum.throttle_rows += swept.throttle_rows;
        sum.audit_rows += swept.audit_rows;
    }
    panic!("sweeping never ends: {sum:?} so far");
}

pub async fn a_sweep_keeps_what_lives_and_the_newest_feed_row(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let (stays, ended) = (record.login(&user).await, record.login(&user).await);
    let mut past = record.session_of(&user);
    past.session.created_at = record.now().before(5 * HOUR);
    past.session.expires_at = record.now().before(3 * HOUR);
    let expired = record.login_with(past).await;
    assert_eq!(record.end(SessionEnd::One(ended.id)).await, 1);

    let early = sweep_all(&record, record.now().before(HOUR), 100).await;
    let expected = Sweep { sessions: 1, audit_rows: 1, ..Sweep::default() };
    assert_eq!(early, expected, "only the expired one is old, and what was told of its login");
    // A copy may outlive it: whoever holds one judges its expiry.
    assert_eq!(record.found(expired.token).await, None);
    let before = record.head().await;
    let late = sweep_all(&record, record.now().after(HOUR), 100).await;
    assert_eq!((late.sessions, late.throttle_rows), (1, 0));
    assert!(late.feed_rows >= 1, "the first row of the history is old too");

    let after = record.head().await;
    assert_eq!((after.newest, after.history), (before.newest, before.history));
    assert!(after.pruned_to > before.pruned_to);
    assert!(after.pruned_to < after.newest.position);
    let rows = record.feed_after(after.pruned_to).await;
    let left = after.newest.position.0 - after.pruned_to.0;
    assert_eq!(i64::try_from(rows.len()).ok(), Some(left));
    let found = record.found(stays.token).await.expect("it lives");
    assert_eq!(found.as_of, after.newest);
    assert!(record.find("alice").await.expect("she stays").prefix_is_known);
    assert!(!record.lives(&ended).await);
    assert_eq!(record.end(SessionEnd::One(ended.id)).await, 0, "its row is gone");
    let head = record.head().await.newest.position.0;
    assert_eq!(head, after.newest.position.0 + 1, "positions go on where they were");
}

pub async fn a_sweep_is_bounded(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let mut logins: Vec<Login> = Vec::new();
    for _ in 0..10 {
        logins.push(record.login(&user).await);
    }
    for login in &logins[..7] {
        record.end(SessionEnd::One(login.id)).await;
    }
    append(&record, (0..10).map(|_| failure(1, record.now().before(HOUR))).collect()).await;
    let later = record.now().after(HOUR);
    let first = sweep(&record, later, 3).await;
    assert!(first.sessions <= 3 && first.feed_rows <= 3 && first.throttle_rows <= 3, "{first:?}");
    assert_ne!(first, Sweep::default());
    let rest = sweep_all(&record, later, 3).await;
    assert_eq!(first.sessions + rest.sessions, 7);
    assert_eq!(first.throttle_rows + rest.throttle_rows, 10);
    for login in &logins[7..] {
        assert!(record.lives(login).await);
    }
}

fn failure(digest: u8, at: Timestamp) -> Failure {
    Failure { key: ThrottleKey::new(ThrottleScope::Login, [digest; 16]), at }
}

async fn append(record: &Fixture, failures: Vec<Failure>) {
    let by = NodeId::fresh(record.entropy(), record.now());
    let answer = record.record().append_failures(by, failures, Vec::new(), record.deadline()).await;
    answer.expect("appending works");
}

async fn failures(record: &Fixture, since: Timestamp, limit: u32) -> Vec<Failure> {
    let answer = record.record().list_failures(since, limit, record.deadline()).await;
    answer.expect("listing works").failures
}

pub async fn the_newest_failures_are_listed_oldest_first(subject: Subject) {
    let record = Fixture::over(subject).await;
    let at = |seconds: u32| record.now().after(seconds * Duration::from_secs(1));
    let scopes = [
        ThrottleScope::Login,
        ThrottleScope::Address,
        ThrottleScope::Account,
        ThrottleScope::Register,
        ThrottleScope::Device,
    ];
    let all: Vec<Failure> = (0..5_u8)
        .map(|n| {
            let key = ThrottleKey::new(scopes[usize::from(n)], [0xf0 | n; 16]);
            Failure { key, at: at(u32::from(n)) }
        })
        .collect();
    // They arrive out of order: each node writes its own in batches.
    append(&record, vec![all[3], all[0]]).await;
    append(&record, vec![all[4], all[2], all[1]]).await;
    assert_eq!(failures(&record, at(0).before(HOUR), 10).await, all);
    assert_eq!(failures(&record, at(2), 10).await, all[3..], "those after, not those at");
    assert_eq!(failures(&record, at(0).before(HOUR), 2).await, all[3..]);
    append(&record, vec![all[4]; 3]).await;
    assert_eq!(failures(&record, at(3), 10).await, [all[4]; 4], "equal failures all count");
}

pub async fn a_sweep_removes_failures_before_its_time(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (old, new) =
        (failure(1, record.now().before(2 * HOUR)), failure(1, record.now().before(HOUR / 2)));
    append(&record, vec![old, new]).await;
    let swept = sweep_all(&record, record.now().before(HOUR), 10).await;
    assert_eq!(swept.throttle_rows, 1);
    assert_eq!(failures(&record, Timestamp::EPOCH, 10).await, [new]);
}

pub async fn shared_secrets_are_told_apart_by_name(subject: Subject) {
    let record = Fixture::over(subject).await;
    let secret = async |name: &str, fresh: &[u8]| {
        let answer = record.record().shared_secret(name, fresh.to_vec(), record.deadline()).await;
        answer.expect("asking works")
    };
    assert_eq!(secret("one", &[0, 1, 255]).await, [0, 1, 255]);
    assert_eq!(secret("other", b"2").await, b"2");
    assert_eq!(secret("one", b"3").await, [0, 1, 255]);
}

pub async fn a_deadline_that_is_over_changes_nothing(subject: Subject) {
    let record = Fixture::over(subject).await;
    let user = record.user("alice").await;
    let login = record.login(&user).await;
    let before = record.head().await;
    let (port, over, now) = (record.record(), Deadline::at_boottime(Duration::ZERO), record.now());
    let next = record.session_of(&user);
    let next_token = next.token;
    let change = PasswordChange {
        next_session: Some(next.clone()),
        ..super::password::change_of(&user, "$2b$12$second")
    };
    let name = LoginName::fold("alice");
    let upgrade = port.upgrade_hash(user.id, hash("$2b$12$first"), hash("$2b$12$new"), over);
    let imported = vec![record.new_user("carol")];
    let lost = LostRevocations {
        sessions: vec![login.id],
        users: vec![LostUser { id: user.id, below: None, enabled: Some(false) }],
        everything: true,
    };
    let node = NodeId::fresh(record.entropy(), now);

    refused(port.find_credentials(&name, home(), now, over)).await;
    refused(port.find_credentials_by_id(user.id, home(), now, over)).await;
    refused(port.create_user(record.new_user("bob"), Actor::node(), over)).await;
    refused(port.list_users(None, 10, over)).await;
    refused(port.set_enabled(user.id, false, Actor::node(), over)).await;
    refused(port.delete_user(user.id, Actor::node(), over)).await;
    refused(port.set_groups(user.id, Groups::default(), Actor::node(), over)).await;
    refused(port.verify_email(user.id, Actor::node(), over)).await;
    refused(port.change_password(change, Actor::node(), over)).await;
    refused(upgrade).await;
    refused(port.import_users(imported, Actor::node(), over)).await;
    refused(port.list_hash_kinds(over)).await;
    refused(port.create_session(next, home(), Actor::node(), over)).await;
    refused(port.reread_session(login.token, over)).await;
    refused(port.list_sessions(user.id, now, 10, over)).await;
    refused(port.end_sessions(SessionEnd::Everything, now, Actor::node(), over)).await;
    refused(port.touch_sessions(vec![(login.id, now.after(HOUR))], over)).await;
    refused(port.append_failures(node, vec![failure(1, now)], Vec::new(), over)).await;
    refused(port.list_failures(now, 10, over)).await;
    refused(port.poll_feed(Some(Position(0)), 10, over)).await;
    refused(port.claim_epoch(before.history, Epoch(77), over)).await;
    refused(port.restore_revocations(lost, now, over)).await;
    refused(port.poll_failures(node, FailurePosition::default(), 10, over)).await;
    refused(port.heartbeat(node, over)).await;
    refused(port.find_cluster(node, over)).await;
    refused(port.leave(node, over)).await;
    refused(port.probe(over)).await;
    refused(port.sweep(sweep_before(now.after(HOUR)), 10, over)).await;
    refused(port.shared_secret("name", vec![1], over)).await;

    assert_eq!(record.head().await, before);
    assert_eq!(record.found(login.token).await, Some(login.found));
    assert!(record.found(next_token).await.is_none());
    assert!(record.find("bob").await.is_none() && record.find("carol").await.is_none());
    let alice = record.find("alice").await.expect("she stays");
    assert_eq!((alice.user, alice.hash), (user, Some(hash("$2b$12$first"))));
    assert!(failures(&record, Timestamp::EPOCH, 10).await.is_empty());
}

async fn refused<T: Debug>(answer: StoreResult<'_, T>) {
    let error = answer.await.expect_err("the deadline is over");
    assert_eq!((error.kind(), error.outcome()), (StoreErrorKind::Deadline, Outcome::NotApplied));
}

pub async fn empty_batches_are_no_error(subject: Subject) {
    let record = Fixture::over(subject).await;
    let (port, deadline) = (record.record(), record.deadline());
    record.touch(Vec::new()).await;
    append(&record, Vec::new()).await;
    assert!(
        port.import_users(Vec::new(), Actor::node(), deadline)
            .await
            .expect("importing works")
            .is_empty()
    );
    assert!(port.list_users(None, 0, deadline).await.expect("listing works").is_empty());
    assert!(failures(&record, Timestamp::EPOCH, 0).await.is_empty());
    assert_eq!(sweep(&record, record.now().after(HOUR), 0).await, Sweep::default());
}
