//! Following a Cluster: which server has which keys, as its servers say.
//!
//! They are asked in turn, since one may be gone or know less than the others; each server has a
//! keeper of its own, so that the loss of one is the loss of its keys alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::FailureClass;
use redis::{Pipeline, Value};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connect::{HostAndPort, Target};
use super::keeper::{self, Keeper, LinkObserver, Observation};
use super::lane::Lane;
use super::link::RedisLink;
use super::overall::{OfOne, Overall};
use super::slot::{SLOTS, Slot};
use super::table::Table;

/// How long one server may take to be reached, with TLS and all, and to say what it knows.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// How many servers are asked at one look.
const ASKED_MAX: usize = 16;

/// Between two looks, whatever happens.
const REST: Duration = Duration::from_millis(500);

/// And after that, while something is the matter and while nothing is. It ends when a server sends
/// somebody to another one, and when one does not do well.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// More servers with keys than this are no Cluster: a thousand in all is what Redis is made for.
const SERVERS_MAX: usize = 1000;

/// How many names are tried for one that a server has. Decimal numbers below this have every slot.
const PROBES_MAX: u32 = 1 << 18;

/// Which server has which keys.
struct Map {
    /// Whether the Cluster takes commands, as who told it says.
    is_ok: bool,
    servers: BTreeMap<HostAndPort, Ranges>,
}

/// First and last slots.
type Ranges = Vec<(u16, u16)>;

/// Follows the Cluster that a link leads to, for as long as the caller lets it run.
pub(super) async fn follow(link: &Arc<RedisLink>, observer: Arc<dyn LinkObserver>) {
    let overall = Overall::new(observer);
    let mut follower = Follower { link, overall, kept: BTreeMap::new(), turn: 0 };
    loop {
        follower.look().await;
        sleep(REST).await;
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
    /// Who is asked first: the next one each time.
    turn: usize,
}

/// A server, and the task that keeps it connected: it ends with this.
struct Kept {
    lane: Arc<Lane>,
    _keeping: JoinSet<()>,
}

impl Follower<'_> {
    async fn look(&mut self) {
        let began = self.link.clock.boottime();
        let outcome = match self.ask_in_turn().await {
            Ok(map) => {
                self.arrange(&map);
                Ok(())
            }
            Err(class) => {
                self.link.note_absence(class);
                Err(class)
            }
        };
        let ended = self.link.clock.boottime();
        self.overall.looked(Observation { outcome, began, ended });
    }

    /// What the first server says that calls the Cluster well; else the last that says anything.
    async fn ask_in_turn(&mut self) -> Result<Map, FailureClass> {
        let configured = self.link.connector.cluster_nodes();
        let others = self.kept.keys().filter(|address| !configured.contains(address));
        let known: Vec<HostAndPort> = configured.iter().chain(others).cloned().collect();
        let first = self.turn;
        self.turn = self.turn.wrapping_add(1);
        let mut best = Err(FailureClass::Unreachable);
        for number in 0..known.len().min(ASKED_MAX) {
            let address = &known[first.wrapping_add(number) % known.len()];
            let asked = timeout(ASK_LIMIT, self.ask(address)).await;
            match asked.unwrap_or(Err(FailureClass::Timeout)) {
                Ok(map) if map.is_ok => return Ok(map),
                Ok(map) => best = Ok(map),
                Err(class) if best.is_err() => best = Err(class),
                Err(_) => {}
            }
        }
        best
    }

    async fn ask(&self, address: &HostAndPort) -> Result<Map, FailureClass> {
        let mut questions = Pipeline::with_capacity(2);
        questions.cmd("CLUSTER").arg("INFO");
        questions.cmd("CLUSTER").arg("SLOTS");
        let answers = self.link.connector.ask_once(address, &questions).await?;
        let [info, slots] = answers.as_slice() else { return Err(FailureClass::Protocol) };
        // Who may not ask may know all the same which server has what.
        let is_down = text(info).is_some_and(|info| info.contains("cluster_state:fail"));
        Ok(Map { is_ok: !is_down, servers: servers(slots, address)? })
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
        // What stands in braces alone decides where a key lies.
        let number = (0..PROBES_MAX).find(|number| has(ranges, Slot::of(&number.to_string())));
        let tag = format!("{{{}}}", number.unwrap_or_default());
        keeper::probe(&self.link.key_prefix, &tag, &*self.link.entropy)
    }
}

impl Map {
    /// The number of each slot's server, by slot.
    fn owners(&self) -> Vec<Option<u16>> {
        let mut owners = vec![None; usize::from(SLOTS)];
        for (number, ranges) in (0..).zip(self.servers.values()) {
            for (first, last) in ranges {
                owners[usize::from(*first)..=usize::from(*last)].fill(Some(number));
            }
        }
        owners
    }
}

fn has(ranges: &Ranges, slot: Slot) -> bool {
    let is_in = |(first, last): &(u16, u16)| (*first..=*last).contains(&slot.number());
    ranges.iter().any(is_in)
}

/// What `CLUSTER SLOTS` says, as `asked` has answered it: ranges of slots, each with the servers that
/// have it, of which the first takes changes.
fn servers(
    answer: &Value,
    asked: &HostAndPort,
) -> Result<BTreeMap<HostAndPort, Ranges>, FailureClass> {
    let ranges = match answer {
        Value::Array(ranges) => ranges,
        Value::ServerError(error) if error.code() == "NOPERM" => {
            return Err(FailureClass::Forbidden);
        }
        // "This instance has cluster support disabled".
        _ => return Err(FailureClass::ClusterDown),
    };
    let mut servers: BTreeMap<HostAndPort, Ranges> = BTreeMap::new();
    for range in ranges {
        let (address, range) = owner(range, asked).ok_or(FailureClass::Protocol)?;
        servers.entry(address).or_default().push(range);
    }
    if servers.is_empty() {
        return Err(FailureClass::ClusterDown);
    }
    if servers.len() > SERVERS_MAX {
        return Err(FailureClass::Protocol);
    }
    Ok(servers)
}

fn owner(range: &Value, asked: &HostAndPort) -> Option<(HostAndPort, (u16, u16))> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(server), ..] = range.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), rest @ ..] = server.as_slice() else { return None };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    if first > last || last >= SLOTS {
        return None;
    }
    let host = match text(host) {
        // It does not know its own name, or is not to tell it.
        None | Some("") => asked.0.clone(),
        // It is to tell a name, and has none.
        Some("?") => rest.iter().find_map(ip).unwrap_or(&asked.0).to_owned(),
        Some(host) => host.to_owned(),
    };
    Some(((host, u16::try_from(*port).ok()?), (first, last)))
}

/// The address among what else is said of a server.
fn ip(said: &Value) -> Option<&str> {
    match said {
        Value::Map(pairs) => {
            pairs.iter().find(|(name, _)| text(name) == Some("ip")).and_then(|(_, ip)| text(ip))
        }
        Value::Array(flat) => flat
            .chunks_exact(2)
            .find(|pair| text(&pair[0]) == Some("ip"))
            .and_then(|pair| text(&pair[1])),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_slot_has_a_name_among_those_that_are_tried() {
        let named = (0..PROBES_MAX).map(|number| Slot::of(&number.to_string()).number());
        assert_eq!(named.collect::<BTreeSet<_>>().len(), usize::from(SLOTS));
    }
}
