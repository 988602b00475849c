//! Sessions of somebody else's application: what tower-sessions asks of a store, and what we do.
//!
//! tower-sessions publishes no suite for stores. `routes.rs` asks what the tests of its own repository ask
//! of one behind its layer, `store.rs` what its trait says, each in our own words.
#![cfg(all(feature = "sqlite", feature = "tower-sessions"))]

mod away;
mod routes;
mod store;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use nightlatch_core::{Record as Truth, SystemClock, SystemEntropy};
use nightlatch_store::memory::MemoryRecord;
use nightlatch_store::sqlite::SqliteRecord;
use nightlatch_store::tower_sessions::NightlatchStore;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tower_sessions::session::{Id, Record};

fn start(record: Arc<dyn Truth>) -> NightlatchStore {
    NightlatchStore::start(record, Arc::new(SystemClock), Arc::new(SystemEntropy))
}

fn sqlite(path: &Path) -> Arc<dyn Truth> {
    let record = SqliteRecord::open(path, Arc::new(SystemClock), Arc::new(SystemEntropy));
    Arc::new(record.expect("threads"))
}

/// A store over a file of its own, which another node may open.
async fn fresh() -> (NightlatchStore, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = start(sqlite(&folder.path().join("sessions.db")));
    store.migrate().await.expect("a new file");
    (store, folder)
}

fn in_memory() -> Arc<dyn Truth> {
    Arc::new(MemoryRecord::new(Arc::new(SystemClock), Arc::new(SystemEntropy)))
}

fn in_an_hour() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::hours(1)
}

/// To the microsecond, as it is kept.
fn session(key: &str) -> Record {
    let expiry_date = in_an_hour().replace_microsecond(123_456).expect("less than a second");
    let data = HashMap::from([(key.to_owned(), 42.into())]);
    Record { id: Id::default(), data, expiry_date }
}
