//! Every node's own count of tries, kept in memory and written to the record behind it.
//!
//! Throttling must never open, so nothing here waits for the record before it counts: a failure
//! counts in memory at once, and rows in the record only keep a restart from giving a fresh
//! allowance, and tell the other nodes. A record that is away makes the rows late, not the count.
//!
//! Each node lets its share of a limit through by itself, and none once all nodes together have
//! used it up, as far as the record tells.

mod exchange;
mod journal;
mod tally;
mod ticket;
mod together;
mod turnstile;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use nightlatch_core::{
    AuditedFailure, BoxFuture, Deadline, FailedTry, Failure, FailureNews, KeptFailures, Limit,
    NodeId, RecordClock, Refused, StoreError, Throttle, ThrottleKey, ThrottleScope, ThrottleStore,
    Ticket, Timestamp,
};
use tokio::sync::oneshot;

use exchange::Exchange;
pub use exchange::LOOK_EVERY;
use journal::Journal;
use tally::Tally;
pub use tally::ThrottleTallies;
use ticket::{LocalTicket, Place, Reserved};
pub use together::{Reservation, SharedCounters, Together, Want};
use turnstile::{Entry, Turn, Turnstile, Wants, Whole};

/// The most failures that are read at start: far more than the windows of a calm service hold, and
/// still read in one go.
const LOAD_MAX: u32 = 100_000;

/// How soon it is asked again whether all nodes together have room, and how late at most.
const TOGETHER_EVERY: Duration = Duration::from_millis(50);
const TOGETHER_EVERY_MAX: Duration = Duration::from_millis(500);

/// A failure that is older has been written to where nodes count together.
const KNOWN_AFTER: Duration = Duration::from_secs(1);

/// Counts what passes through this node, in sliding windows.
pub struct LocalThrottle {
    shared: Arc<Shared>,
}

impl LocalThrottle {
    /// Of the node `node`, with room for `keys_max` counters. Nothing was counted yet: see
    /// [`Self::load`].
    #[must_use]
    pub fn new(
        store: Arc<dyn ThrottleStore>,
        node: NodeId,
        clock: Arc<RecordClock>,
        keys_max: usize,
    ) -> Self {
        let counters = Counters { turnstile: Turnstile::new(keys_max), limits: None };
        Self {
            shared: Arc::new(Shared {
                clock,
                counters: Mutex::new(counters),
                exchange: Exchange::new(Arc::clone(&store), node),
                journal: Journal::new(store, node),
                together: OnceLock::new(),
                tally: Tally::default(),
            }),
        }
    }

    /// Counts the failures that the record kept from before this start; how many. Only the first
    /// success counts anything.
    ///
    /// # Errors
    /// The record's. Nothing opens by it: until a load succeeds every try is told to come back, and
    /// the caller tries again in the background.
    pub async fn load(
        &self,
        limits: &[(ThrottleScope, Limit)],
        deadline: Deadline,
    ) -> Result<usize, StoreError> {
        let Some(longest) = limits.iter().map(|(_, limit)| limit.span).max() else { return Ok(0) };
        let since = self.shared.clock.now().before(longest);
        let kept = self.shared.journal.read(since, LOAD_MAX, deadline).await?;
        Ok(self.shared.count_loaded(&kept, limits))
    }

    /// Whether all nodes count together at this moment; else each lets its share through.
    #[must_use]
    pub fn counts_together(&self) -> bool {
        self.shared.together.get().is_some_and(|there| there.is_there())
    }

    /// What became of tries, since the start.
    #[must_use]
    pub fn tallies(&self) -> ThrottleTallies {
        self.shared.tally.read()
    }

    /// Counts together with the other nodes, too.
    pub fn count_together(&self, counters: Arc<dyn SharedCounters>) {
        // They are wired once, when the node starts.
        let _ = self.shared.together.set(counters);
    }

    /// Writes failures to the record in batches, and counts what other nodes wrote there, until
    /// `stop` ends; then once more writes what is left. The server runs this in one task.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        let shared = &self.shared;
        let clock = shared.clock.clock();
        let stop = pin!(stop);
        tokio::select! {
            biased;
            () = shared.journal.run(clock, stop) => {}
            () = shared.exchange.run(clock, |news| shared.count_news(&news)) => {}
        }
    }
}

