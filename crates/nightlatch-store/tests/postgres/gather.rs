//! Revocations of one node go together in one statement, and yet each caller gets its own answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use nightlatch_core::{
    Actor, Deadline, FailureClass, Outcome, Position, SessionEnd, SessionId, SessionStore,
    StoreError, StoreErrorKind, StoreResult, SystemClock, TokenHash, User, Written,
};
use nightlatch_store::postgres::PostgresRecord;

use crate::support::{
    CALL_SPAN, Fixture, RawClient, WAITING, create_user, find, login, now, open, session_of, soon,
    within,
};

const SESSIONS_ARE_HELD: &str = "BEGIN; SELECT FROM nightlatch.sessions FOR UPDATE";

type Answer = Result<Written<u64>, StoreError>;

/// A call that has been made, whether it is waited for or not.
struct Call<'a>(StoreResult<'a, Written<u64>>);

impl<'a> Call<'a> {
    async fn begin(node: &'a PostgresRecord, which: SessionEnd, deadline: Deadline) -> Self {
        let mut call = node.end_sessions(which, now(), Actor::node(), deadline);
        poll_fn(|context| {
            let polled = Pin::new(&mut call).poll(context);
            assert!(polled.is_pending(), "{which:?} was answered at once: {polled:?}");
            Poll::Ready(())
        })
        .await;
        Self(call)
    }

    async fn answer(self) -> Answer {
        self.0.await
    }
}

async fn ended(call: Call<'_>) -> u64 {
    call.answer().await.expect("the record answers").value
}

fn told(answer: Answer) -> (StoreErrorKind, FailureClass, Outcome) {
    let error = answer.expect_err("it cannot be done");
    (error.kind(), error.class(), error.outcome())
}

async fn logins(fixture: &Fixture, user: &User, count: usize) -> Vec<(SessionId, TokenHash)> {
    let mut logins = Vec::new();
    for _ in 0..count {
        logins.push(login(&fixture.record, user).await);
    }
    logins
}

/// How many statements wrote the rows above the first, and the most rows of one.
async fn statements(client: &RawClient) -> (i64, i64) {
    let sql = "SELECT count(*), max(rows) FROM (
        SELECT count(*) AS rows FROM nightlatch.feed WHERE position > 1 GROUP BY xmin::text) s";
    let row = client.client.query_one(sql, &[]).await.expect("readable");
    (row.get(0), row.get(1))
}

/// On one thread, as all that follow: no statement is begun before the test waits for something.
#[tokio::test]
async fn those_who_wait_share_a_statement_and_each_gets_its_own_answer() {
    let fixture = Fixture::shared().await;
    let (alice, bob) =
        (create_user(&fixture.record, "alice").await, create_user(&fixture.record, "bob").await);
    let logins = logins(&fixture, &alice, 4).await;
    let [by_id, by_token, of_user, foreign] = logins[..] else { panic!("four of them") };
    let node = &fixture.record;
    let unknown = session_of(&alice);
    let mut calls = Vec::new();
    for (which, count, rows) in [
        (SessionEnd::One(by_id.0), 1, 1),
        (SessionEnd::One(by_id.0), 0, 1),
        (SessionEnd::One(unknown.session.id), 0, 1),
        (SessionEnd::Token(by_token.1), 1, 1),
        (SessionEnd::Token(by_token.1), 0, 0),
        (SessionEnd::Token(unknown.token), 0, 0),
        (SessionEnd::OneOf(alice.id, of_user.0), 1, 1),
        (SessionEnd::OneOf(alice.id, by_token.0), 0, 0),
        (SessionEnd::OneOf(bob.id, foreign.0), 0, 0),
    ] {
        calls.push((Call::begin(node, which, soon()).await, which, count, rows));
    }
    let mut next = Position(2);
    for (call, which, count, rows) in calls {
        let answer = call.answer().await.expect("the record answers");
        assert_eq!((answer.value, answer.rows.len()), (count, rows), "{which:?}");
        for row in answer.rows {
            assert_eq!(row.at.position, next, "in the order in which they came");
            next = Position(next.0 + 1);
        }
    }
    for (number, (_, token)) in logins.iter().enumerate() {
        assert_eq!(find(node, *token).await.is_some(), number == 3, "{number}");
    }
    assert_eq!(statements(&fixture.client().await).await, (1, 5));
}

#[tokio::test]
async fn a_statement_ends_no_more_than_64_sessions() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let node = &fixture.record;
    let mut calls = Vec::new();
    for _ in 0..150 {
        let stranger = SessionEnd::One(session_of(&user).session.id);
        calls.push(Call::begin(node, stranger, soon()).await);
    }
    for call in calls {
        assert_eq!(call.answer().await.expect("the record answers").rows.len(), 1);
    }
    assert_eq!(statements(&fixture.client().await).await, (3, 64));
}

