//! Keeping a server connected: connecting beside the requests, looking every second how it is, and
//! letting requests use it again only when it does well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nightlatch_core::{Entropy, FailureClass};
use nightlatch_resilience::Backoff;
use redis::{Pipeline, Value};
use tokio::time::{sleep, timeout};

use super::connect::Unconnected;
use super::connected::Connected;
use super::failure::{RedisFailure, Shows};
use super::lane::Lane;
use super::link::RedisLink;
use super::redirect::Redirect;

/// How long a connection may take: name, socket, TLS, user and password.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Between two tries to connect. The longest is how late a Redis that is back is found.
const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(500), max: Duration::from_millis(1500) };

/// A try is never sooner than this after one that failed, as chance would have it, and twice this after
/// one that it took another connection to understand. With those who follow a Cluster, who may know a
/// server by another name, it is connected to no more than twice in a second.
const REST: Duration = Duration::from_millis(700);

/// How often a connection is looked at: one that hangs is found before a request finds it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a look waits: longer than a request, to tell what is slow from what is silent.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// For how long what a look writes is kept, in milliseconds.
const LOOKED_KEPT_MS: u32 = 10_000;

/// A new connection is used after so many good looks in a row, so close together. Of one that is
/// late at random requests would wait again and again.
const PROOFS: u32 = 3;
const PROOF_EVERY: Duration = Duration::from_millis(50);

/// A connection that does badly at so many looks in a row is made anew: its name may lead to another
/// by now.
const BAD_LOOKS_MAX: u32 = 5;

/// Looks in a row that are slower than a request needs, and the connection is not used any more. One
/// may be this process's own doing.
const SLOW_LOOKS_MAX: u32 = 2;

/// So many looks apart it is tried again to get the news of other nodes, and asked who is the primary
/// and where the server's name leads.
const LISTEN_EVERY: u32 = 10;

/// A name that has led elsewhere so many times in a row is followed: once it may be one of several
/// addresses that a resolver tells in turn.
const ELSEWHERE_MAX: u32 = 2;

/// A server that says at so many looks in a row that another one has its keys does not do well: who
/// follows the Cluster hears something else.
const MISLED_LOOKS_MAX: u32 = 5;

/// A connection that did well for so long was a good one: the next is tried at once.
const WELL_FROM: Duration = Duration::from_secs(10);

/// What the keeper has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// That it can be used, or why not.
    pub outcome: Result<(), FailureClass>,
    /// The boot time when it was asked.
    pub began: Duration,
    /// The boot time when that ended.
    pub ended: Duration,
}

/// Who wants to know how a link does.
pub trait LinkObserver: Send + Sync {
    /// It was looked at.
    fn observed(&self, seen: Observation);

    /// Whether a new connection gets the news of other nodes, or why not.
    fn listens(&self, outcome: Result<(), FailureClass>);
}

/// How the use of a connection ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is of no use any more.
    Lost,
    /// It answers, if not well.
    Unwell,
}

/// Keeps one server connected.
pub(super) struct Keeper {
    link: Arc<RedisLink>,
    lane: Arc<Lane>,
    observer: Arc<dyn LinkObserver>,
    /// How many looks in a row were sent to another server.
    misled: AtomicU32,
}

/// The name of a key that looks write and read. Each has its own: another node's look must not come
/// between its two halves. In a Cluster the tag says on which server it lies.
pub(super) fn probe(key_prefix: &str, tag: &str, entropy: &dyn Entropy) -> String {
    format!("{key_prefix}look:{tag}{:016x}", entropy.bits())
}

impl Keeper {
    pub(super) const fn new(
        link: Arc<RedisLink>,
        lane: Arc<Lane>,
        observer: Arc<dyn LinkObserver>,
    ) -> Self {
        Self { link, lane, observer, misled: AtomicU32::new(0) }
    }

