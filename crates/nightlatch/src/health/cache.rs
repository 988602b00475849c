//! What is known of Redis, as its link tells.
//!
//! Nothing depends on it, so nothing here makes a node less ready.

use nightlatch_core::FailureClass;
use nightlatch_resilience::Dependency;
use nightlatch_store::redis::{LinkObserver, Observation};

use super::{Health, OptionalStatus};
use crate::remedy;

/// What is known of Redis.
pub(super) struct CacheState {
    redis: Dependency,
    /// `None`: as it should be.
    class: Option<FailureClass>,
    /// Why no news of other nodes come by it.
    deaf: Option<FailureClass>,
}

impl CacheState {
    pub(super) fn new() -> Self {
        let class = Some(FailureClass::Unreachable);
        Self { redis: Dependency::new("redis"), class, deaf: None }
    }

    pub(super) const fn class(&self) -> Option<FailureClass> {
        self.class
    }

    pub(super) fn status(&self) -> OptionalStatus {
        self.class.map_or(OptionalStatus::Connected, |class| OptionalStatus::Failed(class.as_str()))
    }
}

impl LinkObserver for Health {
    fn observed(&self, seen: Observation) {
        let now = self.clock.now();
        let mut state = self.lock();
        let database = state.class;
        let Some(cache) = &mut state.cache else { return };
        // What is the matter with the database is told first, and since when.
        let has_changed = database.is_none() && cache.class != seen.outcome.err();
        cache.class = seen.outcome.err();
        let outcome = seen.outcome.map_err(FailureClass::as_str);
        let line = cache.redis.observe(outcome, seen.began, seen.ended);
        if has_changed {
            state.since = now;
        }
        drop(state);
        if let Some(line) = line {
            self.tell(&line, seen.outcome.err().map(remedy::of_redis));
        }
    }

    fn listens(&self, outcome: Result<(), FailureClass>) {
        let mut state = self.lock();
        let Some(cache) = &mut state.cache else { return };
        let was = std::mem::replace(&mut cache.deaf, outcome.err());
        drop(state);
        // Each connection tries again, and its answer is nearly always the same.
        match outcome {
            Ok(()) if was.is_some() => tracing::info!(event = "redis.news_on"),
            Err(class) if was != Some(class) => tracing::warn!(
                event = "redis.news_off",
                class = class.as_str(),
                "revocations reach this server by the database alone; Redis must speak RESP3, and \
                 its user be let onto the channel (ACL SETUSER ... &<REDIS_KEY_PREFIX>news)"
            ),
            Ok(()) | Err(_) => {}
        }
    }
}
