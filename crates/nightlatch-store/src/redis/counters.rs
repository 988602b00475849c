//! Tries counted in Redis, by all nodes together.
//!
//! A counter is a sorted set of entries by time, each tagged for its counter by our key: the script
//! only keeps room, and what a full counter holds is judged here. An entry that is forged, of another
//! counter, or said again later makes the answer none at all; then each node goes by its own count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    BoxFuture, CounterKeys, ENTRY_TAG_BYTES, Entropy, Limit, RecordClock, ThrottleKey, Timestamp,
};
use redis::Value;
use uuid::Uuid;

use super::batch::Batch;
use super::link::RedisLink;
use super::settling::{Settled, Settling};
use crate::cached::CachedRecord;
use crate::throttle::{Reservation, SharedCounters, Together, Want};

/// A try that is neither given back nor counted for so long is of a node that is gone: no evaluation
/// takes longer than a login may take, 60 s at most. How it ended is told for as long.
pub(super) const HELD_MAX: Duration = Duration::from_secs(70);

/// How far the clocks of two nodes may be apart.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// Room for a try, or what the counter is full of: failures are added even where it is full, and
/// pending tries stand among them. One key, so that a cluster can run it.
///
/// ARGV: the entry, its time, up to when failures count no longer, up to when pending tries are of
/// nobody, how many there may be, and for how many milliseconds the counter is kept. Times are
/// microseconds. Then come entries that must be there. With room it says how many there were, or -1
/// where one of those is missing, and the entry again: no answer to another question reads like it.
const RESERVE: &str = "
local over, left = tonumber(ARGV[3]), tonumber(ARGV[4])
local max = tonumber(ARGV[5])
local n = redis.call('ZCARD', KEYS[1])
if n > 0 then
  local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', math.max(over, left), 'WITHSCORES')
  for i = 1, #old, 2 do
    local is_pending = string.sub(old[i], 1, 1) == 'p'
    if tonumber(old[i + 1]) <= (is_pending and left or over) then
      n = n - redis.call('ZREM', KEYS[1], old[i])
    end
  end
end
if n < max then
  for i = 7, #ARGV do
    if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
      return {-1, ARGV[1]}
    end
  end
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return {n, ARGV[1]}
end
return redis.call('ZRANGE', KEYS[1], -2 * max, -1)";

/// With less time than this nothing is asked: it would only be taken for silence.
const LIMIT_MIN: Duration = Duration::from_millis(5);

/// What an entry says of a try, before its tag: a letter, an id, and a time.
const ENTRY_BYTES: usize = 17;

/// A connection is used for so long before what is counted there is believed: a Redis that has come
/// back has not heard yet what was counted meanwhile, or has forgotten it. By then each node has found
/// it too and written that, and knows by the record what the others count.
const BELIEVED_AFTER: Duration = Duration::from_secs(5);

/// The counters that all nodes of a record share in one Redis.
pub struct RedisCounters {
    link: Arc<RedisLink>,
    /// Says which record the counters are of.
    record: Arc<CachedRecord>,
    clock: Arc<RecordClock>,
    entropy: Arc<dyn Entropy>,
    keys: CounterKeys,
    settling: Settling,
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pending,
    Failed,
}

impl Kind {
    const fn letter(self) -> u8 {
        match self {
            Self::Pending => b'p',
            Self::Failed => b'f',
        }
    }
}

impl RedisCounters {
    /// Counts where a link leads.
    #[must_use]
    pub fn new(
        link: Arc<RedisLink>,
        record: Arc<CachedRecord>,
        (clock, entropy): (Arc<RecordClock>, Arc<dyn Entropy>),
        keys: CounterKeys,
    ) -> Self {
        Self { link, record, clock, entropy, keys, settling: Settling::new() }
    }

    /// Writes how tries ended, for as long as the caller lets it run.
    pub async fn write(&self) {
        let mut waiting = self.settling.waiting().await;
        while let Some(batch) = waiting.next(|| self.clock.now()).await {
            let written = self.write_all(&batch).await;
            waiting.tried(batch, &written);
        }
    }

    /// Which of them are written.
    async fn write_all(&self, batch: &[Settled]) -> Vec<bool> {
        let Some(record) = self.record.record_id() else { return vec![false; batch.len()] };
        let mut commands = Batch::with_capacity(4 * batch.len());
        let ends: Vec<usize> = batch
            .iter()
            .map(|settled| {
                self.add(&mut commands, record, settled);
                commands.len()
            })
            .collect();
        let answers = self.link.ask(commands, self.link.deadline).await;
        let begins = std::iter::once(&0).chain(&ends);
        let is_written =
            |(begin, end): (&usize, &usize)| answers[*begin..*end].iter().all(Result::is_ok);
        begins.zip(&ends).map(is_written).collect()
    }

