//! Who follows the feed hears of news without asking, as long as the server tells them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use nightlatch_core::{FeedStore, RecordStore, SessionEnd};
use nightlatch_store::postgres::PostgresRecord;
use tokio::time::timeout;

use crate::support::{
    CALL_SPAN, Fixture, RawClient, create_user, end, open, options, session_of, soon,
};

/// Connections that listen to the feed of this database.
const LISTENING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%'";

async fn heard(record: &PostgresRecord) {
    assert!(timeout(CALL_SPAN, record.changed()).await.is_ok(), "no news in {CALL_SPAN:?}");
}

/// Waits for news until the feed is above `position`.
async fn heard_above(record: &PostgresRecord, position: i64) {
    let hearing = async {
        while newest(record).await <= position {
            record.changed().await;
        }
    };
    assert!(timeout(CALL_SPAN, hearing).await.is_ok(), "nothing above {position}");
}

async fn newest(record: &PostgresRecord) -> i64 {
    let news = record.poll_feed(None, 0, soon()).await.expect("the record answers");
    news.head.newest.position.0
}

/// One that listens, and has heard that it does.
async fn listener(fixture: &Fixture, observer: &RawClient) -> PostgresRecord {
    let node = fixture.node();
    heard(&node).await;
    observer.until(LISTENING, 1).await;
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_heard_of_by_other_nodes() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let observer = fixture.client().await;
    let node = listener(&fixture, &observer).await;
    for _ in 0..3 {
        let before = newest(&node).await;
        let stranger = SessionEnd::One(session_of(&user).session.id);
        let ((), ended) = tokio::join!(heard_above(&node, before), end(&fixture.record, stranger));
        ended.expect("the record answers");
    }
}

/// What an earlier release writes: it knows nothing of news.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_release_writes_is_heard_of() {
    let fixture = Fixture::shared().await;
    let observer = fixture.client().await;
    let node = listener(&fixture, &observer).await;
    let before = newest(&node).await;
    let earlier = "WITH moved AS (
            UPDATE nightlatch.feed_head SET position = position + 1, row_id = 7 RETURNING position
        )
        INSERT INTO nightlatch.feed (position, id, kind, at) SELECT position, 7, 3, 0 FROM moved";
    let ((), ()) = tokio::join!(heard_above(&node, before), observer.run(earlier));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_comes_back_and_counts_as_news() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let observer = fixture.client().await;
    let node = listener(&fixture, &observer).await;
    let end_it = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    observer.run(end_it).await;
    heard(&node).await;
    let before = newest(&node).await;
    end(&fixture.record, SessionEnd::One(session_of(&user).session.id)).await.expect("it answers");
    heard_above(&node, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_nobody_waits_is_heard_of_later() {
    let fixture = Fixture::shared().await;
    let user = create_user(&fixture.record, "alice").await;
    let observer = fixture.client().await;
    let node = listener(&fixture, &observer).await;
    {
        // A caller who gives up takes no news along.
        let mut leaves = pin!(node.changed());
        poll_fn(|context| {
            let _ = leaves.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    for _ in 0..20 {
        let stranger = SessionEnd::One(session_of(&user).session.id);
        end(&fixture.record, stranger).await.expect("the record answers");
    }
    heard(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pool_nobody_listens() {
    let fixture = Fixture::shared().await;
    let observer = fixture.client().await;
    let url = format!("{}?pgbouncer=true", fixture.server.url(&fixture.database));
    let node = open(&options(&url));
    let mut changed = pin!(node.changed());
    let polled = poll_fn(|context| Poll::Ready(changed.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    assert!(node.migrate(soon()).await.expect("it answers").is_empty());
    assert_eq!(observer.number(LISTENING).await, 0);
}