#[tokio::test]
async fn more_than_can_wait_are_refused_at_once() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let node = &fixture.record;
    let stranger = || SessionEnd::One(session_of(&user).session.id);
    let mut calls = Vec::new();
    for _ in 0..16 * 64 {
        calls.push(Call::begin(node, stranger(), soon()).await);
    }
    let refused = node.end_sessions(stranger(), now(), Actor::node(), soon()).await;
    let expected = (StoreErrorKind::Overloaded, FailureClass::Busy, Outcome::NotApplied);
    assert_eq!(told(refused), expected);
    // Those who leave make room.
    calls.truncate(1);
    calls.push(Call::begin(node, stranger(), soon()).await);
    for call in calls {
        assert_eq!(call.answer().await.expect("the record answers").rows.len(), 1);
    }
    assert_eq!(statements(&fixture.client().await).await, (1, 2));
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nobodys_answer_along() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let logins = logins(&fixture, &user, 3).await;
    let [sent, waiting, stays] = logins[..] else { panic!("three of them") };
    let holder = fixture.client().await;
    holder.run(SESSIONS_ARE_HELD).await;
    let node = &fixture.record;
    let leaves_early = Call::begin(node, SessionEnd::One(waiting.0), soon()).await;
    let leaves_late = Call::begin(node, SessionEnd::One(sent.0), soon()).await;
    let call = Call::begin(node, SessionEnd::One(stays.0), soon()).await;
    drop(leaves_early);
    fixture.client().await.until(WAITING, 1).await;
    drop(leaves_late);
    holder.run("COMMIT").await;
    assert_eq!(ended(call).await, 1);
    assert_eq!(find(node, sent.1).await, None, "it was on its way");
    assert!(find(node, waiting.1).await.is_some(), "nobody wanted it any more, so nobody sent it");
    assert_eq!(find(node, stays.1).await, None);
}

#[tokio::test]
async fn each_deadline_is_its_callers_own() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let logins = logins(&fixture, &user, 2).await;
    let [hasty, patient] = logins[..] else { panic!("two of them") };
    let holder = fixture.client().await;
    holder.run(SESSIONS_ARE_HELD).await;
    let node = &fixture.record;
    let short = within(Duration::from_millis(200));
    let first = Call::begin(node, SessionEnd::One(hasty.0), short).await;
    let second = Call::begin(node, SessionEnd::One(patient.0), soon()).await;
    fixture.client().await.until(WAITING, 1).await;
    let too_late = (StoreErrorKind::Deadline, FailureClass::Timeout);
    assert_eq!(told(first.answer().await), (too_late.0, too_late.1, Outcome::Unknown));
    holder.run("COMMIT").await;
    assert_eq!(ended(second).await, 1);
    assert_eq!(find(node, hasty.1).await, None, "it was in the same statement");
}

#[tokio::test]
async fn what_is_too_late_to_be_sent_is_not_sent() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, token) = login(&fixture.record, &user).await;
    let node = &fixture.record;
    let deadline = within(Duration::from_millis(50));
    let call = Call::begin(node, SessionEnd::One(id), deadline).await;
    // Nothing else runs meanwhile.
    while !deadline.is_over(&SystemClock) {}
    let expected = (StoreErrorKind::Deadline, FailureClass::Timeout, Outcome::NotApplied);
    assert_eq!(told(call.answer().await), expected);
    assert!(find(node, token).await.is_some());
}

#[tokio::test]
async fn all_of_a_group_hear_what_became_of_it() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let logins = logins(&fixture, &user, 2).await;
    let (holder, observer) = (fixture.client().await, fixture.client().await);
    let mut hasty = fixture.options();
    hasty.lock_timeout = Duration::from_millis(100);
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'nightlatch'
          AND wait_event_type = 'Lock'";
    for (node, interference, class, outcome) in [
        (open(&hasty), None, FailureClass::Locked, Outcome::NotApplied),
        (fixture.node(), Some(terminate), FailureClass::Closed, Outcome::Unknown),
    ] {
        holder.run(SESSIONS_ARE_HELD).await;
        let first = Call::begin(&node, SessionEnd::One(logins[0].0), soon()).await;
        let second = Call::begin(&node, SessionEnd::Token(logins[1].1), soon()).await;
        if let Some(sql) = interference {
            observer.until(WAITING, 1).await;
            observer.run(sql).await;
        }
        for call in [first, second] {
            let expected = (StoreErrorKind::Unavailable, class, outcome);
            assert_eq!(told(call.answer().await), expected);
        }
        holder.run("COMMIT").await;
        for (_, token) in &logins {
            assert!(find(&node, *token).await.is_some());
        }
    }
    let again = fixture
        .record
        .end_sessions(SessionEnd::One(logins[0].0), now(), Actor::node(), soon())
        .await;
    assert_eq!(again.expect("the record answers").value, 1);
}

/// A dead connection is noticed only at a deadline: until then others go another way.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_long_holds_up_nobody_who_comes_later() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, token) = login(&fixture.record, &user).await;
    let (holder, observer) = (fixture.client().await, fixture.client().await);
    holder.run(SESSIONS_ARE_HELD).await;
    let mut patient = fixture.options();
    (patient.lock_timeout, patient.statement_timeout) = (2 * CALL_SPAN, 2 * CALL_SPAN);
    let node = open(&patient);
    let stalled = Call::begin(&node, SessionEnd::One(id), within(2 * CALL_SPAN)).await;
    observer.until(WAITING, 1).await;
    let others = async {
        let stranger = || SessionEnd::One(session_of(&user).session.id);
        let short = || within(Duration::from_millis(100));
        while let Err(error) = node.end_sessions(stranger(), now(), Actor::node(), short()).await {
            assert_eq!(error.kind(), StoreErrorKind::Deadline);
        }
    };
    let in_time = tokio::time::timeout(CALL_SPAN, others).await;
    assert!(in_time.is_ok(), "nobody came through");
    assert_eq!(observer.number(WAITING).await, 1, "the first one still waits");
    holder.run("COMMIT").await;
    assert_eq!(ended(stalled).await, 1);
    assert_eq!(find(&node, token).await, None);
}