    /// For as long as the caller lets it run.
    pub(super) async fn keep(&self) {
        let mut attempt = 0;
        loop {
            let used = self.use_connection().await;
            if used.as_ref().is_ok_and(|well_for| *well_for >= WELL_FROM) {
                attempt = 0;
                continue;
            }
            let delay = BACKOFF.delay(attempt, self.link.entropy.bits()).max(REST);
            let was_examined = used.is_err_and(|unconnected| unconnected.was_examined);
            sleep(if was_examined { delay + REST } else { delay }).await;
            attempt = attempt.saturating_add(1);
        }
    }

    /// Connects, and lets requests use the connection while it does well. For how long it did, or why
    /// there was none.
    async fn use_connection(&self) -> Result<Duration, Unconnected> {
        let began = self.now();
        let connecting = self.link.connector.connect(&self.lane.target);
        let connection = timeout(CONNECT_LIMIT, connecting).await;
        let connection = connection.unwrap_or_else(|_| Err(FailureClass::Timeout.into()));
        let connection = connection.inspect_err(|failed| self.tell(Err(failed.class), began))?;
        let connected = Connected::new(connection, self.link.deadline);
        self.misled.store(0, Ordering::Relaxed);
        let _at_hand = self.lane.at_hand(&connected);
        let mut well_for = Duration::ZERO;
        let mut listens = false;
        while self.prove(&connected).await {
            let used_from = self.now();
            self.lane.publish(&connected, used_from);
            let end = self.watch(&connected, &mut listens).await;
            well_for = self.now().saturating_sub(used_from);
            if end == End::Lost {
                break;
            }
        }
        Ok(well_for)
    }

    /// Has a connection get the news of other nodes. One that does not is of use all the same.
    async fn listen(&self, connected: &Connected) -> bool {
        let listens = connected.subscribe(&self.link.channel, LOOK_LIMIT).await;
        let outcome = listens.map_err(|failure| failure.class);
        // That the connection is gone is no word about news, and the next look tells it.
        let is_gone = matches!(
            outcome,
            Err(FailureClass::Closed | FailureClass::Timeout | FailureClass::Unreachable)
        );
        if !is_gone {
            self.observer.listens(outcome);
        }
        outcome.is_ok()
    }

    /// Looks at a connection until it does well; `false`: it will not.
    async fn prove(&self, connected: &Arc<Connected>) -> bool {
        let (mut proofs, mut bad) = (0, 0);
        while proofs < PROOFS {
            let began = self.now();
            match self.look_at(connected).await {
                Ok(()) => (proofs, bad) = (proofs + 1, 0),
                Err(failure) => {
                    (proofs, bad) = (0, bad + 1);
                    self.tell(Err(failure.class), began);
                    if self.is_lost_by(connected, failure) || bad >= BAD_LOOKS_MAX {
                        return false;
                    }
                    sleep(LOOK_EVERY.saturating_sub(self.now().saturating_sub(began))).await;
                }
            }
            sleep(PROOF_EVERY).await;
        }
        true
    }

    /// Looks at the connection in use every second, until requests must not use it any more.
    async fn watch(&self, connected: &Arc<Connected>, listens: &mut bool) -> End {
        let (mut slow, mut looks, mut elsewhere) = (0_u32, 0_u32, 0_u32);
        loop {
            if !*listens && looks.is_multiple_of(LISTEN_EVERY) {
                *listens = self.listen(connected).await;
            }
            if looks == 0 {
                self.tell(Ok(()), self.now());
            } else if looks.is_multiple_of(LISTEN_EVERY)
                && self.has_moved(connected, &mut elsewhere).await
            {
                return End::Lost;
            }
            looks = looks.wrapping_add(1);
            // An old word of another connection is nothing but an early look.
            let _ = timeout(LOOK_EVERY, self.lane.doubted.notified()).await;
            let began = self.now();
            if let Some(why) = self.lane.absence_of(connected) {
                self.tell(Err(why), began);
                return End::Lost;
            }
            let Err(failure) = self.look_at(connected).await else {
                slow = 0;
                self.tell(Ok(()), began);
                continue;
            };
            if failure.class == FailureClass::Slow && slow + 1 < SLOW_LOOKS_MAX {
                slow += 1;
                continue;
            }
            self.lane.empty(connected, failure.class);
            self.tell(Err(failure.class), began);
            let is_lost = self.is_lost_by(connected, failure);
            return if is_lost { End::Lost } else { End::Unwell };
        }
    }

