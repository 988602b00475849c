//! Asks, beside the requests, whether people who are logged in still may be.
//!
//! A round goes through all mirrored users page by page. No request waits for it, and an auth service that
//! does not answer changes nothing for anybody: then the round ends, and the next one goes on behind.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::service::{RecheckError, Rechecked};
use nightlatch_core::{
    AuthServiceError, AuthServiceFailure as Kind, Deadline, Mirrored, Service, StoreError, Subject,
    UserId,
};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// People who are asked about at the same time: logins have 64 places.
const AT_ONCE_MAX: usize = 4;

/// People who are claimed at once: they are asked about within the minute that a claim lasts.
const CLAIMED_MAX: usize = 20;

/// The longest that one of them takes: a question, and what is to be written.
const ONE_DEADLINE: Duration = Duration::from_secs(6);

/// The longest that the record takes to list or to note.
const RECORD_DEADLINE: Duration = Duration::from_secs(2);

/// Between two rounds, so that people are asked about in time whenever they came.
const BETWEEN_ROUNDS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// After a service that did not answer, unless it says that it takes longer.
const PAUSE: Duration = Duration::from_mins(1);

/// Goes round until the caller drops it. Who was claimed then is due again in a minute.
pub async fn run(service: Arc<Service>, every: Duration) {
    let (least, most) = BETWEEN_ROUNDS;
    let mut rounds = Rounds { service, every, after: None, is_failing: false };
    let mut wait = Duration::ZERO;
    loop {
        sleep(wait.max((every / 10).clamp(least, most))).await;
        wait = match rounds.go_round().await {
            Ok(wait) => wait,
            // That the record is away is told elsewhere.
            Err(error) => {
                tracing::debug!(event = "job.postponed", job = "standing", error = %error);
                Duration::ZERO
            }
        };
    }
}

struct Rounds {
    service: Arc<Service>,
    every: Duration,
    /// Where the next round begins: behind what the last one has looked at.
    after: Option<Subject>,
    /// Told once, not for each round.
    is_failing: bool,
}

/// What became of those who were asked about.
#[derive(Default)]
struct Asked {
    known: Vec<UserId>,
    unknown: usize,
    last_error: Option<AuthServiceError>,
    /// How long to leave the service alone.
    pause: Option<Duration>,
}

impl Rounds {
    /// How long to wait for the next round.
    async fn go_round(&mut self) -> Result<Duration, StoreError> {
        loop {
            let from = self.after.clone();
            let page = self.service.list_standings(self.every, from, self.deadline()).await?;
            for due in page.due.chunks(CLAIMED_MAX) {
                // Whatever becomes of these, they keep nobody from their turn.
                self.after = due.last().map(|who| who.subject.clone());
                let due = due.to_vec();
                let claimed =
                    self.service.claim_standings(due, self.every, self.deadline()).await?;
                let asked = self.ask(claimed).await;
                self.tell(&asked);
                if !asked.known.is_empty() {
                    self.service.note_standings(asked.known, self.deadline()).await?;
                }
                if let Some(pause) = asked.pause {
                    return Ok(pause);
                }
            }
            self.after = page.next;
            if self.after.is_none() {
                return Ok(Duration::ZERO);
            }
        }
    }

    async fn ask(&self, claimed: Vec<Mirrored>) -> Asked {
        let mut to_ask = claimed.into_iter();
        let mut asking = JoinSet::new();
        let mut asked = Asked::default();
        loop {
            while asking.len() < AT_ONCE_MAX
                && asked.pause.is_none()
                && let Some(who) = to_ask.next()
            {
                asking.spawn(recheck(Arc::clone(&self.service), who));
            }
            match asking.join_next().await {
                None => break,
                Some(Ok((id, rechecked))) => asked.take(id, rechecked, self.pause()),
                // It has panicked, which is told where panics are.
                Some(Err(_)) => asked.unknown += 1,
            }
        }
        if asked.known.is_empty() && asked.unknown >= CLAIMED_MAX {
            asked.pause = Some(self.pause());
        }
        asked
    }

    fn tell(&mut self, asked: &Asked) {
        if !asked.known.is_empty() && std::mem::take(&mut self.is_failing) {
            tracing::info!(event = "standing.known");
        }
        let Some(error) = asked.last_error.as_ref().filter(|_| asked.known.is_empty()) else {
            return;
        };
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                event = "standing.unknown",
                class = error.class.as_str(),
                error = %error,
                "it is not known who of those who are logged in still may be; nobody is logged out \
                 for that"
            );
        }
    }

    fn pause(&self) -> Duration {
        PAUSE.min(self.every)
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(self.service.clock(), RECORD_DEADLINE)
    }
}

impl Asked {
    fn take(
        &mut self,
        id: UserId,
        rechecked: Result<Option<Rechecked>, RecheckError>,
        pause: Duration,
    ) {
        match rechecked {
            Ok(rechecked) => {
                if let Some(Rechecked::Ended(sessions)) = rechecked {
                    tracing::info!(event = "standing.ended", user.id = %id, sessions);
                }
                self.known.push(id);
            }
            Err(RecheckError::AuthService(error)) => {
                tracing::debug!(event = "standing.unknown", user.id = %id, error = %error);
                self.unknown += 1;
                if concerns_everybody(&error) {
                    self.pause = Some(error.retry_after.unwrap_or_default().max(pause));
                }
                self.last_error = Some(error);
            }
            Err(RecheckError::Record(error)) => {
                tracing::debug!(event = "job.postponed", job = "standing", error = %error);
                self.unknown += 1;
            }
        }
    }
}

/// Whether the next one would be asked about in vain.
const fn concerns_everybody(error: &AuthServiceError) -> bool {
    match error.failure {
        Kind::Unreachable
        | Kind::Dns
        | Kind::Tls
        | Kind::ConnectTimeout
        | Kind::ReadTimeout
        | Kind::Unavailable
        | Kind::Throttled
        | Kind::ServiceCredentials
        | Kind::Overloaded => true,
        Kind::EndpointMissing | Kind::Error | Kind::BadResponse => false,
    }
}

async fn recheck(
    service: Arc<Service>,
    who: Mirrored,
) -> (UserId, Result<Option<Rechecked>, RecheckError>) {
    let deadline = Deadline::within(service.clock(), ONE_DEADLINE);
    (who.id, service.recheck_standing(&who, deadline).await)
}
