//! Redis, where one is configured: the link to it, and what runs beside the requests for it.

use std::sync::Arc;

use nightlatch_core::{Clock, RecordClock, Service, SystemClock};
use nightlatch_store::cached::{Announcement, CachedRecord};
use nightlatch_store::redis::{LinkObserver, RedisCopies, RedisLink, RedisNews, RedisOptions};

use super::Base;
use crate::config::{Config, RedisConfig};

/// The way to Redis, on which nothing depends.
#[derive(Clone)]
pub struct Accelerator {
    link: Arc<RedisLink>,
    clock: Arc<RecordClock>,
}

impl Accelerator {
    /// `None`: none is configured, or it cannot even be tried; that is told, and the server runs
    /// without.
    #[must_use]
    pub fn open(base: &Base, config: &Config) -> Option<Self> {
        let options = options(config.redis.as_ref()?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        match RedisLink::new(options, clock, Arc::clone(&base.entropy)) {
            Ok(link) => Some(Self { link: Arc::new(link), clock: Arc::clone(&base.clock) }),
            Err(error) => {
                tracing::warn!(event = "config.problem", "REDIS_URL: {error}; Redis is left out");
                None
            }
        }
    }

    /// Keeps the link connected, shares over it the copies of a record that this node has read, and
    /// tells what has ended; the caller ends it by dropping it.
    pub async fn run(
        self,
        service: Arc<Service>,
        record: Arc<CachedRecord>,
        observer: Arc<dyn LinkObserver>,
    ) {
        let keys = service.keys();
        let shared = Arc::new(RedisCopies::new(Arc::clone(&self.link), self.clock, &keys.copies));
        record.share(Arc::clone(&shared) as _);
        let news = Arc::new(RedisNews::new(Arc::clone(&self.link), &keys.news));
        record.announce_by(Arc::clone(&news) as _);
        let hear = |announcement: Announcement| {
            if let Some(pending) = record.hear(&announcement) {
                service.hear_pending(pending);
            }
        };
        tokio::join!(self.link.keep(&*observer), shared.write(), news.send(), news.listen(hear));
    }
}

fn options(config: &RedisConfig) -> RedisOptions {
    RedisOptions {
        address: config.address.clone(),
        username: config.username.clone(),
        password: config.password.clone(),
        database: config.database,
        tls: config.tls.clone(),
        deadline: config.deadline,
        key_prefix: config.key_prefix.clone(),
    }
}
