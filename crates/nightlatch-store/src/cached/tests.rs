//! A cached record is a record, and the orders of steps in which copies could lie are forced, not
//! hoped for.

use std::collections::BTreeMap;
use std::future::ready;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use nightlatch_core::{
    AccessClaims, Actor, AddressPrefix, BoxFuture, Client, Clock, CreateUser, Generation, Groups,
    History, NewSession, NewUser, Session, SessionEnd, SessionId, SessionStore, SystemClock,
    SystemEntropy, Timestamp, TokenStore as _, User, UserId, UserStore, Username,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;
use crate::contract::Subject;
use crate::intercepted::{InterceptedRecord, Interceptor};
use crate::memory::MemoryRecord;

const COPIES_BYTES: u64 = 1 << 20;
const STALENESS: Duration = Duration::from_secs(10);

mod suite {
    use super::*;

    async fn fresh() -> Subject {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let memory = Arc::new(MemoryRecord::new(Arc::clone(&clock), Arc::clone(&entropy)));
        let feed = Arc::clone(&memory);
        let cached = Arc::new(CachedRecord::new(
            memory,
            Arc::new(RecordClock::new(Arc::clone(&clock))),
            Arc::clone(&entropy),
            (CoherenceLimits::new(STALENESS), COPIES_BYTES),
        ));
        let following = follow(&cached);
        Subject::new(cached, clock, entropy)
            .with_feed(move || {
                let rows = feed.feed();
                Box::pin(async move { rows })
            })
            .keeping(following)
    }

    crate::contract_tests!(fresh);
}

/// Follows the feed until it is dropped.
fn follow(cached: &Arc<CachedRecord>) -> Mutex<JoinSet<()>> {
    let cached = Arc::clone(cached);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { cached.tail(&Nobody).await });
    Mutex::new(tasks)
}

struct Nobody;

impl LookObserver for Nobody {
    fn looked(&self, _look: &Look<'_>) {}
}

/// The time of the runtime, which tests stop and move.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn wall(&self) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_hours(500_000)).after(self.boottime())
    }

    fn boottime(&self) -> Duration {
        self.0.elapsed() + Duration::from_hours(1)
    }
}

/// Holds calls up, fails them, and counts them.
#[derive(Default)]
struct Gates {
    calls: Mutex<BTreeMap<&'static str, usize>>,
    /// Calls of this name wait after they have taken effect, until the gate has a permit for them.
    held: Mutex<Option<(&'static str, Arc<Semaphore>)>>,
    /// Looks at the feed take so long, and fail at their deadline.
    looks_take: Mutex<Duration>,
    clock: OnceLock<Arc<dyn Clock>>,
    is_away: AtomicBool,
    waiting: AtomicUsize,
}

impl Gates {
    fn hold(&self, call: &'static str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.held.lock().unwrap() = Some((call, Arc::clone(&gate)));
        gate
    }

    fn count(&self, call: &'static str) -> usize {
        self.calls.lock().unwrap().get(call).copied().unwrap_or(0)
    }

    async fn until_waiting(&self, number: usize) {
        while self.waiting.load(Ordering::SeqCst) < number {
            tokio::task::yield_now().await;
        }
    }
}

impl Interceptor for Gates {
    fn before(
        &self,
        call: &'static str,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        *self.calls.lock().unwrap().entry(call).or_default() += 1;
        let is_away = self.is_away.load(Ordering::SeqCst);
        Box::pin(async move {
            let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Unreachable);
            let error = StoreError::new(kind, class, Outcome::NotApplied, call);
            if is_away { Err(error) } else { Ok(()) }
        })
    }

    fn after(
        &self,
        call: &'static str,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let held = self.held.lock().unwrap().clone();
        let takes = *self.looks_take.lock().unwrap();
        Box::pin(async move {
            if call == "poll_feed" && !takes.is_zero() {
                let left = deadline.remaining(&**self.clock.get().expect("the world has begun"));
                tokio::time::sleep(takes.min(left)).await;
                if takes > left {
                    let (kind, class) = (StoreErrorKind::Deadline, FailureClass::Timeout);
                    return Err(StoreError::new(kind, class, Outcome::NotApplied, call));
                }
            }
            if let Some((name, gate)) = held
                && name == call
            {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.expect("it is never closed").forget();
            }
            Ok(())
        })
    }
}

