//! The throttle as callers see it, over the reference record, on a clock that tests move.

mod together;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use nightlatch_core::{
    AuditedFailure, Clock, Entropy, FailureClass, FailurePosition, NodeStore, Outcome,
    StoreErrorKind, StoreResult, SystemEntropy,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::memory::MemoryRecord;

const LIMIT: Limit = Limit { count: 5, span: Duration::from_mins(1) };
const SCOPES: [(ThrottleScope, Limit); 1] = [(ThrottleScope::Login, LIMIT)];

fn wants(account: u8) -> Wants {
    vec![(ThrottleKey::new(ThrottleScope::Login, [account; 16]), LIMIT)]
}

/// Tokio's clock, which stands still while anybody can run.
struct PausedClock {
    started: Instant,
    wall_ahead_micros: AtomicI64,
}

impl PausedClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), wall_ahead_micros: AtomicI64::new(0) })
    }
}

impl Clock for PausedClock {
    fn wall(&self) -> Timestamp {
        let ahead = self.wall_ahead_micros.load(Ordering::Relaxed);
        let year_2026 = 1_767_225_600_000_000;
        Timestamp::from_micros(year_2026 + ahead).after(self.boottime())
    }

    fn boottime(&self) -> Duration {
        // A machine that has been up for two hours.
        Duration::from_hours(2) + self.started.elapsed()
    }
}

/// The reference record, which can be taken away.
struct Removable {
    record: MemoryRecord,
    is_away: AtomicBool,
    writes: AtomicUsize,
    looks: AtomicUsize,
}

impl Removable {
    fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let record = MemoryRecord::new(clock, entropy);
        Arc::new(Self {
            record,
            is_away: AtomicBool::new(false),
            writes: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
        })
    }

    fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn here<'a, T: 'a>(&self, answer: StoreResult<'a, T>) -> StoreResult<'a, T> {
        if self.is_away.load(Ordering::Relaxed) {
            let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Unreachable);
            let error = StoreError::new(kind, class, Outcome::NotApplied, "reaching it");
            return Box::pin(async move { Err(error) });
        }
        answer
    }
}

impl ThrottleStore for Removable {
    fn append_failures(
        &self,
        by: NodeId,
        failures: Vec<Failure>,
        audited: Vec<AuditedFailure>,
        deadline: Deadline,
    ) -> StoreResult<'_, ()> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.here(self.record.append_failures(by, failures, audited, deadline))
    }

    fn list_failures(
        &self,
        since: Timestamp,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, KeptFailures> {
        self.here(self.record.list_failures(since, limit, deadline))
    }

    fn poll_failures(
        &self,
        by: NodeId,
        after: FailurePosition,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'_, FailureNews> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.here(self.record.poll_failures(by, after, limit, deadline))
    }
}

/// A node with its record.
struct Node {
    clock: Arc<PausedClock>,
    record: Arc<Removable>,
    id: NodeId,
    throttle: Arc<LocalThrottle>,
}

impl Node {
    async fn start() -> Self {
        let clock = PausedClock::new();
        let record = Removable::new(clock.clone());
        let node = Self::over(clock, record);
        node.load().await.expect("the record is there");
        node
    }

    fn over(clock: Arc<PausedClock>, record: Arc<Removable>) -> Self {
        let record_clock = Arc::new(RecordClock::new(clock.clone()));
        let id = NodeId::fresh(&SystemEntropy, clock.wall());
        let throttle = LocalThrottle::new(record.clone(), id, record_clock, 1000);
        Self { clock, record, id, throttle: Arc::new(throttle) }
    }

    /// Starts anew over the same record, without a word from the one before.
    fn restart(self) -> Self {
        Self::over(self.clock, self.record)
    }

