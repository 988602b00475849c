//! The contract suite over the SQLite record.
#![cfg(feature = "sqlite")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    AsOf, Clock, Entropy, FeedKind, FeedRow, Generation, Position, Record, SessionId, SystemClock,
    SystemEntropy, UserId,
};
use nightlatch_store::contract::{Shift, Subject, contract_tests};
use nightlatch_store::sqlite::SqliteRecord;
use rusqlite::{Connection, Row};
use uuid::Uuid;

contract_tests!(fresh);

async fn fresh() -> Subject {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("nightlatch.db");
    let (feed, node, beats) = (path.clone(), path.clone(), path.clone());
    Subject::new(open(&path), clock(), entropy())
        .with_feed(move || Box::pin(std::future::ready(read_feed(&feed))))
        .with_second_node(move || Box::pin(std::future::ready(open(&node))))
        .with_shifted_heartbeats(move |shift| {
            shift_heartbeats(&beats, shift);
            Box::pin(std::future::ready(()))
        })
        .keeping(folder)
}

fn open(path: &Path) -> Arc<dyn Record> {
    Arc::new(SqliteRecord::open(path, clock(), entropy()).expect("threads"))
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

fn shift_heartbeats(path: &Path, shift: Shift) {
    let conn = Connection::open(path).expect("the record's file");
    conn.busy_timeout(Duration::from_secs(5)).expect("a setting");
    for table in ["nodes", "service_clock"] {
        let sql = format!("UPDATE {table} SET beat_at = beat_at + ?1");
        conn.execute(&sql, [shift.micros()]).expect("heartbeats can be shifted");
    }
}

fn read_feed(path: &Path) -> Vec<FeedRow> {
    let conn = Connection::open(path).expect("the record's file");
    let mut rows = conn
        .prepare(
            "SELECT position, id, kind, session_id, user_id, generation FROM feed
             ORDER BY position",
        )
        .expect("the feed has these columns");
    rows.query_map([], feed_row).expect("readable").map(|row| row.expect("a feed row")).collect()
}

fn feed_row(row: &Row<'_>) -> rusqlite::Result<FeedRow> {
    let at = AsOf { position: Position(row.get(0)?), row_id: row.get(1)? };
    let user = || row.get(4).map(|id| UserId::from_uuid(Uuid::from_bytes(id)));
    let session = || row.get(3).map(|id| SessionId::from_uuid(Uuid::from_bytes(id)));
    let kind = match row.get::<_, i16>(2)? {
        0 => FeedKind::Start,
        1 => FeedKind::Session(session()?),
        2 => FeedKind::UserBelow(user()?, Generation(row.get(5)?)),
        3 => FeedKind::Everything,
        4 => FeedKind::RefetchUser(user()?),
        5 => FeedKind::UserDisabled(user()?, Generation(row.get(5)?)),
        6 => FeedKind::UserEnabled(user()?),
        7 => FeedKind::RefetchSession(session()?),
        other => panic!("{other} is no kind"),
    };
    Ok(FeedRow { at, kind })
}
