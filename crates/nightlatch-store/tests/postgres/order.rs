//! Positions are in commit order, and what is read is never older than its position says.

use std::time::Duration;

use nightlatch_core::{
    Outcome, PasswordChange, PasswordHash, SessionEnd, SessionStore, StoreErrorKind, User,
    UserStore,
};
use nightlatch_store::postgres::PostgresRecord;
use tokio::task::JoinSet;

use crate::support::{
    CALL_SPAN, Fixture, WAITING, create_user, end, find, login, now, open, prefix, session_of,
    soon, within,
};

/// Whoever has read up to a position must have seen all that is at or below it: in every snapshot
/// the feed is without gaps, and the head is its newest row.
#[tokio::test(flavor = "multi_thread")]
async fn no_reader_ever_sees_a_gap_below_the_head() {
    const REVOKERS: usize = 24;
    let fixture = Fixture::shared().await;
    let mut users = Vec::new();
    for number in 0..6 {
        users.push(create_user(&fixture.record, &format!("user{number}")).await);
    }
    let mut revokers = JoinSet::new();
    for revoker in 0..REVOKERS {
        // How long each waits is not what this is about.
        let mut patient = fixture.options();
        (patient.lock_timeout, patient.statement_timeout) = (CALL_SPAN, CALL_SPAN);
        let (node, user) = (open(&patient), users[revoker % users.len()].clone());
        revokers.spawn(async move { revoke_in_every_way(&node, &user).await });
    }
    let observer = fixture.client().await;
    let disorder = "SELECT abs((SELECT count(*) FROM nightlatch.feed) - max(position))
            + abs(max(position) - (SELECT position FROM nightlatch.feed_head))
            + abs((SELECT row_id FROM nightlatch.feed_head)
                  - (SELECT id FROM nightlatch.feed ORDER BY position DESC LIMIT 1))
        FROM nightlatch.feed";
    while !revokers.is_empty() {
        assert_eq!(observer.number(disorder).await, 0);
        while let Some(done) = revokers.try_join_next() {
            done.expect("no revoker panics");
        }
    }
    assert_eq!(observer.number(disorder).await, 0);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(observer.number(deadlocks).await, 0);
    let rows = observer.number("SELECT count(*) FROM nightlatch.feed").await;
    assert!(rows > i64::try_from(REVOKERS * 5 * 5).expect("a small number"), "only {rows} rows");
}

/// Several of these work on the same user: a login may be refused, a session may have been ended
/// by somebody else.
async fn revoke_in_every_way(node: &PostgresRecord, user: &User) {
    for _ in 0..5 {
        let user = node.find_credentials_by_id(user.id, prefix(), now(), soon()).await;
        let user = user.expect("the record answers").expect("nobody deletes users here").user;
        let mut sessions = Vec::new();
        for _ in 0..4 {
            let new = session_of(&user);
            sessions.push(new.session.id);
            node.create_session(new, prefix(), soon()).await.expect("the record answers");
        }
        let mut replacing = session_of(&user);
        let replaced = session_of(&user);
        replacing.replaces = Some(replaced.token);
        node.create_session(replaced, prefix(), soon()).await.expect("the record answers");
        node.create_session(replacing, prefix(), soon()).await.expect("the record answers");
        for which in [
            SessionEnd::One(sessions[0]),
            SessionEnd::OneOf(user.id, sessions[1]),
            SessionEnd::One(sessions[1]),
            SessionEnd::OthersOf(user.id, sessions[2]),
            SessionEnd::AllOf(user.id),
            SessionEnd::Everything,
        ] {
            end(node, which).await.expect("the record answers");
        }
        node.set_groups(user.id, user.groups, soon()).await.expect("the record answers");
    }
}

/// A copy is believed if the feed has nothing against it after its `as_of`: a living session must
/// never be given out with the position of its own end, or a later one.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_never_found_alive_at_the_position_of_its_end() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let observer = fixture.client().await;
    for _ in 0..20 {
        let (id, token) = login(&fixture.record, &user).await;
        let (reader, revoker) = (fixture.node(), fixture.node());
        let reading = async {
            let mut last = None;
            while let Some(found) = find(&reader, token).await {
                last = Some(found.as_of.position.0);
            }
            last
        };
        let revoking = async { end(&revoker, SessionEnd::One(id)).await.expect("it answers") };
        let (last, ended) = tokio::join!(reading, revoking);
        assert_eq!(ended, 1);
        let ended_at = observer
            .client
            .query_one(
                "SELECT min(position) FROM nightlatch.feed WHERE session_id = $1",
                &[id.as_uuid()],
            )
            .await
            .expect("it was ended")
            .get::<_, i64>(0);
        assert!(last.is_none_or(|last| last < ended_at), "alive at {last:?}, ended at {ended_at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_waits_for_a_password_change_is_refused() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let other = fixture.client().await;
    other.run("BEGIN; UPDATE nightlatch.users SET generation = generation + 1").await;
    let new = session_of(&user);
    let token = new.token;
    let (created, ()) = tokio::join!(fixture.record.create_session(new, prefix(), soon()), async {
        fixture.client().await.until(WAITING, 1).await;
        other.run("COMMIT").await;
    });
    assert_eq!(created.expect("the record answers"), None);
    assert_eq!(find(&fixture.record, token).await, None);
    let rows = other.number("SELECT count(*) FROM nightlatch.sessions").await;
    assert_eq!(rows, 0);
}

/// The session is inserted first and the change waits for it: it sees nothing of the session, and
/// yet ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_flight_does_not_survive_the_change_that_waited_for_it() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let holder = fixture.client().await;
    // Holds what a login holds, for as long as we like.
    holder.run("BEGIN; SELECT FROM nightlatch.users FOR SHARE").await;
    let (_, token) = login(&fixture.record, &user).await;
    let change = PasswordChange {
        user_id: user.id,
        verified_at: Some(user.generation),
        hash: PasswordHash::from_stored("$2b$12$second".to_owned()),
        next_session: None,
    };
    let (changed, ()) = tokio::join!(fixture.record.change_password(change, soon()), async {
        fixture.client().await.until(WAITING, 1).await;
        login(&fixture.node(), &user).await;
        holder.run("COMMIT").await;
    });
    changed.expect("the record answers").expect("the generation stood");
    assert_eq!(find(&fixture.record, token).await, None);
    let sessions = fixture.record.list_sessions(user.id, now(), 10, soon()).await;
    assert_eq!(sessions.expect("the record answers"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_at_its_deadline_leaves_no_lock_behind() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (id, token) = login(&fixture.record, &user).await;
    let holder = fixture.client().await;
    holder.run("BEGIN; SELECT FROM nightlatch.feed_head FOR UPDATE").await;
    let deadline = within(Duration::from_millis(200));
    let ended = fixture.record.end_sessions(SessionEnd::One(id), now(), deadline).await;
    let error = ended.expect_err("the head is locked");
    assert_eq!((error.kind(), error.outcome()), (StoreErrorKind::Deadline, Outcome::Unknown));
    // The server was told: nobody waits any more, though the lock is still held.
    holder.until(WAITING, 0).await;
    holder.run("COMMIT").await;
    assert!(find(&fixture.record, token).await.is_some());
}
