//! Following a Cluster: which server has which keys, as its servers say.
//!
//! One of them is asked as long as it answers well, since another may know less, or call itself by
//! another name; each server has a keeper of its own, so that the loss of one is the loss of its keys
//! alone.

mod map;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::FailureClass;
use nightlatch_resilience::Backoff;
use redis::Pipeline;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connect::{HostAndPort, Target};
use super::keeper::{self, Keeper, LinkObserver, Observation};
use super::lane::Lane;
use super::link::RedisLink;
use super::overall::{OfOne, Overall};
use super::slot::Slot;
use super::table::Table;
use map::{Map, Ranges};

/// How long one server may take to be reached, with TLS and all, and to say what it knows.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// How many servers are asked at one look.
const ASKED_MAX: usize = 16;

/// Between two looks, whatever happens, and twice this after one that told nothing: who was asked then
/// had to be connected to, perhaps twice.
const REST: Duration = Duration::from_millis(500);

/// And after that, while something is the matter and while nothing is. It ends when a server sends
/// somebody to another one, and when one does not do well.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// While there are servers that are kept, one of the others is asked so seldom: it may be one of them
/// by another name, to which its keeper tries to connect.
const OTHERS_EVERY: Duration = Duration::from_secs(4);

/// While nobody says anything.
const BACKOFF: Backoff = Backoff { base: AGAIN_AFTER, max: Duration::from_secs(2) };

/// Follows the Cluster that a link leads to, for as long as the caller lets it run.
pub(super) async fn follow(link: &Arc<RedisLink>, observer: Arc<dyn LinkObserver>) {
    let overall = Overall::new(observer);
    let (kept, epoch) = (BTreeMap::new(), 0);
    let (turn, others_from) = (0, Duration::ZERO);
    let mut follower = Follower { link, overall, kept, asked: None, turn, others_from, epoch };
    let mut failed = 0;
    loop {
        let is_told = follower.look().await;
        sleep(REST).await;
        if !is_told {
            sleep(REST + BACKOFF.delay(failed, link.entropy.bits())).await;
            failed = failed.saturating_add(1);
            continue;
        }
        failed = 0;
        let span = if follower.overall.is_well() { LOOK_EVERY } else { AGAIN_AFTER };
        tokio::select! {
            () = sleep(span) => {}
            () = link.misled.notified() => {}
            () = follower.overall.is_unwell() => {}
        }
    }
}

struct Follower<'a> {
    link: &'a Arc<RedisLink>,
    overall: Arc<Overall>,
    kept: BTreeMap<HostAndPort, Kept>,
    /// Who has told what is known.
    asked: Option<HostAndPort>,
    /// Which of those that are configured is asked first.
    turn: usize,
    /// The boot time from which one of them may be asked again.
    others_from: Duration,
    /// The newest that was told.
    epoch: u64,
}

/// A server, and the task that keeps it connected: it ends with this.
struct Kept {
    lane: Arc<Lane>,
    _keeping: JoinSet<()>,
}