/// One record with one node in front of it, and another that has none of its copies.
struct World {
    gates: Arc<Gates>,
    record: Arc<dyn Record>,
    node: Arc<CachedRecord>,
    other: Arc<MemoryRecord>,
    clock: Arc<dyn Clock>,
    user: User,
    _following: Mutex<JoinSet<()>>,
}

/// Where nodes share copies, as Redis is.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<[u8; 32], SharedCopy>>);

impl SharedCopies for Shelf {
    fn find(
        &self,
        token: TokenHash,
        history: History,
        _limit: Duration,
    ) -> BoxFuture<'_, Option<SharedCopy>> {
        let copy = self.0.lock().unwrap().get(token.as_bytes()).cloned();
        Box::pin(ready(copy.filter(|copy| copy.found.history == history)))
    }

    fn keep(&self, token: TokenHash, found: &Arc<FoundSession>, read_at: Timestamp) {
        let copy = SharedCopy { found: Arc::clone(found), read_at };
        self.0.lock().unwrap().insert(*token.as_bytes(), copy);
    }
}

impl World {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock(tokio::time::Instant::now()));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let memory = Arc::new(MemoryRecord::new(Arc::clone(&clock), Arc::clone(&entropy)));
        let gates = Arc::new(Gates::default());
        assert!(gates.clock.set(Arc::clone(&clock)).is_ok());
        let record: Arc<dyn Record> = Arc::new(InterceptedRecord::new(
            Arc::clone(&memory) as Arc<dyn Record>,
            Arc::clone(&gates) as Arc<dyn Interceptor>,
        ));
        let node = Arc::new(CachedRecord::new(
            Arc::clone(&record),
            Arc::new(RecordClock::new(Arc::clone(&clock))),
            entropy,
            (CoherenceLimits::new(STALENESS), COPIES_BYTES),
        ));
        let deadline = Deadline::within(&*clock, Duration::from_secs(1));
        let created = memory.create_user(alice(), Actor::node(), deadline).await.unwrap();
        let CreateUser::Created(user) = created else { panic!("{created:?}") };
        let following = follow(&node);
        Self { gates, record, node, other: memory, clock, user, _following: following }
    }

    /// A node without a copy of its own, on the same record and shelf.
    fn another_node(&self, shared: &Arc<Shelf>) -> (Arc<CachedRecord>, Mutex<JoinSet<()>>) {
        let node = Arc::new(CachedRecord::new(
            Arc::clone(&self.record),
            Arc::new(RecordClock::new(Arc::clone(&self.clock))),
            Arc::new(SystemEntropy),
            (CoherenceLimits::new(STALENESS), COPIES_BYTES),
        ));
        node.share(Arc::clone(shared) as _);
        let following = follow(&node);
        (node, following)
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(&*self.clock, Duration::from_millis(400))
    }

    /// A login on another node: this one has no copy.
    async fn login(&self, number: u8) -> (TokenHash, SessionId) {
        let now = self.clock.wall();
        let session = Session {
            id: SessionId::from_uuid(Uuid::from_u128(u128::from(number))),
            user_id: self.user.id,
            created_at: now,
            last_seen_at: now,
            expires_at: now.after(Duration::from_hours(24)),
            remember: false,
            client: Client { address: IpAddr::from([192, 0, 2, 1]), user_agent: String::new() },
        };
        let (id, token) = (session.id, TokenHash::from_bytes([number; 32]));
        let generation = Generation(self.user.generation.0);
        let prefix = AddressPrefix::of(session.client.address);
        let new = NewSession { session, token, generation, replaces: None, refresh: None };
        let created =
            self.other.create_session(new, prefix, Actor::node(), self.deadline()).await.unwrap();
        assert!(created.is_some());
        (token, id)
    }

    async fn is_good(&self, token: TokenHash) -> Result<bool, StoreError> {
        Ok(self.node.find_session(token, self.deadline()).await?.is_some())
    }

    async fn end_elsewhere(&self, id: SessionId) {
        let end = SessionEnd::One(id);
        self.other
            .end_sessions(end, self.clock.wall(), Actor::node(), self.deadline())
            .await
            .unwrap();
    }

    fn go_away(&self) {
        self.gates.is_away.store(true, Ordering::SeqCst);
    }

    fn come_back(&self) {
        self.gates.is_away.store(false, Ordering::SeqCst);
    }
}

