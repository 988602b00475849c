//! PostgreSQL passes the suite that every record must pass, each case in a schema of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nightlatch_core::{
    AsOf, FeedKind, FeedRow, Generation, Position, Record, SessionId, SystemClock, SystemEntropy,
    UserId,
};
use nightlatch_store::contract::{Shift, Subject, contract_tests};
use nightlatch_store::postgres::PostgresOptions;
use nightlatch_testkit::postgres::PostgresServer;

use crate::support::{RawClient, open, options};

async fn fresh() -> Subject {
    static CASES: AtomicU32 = AtomicU32::new(0);
    let server = PostgresServer::shared();
    let mut options = options(&server.url("postgres"));
    options.schema = format!("case_{}", CASES.fetch_add(1, Ordering::Relaxed));
    let (again, feed, beats) = (options.clone(), options.clone(), options.clone());
    Subject::new(Arc::new(open(&options)), Arc::new(SystemClock), Arc::new(SystemEntropy))
        .with_second_node(move || {
            let node: Arc<dyn Record> = Arc::new(open(&again));
            Box::pin(async move { node })
        })
        .with_feed(move || {
            let options = feed.clone();
            Box::pin(async move { read_feed(&options).await })
        })
        .with_shifted_heartbeats(move |shift| {
            let options = beats.clone();
            Box::pin(async move { shift_heartbeats(&options, shift).await })
        })
        .keeping(server)
}

async fn shift_heartbeats(options: &PostgresOptions, shift: Shift) {
    let raw = RawClient::connect(options.url.expose()).await;
    let (schema, micros) = (&options.schema, shift.micros());
    for table in ["nodes", "service_clock"] {
        raw.run(&format!("UPDATE {schema}.{table} SET beat_at = beat_at + {micros}")).await;
    }
}

async fn read_feed(options: &PostgresOptions) -> Vec<FeedRow> {
    let raw = RawClient::connect(options.url.expose()).await;
    let sql = format!("SELECT * FROM {}.feed ORDER BY position", options.schema);
    let rows = raw.client.query(&sql, &[]).await.expect("the feed can be read");
    rows.iter()
        .map(|row| {
            let session = || SessionId::from_uuid(row.get("session_id"));
            let user = || UserId::from_uuid(row.get("user_id"));
            let kind = match row.get::<_, i16>("kind") {
                0 => FeedKind::Start,
                1 => FeedKind::Session(session()),
                2 => FeedKind::UserBelow(user(), Generation(row.get("generation"))),
                3 => FeedKind::Everything,
                4 => FeedKind::RefetchUser(user()),
                5 => FeedKind::UserDisabled(user(), Generation(row.get("generation"))),
                6 => FeedKind::UserEnabled(user()),
                7 => FeedKind::RefetchSession(session()),
                other => panic!("no such kind: {other}"),
            };
            let at = AsOf { position: Position(row.get("position")), row_id: row.get("id") };
            FeedRow { at, kind }
        })
        .collect()
}

contract_tests!(fresh);
