//! Positions are in commit order, and what is read is never older than its position says.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, AsOf, FeedRow, FeedStore, Outcome, PasswordChange, PasswordHash, SessionEnd,
    SessionStore, StoreErrorKind, User, UserStore,
};
use nightlatch_store::postgres::PostgresRecord;
use tokio::task::JoinSet;

use crate::support::{
    CALL_SPAN, Fixture, WAITING, create_user, end, find, login, now, open, prefix, session_of,
    soon, within,
};

/// Whoever has read up to a position must have seen all that is at or below it: in every snapshot
/// the feed is without gaps, and the head is its newest row. Nodes of several callers gather what
/// ends single sessions; others get in their way, so that many wait for one lock and go on at once.
#[tokio::test(flavor = "multi_thread")]
async fn no_reader_ever_sees_a_gap_below_the_head() {
    const NODES: usize = 4;
    const CALLERS: usize = 6;
    let fixture = Fixture::shared().await;
    let mut users = Vec::new();
    for number in 0..6 {
        users.push(create_user(&fixture.record, &format!("user{number}")).await);
    }
    let begin = fixture.record.poll_feed(None, 0, soon()).await.expect("it answers").head.newest;
    let mut revokers = JoinSet::new();
    for _ in 0..NODES {
        // How long each waits is not what this is about.
        let mut patient = fixture.options();
        (patient.lock_timeout, patient.statement_timeout) = (CALL_SPAN, CALL_SPAN);
        let node = Arc::new(open(&patient));
        for caller in 0..CALLERS {
            let (node, user) = (Arc::clone(&node), users[caller % users.len()].clone());
            revokers.spawn(async move { revoke_in_every_way(&node, &user).await });
        }
    }
    let (disturber, observer) = (fixture.client().await, fixture.client().await);
    let mut tail = Tail { through: begin, rows: Vec::new() };
    let mut told = Vec::new();
    let mut rounds = 0_usize;
    while !revokers.is_empty() {
        disturber.run(DISTURBANCES[rounds % DISTURBANCES.len()]).await;
        assert_eq!(observer.number(DISORDER).await, 0);
        tail.follow(&fixture.record).await;
        disturber.run("COMMIT").await;
        while let Some(done) = revokers.try_join_next() {
            told.extend(done.expect("no revoker panics"));
        }
        rounds += 1;
    }
    tail.follow(&fixture.record).await;
    assert_eq!(observer.number(DISORDER).await, 0);
    assert_eq!(observer.number(DEADLOCKS).await, 0);
    told.sort_by_key(|row: &FeedRow| row.at.position);
    assert_eq!(told, tail.rows, "each row was told to the one who wrote it, and to nobody else");
    assert!(told.len() > NODES * CALLERS * ROUNDS * 5, "only {} rows", told.len());
}

/// How often each revoker goes through all that it does.
const ROUNDS: usize = 5;

/// Locks that revocations have to wait for, taken in turn.
const DISTURBANCES: [&str; 3] = [
    "BEGIN; SELECT FROM nightlatch.feed_head FOR UPDATE",
    "BEGIN; SELECT FROM nightlatch.users ORDER BY id FOR SHARE",
    "BEGIN; SELECT FROM nightlatch.sessions WHERE ended_at IS NULL ORDER BY id LIMIT 20 FOR SHARE",
];

/// Gaps in the feed, and rows between its newest and the head.
const DISORDER: &str = "SELECT abs((SELECT count(*) FROM nightlatch.feed) - max(position))
        + abs(max(position) - (SELECT position FROM nightlatch.feed_head))
        + abs((SELECT row_id FROM nightlatch.feed_head)
              - (SELECT id FROM nightlatch.feed ORDER BY position DESC LIMIT 1))
    FROM nightlatch.feed";

const DEADLOCKS: &str = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";

/// What a node knows that reads on from where it was: never more than a poll gives it.
struct Tail {
    through: AsOf,
    rows: Vec<FeedRow>,
}

impl Tail {
    async fn follow(&mut self, record: &PostgresRecord) {
        let news = record.poll_feed(Some(self.through.position), u32::MAX, soon()).await;
        let news = news.expect("the record answers");
        assert_eq!(news.asked, Some(self.through.row_id), "what was there stays as it was");
        for row in news.rows {
            assert_eq!(row.at.position.0, self.through.position.0 + 1, "and has no gap behind it");
            self.through = row.at;
            self.rows.push(row);
        }
        assert_eq!(news.head.newest, self.through);
    }
}

/// Several of these work on the same user: a login may be refused, a session may have been ended
/// by somebody else. All feed rows that were told of.
async fn revoke_in_every_way(node: &PostgresRecord, user: &User) -> Vec<FeedRow> {
    let mut told = Vec::new();
    for _ in 0..ROUNDS {
        let user = node.find_credentials_by_id(user.id, prefix(), now(), soon()).await;
        let user = user.expect("the record answers").expect("nobody deletes users here").user;
        let mut sessions = Vec::new();
        for _ in 0..4 {
            let new = session_of(&user);
            sessions.push((new.session.id, new.token));
            node.create_session(new, prefix(), Actor::node(), soon())
                .await
                .expect("the record answers");
        }
        let mut replacing = session_of(&user);
        let replaced = session_of(&user);
        replacing.replaces = Some(replaced.token);
        node.create_session(replaced, prefix(), Actor::node(), soon())
            .await
            .expect("the record answers");
        let login = node.create_session(replacing, prefix(), Actor::node(), soon()).await;
        told.extend(login.expect("the record answers").into_iter().flat_map(|login| login.rows));
        for which in [
            SessionEnd::One(sessions[0].0),
            SessionEnd::OneOf(user.id, sessions[1].0),
            SessionEnd::One(sessions[1].0),
            SessionEnd::Token(sessions[2].1),
            SessionEnd::OthersOf(user.id, sessions[3].0),
            SessionEnd::AllOf(user.id),
            SessionEnd::Everything,
        ] {
            let ended = node.end_sessions(which, now(), Actor::node(), soon()).await;
            told.extend(ended.expect("the record answers").rows);
        }
        let change = PasswordChange {
            user_id: user.id,
            verified_at: None,
            hash: PasswordHash::from_stored("$2b$12$next".to_owned()),
            next_session: Some(session_of(&user)),
        };
        let changed =
            node.change_password(change, Actor::node(), soon()).await.expect("the record answers");
        told.extend(changed.into_iter().flat_map(|changed| changed.rows));
        let grouped = node.set_groups(user.id, user.groups, Actor::node(), soon()).await;
        told.extend(grouped.expect("the record answers").expect("the user is there").rows);
    }
    told
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
    let (created, ()) =
        tokio::join!(fixture.record.create_session(new, prefix(), Actor::node(), soon()), async {
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
    let (changed, ()) =
        tokio::join!(fixture.record.change_password(change, Actor::node(), soon()), async {
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
    let ended =
        fixture.record.end_sessions(SessionEnd::One(id), now(), Actor::node(), deadline).await;
    let error = ended.expect_err("the head is locked");
    assert_eq!((error.kind(), error.outcome()), (StoreErrorKind::Deadline, Outcome::Unknown));
    // The server was told: nobody waits any more, though the lock is still held.
    holder.until(WAITING, 0).await;
    holder.run("COMMIT").await;
    assert!(find(&fixture.record, token).await.is_some());
}
