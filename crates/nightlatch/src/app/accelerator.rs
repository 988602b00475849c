//! Redis, where one is configured: the link to it, and what runs beside the requests for it.

use std::sync::Arc;

use nightlatch_core::{Clock, Entropy, RecordClock, Service, SystemClock, Timestamp};
use nightlatch_store::cached::{Announcement, CachedRecord};
use nightlatch_store::redis::inspect::RedisInspector;
use nightlatch_store::redis::{
    LinkObserver, RedisCopies, RedisCounters, RedisLink, RedisNews, RedisOptions, RedisOptionsError,
};
use nightlatch_store::throttle::LocalThrottle;

use tokio::task::JoinSet;

use super::Base;
use crate::config::{Config, RedisConfig};
use crate::metrics::Calls;

/// The way to Redis, on which nothing depends.
#[derive(Clone)]
pub struct Accelerator {
    link: Arc<RedisLink>,
    clock: Arc<RecordClock>,
    entropy: Arc<dyn Entropy>,
}

impl Accelerator {
    /// `None`: none is configured, or it cannot even be tried; that is told, and the server runs
    /// without.
    #[must_use]
    pub fn open(base: &Base, config: &Config, calls: Arc<Calls>) -> Option<Self> {
        let options = options(config.redis.as_ref()?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        match RedisLink::new(options, clock, Arc::clone(&base.entropy), calls) {
            Ok(link) => {
                let (clock, entropy) = (Arc::clone(&base.clock), Arc::clone(&base.entropy));
                Some(Self { link: Arc::new(link), clock, entropy })
            }
            Err(error) => {
                tracing::warn!(event = "config.problem", "REDIS_URL: {error}; Redis is left out");
                None
            }
        }
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Until when the certificate is good that it showed last.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<Timestamp> {
        self.link.certificate_expiry().get()
    }

    /// Keeps the link connected, shares over it the copies of a record that this node has read, tells
    /// what has ended, and counts tries; the caller ends it by dropping it.
    pub async fn run(
        self,
        (service, throttle): (Arc<Service>, Arc<LocalThrottle>),
        record: Arc<CachedRecord>,
        observer: Arc<dyn LinkObserver>,
    ) {
        let Self { link, clock, entropy } = self;
        let keys = service.keys();
        let shared = RedisCopies::new(Arc::clone(&link), Arc::clone(&clock), &keys.copies);
        let shared = Arc::new(shared);
        record.share(Arc::clone(&shared) as _);
        let (of, named_by) = (Arc::clone(&record), keys.counters.clone());
        let counters = RedisCounters::new(Arc::clone(&link), of, (clock, entropy), named_by);
        let counters = Arc::new(counters);
        throttle.count_together(Arc::clone(&counters) as _);
        let news = Arc::new(RedisNews::new(Arc::clone(&link), &keys.news));
        record.announce_by(Arc::clone(&news) as _);
        let listening = Arc::clone(&news);
        let hear = move |announcement: Announcement| {
            if let Some(pending) = record.hear(&announcement) {
                service.hear_pending(pending);
            }
        };
        // Each by itself: a burst of news must not make the link look slow.
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { link.keep(observer).await });
        tasks.spawn(async move { shared.write().await });
        tasks.spawn(async move { counters.write().await });
        tasks.spawn(async move { news.send().await });
        tasks.spawn(async move { listening.listen(hear).await });
        tasks.join_all().await;
    }
}

/// Somebody who looks at a Redis once, thoroughly.
///
/// # Errors
/// [`RedisOptionsError`] when it cannot even be tried.
pub fn inspector(config: &RedisConfig) -> Result<RedisInspector, RedisOptionsError> {
    RedisInspector::new(options(config))
}

fn options(config: &RedisConfig) -> RedisOptions {
    RedisOptions {
        address: config.address.clone(),
        username: config.username.clone(),
        password: config.password.clone(),
        sentinel_password: config.sentinel_password.clone(),
        database: config.database,
        tls: config.tls.clone(),
        deadline: config.deadline,
        key_prefix: config.key_prefix.clone(),
    }
}