    /// Runs the writer besides; it ends with the returned set.
    fn writing(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.throttle.clone().run(std::future::pending()));
        tasks
    }

    fn within(&self, span: Duration) -> Deadline {
        Deadline::within(&*self.clock, span)
    }

    async fn reserve(&self, account: u8) -> Result<Box<dyn Ticket>, Refused> {
        let deadline = self.within(Duration::from_secs(5));
        self.throttle.reserve(wants(account), None, deadline).await
    }

    async fn fail(&self, account: u8) {
        self.reserve(account).await.expect("there is room").fail().await;
    }

    async fn load(&self) -> Result<usize, StoreError> {
        self.throttle.load(&SCOPES, self.within(Duration::from_secs(5))).await
    }

    async fn kept(&self) -> usize {
        let all = self.record.record.list_failures(
            Timestamp::EPOCH,
            100_000,
            self.within(Duration::from_secs(5)),
        );
        all.await.expect("the reference record is always there").failures.len()
    }

    async fn assert_throttled(&self, account: u8) {
        let refused = self.reserve(account).await.err();
        assert!(matches!(refused, Some(Refused::Throttled { .. })), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_five_are_evaluated_at_once_and_five_failures_refuse_the_rest() {
    let node = Arc::new(Node::start().await);
    let evaluating = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for n in 0..50_u64 {
        let (node, evaluating) = (node.clone(), evaluating.clone());
        tasks.spawn(async move {
            let Ok(ticket) = node.reserve(1).await else { return false };
            assert!(evaluating.fetch_add(1, Ordering::Relaxed) < 5);
            tokio::time::sleep(Duration::from_millis(10 + n)).await;
            evaluating.fetch_sub(1, Ordering::Relaxed);
            ticket.fail().await;
            true
        });
    }
    let evaluated = tasks.join_all().await.into_iter().filter(|evaluated| *evaluated).count();
    assert_eq!(evaluated, 5);
    node.assert_throttled(1).await;
    tokio::time::advance(LIMIT.span).await;
    node.fail(1).await;
}

#[tokio::test]
async fn two_hundred_successes_at_once_all_get_through() {
    let node = Arc::new(Node::start().await);
    let evaluating = Arc::new(AtomicUsize::new(0));
    let barrier = Arc::new(Barrier::new(200));
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (node, evaluating, barrier) = (node.clone(), evaluating.clone(), barrier.clone());
        tasks.spawn(async move {
            barrier.wait().await;
            let ticket = node.reserve(1).await.expect("those before it succeed");
            assert!(evaluating.fetch_add(1, Ordering::Relaxed) < 5);
            tokio::task::yield_now().await;
            evaluating.fetch_sub(1, Ordering::Relaxed);
            ticket.give_back();
        });
    }
    tasks.join_all().await;
    assert_eq!(node.kept().await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_beyond_the_deadline_is_told_busy_then() {
    let node = Node::start().await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(node.reserve(1).await.expect("there is room"));
    }
    let started = Instant::now();
    let refused = node.throttle.reserve(wants(1), None, node.within(Duration::from_secs(3))).await;
    assert_eq!(refused.err(), Some(Refused::Busy));
    assert_eq!(started.elapsed().as_secs(), 3);
    held.pop().expect("five are held").give_back();
    node.reserve(1).await.expect("who left the queue holds nothing").give_back();
    let over = Deadline::at_boottime(Duration::ZERO);
    node.throttle
        .reserve(wants(1), None, over)
        .await
        .expect("nobody need be waited for")
        .give_back();
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_nobody_took_goes_to_the_next() {
    let node = Node::start().await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(node.reserve(1).await.expect("there is room"));
    }
    let mut gone = Box::pin(node.reserve(1));
    let mut stays = Box::pin(node.reserve(1));
    for waiting in [&mut gone, &mut stays] {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
    }
    held.pop().expect("five are held").give_back();
    // The turn is in the hands of the first, who hangs up without looking.
    drop(gone);
    stays.await.expect("it was given back").give_back();
    for ticket in held {
        ticket.give_back();
    }
    for _ in 0..5 {
        node.fail(1).await;
    }
    node.assert_throttled(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_ticket_counts_as_failed() {
    let node = Node::start().await;
    let _writing = node.writing();
    for _ in 0..4 {
        drop(node.reserve(1).await.expect("there is room"));
    }
    node.fail(1).await;
    node.assert_throttled(1).await;
    assert_eq!(node.kept().await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_restart_gives_no_fresh_allowance_even_if_the_clock_was_set_back() {
    for step_micros in [0, 10_000_000, -7_200_000_000] {
        let node = Node::start().await;
        let writing = node.writing();
        for _ in 0..5 {
            node.fail(1).await;
        }
        node.fail(2).await;
        drop(writing);
        tokio::time::advance(Duration::from_secs(20)).await;
        node.clock.wall_ahead_micros.store(step_micros, Ordering::Relaxed);

        let node = node.restart();
        assert_eq!(node.load().await.expect("the record is there"), 6);
        assert_eq!(node.load().await.expect("the record is there"), 0, "never counted twice");
        node.assert_throttled(1).await;
        for _ in 0..4 {
            node.fail(2).await;
        }
        node.assert_throttled(2).await;
        // A step after the load changes nothing at all.
        node.clock.wall_ahead_micros.store(step_micros + 3_600_000_000, Ordering::Relaxed);
        node.assert_throttled(1).await;
        tokio::time::advance(LIMIT.span).await;
        node.fail(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_let_through_until_the_failures_from_before_are_counted() {
    let node = Node::start().await;
    let writing = node.writing();
    for _ in 0..5 {
        node.fail(1).await;
    }
    drop(writing);
    let node = node.restart();
    node.record.set_away(true);
    node.load().await.expect_err("the record is away");
    assert_eq!(node.reserve(1).await.err(), Some(Refused::Busy));
    assert_eq!(node.reserve(2).await.err(), Some(Refused::Busy));
    node.record.set_away(false);
    assert_eq!(node.load().await.expect("it is back"), 5);
    node.assert_throttled(1).await;
    node.fail(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_away_changes_no_count_and_gets_all_when_it_is_back() {
    let node = Node::start().await;
    let _writing = node.writing();
    node.record.set_away(true);
    let started = Instant::now();
    for _ in 0..5 {
        node.fail(1).await;
    }
    assert!(started.elapsed() <= Duration::from_millis(250), "{:?}", started.elapsed());
    node.assert_throttled(1).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let tried = node.record.writes.load(Ordering::Relaxed);
    assert!((20..=40).contains(&tried), "{tried} writes in 30 s");
    assert_eq!(node.kept().await, 0);
    node.record.set_away(false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.kept().await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_kept_when_its_future_ends() {
    let node = Node::start().await;
    let _writing = node.writing();
    for n in 1..=3 {
        node.fail(n).await;
        assert_eq!(node.kept().await, usize::from(n));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_what_is_left() {
    let node = Node::start().await;
    for account in 0..200 {
        for _ in 0..5 {
            drop(node.reserve(account).await.expect("there is room"));
        }
    }
    node.throttle.clone().run(std::future::ready(())).await;
    assert_eq!(node.kept().await, 1000);
    assert_eq!(node.record.writes.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_try_without_limits_is_always_let_through() {
    let node = Node::start().await;
    for _ in 0..100 {
        let ticket = node.throttle.reserve(Vec::new(), None, node.within(Duration::ZERO)).await;
        ticket.expect("nothing is limited").fail().await;
    }
}

/// Two nodes over one record that know of each other, with their background tasks.
async fn two_nodes() -> ([Node; 2], [JoinSet<()>; 2]) {
    let first = Node::start().await;
    let second = Node::over(first.clock.clone(), first.record.clone());
    second.load().await.expect("the record is there");
    let nodes = [first, second];
    for node in &nodes {
        node.throttle.share_among(2);
    }
    let tasks = [nodes[0].writing(), nodes[1].writing()];
    (nodes, tasks)
}

/// Tries on a node until it is refused; how many were let through.
async fn exhaust(node: &Node, account: u8) -> usize {
    let mut failed = 0;
    while let Ok(ticket) = node.reserve(account).await {
        ticket.fail().await;
        failed += 1;
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn two_nodes_together_let_the_limit_through_and_each_no_more_than_its_share() {
    let (nodes, _tasks) = two_nodes().await;
    assert_eq!(exhaust(&nodes[0], 1).await, 3);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(exhaust(&nodes[1], 1).await, 2, "it has heard of the three");
    nodes[0].assert_throttled(1).await;
    tokio::time::advance(LIMIT.span).await;
    // At once on both, as far as they can know: five and one.
    let (first, second) = tokio::join!(exhaust(&nodes[0], 1), exhaust(&nodes[1], 1));
    assert!((5..=6).contains(&(first + second)), "{first} and {second}");
}

#[tokio::test(start_paused = true)]
async fn without_the_record_each_node_keeps_to_its_share() {
    let (nodes, _tasks) = two_nodes().await;
    nodes[0].record.set_away(true);
    assert_eq!(exhaust(&nodes[0], 1).await, 3);
    assert_eq!(exhaust(&nodes[1], 1).await, 3);
    // What the nodes could not tell each other they tell when it is back.
    nodes[0].record.set_away(false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    nodes[0].throttle.share_among(1);
    nodes[0].assert_throttled(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_has_its_share_from_the_next_second_on() {
    let node = Node::start().await;
    let _tasks = node.writing();
    let newcomer = Node::over(node.clock.clone(), node.record.clone());
    let deadline = newcomer.within(Duration::from_secs(5));
    newcomer.record.record.heartbeat(newcomer.id, deadline).await.expect("it is there");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(exhaust(&node, 1).await, 3);
    // That it has gone is told by heartbeats alone.
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(exhaust(&node, 1).await, 3);
    node.throttle.share_among(1);
    assert_eq!(exhaust(&node, 1).await, 2);
}

#[tokio::test(start_paused = true)]
async fn others_are_looked_at_once_a_second_and_only_while_somebody_tries() {
    let node = Node::start().await;
    let _tasks = node.writing();
    let looks = || node.record.looks.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(looks(), 0, "nobody tries");
    for _ in 0..100 {
        node.reserve(1).await.expect("there is room").give_back();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((9..=11).contains(&looks()), "{} looks in 10 s", looks());
}
