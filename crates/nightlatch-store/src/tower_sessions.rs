//! Sessions of an axum or tower application, kept in a record of Nightlatch: a store for tower-sessions.
//!
//! What such an application gets is what Nightlatch's own logins have: a session lives until it expires
//! or is deleted, whatever becomes of Redis; what is deleted on one node ends on every other within two
//! seconds, and nothing that is saved late brings it back; and while the record is away, sessions that a
//! node knows are still served. Where it cannot be told whether there is a session, `load` is an error and
//! never `None`, which would sign somebody out; [`UnavailableLayer`] makes a 503 of that.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use nightlatch_core::{SystemClock, SystemEntropy};
//! # use nightlatch_store::sqlite::SqliteRecord;
//! use nightlatch_store::tower_sessions::{NightlatchStore, UnavailableLayer};
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
//! let record = SqliteRecord::open("sessions.db".as_ref(), clock.clone(), entropy.clone())?;
//! let store = NightlatchStore::start(Arc::new(record), clock, entropy);
//! store.migrate().await?;
//! // Router::new().route(…).layer(SessionManagerLayer::new(store)).layer(UnavailableLayer)
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "redis")]
mod news;
mod unavailable;
mod upkeep;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nightlatch_core::coherence::CoherenceLimits;
use nightlatch_core::{
    ApplicationSession, Clock, DataStore as _, Deadline, Entropy, FeedStore as _,
    NewApplicationSession, Record as Truth, RecordClock, RecordStore as _, SaveData, SessionData,
    SessionId, StoreError, StoreErrorKind, Timestamp, TokenHash,
};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error, Result};

use crate::cached::CachedRecord;

#[cfg(feature = "redis")]
pub use self::news::NewsOverRedis;
pub use self::unavailable::{Unavailable, UnavailableLayer};

/// The longest that one call of an application waits for the record.
const CALL_SPAN: Duration = Duration::from_secs(1);

/// The longest that bringing up the schema takes.
const MIGRATION_SPAN: Duration = Duration::from_secs(30);

/// For how long copies are served while the record is away.
const MAX_STALENESS: Duration = Duration::from_mins(5);

/// Copies that a node holds at once: some 100,000 small sessions.
const COPIES_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How many ids are tried for a new session. They have 128 random bits: a second try has a bug as its
/// reason, not chance.
const IDS_MAX: u32 = 4;

/// Sessions of an application, for `SessionManagerLayer`. Clones are the same store; with the last of them
/// ends what runs beside the requests.
#[derive(Clone)]
pub struct NightlatchStore(Arc<Inner>);

struct Inner {
    record: Arc<CachedRecord>,
    clock: Arc<RecordClock>,
    entropy: Arc<dyn Entropy>,
    #[cfg(feature = "redis")]
    news: Option<NewsOverRedis>,
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "it ends with the store"))]
    beside: JoinSet<()>,
}

impl NightlatchStore {
    /// Puts copies in front of a record, follows its feed, and sweeps what has ended. The record need not
    /// answer yet.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(record: Arc<dyn Truth>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self(Arc::new(Inner::start(record, clock, entropy)))
    }

    /// The same, and the nodes tell each other over Redis what has ended or changed: sooner than by the
    /// record alone, and also to a node that the record is out of reach of. Nothing depends on it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn start_with_news(
        record: Arc<dyn Truth>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        news: NewsOverRedis,
    ) -> Self {
        let mut inner = Inner::start(record, clock, entropy);
        news.spread(&inner.record, &mut inner.beside);
        inner.news = Some(news);
        Self(Arc::new(inner))
    }

    /// Brings the record's schema up to this release. Safe when several nodes do it at once.
    ///
    /// # Errors
    /// The record's.
    pub async fn migrate(&self) -> std::result::Result<Vec<String>, StoreError> {
        let deadline = Deadline::within(self.0.clock.clock(), MIGRATION_SPAN);
        self.0.record.migrate(deadline).await
    }

    /// The record with its copies, for whoever wants to know how it is with them.
    #[must_use]
    pub fn record(&self) -> &CachedRecord {
        &self.0.record
    }

    /// Whether there is a connection to Redis, if one is used.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn hears_news(&self) -> Option<bool> {
        self.0.news.as_ref().map(NewsOverRedis::is_connected)
    }
}

