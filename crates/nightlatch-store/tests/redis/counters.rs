//! Tries that two nodes count together in Redis.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use nightlatch_core::coherence::CoherenceLimits;
use nightlatch_core::{
    Clock, CounterKeys, Entropy, Limit, MasterKeys, RecordClock, Secret, SystemClock,
    SystemEntropy, ThrottleKey, ThrottleScope,
};
use nightlatch_store::cached::{CachedRecord, Look, LookObserver};
use nightlatch_store::memory::MemoryRecord;
use nightlatch_store::redis::{RedisAddress, RedisCounters, RedisOptions};
use nightlatch_store::throttle::{Reservation, SharedCounters as _, Together, Want};
use nightlatch_testkit::cluster::RedisCluster;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;
use tokio::task::JoinSet;

use super::{Kept, LIMIT, options};

/// A record that is followed, so that it is known which one it is.
fn followed_record(tasks: &mut JoinSet<()>) -> Arc<CachedRecord> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
        (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let memory = Arc::new(MemoryRecord::new(Arc::clone(&clock), Arc::clone(&entropy)));
    let limits = CoherenceLimits::new(Duration::from_mins(5));
    let clock = Arc::new(RecordClock::new(clock));
    let record = Arc::new(CachedRecord::new(memory, clock, entropy, (limits, 1024 * 1024)));
    let tailed = Arc::clone(&record);
    tasks.spawn(async move { tailed.tail(&Blind).await });
    record
}

struct Blind;

impl LookObserver for Blind {
    fn looked(&self, _look: &Look<'_>) {}
}

/// How long an answer may take: a machine that is busy is none that is silent.
const DEADLINE: Duration = Duration::from_secs(1);

const LOGINS: Limit = Limit { count: 3, span: Duration::from_mins(1) };

fn counter(number: u8) -> (ThrottleKey, Limit) {
    (ThrottleKey::new(ThrottleScope::Login, [number; 16]), LOGINS)
}

/// Two nodes that count in one Redis, or in one Cluster.
struct Counting<R = RedisServer> {
    redis: R,
    nodes: [Arc<RedisCounters>; 2],
    kept: [Kept; 2],
    _tasks: JoinSet<()>,
}

impl Counting {
    async fn begin() -> Self {
        let redis = RedisServer::launch();
        let options = options(redis.port());
        Self::begin_in(redis, options).await
    }

    /// The only counter that there is.
    fn name(&self) -> String {
        self.redis.ask(&["KEYS", "nightlatch:t:*"])
    }
}

impl<R> Counting<R> {
    async fn begin_in(redis: R, options: RedisOptions) -> Self {
        let options = RedisOptions { deadline: DEADLINE, ..options };
        let mut tasks = JoinSet::new();
        let kept = [(); 2].map(|()| Kept::new(options.clone()));
        let record = followed_record(&mut tasks);
        wait_until("the record is known", LIMIT, async || record.record_id().is_some()).await;
        let nodes = kept.each_ref().map(|kept| {
            let clock = Arc::new(RecordClock::new(Arc::new(SystemClock)));
            let by = (clock, Arc::new(SystemEntropy) as _);
            let masters = MasterKeys::try_new(vec![Secret::new(b"secret".to_vec())]);
            let keys = CounterKeys::new(&masters.expect("one secret"));
            let of = Arc::clone(&record);
            Arc::new(RedisCounters::new(Arc::clone(&kept.link), of, by, keys))
        });
        for node in &nodes {
            let written = Arc::clone(node);
            tasks.spawn(async move { written.write().await });
        }
        for kept in &kept {
            kept.hears(Ok(())).await;
        }
        Self { redis, nodes, kept, _tasks: tasks }
    }

    async fn reserves(&self, node: usize, wants: &[(ThrottleKey, Limit)]) -> Together {
        self.reserves_knowing(node, wants, 0).await
    }

    async fn reserves_knowing(
        &self,
        node: usize,
        wants: &[(ThrottleKey, Limit)],
        known: usize,
    ) -> Together {
        let want = |(key, limit): &(ThrottleKey, Limit)| Want { key: *key, limit: *limit, known };
        let wants: Vec<_> = wants.iter().map(want).collect();
        self.nodes[node].reserve(&wants, Duration::ZERO, DEADLINE).await
    }