impl Throttle for LocalThrottle {
    fn reserve(
        &self,
        wants: Vec<(ThrottleKey, Limit)>,
        tried: Option<FailedTry>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Box<dyn Ticket>, Refused>> {
        Box::pin(async move {
            let entered = self.shared.enter(wants, deadline).await;
            self.shared.tally.count(entered.as_ref().map(|_| ()));
            let reserved = entered?;
            Ok(Box::new(LocalTicket { reserved, tried }) as Box<dyn Ticket>)
        })
    }

    fn share_among(&self, nodes: u32) {
        self.shared.counters().turnstile.share_among(nodes);
    }
}

struct Shared {
    clock: Arc<RecordClock>,
    counters: Mutex<Counters>,
    journal: Journal,
    exchange: Exchange,
    together: OnceLock<Arc<dyn SharedCounters>>,
    tally: Tally,
}

struct Counters {
    turnstile: Turnstile<Answer>,
    /// The limit of each kind of counter, once the failures from before this start are counted.
    /// Until then nothing is let through: a kill would give a fresh allowance otherwise.
    limits: Option<Vec<(ThrottleScope, Limit)>>,
}

/// Where one who waits gets the answer.
type Answer = oneshot::Sender<Result<Reserved, Refused>>;

impl Shared {
    /// Reserves a try here and, as far as nodes count together, there.
    async fn enter(
        self: &Arc<Self>,
        wants: Wants,
        deadline: Deadline,
    ) -> Result<Reserved, Refused> {
        let there = self.together.get().filter(|there| there.is_there());
        let counted = there.map(|there| counted_by(&**there, &wants)).unwrap_or_default();
        if let (Some(there), false) = (there, counted.is_empty()) {
            let whole = counted.iter().map(|(key, _)| *key).collect();
            let mut here = self.pass(wants.clone(), whole, deadline).await?;
            match self.reserve_together(&**there, &counted, deadline).await {
                Together::Reserved(reservation) => {
                    here.together = Some(reservation);
                    return Ok(here);
                }
                Together::Throttled { key, limit, retry_after } => {
                    let now = self.boot_now();
                    let until = now.after(retry_after);
                    self.counters().turnstile.refuse_until(key, until, now);
                    let scope = key.scope;
                    return Err(Refused::Throttled { scope, limit, retry_after });
                }
                // What is left is in the hands of others: a share beside that would be more.
                Together::Wait => return Err(Refused::Busy),
                // By itself this node lets no more through than its share.
                Together::Unknown => {}
            }
        }
        self.pass(wants, Whole::new(), deadline).await
    }