    fn add(&self, commands: &mut Batch, record: Uuid, settled: &Settled) {
        let Settled { key, limit, .. } = settled;
        let name = self.name(record, key);
        // Counted before it is removed: in between there must not be room for one more.
        if let Some(failed) = settled.failed {
            let entry = self.entry((record, key), Kind::Failed, failed);
            commands.about(&name).arg("ZADD").arg(&name).arg(failed.at).arg(entry);
            // The newest decide.
            let surplus = -2 * i64::from(limit.count) - 1;
            commands.about(&name).arg("ZREMRANGEBYRANK").arg(&name).arg(0).arg(surplus);
            commands.about(&name).arg("PEXPIRE").arg(&name).arg(kept_for(*limit));
        }
        if let Some(pending) = settled.pending {
            let entry = self.entry((record, key), Kind::Pending, pending);
            commands.about(&name).arg("ZREM").arg(&name).arg(entry);
        }
    }

    async fn ask(&self, wants: &[Want], reservation: Reservation, limit: Duration) -> Together {
        let Some(record) = self.record.record_id() else { return Together::Unknown };
        let now = Timestamp::from_micros(reservation.at);
        let mut commands = Batch::with_capacity(wants.len());
        for Want { key, limit, .. } in wants {
            let name = self.name(record, key);
            let command = commands.about(&name).arg("EVAL").arg(RESERVE).arg(1).arg(&name);
            command.arg(self.entry((record, key), Kind::Pending, reservation)).arg(reservation.at);
            for before in [limit.span, HELD_MAX] {
                command.arg(now.before(before).as_micros());
            }
            command.arg(limit.count).arg(kept_for(*limit));
            for witness in self.settling.witnesses(key, *limit, now) {
                command.arg(self.entry((record, key), Kind::Failed, witness));
            }
        }
        let answers = self.link.ask(commands, limit).await;
        let mut all = Together::Reserved(reservation);
        for (want, answer) in wants.iter().zip(&answers) {
            let Ok(answer) = answer else { return Together::Unknown };
            let Want { key, limit, known } = want;
            let entry = self.entry((record, key), Kind::Pending, reservation);
            match self.read((record, key), *limit, (&answer.value, &entry), now) {
                Said::Room(counted) if counted >= *known => {}
                // It has forgotten, or is not the one that the others count in.
                Said::Room(_) | Said::Foreign => return Together::Unknown,
                Said::Nonsense => {
                    answer.distrust();
                    return Together::Unknown;
                }
                Said::Throttled(retry_after) => {
                    all = Together::Throttled { key: *key, limit: *limit, retry_after };
                }
                Said::Taken if matches!(all, Together::Throttled { .. }) => {}
                Said::Taken => all = Together::Wait,
            }
        }
        all
    }

    fn read(
        &self,
        counter: (Uuid, &ThrottleKey),
        limit: Limit,
        (answer, asked): (&Value, &[u8]),
        now: Timestamp,
    ) -> Said {
        let Value::Array(entries) = answer else { return Said::Nonsense };
        if let [Value::Int(counted), Value::BulkString(entry)] = entries.as_slice() {
            return match usize::try_from(*counted) {
                Ok(before) if entry == asked => Said::Room(before),
                Err(_) if entry == asked => Said::Foreign,
                _ => Said::Nonsense,
            };
        }
        if entries.len() > 2 * limit.count as usize {
            return Said::Nonsense;
        }
        let mut failed = BTreeSet::new();
        for entry in entries {
            let Value::BulkString(entry) = entry else { return Said::Nonsense };
            let Some((kind, at)) = self.read_entry(counter, entry) else { return Said::Foreign };
            let life = match kind {
                Kind::Pending => HELD_MAX,
                Kind::Failed => limit.span,
            };
            // Somebody has said again what is over, or a clock is wrong.
            if now.since(at) > life.saturating_add(CLOCK_TOLERANCE)
                || at.since(now) > CLOCK_TOLERANCE
            {
                return Said::Foreign;
            }
            if kind == Kind::Failed {
                failed.insert((at, entry));
            }
        }
        let first = failed.len().checked_sub(limit.count as usize);
        match first.and_then(|first| failed.iter().nth(first)) {
            None => Said::Taken,
            Some((at, _)) => {
                let retry_after = at.after(limit.span).since(now);
                Said::Throttled(retry_after.max(Duration::from_micros(1)))
            }
        }
    }