impl Follower<'_> {
    /// Whether anybody has told anything.
    async fn look(&mut self) -> bool {
        let began = self.link.clock.boottime();
        let outcome = self.ask_in_turn().await.map(|map| self.arrange(&map));
        if let (Err(class), true) = (outcome, self.kept.is_empty()) {
            self.link.note_absence(class);
        }
        let ended = self.link.clock.boottime();
        self.overall.looked(Observation { outcome, began, ended });
        outcome.is_ok()
    }

    /// What the first server says that calls the Cluster well and knows what was known before; else the
    /// newest of what the others say.
    async fn ask_in_turn(&mut self) -> Result<Map, FailureClass> {
        let mut best: Result<(Map, HostAndPort), _> = Err(FailureClass::Unreachable);
        for address in self.next_to_ask() {
            let asked = timeout(ASK_LIMIT, self.ask(&address)).await;
            match asked.unwrap_or(Err(FailureClass::Timeout)) {
                Ok(map) => {
                    let is_good = map.is_ok && map.epoch >= self.epoch;
                    let rank = |map: &Map| (map.is_ok, map.epoch);
                    if !best.as_ref().is_ok_and(|(was, _)| rank(was) >= rank(&map)) {
                        best = Ok((map, address));
                    }
                    if is_good {
                        break;
                    }
                }
                Err(class) if best.is_err() => best = Err(class),
                Err(_) => {}
            }
        }
        let (map, address) = best?;
        (self.epoch, self.asked) = (map.epoch, Some(address));
        Ok(map)
    }

    /// Those who are connected, who told it before first and those that requests do not use last; then
    /// those that are configured, as far as they are nobody's whose keeper tries to connect anyway.
    fn next_to_ask(&mut self) -> Vec<HostAndPort> {
        let reached = self.kept.iter().filter(|(_, kept)| kept.lane.is_reached());
        let mut reached: Vec<_> = reached
            .map(|(address, kept)| {
                let is_new = Some(address) != self.asked.as_ref();
                ((is_new, !kept.lane.is_connected()), address.clone())
            })
            .collect();
        reached.sort_unstable();
        let mut asked: Vec<_> = reached.into_iter().map(|(_, address)| address).collect();
        asked.extend(self.others());
        asked.truncate(ASKED_MAX);
        asked
    }

    /// Of those that are configured, but not kept, all while nobody is, else one from time to time.
    fn others(&mut self) -> Vec<HostAndPort> {
        let configured = self.link.connector.cluster_nodes();
        let mut others: Vec<_> =
            configured.iter().filter(|address| !self.kept.contains_key(address)).cloned().collect();
        let now = self.link.clock.boottime();
        if others.is_empty() || now < self.others_from {
            return Vec::new();
        }
        let first = self.turn % others.len();
        others.rotate_left(first);
        self.turn = self.turn.wrapping_add(1);
        if !self.kept.is_empty() {
            others.truncate(1);
            self.others_from = now.saturating_add(OTHERS_EVERY);
        }
        others
    }

    async fn ask(&self, address: &HostAndPort) -> Result<Map, FailureClass> {
        let mut questions = Pipeline::with_capacity(2);
        questions.cmd("CLUSTER").arg("INFO");
        questions.cmd("CLUSTER").arg("SLOTS");
        let answers = match self.kept.get(address) {
            Some(kept) => {
                let answered = kept.lane.ask_beside(&questions, ASK_LIMIT).await;
                answered.map_err(|failure| failure.class)?
            }
            None => self.link.connector.ask_once(address, &questions).await?,
        };
        Map::read(&answers, address)
    }

    fn arrange(&mut self, map: &Map) {
        self.kept.retain(|address, _| map.servers.contains_key(address));
        let owners = map.owners();
        let is_whole = map.is_ok && owners.iter().all(Option::is_some);
        let outcome = if is_whole { Ok(()) } else { Err(FailureClass::ClusterDown) };
        // Before they are kept: what is said of a server that is not known yet is not heard.
        self.overall.arrange(map.servers.keys(), outcome);
        let lanes = map.servers.iter().map(|(address, ranges)| self.lane(address, ranges));
        let lanes = lanes.collect();
        self.link.note_absence(FailureClass::ClusterDown);
        self.link.publish(Table::of_many(lanes, owners));
    }

    /// The way to a server, which is kept from now on.
    fn lane(&mut self, address: &HostAndPort, ranges: &Ranges) -> Arc<Lane> {
        if let Some(Kept { lane, .. }) = self.kept.get(address) {
            if !has(ranges, Slot::of(&lane.probe())) {
                lane.set_probe(self.probe(ranges));
            }
            return Arc::clone(lane);
        }
        let lane = Lane::new(Target::At(address.clone()), self.probe(ranges));
        let overall = Arc::clone(&self.overall);
        let observer = Arc::new(OfOne { overall, address: address.clone() });
        let keeper = Keeper::new(Arc::clone(self.link), Arc::clone(&lane), observer);
        let mut keeping = JoinSet::new();
        keeping.spawn(async move { keeper.keep().await });
        let kept = Kept { lane: Arc::clone(&lane), _keeping: keeping };
        self.kept.insert(address.clone(), kept);
        lane
    }

    /// A name for a key to look at, of a server that has these slots.
    fn probe(&self, ranges: &Ranges) -> String {
        // What stands in braces alone decides where a key lies. Low slots are the first to be moved.
        let slot = ranges.last().map_or(0, |(_, last)| usize::from(*last));
        let tag = format!("{{{}}}", self.link.tags.get(slot).copied().unwrap_or_default());
        keeper::probe(&self.link.key_prefix, &tag, &*self.link.entropy)
    }
}

fn has(ranges: &Ranges, slot: Slot) -> bool {
    let is_in = |(first, last): &(u16, u16)| (*first..=*last).contains(&slot.number());
    ranges.iter().any(is_in)
}