    /// Whether a failed look means that the connection is of no use any more.
    fn is_lost_by(&self, connected: &Connected, failure: RedisFailure) -> bool {
        // Where others say who is the primary, one that takes no changes is none any more.
        let is_replaced =
            failure.class == FailureClass::Readonly && self.link.connector.is_found_by_sentinels();
        is_replaced || connected.is_lost_by(failure)
    }

    /// Whether another has become the primary, since one that was cut off may not know, or the name of
    /// the server leads to another one.
    async fn has_moved(&self, connected: &Arc<Connected>, elsewhere: &mut u32) -> bool {
        let (began, connection) = (self.now(), connected.connection());
        if self.link.connector.has_moved(connection).await {
            self.lane.empty(connected, FailureClass::Readonly);
            self.tell(Err(FailureClass::Readonly), began);
            return true;
        }
        let leads_elsewhere = self.link.connector.leads_elsewhere(connection).await;
        *elsewhere = if leads_elsewhere { *elsewhere + 1 } else { 0 };
        if *elsewhere < ELSEWHERE_MAX {
            return false;
        }
        // It does well as far as anybody can tell: nothing has failed.
        self.lane.empty(connected, FailureClass::Closed);
        true
    }

    /// One look: answered well, and as soon as a request needs it. It writes and reads, as what we ask
    /// for does: a Redis that takes no changes, or answers other questions than ours, is found out
    /// before anybody needs it.
    async fn look_at(&self, connected: &Connected) -> Result<(), RedisFailure> {
        let (began, value) = (self.now(), self.link.entropy.bits().to_string());
        let name = self.lane.probe();
        let mut look = Pipeline::with_capacity(2);
        look.cmd("SET").arg(&name).arg(&value).arg("PX").arg(LOOKED_KEPT_MS);
        look.cmd("GETRANGE").arg(&name).arg(0).arg(value.len());
        let answers = connected.send(&look, LOOK_LIMIT).await?;
        let redirects = answers.iter().map(|said| Redirect::read(said, self.lane.address()));
        let redirect = redirects.flatten().max_by_key(|redirect| !redirect.is_for_once);
        match redirect {
            None => {
                let answers = answers.into_iter().map(Value::extract_error).collect();
                let answers: Result<Vec<_>, _> = answers;
                let answers = answers.map_err(|error| RedisFailure::of_command(&error))?;
                if answers != [Value::Okay, Value::BulkString(value.into_bytes())] {
                    let class = FailureClass::Protocol;
                    return Err(RedisFailure { class, shows: Shows::Spoilt });
                }
                self.misled.store(0, Ordering::Relaxed);
            }
            // The key is on its way to another, which may take long: the server does as well as before.
            Some(redirect) if redirect.is_for_once => self.misled.store(0, Ordering::Relaxed),
            Some(_) => {
                // That the key has moved, those who follow the Cluster have to hear.
                self.link.misled.notify_one();
                if self.misled.fetch_add(1, Ordering::Relaxed) >= MISLED_LOOKS_MAX {
                    let class = FailureClass::ClusterDown;
                    return Err(RedisFailure { class, shows: Shows::Answered });
                }
            }
        }
        if self.now().saturating_sub(began) <= self.link.deadline {
            return Ok(());
        }
        Err(RedisFailure { class: FailureClass::Slow, shows: Shows::Answered })
    }

    fn tell(&self, outcome: Result<(), FailureClass>, began: Duration) {
        if let Err(class) = outcome {
            self.lane.note_absence(class);
        }
        self.observer.observed(Observation { outcome, began, ended: self.now() });
    }

    fn now(&self) -> Duration {
        self.link.clock.boottime()
    }
}