fn alice() -> NewUser {
    NewUser {
        id: UserId::from_uuid(Uuid::from_u128(99)),
        username: Username::try_existing("alice").unwrap(),
        email: None,
        email_verified: false,
        name: String::new(),
        groups: Groups::default(),
        hash: None,
        subject: None,
        enabled: true,
        created_at: Timestamp::EPOCH,
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_read_once_and_then_served_from_its_copy() {
    let world = World::new().await;
    let (token, _) = world.login(1).await;
    for _ in 0..100 {
        assert!(world.is_good(token).await.unwrap());
    }
    assert_eq!(world.gates.count("find_session"), 1);
}

/// What one path has been told by the record binds the other, before the feed has told.
#[tokio::test(start_paused = true)]
async fn a_carried_copy_is_asked_about_when_the_record_has_said_no() {
    let world = World::new().await;
    let (token, id) = world.login(1).await;
    let found = world.node.find_session(token, world.deadline()).await.unwrap().unwrap();
    let life = (world.clock.wall(), Duration::from_mins(5));
    let claims = AccessClaims::of(&found, life, &SystemEntropy);
    let judged = || world.node.judge_carried(&claims, world.clock.boottime());
    assert_eq!(judged(), Some(true));
    world.node.find_session(claims.token(), world.deadline()).await.unwrap();
    assert_eq!(judged(), None, "the record is asked");
    world.end_elsewhere(id).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(judged(), Some(false));
}

/// The stale set: a reader loads, the logout commits and is acknowledged on this node, and only
/// then the reader gets to put its copy into the cache.
#[tokio::test(start_paused = true)]
async fn an_old_row_that_is_written_back_after_a_logout_is_not_believed() {
    let world = World::new().await;
    let (token, id) = world.login(1).await;
    let gate = world.gates.hold("find_session");
    let (node, deadline) = (Arc::clone(&world.node), world.deadline());
    let mut reader = JoinSet::new();
    reader.spawn(async move { node.find_session(token, deadline).await });
    world.gates.until_waiting(1).await;

    let end = SessionEnd::One(id);
    let ended = world
        .node
        .end_sessions(end, world.clock.wall(), Actor::node(), world.deadline())
        .await
        .unwrap();
    assert_eq!(ended.value, 1);
    gate.add_permits(1000);
    let late = reader.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(late, None, "the reader itself is told");
    assert!(!world.is_good(token).await.unwrap(), "and whoever comes after it");
}

/// The same across nodes: the logout is another node's, and this one hears of it by the feed.
#[tokio::test(start_paused = true)]
async fn an_old_row_is_not_believed_once_the_feed_has_told_of_its_end() {
    let world = World::new().await;
    let (token, id) = world.login(1).await;
    assert!(world.is_good(token).await.unwrap());
    world.end_elsewhere(id).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let loads = world.gates.count("find_session");
    assert!(!world.is_good(token).await.unwrap());
    assert_eq!(world.gates.count("find_session"), loads, "the record need not be asked");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_what_is_being_loaded_waits_for_that_answer() {
    let world = World::new().await;
    let (token, _) = world.login(1).await;
    // The first look must not stand in the way of counting.
    let (nobody, _) = world.login(2).await;
    assert!(world.is_good(nobody).await.unwrap());
    let gate = world.gates.hold("find_session");
    let mut readers = JoinSet::new();
    for _ in 0..50 {
        let (node, deadline) = (Arc::clone(&world.node), world.deadline());
        readers.spawn(async move { node.find_session(token, deadline).await });
    }
    world.gates.until_waiting(1).await;
    gate.add_permits(1);
    while let Some(found) = readers.join_next().await {
        assert!(found.unwrap().unwrap().is_some());
    }
    assert_eq!(world.gates.count("find_session"), 2, "one for each session");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_long_is_not_joined() {
    let world = World::new().await;
    let (token, _) = world.login(1).await;
    let gate = world.gates.hold("find_session");
    let (node, deadline) = (Arc::clone(&world.node), world.deadline());
    let mut readers = JoinSet::new();
    readers.spawn(async move { node.find_session(token, deadline).await });
    world.gates.until_waiting(1).await;
    tokio::time::sleep(Duration::from_millis(301)).await;
    let (node, deadline) = (Arc::clone(&world.node), world.deadline());
    readers.spawn(async move { node.find_session(token, deadline).await });
    world.gates.until_waiting(2).await;
    gate.add_permits(2);
    while let Some(found) = readers.join_next().await {
        assert!(found.unwrap().unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_from_before_this_nodes_last_write_is_not_joined() {
    let world = World::new().await;
    let (token, _) = world.login(1).await;
    let (_, ended) = world.login(2).await;
    let gate = world.gates.hold("find_session");
    let mut readers = JoinSet::new();
    let (node, deadline) = (Arc::clone(&world.node), world.deadline());
    readers.spawn(async move { node.find_session(token, deadline).await });
    world.gates.until_waiting(1).await;
    let end = SessionEnd::One(ended);
    let written = world
        .node
        .end_sessions(end, world.clock.wall(), Actor::node(), world.deadline())
        .await
        .unwrap();
    let (node, deadline) = (Arc::clone(&world.node), world.deadline());
    let mut after = JoinSet::new();
    after.spawn(async move { node.reread_session(token, deadline).await });
    tokio::task::yield_now().await;
    gate.add_permits(2);
    let read = after.join_next().await.unwrap().unwrap().unwrap().unwrap();
    assert!(read.as_of.position >= written.rows[0].at.position);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_leaves_its_load_to_the_others() {
    let world = World::new().await;
    let (token, _) = world.login(1).await;
    let gate = world.gates.hold("find_session");
    let (node, deadline) = (Arc::clone(&world.node), world.deadline());
    let mut first = JoinSet::new();
    first.spawn(async move { node.find_session(token, deadline).await });
    world.gates.until_waiting(1).await;
    let (node, deadline) = (Arc::clone(&world.node), world.deadline());
    let mut second = JoinSet::new();
    second.spawn(async move { node.find_session(token, deadline).await });
    tokio::task::yield_now().await;
    first.abort_all();
    world.gates.until_waiting(2).await;
    gate.add_permits(1);
    assert!(second.join_next().await.unwrap().unwrap().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_away_signs_nobody_out_until_the_bound() {
    let world = World::new().await;
    let (token, _) = world.login(1).await;
    let (unknown, _) = world.login(2).await;
    assert!(world.is_good(token).await.unwrap());
    world.go_away();
    for _ in 0..9 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(world.is_good(token).await.unwrap());
        assert!(world.node.copies_state().serves);
        // Whom this node does not know it cannot vouch for; and does not call logged out.
        assert_eq!(world.is_good(unknown).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.is_good(token).await.unwrap_err().kind(), StoreErrorKind::TooStale);
    assert!(!world.node.copies_state().serves);
    world.come_back();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.is_good(token).await.unwrap() && world.is_good(unknown).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_ended_while_the_record_was_away_binds_when_it_is_back() {
    let world = World::new().await;
    let (token, id) = world.login(1).await;
    assert!(world.is_good(token).await.unwrap());
    world.go_away();
    world.end_elsewhere(id).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.is_good(token).await.unwrap(), "it cannot know");
    world.come_back();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!world.is_good(token).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_looks_first_before_it_believes_a_copy() {
    let world = World::new().await;
    let (token, id) = world.login(1).await;
    assert!(world.is_good(token).await.unwrap());
    tokio::time::sleep(Duration::from_mins(10)).await;
    let looks = world.gates.count("poll_feed");
    tokio::time::sleep(Duration::from_secs(50)).await;
    let idle_looks = world.gates.count("poll_feed") - looks;
    assert!((9..=11).contains(&idle_looks), "quiet: {idle_looks} looks in 50 s");
    world.end_elsewhere(id).await;
    assert!(!world.is_good(token).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_logout_whose_answer_was_lost_binds_before_its_repetition_is_told() {
    let world = World::new().await;
    let (token, id) = world.login(1).await;
    assert!(world.is_good(token).await.unwrap());
    // The commit happened; nobody here heard of it.
    world.end_elsewhere(id).await;
    let end = SessionEnd::Token(token);
    let again = world
        .node
        .end_sessions(end, world.clock.wall(), Actor::node(), world.deadline())
        .await
        .unwrap();
    assert_eq!(again.value, 0);
    assert!(!world.is_good(token).await.unwrap());
}

/// A look that takes long is followed by one that is never answered, in every phase of their rhythm.
#[tokio::test(start_paused = true)]
async fn looks_that_are_late_and_then_silent_keep_nobody_from_a_copy() {
    let world = World::new().await;
    let (token, _) = world.login(1).await;
    let millis = Duration::from_millis;
    for phase in 0..20 {
        for (takes, span) in
            [(0, millis(1000)), (850, millis(2000 + 50 * phase)), (10_000, millis(5000))]
        {
            *world.gates.looks_take.lock().unwrap() = millis(takes);
            let until = world.clock.boottime() + span;
            while world.clock.boottime() < until {
                let good = world.is_good(token).await;
                assert!(good.is_ok_and(|good| good), "phase {phase}, looks take {takes} ms");
                tokio::time::sleep(millis(50)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_another_node_has_shared_spares_the_record_and_is_judged() {
    let world = World::new().await;
    let shelf = Arc::new(Shelf::default());
    world.node.share(Arc::clone(&shelf) as _);
    let (token, id) = world.login(1).await;
    assert!(world.is_good(token).await.unwrap(), "read, and shared");
    let asked = world.gates.count("find_session");
    let (second, _following) = world.another_node(&shelf);
    assert!(second.find_session(token, world.deadline()).await.unwrap().is_some());
    assert_eq!(world.gates.count("find_session"), asked, "the record was not asked");
    world.end_elsewhere(id).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (third, _following) = world.another_node(&shelf);
    for node in [&second, &third] {
        assert!(node.find_session(token, world.deadline()).await.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_copy_of_another_time_is_no_copy() {
    let world = World::new().await;
    let shelf = Arc::new(Shelf::default());
    world.node.share(Arc::clone(&shelf) as _);
    let (token, _) = world.login(1).await;
    assert!(world.is_good(token).await.unwrap());
    let now = world.clock.wall();
    for (what, read_at, spares) in [
        ("of now", now, true),
        ("of long ago", now.before(Duration::from_mins(11)), false),
        ("of a clock that is ahead", now.after(Duration::from_mins(1)), false),
    ] {
        shelf.0.lock().unwrap().get_mut(token.as_bytes()).unwrap().read_at = read_at;
        let asked = world.gates.count("find_session");
        let (node, _following) = world.another_node(&shelf);
        assert!(node.find_session(token, world.deadline()).await.unwrap().is_some(), "{what}");
        assert_eq!(world.gates.count("find_session") == asked, spares, "{what}");
    }
}

/// The record has gone back in time over a login; no row of the feed tells of its end.
#[tokio::test(start_paused = true)]
async fn a_logout_that_no_row_tells_of_is_not_undone_by_a_shared_copy() {
    let world = World::new().await;
    let shelf = Arc::new(Shelf::default());
    world.node.share(Arc::clone(&shelf) as _);
    let (token, _) = world.login(1).await;
    assert!(world.is_good(token).await.unwrap());
    let mut lost = shelf.0.lock().unwrap().remove(token.as_bytes()).expect("it was shared");
    let unheard = TokenHash::from_bytes([77; 32]);
    Arc::make_mut(&mut lost.found).session.id = SessionId::from_uuid(Uuid::from_u128(77));
    shelf.0.lock().unwrap().insert(*unheard.as_bytes(), lost);
    assert!(world.is_good(unheard).await.unwrap(), "as long as nothing else is known");
    let end = SessionEnd::Token(unheard);
    let ended = world
        .node
        .end_sessions(end, world.clock.wall(), Actor::node(), world.deadline())
        .await
        .unwrap();
    assert_eq!(ended.rows, []);
    assert!(!world.is_good(unheard).await.unwrap());
}