    /// Asks all nodes together, waiting for those before while the deadline lasts.
    async fn reserve_together(
        &self,
        there: &dyn SharedCounters,
        counted: &Wants,
        deadline: Deadline,
    ) -> Together {
        let clock = self.clock.clock();
        let (mut asked_for, mut pause, mut has_waited) = (Duration::ZERO, TOGETHER_EVERY, false);
        let wants = self.wanted(counted);
        loop {
            // It is others' tries that are waited for: the place where they are counted has no more time
            // in all than one request may spend there.
            let (asked, left) = (clock.boottime(), deadline.remaining(clock));
            let answer = there.reserve(&wants, asked_for, left).await;
            asked_for += clock.boottime().saturating_sub(asked);
            match answer {
                Together::Wait if deadline.remaining(clock) > pause => has_waited = true,
                // That time is over, and those others are not done.
                Together::Unknown
                    if has_waited && counted_by(there, counted).len() == counted.len() =>
                {
                    return Together::Wait;
                }
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(TOGETHER_EVERY_MAX);
        }
    }

    /// What has to be counted there already.
    fn wanted(&self, counted: &Wants) -> Vec<Want> {
        let (counters, now) = (self.counters(), self.boot_now());
        let to = now.before(KNOWN_AFTER);
        let want = |(key, limit): &(ThrottleKey, Limit)| {
            let known = counters.turnstile.failed(*key, *limit, (to, now));
            Want { key: *key, limit: *limit, known }
        };
        counted.iter().map(want).collect()
    }

    /// Goes through the turnstile, waiting for those before while the deadline lasts.
    async fn pass(
        self: &Arc<Self>,
        wants: Wants,
        whole: Whole,
        deadline: Deadline,
    ) -> Result<Reserved, Refused> {
        if !wants.is_empty() {
            if self.counters().limits.is_none() {
                return Err(Refused::Busy);
            }
            self.exchange.be_fresh(self.clock.clock(), deadline).await;
        }
        let (answer, mut answered) = oneshot::channel();
        let now = self.boot_now();
        let (entry, turns) = self.counters().turnstile.enter(wants, (whole, answer), now);
        self.hand_out(turns);
        let place = match entry {
            Entry::Reserved(wants) => return Ok(self.reserved(wants)),
            Entry::Refused(refused) => return Err(refused),
            Entry::Waiting(number) => Place { shared: self, number },
        };
        let span = deadline.remaining(self.clock.clock());
        let answer = tokio::time::timeout(span, &mut answered).await;
        drop(place);
        match answer {
            Ok(answer) => answer.expect("only its own place gives up a turn without an answer"),
            // A turn that came this very moment is dropped with `answered`, and so given back.
            Err(_elapsed) => Err(Refused::Busy),
        }
    }

    fn give_back(self: &Arc<Self>, wants: &Wants, together: Option<Reservation>) {
        if let (Some(counters), Some(reservation)) = (self.together.get(), together) {
            counters.give_back(wants, reservation);
        }
        let now = self.boot_now();
        let turns = self.counters().turnstile.give_back(wants, now);
        self.hand_out(turns);
    }

    /// Counts at once; the number up to which the journal must be written for it to be kept.
    fn fail(
        self: &Arc<Self>,
        wants: &Wants,
        tried: Option<FailedTry>,
        together: Option<Reservation>,
    ) -> u64 {
        if let Some(counters) = self.together.get() {
            counters.fail(wants, together);
        }
        let (now, at, clock) = (self.boot_now(), self.clock.now(), self.clock.clock());
        let turns = self.counters().turnstile.fail(wants, now);
        self.hand_out(turns);
        let tried = tried.map(|tried| AuditedFailure { at, tried, count: 1 });
        self.journal.push(
            wants.iter().map(|(key, _)| Failure { key: *key, at }),
            tried,
            clock.boottime(),
        )
    }

    /// Tells those whose turn has come. Not under the lock: who has gone meanwhile gives back.
    fn hand_out(self: &Arc<Self>, mut turns: Vec<Turn<Answer>>) {
        // Bounded by the number of those who wait: each turn takes one of them out.
        while let Some(turn) = turns.pop() {
            let (waiter, answer) = match turn {
                Turn::Reserved(waiter, wants) => (waiter, Ok(self.reserved(wants))),
                Turn::Refused(waiter, refused) => (waiter, Err(refused)),
            };
            if let Err(Ok(mut unclaimed)) = waiter.send(answer)
                && let Some(wants) = unclaimed.wants.take()
            {
                let now = self.boot_now();
                turns.extend(self.counters().turnstile.give_back(&wants, now));
            }
        }
    }

    fn count_loaded(&self, kept: &KeptFailures, limits: &[(ThrottleScope, Limit)]) -> usize {
        let mut counters = self.counters();
        if counters.limits.is_some() {
            return 0;
        }
        counters.limits = Some(limits.to_vec());
        self.exchange.begin_at(kept.through, self.clock.clock());
        self.count_others(&mut counters, &kept.failures)
    }

    fn count_news(&self, news: &FailureNews) {
        let mut counters = self.counters();
        // A node that came a moment ago has its share from now on; that one has gone is for
        // heartbeats to tell.
        let nodes = counters.turnstile.nodes().max(news.live);
        counters.turnstile.share_among(nodes);
        self.count_others(&mut counters, &news.failures);
    }

    /// How many of them count here.
    fn count_others(&self, counters: &mut Counters, failures: &[Failure]) -> usize {
        let (boot_now, record_now) = (self.boot_now(), self.clock.now());
        let Counters { turnstile, limits } = counters;
        let mut counted = 0;
        for Failure { key, at } in failures {
            let limit = limits.iter().flatten().find(|(scope, _)| *scope == key.scope);
            let Some((_, limit)) = limit else { continue };
            // By age, on the clock that nobody steps. What claims to be of the future counts as
            // of now: a clock that was set back gives no allowance.
            let at = boot_now.before(record_now.since(*at));
            turnstile.load(*key, *limit, at, boot_now);
            counted += 1;
        }
        counted
    }

    fn reserved(self: &Arc<Self>, wants: Wants) -> Reserved {
        Reserved { shared: self.clone(), wants: Some(wants), together: None }
    }

    /// The windows' time: since boot.
    fn boot_now(&self) -> Timestamp {
        Timestamp::EPOCH.after(self.clock.clock().boottime())
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().expect("counting does not panic")
    }
}

/// Those that all nodes can count together now.
fn counted_by(there: &dyn SharedCounters, wants: &Wants) -> Wants {
    wants.iter().filter(|(key, _)| there.knows(key)).copied().collect()
}

#[cfg(test)]
mod tests;