    fn read_entry(
        &self,
        (record, key): (Uuid, &ThrottleKey),
        entry: &[u8],
    ) -> Option<(Kind, Timestamp)> {
        let (said, tag) = entry.split_last_chunk::<ENTRY_TAG_BYTES>()?;
        if said.len() != ENTRY_BYTES || !self.keys.verify(record, key, (said, tag)) {
            return None;
        }
        let kind = match said[0] {
            b'p' => Kind::Pending,
            b'f' => Kind::Failed,
            _ => return None,
        };
        let at = i64::from_be_bytes(*said.last_chunk()?);
        Some((kind, Timestamp::from_micros(at)))
    }

    fn entry(
        &self,
        (record, key): (Uuid, &ThrottleKey),
        kind: Kind,
        reservation: Reservation,
    ) -> Vec<u8> {
        let mut entry = Vec::with_capacity(ENTRY_BYTES + ENTRY_TAG_BYTES);
        entry.push(kind.letter());
        entry.extend_from_slice(&reservation.id);
        entry.extend_from_slice(&reservation.at.to_be_bytes());
        let tag = self.keys.tag(record, key, &entry);
        entry.extend_from_slice(&tag);
        entry
    }

    fn name(&self, record: Uuid, key: &ThrottleKey) -> String {
        self.link.name("t:", &self.keys.name(record, key))
    }

    fn draw(&self) -> Reservation {
        let mut id = [0; 8];
        self.entropy.fill(&mut id);
        Reservation { id, at: self.clock.now().as_micros() }
    }

    fn settle(
        &self,
        wants: &[(ThrottleKey, Limit)],
        (pending, failed): (Option<Reservation>, Option<Reservation>),
    ) {
        let at = self.clock.now();
        for (key, limit) in wants {
            let (key, limit) = (*key, *limit);
            self.settling.add(Settled { key, limit, at, pending, failed, is_late: false });
        }
    }
}

/// What one counter says.
enum Said {
    /// This many were there before.
    Room(usize),
    /// By tries that are being evaluated.
    Taken,
    Throttled(Duration),
    /// What is in it, this node has not counted, nor any other of ours, or not now; or what this node
    /// has counted is not in it any more.
    Foreign,
    /// No answer to this question: they have got out of step.
    Nonsense,
}

impl SharedCounters for RedisCounters {
    fn is_there(&self) -> bool {
        self.link.connected_for() >= BELIEVED_AFTER
    }

    fn knows(&self, key: &ThrottleKey) -> bool {
        let Some(record) = self.record.record_id() else { return false };
        let connected_for = self.link.connected_for_key(&self.name(record, key));
        connected_for >= BELIEVED_AFTER && !self.settling.is_late(key)
    }

    fn reserve<'a>(
        &'a self,
        wants: &'a [Want],
        spent: Duration,
        limit: Duration,
    ) -> BoxFuture<'a, Together> {
        Box::pin(async move {
            let limit = limit.min(self.link.deadline.saturating_sub(spent));
            if limit < LIMIT_MIN {
                return Together::Unknown;
            }
            let mut asking = Asking { counters: self, wants, reservation: Some(self.draw()) };
            let Some(reservation) = asking.reservation else { return Together::Unknown };
            let said = self.ask(wants, reservation, limit).await;
            if said == Together::Reserved(reservation) {
                asking.reservation = None;
            }
            said
        })
    }

    fn fail(&self, wants: &[(ThrottleKey, Limit)], reserved: Option<Reservation>) {
        self.settle(wants, (reserved, Some(self.draw())));
    }

    fn give_back(&self, wants: &[(ThrottleKey, Limit)], reserved: Reservation) {
        self.settle(wants, (Some(reserved), None));
    }
}

/// A question under way. Unless it turns out to be reserved, the try is given back, also when nobody
/// waits for the answer any more: some of the counters may have taken it, now or when they get it.
struct Asking<'a> {
    counters: &'a RedisCounters,
    wants: &'a [Want],
    reservation: Option<Reservation>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation {
            let wants: Vec<_> = self.wants.iter().map(|want| (want.key, want.limit)).collect();
            self.counters.give_back(&wants, reservation);
        }
    }
}

/// For how many milliseconds a counter is kept: failures for the span of its limit, pending tries for
/// as long as they may take.
fn kept_for(limit: Limit) -> u64 {
    millis(limit.span.max(HELD_MAX))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
