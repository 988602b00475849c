//! News of other nodes over Redis, for an application that has one.
//!
//! Only news: what a session holds goes to no Redis, and nothing that comes from there is believed of a
//! session but that its copy is to be read again.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{Clock, Entropy, FailureClass, MasterKeys, SealingKeys};
use tokio::task::JoinSet;

use crate::cached::{Announcement, CachedRecord};
use crate::redis::{
    CallObserver, LinkObserver, Observation, RedisLink, RedisNews, RedisOptions, RedisOptionsError,
};

/// The way to a Redis by which the nodes of an application tell each other.
pub struct NewsOverRedis {
    link: Arc<RedisLink>,
    news: Arc<RedisNews>,
}

impl NewsOverRedis {
    /// Over this Redis, sealed by keys that all nodes have. Connects to nothing yet.
    ///
    /// # Errors
    /// [`RedisOptionsError`] when it cannot even be tried.
    pub fn new(
        options: RedisOptions,
        keys: &MasterKeys,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, RedisOptionsError> {
        let link = Arc::new(RedisLink::new(options, clock, entropy, Arc::new(Unwatched))?);
        let news = RedisNews::new(Arc::clone(&link), &SealingKeys::derive(keys, "news"));
        Ok(Self { link, news: Arc::new(news) })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Has a record's changes told, and hears of the others', for as long as these tasks run.
    pub(super) fn spread(&self, record: &Arc<CachedRecord>, beside: &mut JoinSet<()>) {
        record.announce_by(Arc::clone(&self.news) as _);
        let (link, telling) = (Arc::clone(&self.link), Arc::clone(&self.news));
        beside.spawn(async move { link.keep(Arc::new(Unwatched)).await });
        beside.spawn(async move { telling.send().await });
        let (listening, record) = (Arc::clone(&self.news), Arc::clone(record));
        beside.spawn(async move {
            // A logout that waits for the record at one of Nightlatch's servers is not ours to try.
            let hear = move |said: Announcement| _ = record.hear(&said);
            listening.listen(hear).await;
        });
    }
}

/// Nobody is told how it does: nothing depends on it.
struct Unwatched;

impl CallObserver for Unwatched {
    fn answered(&self, _took: Duration) {}

    fn failed(&self, _class: FailureClass, _took: Duration) {}
}

impl LinkObserver for Unwatched {
    fn observed(&self, _seen: Observation) {}

    fn listens(&self, _outcome: Result<(), FailureClass>) {}
}
