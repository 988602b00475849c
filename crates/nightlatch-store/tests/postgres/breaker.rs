//! A server that is known to be away is left alone: who asks is told at once, and few look.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Clock, FailureClass, FeedStore, Outcome, SessionStore, StoreError, SystemClock, TokenHash,
};
use nightlatch_store::postgres::PostgresRecord;
use nightlatch_testkit::postgres::PostgresServer;
use tokio::task::JoinSet;

use crate::relay::Relay;
use crate::support::{
    CALL_SPAN, Fixture, WAITING, create_user, find, login, open, options, soon, until_it_answers,
    within,
};

/// Calls that come all the time.
const CALLERS: usize = 8;

/// As long as a session check has.
const CHECK_SPAN: Duration = Duration::from_millis(400);

/// A node whose connections are counted.
struct Watched {
    fixture: Fixture,
    relay: Relay,
    node: Arc<PostgresRecord>,
    token: TokenHash,
}

impl Watched {
    async fn on(server: PostgresServer) -> Self {
        let fixture = Fixture::on(Arc::new(server)).await;
        let user = create_user(&fixture.record, "alice").await;
        let (_, token) = login(&fixture.record, &user).await;
        let port = fixture.server.port();
        let relay = Relay::before(port).await;
        let url = relay.through(&fixture.server.url(&fixture.database), port);
        let node = Arc::new(open(&options(&url)));
        assert!(find(&node, token).await.is_some());
        Self { fixture, relay, node, token }
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.node.find_session(self.token, within(CHECK_SPAN)).await.map(|_| ())
    }

    /// Checks by several callers, one after the other each, while `goes_on`. How many failed, and
    /// how many of these waited for as long as they might.
    async fn checks_while(&self, goes_on: impl Fn() -> bool + Clone + Send + 'static) -> Failed {
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (node, token, goes_on) = (self.node.clone(), self.token, goes_on.clone());
            callers.spawn(async move {
                let mut failed = Failed::default();
                while goes_on() {
                    let asked = SystemClock.boottime();
                    let answer = node.find_session(token, within(CHECK_SPAN)).await;
                    let waited = SystemClock.boottime().saturating_sub(asked) >= CHECK_SPAN;
                    if let Err(error) = answer {
                        assert_eq!(error.outcome(), Outcome::NotApplied);
                        failed.all += 1;
                        failed.waited += usize::from(waited);
                        failed.class = Some(error.class());
                    }
                    tokio::task::yield_now().await;
                }
                failed
            });
        }
        let each = callers.join_all().await;
        each.into_iter().fold(Failed::default(), |sum, one| Failed {
            all: sum.all + one.all,
            waited: sum.waited + one.waited,
            class: one.class.or(sum.class),
        })
    }

    /// Ends with the span, so that what happens in it can be counted.
    fn for_span(span: Duration) -> impl Fn() -> bool + Clone + Send + 'static {
        let started = SystemClock.boottime();
        move || SystemClock.boottime().saturating_sub(started) < span
    }
}