    /// Those of these counters that the first node can count there now.
    fn counted(&self, counters: &[(ThrottleKey, Limit)]) -> Vec<(ThrottleKey, Limit)> {
        let is_counted = |counter: &&(ThrottleKey, Limit)| self.nodes[0].knows(&counter.0);
        counters.iter().filter(is_counted).copied().collect()
    }

    /// Waits until that many failures are counted under each of these, as the other node sees it.
    async fn counts(&self, counters: &[(ThrottleKey, Limit)], failures: usize) {
        wait_until("all are counted there", LIMIT, async || {
            for counter in counters {
                let said = self.reserves_knowing(1, &[*counter], failures).await;
                let Together::Reserved(reservation) = said else { return false };
                self.nodes[1].give_back(&[*counter], reservation);
            }
            self.counted(counters).len() == counters.len()
        })
        .await;
    }

    async fn becomes(&self, node: usize, what: &str, expected: impl Fn(&Together) -> bool) {
        wait_until(what, LIMIT, async || expected(&self.reserves(node, &[counter(1)]).await)).await;
    }
}

fn reservation(together: Together) -> Reservation {
    let Together::Reserved(reservation) = together else { panic!("{together:?}") };
    reservation
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_have_room_for_as_many_tries_as_the_limit_says() {
    hold_for_both(Counting::begin().await).await;
}

/// The counters of one try lie on several servers.
#[tokio::test(flavor = "multi_thread")]
async fn the_limits_hold_in_a_cluster_too() {
    let cluster = RedisCluster::launch(3, false).await;
    let nodes = cluster.servers().map(|server| ("127.0.0.1".to_owned(), server.port())).collect();
    let options = RedisOptions { address: RedisAddress::Cluster(nodes), ..options(0) };
    hold_for_both(Counting::begin_in(cluster, options).await).await;
}

/// Enough that every server has some of them.
const COUNTERS: u8 = 32;

/// That one server is gone keeps nobody from counting on the others, and what could not be written
/// there is, once it is back.
#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_a_server_is_the_loss_of_its_counters_alone() {
    let settings = [("cluster-require-full-coverage", "no")];
    let cluster = RedisCluster::launch_with(3, false, &settings).await;
    let nodes = cluster.servers().map(|server| ("127.0.0.1".to_owned(), server.port())).collect();
    let options = RedisOptions { address: RedisAddress::Cluster(nodes), ..options(0) };
    let counting = Counting::begin_in(cluster, options).await;
    let all: Vec<_> = (0..COUNTERS).map(counter).collect();
    counting.counts(&all, 0).await;
    let lost = &counting.redis.primaries[1];
    lost.kill_9();
    for counter in &all {
        counting.nodes[0].fail(&[*counter], None);
    }
    for kept in &counting.kept {
        wait_until("it is missed", LIMIT, async || matches!(kept.last_heard(), Some(Err(_)))).await;
    }
    let others = counting.counted(&all);
    assert!(!others.is_empty() && others.len() < all.len(), "{} are left", others.len());
    counting.counts(&others, 1).await;
    let more = [others[0]];
    counting.nodes[0].fail(&more, None);
    counting.counts(&more, 2).await;
    assert!(counting.counted(&all).len() < all.len(), "the others still wait");
    lost.start();
    counting.counts(&all, 1).await;
}

async fn hold_for_both<R>(counting: Counting<R>) {
    let both = [counter(1), counter(2)];
    let tries = [
        reservation(counting.reserves(0, &both).await),
        reservation(counting.reserves(1, &both).await),
        reservation(counting.reserves(0, &both).await),
    ];
    for node in [0, 1] {
        assert_eq!(counting.reserves(node, &both).await, Together::Wait);
    }
    counting.nodes[1].give_back(&both, tries[1]);
    wait_until("there is room again", LIMIT, async || {
        matches!(counting.reserves(0, &both).await, Together::Reserved(_))
    })
    .await;
    for (node, reserved) in [(0, Some(tries[0])), (0, Some(tries[2])), (1, None)] {
        counting.nodes[node].fail(&both, reserved);
    }
    counting
        .becomes(1, "three have failed", |said| {
            let Together::Throttled { key, limit, retry_after } = said else { return false };
            assert_eq!(*key, counter(1).0);
            *limit == LOGINS && *retry_after <= LOGINS.span && *retry_after > LOGINS.span / 2
        })
        .await;
    // A counter that is full takes no room in the other.
    let other = [counter(1), counter(3)];
    assert!(matches!(counting.reserves(0, &other).await, Together::Throttled { .. }));
    wait_until("what was not reserved is given back", LIMIT, async || {
        let Together::Reserved(third) = counting.reserves(0, &[counter(3)]).await else {
            return false;
        };
        counting.nodes[0].give_back(&[counter(3)], third);
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_into_a_counter_locks_nobody_out() {
    let counting = Counting::begin().await;
    for _ in 0..3 {
        counting.nodes[0].fail(&[counter(1)], None);
    }
    counting.becomes(0, "it is full", |said| matches!(said, Together::Throttled { .. })).await;
    let full = counting.name();
    // The entries of one counter under the name of another, and a text of somebody's own.
    counting.reserves(0, &[counter(2)]).await;
    let names = counting.name();
    let other = names.lines().find(|name| *name != full).expect("the other counter");
    counting.redis.tell(&["COPY", &full, other, "REPLACE"]);
    assert_eq!(counting.reserves(1, &[counter(2)]).await, Together::Unknown);
    counting.redis.tell(&["DEL", other]);
    counting.redis.tell(&["ZADD", other, "9e15", "a", "9e15", "b", "9e15", "c"]);
    assert_eq!(counting.reserves(1, &[counter(2)]).await, Together::Unknown);
    counting.redis.tell(&["SET", other, "a text"]);
    assert_eq!(counting.reserves(1, &[counter(2)]).await, Together::Unknown);
    assert!(counting.kept[1].link.is_connected(), "it is no reason to give the connection up");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_scripts_are_refused_each_node_counts_by_itself() {
    let counting = Counting::begin().await;
    counting.redis.tell(&["ACL", "SETUSER", "default", "-@scripting"]);
    assert_eq!(counting.reserves(0, &[counter(1)]).await, Together::Unknown);
    counting.redis.tell(&["ACL", "SETUSER", "default", "+@scripting"]);
    counting.becomes(0, "they are allowed again", |said| *said != Together::Unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_has_forgotten_what_a_node_knows_is_not_asked_for_more() {
    let counting = Counting::begin().await;
    assert_eq!(counting.reserves_knowing(0, &[counter(1)], 1).await, Together::Unknown);
    counting.nodes[0].fail(&[counter(1)], None);
    wait_until("it is counted", LIMIT, async || {
        let said = counting.reserves_knowing(1, &[counter(1)], 1).await;
        if let Together::Reserved(reservation) = said {
            counting.nodes[1].give_back(&[counter(1)], reservation);
        }
        said != Together::Unknown
    })
    .await;
}

/// What other nodes have counted since does not hide it.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_has_forgotten_what_a_node_has_counted_there_is_found_out() {
    let counting = Counting::begin().await;
    counting.nodes[0].fail(&[counter(1)], None);
    counting.counts(&[counter(1)], 1).await;
    let name = counting.name();
    counting.redis.tell(&["DEL", &name]);
    counting.nodes[1].fail(&[counter(1)], None);
    wait_until("the other has counted there", LIMIT, async || counting.name() == name).await;
    assert_eq!(counting.reserves(0, &[counter(1)]).await, Together::Unknown);
    let other = reservation(counting.reserves(1, &[counter(1)]).await);
    counting.nodes[1].give_back(&[counter(1)], other);
    counting.nodes[0].fail(&[counter(1)], None);
    counting.counts(&[counter(1)], 2).await;
    // The other's question may still hold the last place.
    counting.becomes(0, "one is missing", |said| *said == Together::Unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_waits_for_holds_no_place() {
    let counting = Counting::begin().await;
    counting.redis.pause();
    for _ in 0..3 {
        let wants = [counter(1)];
        let mut asking = pin!(counting.reserves(0, &wants));
        let asked = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_pending())).await;
        assert!(asked, "who asked hangs up");
    }
    counting.redis.resume();
    for _ in 0..3 {
        counting.becomes(1, "there is room", |said| matches!(said, Together::Reserved(_))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_whose_answers_came_too_late_are_given_back_to_a_new_connection() {
    let counting = Counting::begin().await;
    counting.redis.pause();
    for _ in 0..5 {
        assert_eq!(counting.reserves(0, &[counter(1)]).await, Together::Unknown);
    }
    wait_until("the connection is given up", LIMIT, async || !counting.kept[0].link.is_connected())
        .await;
    counting.redis.resume();
    for _ in 0..3 {
        counting.becomes(1, "there is room", |said| matches!(said, Together::Reserved(_))).await;
    }
}
