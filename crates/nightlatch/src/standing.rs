//! Asks, beside the requests, whether people who are logged in still may be.
//!
//! A round goes through all mirrored users page by page. No request waits for it, and an auth service that
//! does not answer changes nothing for anybody.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::service::{RecheckError, Rechecked};
use nightlatch_core::{Deadline, Mirrored, Service, UserId};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// People who are asked about at the same time: logins have 64 places.
const AT_ONCE_MAX: usize = 4;

/// The longest that one of them takes: a question, and what is to be written.
const ONE_DEADLINE: Duration = Duration::from_secs(6);

/// The longest that a page takes to be read and claimed.
const PAGE_DEADLINE: Duration = Duration::from_secs(2);

/// Between two rounds, so that people are asked about in time whenever they came.
const BETWEEN_ROUNDS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Goes round until the caller drops it. Who was claimed then is due again in the next span.
pub async fn run(service: Arc<Service>, every: Duration) {
    let (least, most) = BETWEEN_ROUNDS;
    let mut rounds = Rounds { service, every, is_failing: false };
    loop {
        sleep((every / 10).clamp(least, most)).await;
        rounds.go_round().await;
    }
}

struct Rounds {
    service: Arc<Service>,
    every: Duration,
    /// Told once, not for each person.
    is_failing: bool,
}

impl Rounds {
    async fn go_round(&mut self) {
        let mut after = None;
        loop {
            let deadline = Deadline::within(self.service.clock(), PAGE_DEADLINE);
            match self.service.claim_standings(self.every, after, deadline).await {
                Ok(page) => {
                    self.ask(page.due).await;
                    after = page.next;
                }
                // That the record is away is told elsewhere.
                Err(error) => {
                    tracing::debug!(event = "job.postponed", job = "standing", error = %error);
                    return;
                }
            }
            if after.is_none() {
                return;
            }
        }
    }

    async fn ask(&mut self, due: Vec<Mirrored>) {
        let mut due = due.into_iter();
        let mut asking = JoinSet::new();
        let mut unknown = Vec::new();
        loop {
            while asking.len() < AT_ONCE_MAX
                && let Some(who) = due.next()
            {
                asking.spawn(recheck(Arc::clone(&self.service), who));
            }
            match asking.join_next().await {
                None => break,
                Some(Ok((id, rechecked))) => {
                    if !self.tell(id, rechecked) {
                        unknown.push(id);
                    }
                }
                // It has panicked, which is told where panics are.
                Some(Err(_)) => {}
            }
        }
        if !unknown.is_empty() {
            let deadline = Deadline::within(self.service.clock(), PAGE_DEADLINE);
            let postponed = self.service.postpone_standings(unknown, self.every, deadline).await;
            if let Err(error) = postponed {
                tracing::debug!(event = "job.postponed", job = "standing.again", error = %error);
            }
        }
    }

    /// Whether it is known now how somebody stands.
    fn tell(&mut self, id: UserId, rechecked: Result<Rechecked, RecheckError>) -> bool {
        match rechecked {
            Ok(rechecked) => {
                if let Rechecked::Ended(sessions) = rechecked {
                    tracing::info!(event = "standing.ended", user.id = %id, sessions);
                }
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!(event = "standing.known");
                }
                true
            }
            Err(RecheckError::AuthService(error)) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        event = "standing.unknown",
                        class = error.class.as_str(),
                        error = %error,
                        "it is not known who of those who are logged in still may be; nobody is \
                         logged out for that"
                    );
                }
                false
            }
            Err(RecheckError::Record(error)) => {
                tracing::debug!(event = "job.postponed", job = "standing", error = %error);
                false
            }
        }
    }
}

async fn recheck(
    service: Arc<Service>,
    who: Mirrored,
) -> (UserId, Result<Rechecked, RecheckError>) {
    let deadline = Deadline::within(service.clock(), ONE_DEADLINE);
    (who.id, service.recheck_standing(&who, deadline).await)
}