#[derive(Default)]
struct Failed {
    all: usize,
    waited: usize,
    class: Option<FailureClass>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_is_tried_twice_a_second_by_whoever_asks() {
    let watched = Watched::on(PostgresServer::launch()).await;
    watched.relay.shut();
    let before = watched.relay.attempts();
    // It may be restarting: nobody is sent away for two seconds. Then all are, at once.
    let onset = watched.checks_while(Watched::for_span(Duration::from_secs(3))).await;
    assert!(onset.waited >= 4, "{} of {} waited", onset.waited, onset.all);
    let failed = watched.checks_while(Watched::for_span(Duration::from_secs(4))).await;
    let attempts = watched.relay.attempts() - before;
    // Four at the onset, and then one at a time: 50 ms, 100 ms, 200 ms apart and so on.
    assert!((4..=20).contains(&attempts), "{attempts} attempts in 7 s");
    assert_eq!(failed.class, Some(FailureClass::Closed));
    assert_eq!(failed.waited, 0, "of {}", failed.all);
    assert!(failed.all > 50 * attempts, "{} calls, {attempts} attempts", failed.all);
    watched.relay.open();
    until_it_answers(&watched.node).await;
    assert!(find(&watched.node, watched.token).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_known_after_a_few_deadlines() {
    let watched = Watched::on(PostgresServer::launch()).await;
    watched.fixture.server.pause();
    // The first seconds are paid for; then it is known.
    let onset = watched.checks_while(Watched::for_span(Duration::from_secs(3))).await;
    assert!(onset.waited >= 3, "{} of {} waited", onset.waited, onset.all);
    let before = watched.relay.attempts();
    let failed = watched.checks_while(Watched::for_span(Duration::from_secs(5))).await;
    let attempts = watched.relay.attempts() - before;
    assert_eq!(failed.class, Some(FailureClass::Timeout));
    // Each probe waits, and nobody else.
    assert!(failed.waited <= 15, "{} of {} waited", failed.waited, failed.all);
    assert!(attempts <= 15, "{attempts} attempts in 5 s");
    assert!(failed.all > 1000, "{} calls", failed.all);
    watched.fixture.server.resume();
    until_it_answers(&watched.node).await;
    assert!(find(&watched.node, watched.token).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_found_again() {
    let watched = Watched::on(PostgresServer::launch()).await;
    for _ in 0..3 {
        watched.fixture.server.kill_9();
        let error = watched.check().await.expect_err("nobody is there");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        watched.fixture.server.start();
        until_it_answers(&watched.node).await;
        // Well again for everybody, not for a probe alone: nobody is sent away at once.
        let failed = watched.checks_while(Watched::for_span(Duration::from_secs(1))).await;
        assert_eq!(failed.all, failed.waited, "{:?}", failed.class);
    }
}

/// Live connections are used although no more can be made.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_answers_on_the_connections_that_there_are() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (_, token) = login(&fixture.record, &user).await;
    let role = format!("few_{}", fixture.database);
    let create = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 1;
         GRANT USAGE ON SCHEMA nightlatch TO {role};
         GRANT SELECT ON ALL TABLES IN SCHEMA nightlatch TO {role}"
    );
    fixture.server.sql(&fixture.database, &create);
    let node = open(&options(&fixture.server.url_as(&role, "x", &fixture.database)));
    assert!(find(&node, token).await.is_some());
    let holder = fixture.client().await;
    for _ in 0..5 {
        holder.run("BEGIN; LOCK TABLE nightlatch.feed_head").await;
        let (first, ()) = tokio::join!(node.probe(soon()), async {
            holder.until(WAITING, 1).await;
            let error = node.probe(soon()).await.expect_err("there is no second connection");
            assert_eq!(error.class(), FailureClass::TooManyConnections);
            holder.run("COMMIT").await;
        });
        assert!(first.is_ok());
        assert!(find(&node, token).await.is_some());
    }
}

/// 500 ms late is too late for session checks, and not for logins: it is no silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_slow_for_some_calls_serves_the_others() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let (_, token) = login(&fixture.record, &user).await;
    let node = fixture.node();
    assert!(find(&node, token).await.is_some());
    let holder = fixture.client().await;
    let hurried = Duration::from_millis(20);
    let started = SystemClock.boottime();
    while SystemClock.boottime().saturating_sub(started) < Duration::from_secs(4) {
        holder.run("BEGIN; LOCK TABLE nightlatch.sessions").await;
        for _ in 0..10 {
            node.find_session(token, within(hurried)).await.expect_err("the table is locked");
        }
        node.probe(within(CALL_SPAN)).await.expect("this table is not locked");
        holder.run("COMMIT").await;
    }
    assert!(find(&node, token).await.is_some());
}

/// Connecting takes several round trips, and a statement one or two.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_slow_way_a_connection_that_nobody_waited_for_serves_the_next() {
    let fixture = Fixture::shared().await;
    let port = fixture.server.port();
    let relay = Relay::with_answers_later(port, Duration::from_millis(400)).await;
    let url = relay.through(&fixture.server.url(&fixture.database), port);
    let node = open(&options(&format!("{url}?sslmode=disable")));
    let hurried = Duration::from_secs(1);
    let mut gave_up = 0;
    while node.probe(within(hurried)).await.is_err() {
        gave_up += 1;
        assert!(gave_up < 10, "never answered, after {} connections", relay.attempts());
    }
    assert!(gave_up > 0, "the way was not slow enough");
}

/// It answers everybody, and everybody has left by then.
#[tokio::test(flavor = "multi_thread")]
async fn late_answers_are_heard() {
    let fixture = Fixture::shared().await;
    let port = fixture.server.port();
    let relay = Relay::with_answers_later(port, Duration::from_millis(100)).await;
    let url = relay.through(&fixture.server.url(&fixture.database), port);
    let node = open(&options(&format!("{url}?sslmode=disable")));
    node.probe(soon()).await.expect("it answers");
    let started = SystemClock.boottime();
    while SystemClock.boottime().saturating_sub(started) < Duration::from_secs(3) {
        let hurried = Duration::from_millis(50);
        let asked = SystemClock.boottime();
        node.probe(within(hurried)).await.expect_err("it is later than that");
        let waited = SystemClock.boottime().saturating_sub(asked);
        assert!(waited >= hurried, "sent away at once");
    }
    node.probe(soon()).await.expect("it answers");
}