impl Inner {
    fn start(record: Arc<dyn Truth>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let clock = Arc::new(RecordClock::new(clock));
        let limits = (CoherenceLimits::new(MAX_STALENESS), COPIES_BYTES_MAX);
        let record = CachedRecord::new(record, Arc::clone(&clock), Arc::clone(&entropy), limits);
        let record = Arc::new(record);
        let mut beside = JoinSet::new();
        upkeep::start(&record, &clock, &mut beside);
        Self {
            record,
            clock,
            entropy,
            #[cfg(feature = "redis")]
            news: None,
            beside,
        }
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(self.clock.clock(), CALL_SPAN)
    }

    /// Now, in record time. Before the record has told it what seems to be over may not be.
    async fn now(&self, deadline: Deadline) -> Result<Timestamp> {
        if !self.clock.is_told() {
            let asked = self.clock.clock().boottime();
            let probe = self.record.probe(deadline).await.map_err(|error| unknown(&error))?;
            self.clock.observe(probe.now, asked, self.clock.clock().boottime());
        }
        Ok(self.clock.now())
    }
}

#[async_trait]
impl SessionStore for NightlatchStore {
    async fn create(&self, session: &mut Record) -> Result<()> {
        let Inner { record, entropy, .. } = &*self.0;
        let (data, deadline) = (encode(session)?, self.0.deadline());
        let now = self.0.now(deadline).await?;
        for _ in 0..IDS_MAX {
            let new = NewApplicationSession {
                id: SessionId::fresh(&**entropy, now),
                token: token(session.id),
                data: data.clone(),
                created_at: now,
                expires_at: timestamp(session.expiry_date),
            };
            let created = record.create_data(new, deadline).await;
            if created.map_err(|error| unknown(&error))?.is_some() {
                return Ok(());
            }
            session.id = Id::default();
        }
        Err(Error::Backend("every id that was tried is another session's".to_owned()))
    }

    /// Of a session that has ended nothing is saved, and that is no error: what it held is gone with it.
    async fn save(&self, session: &Record) -> Result<()> {
        let (data, deadline) = (encode(session)?, self.0.deadline());
        let now = self.0.now(deadline).await?;
        let expires_at = timestamp(session.expiry_date);
        let save = SaveData { token: token(session.id), data, now, expires_at };
        let saved = self.0.record.save_data(save, deadline).await;
        saved.map(|_| ()).map_err(|error| unknown(&error))
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let deadline = self.0.deadline();
        let now = self.0.now(deadline).await?;
        let found = self.0.record.find_data(token(*id), now, deadline).await;
        match found.map_err(|error| unknown(&error))? {
            Some(found) => decode(*id, &found).map(Some),
            None => Ok(None),
        }
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let deadline = self.0.deadline();
        let now = self.0.now(deadline).await?;
        let deleted = self.0.record.delete_data(token(*id), now, deadline).await;
        deleted.map(|_| ()).map_err(|error| unknown(&error))
    }
}

impl fmt::Debug for NightlatchStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NightlatchStore").finish_non_exhaustive()
    }
}

/// The record did not say, or not in time: an error, and never "no".
fn unknown(error: &StoreError) -> Error {
    match error.kind() {
        StoreErrorKind::Corrupt => Error::Decode(error.to_string()),
        StoreErrorKind::Unavailable
        | StoreErrorKind::Overloaded
        | StoreErrorKind::Deadline
        | StoreErrorKind::TooStale => {
            unavailable::note();
            Error::Backend(error.to_string())
        }
    }
}

/// The id is the secret in the cookie: the record knows a hash of it.
fn token(id: Id) -> TokenHash {
    TokenHash::of_application(id.0.to_le_bytes())
}

fn encode(session: &Record) -> Result<SessionData> {
    let bytes =
        serde_json::to_vec(&session.data).map_err(|error| Error::Encode(error.to_string()))?;
    SessionData::try_new(&bytes).map_err(|error| Error::Encode(error.to_string()))
}

fn decode(id: Id, found: &ApplicationSession) -> Result<Record> {
    let data: HashMap<_, _> = serde_json::from_slice(found.data.as_bytes())
        // Its text would quote what somebody keeps in there.
        .map_err(|_| Error::Decode("what the session holds is not ours".to_owned()))?;
    let nanos = i128::from(found.expires_at.as_micros()) * 1000;
    let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .map_err(|error| Error::Decode(error.to_string()))?;
    Ok(Record { id, data, expiry_date })
}

/// To the microsecond.
fn timestamp(at: OffsetDateTime) -> Timestamp {
    let micros = at.unix_timestamp_nanos().div_euclid(1000);
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
