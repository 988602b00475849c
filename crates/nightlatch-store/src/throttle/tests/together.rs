//! Counting together with other nodes, as far as that is possible.

use super::*;

/// Where all nodes count: what it knows, and what it says.
struct There {
    knows: Vec<ThrottleKey>,
    says: Mutex<Vec<Together>>,
    asked: Mutex<Vec<Vec<ThrottleKey>>>,
}

const RESERVATION: Reservation = Reservation { id: [7; 8], at: 1 };

impl There {
    /// The last of what it says it says for ever.
    fn new(knows: &[&Wants], says: &[Together]) -> Arc<Self> {
        let knows = knows.iter().flat_map(|wants| wants.iter().map(|(key, _)| *key)).collect();
        let says = says.iter().rev().copied().collect();
        Arc::new(Self { knows, says: Mutex::new(says), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<Vec<ThrottleKey>> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

impl SharedCounters for There {
    fn is_there(&self) -> bool {
        true
    }

    fn knows(&self, key: &ThrottleKey) -> bool {
        self.knows.contains(key)
    }

    fn reserve<'a>(
        &'a self,
        wants: &'a [Want],
        _spent: Duration,
        _limit: Duration,
    ) -> BoxFuture<'a, Together> {
        let keys = wants.iter().map(|want| want.key).collect();
        self.asked.lock().expect("nobody panics with it").push(keys);
        let mut says = self.says.lock().expect("nobody panics with it");
        let said = if says.len() > 1 { says.pop() } else { says.last().copied() };
        Box::pin(std::future::ready(said.expect("it says something")))
    }

    fn fail(&self, _wants: &[(ThrottleKey, Limit)], _reserved: Option<Reservation>) {}

    fn give_back(&self, _wants: &[(ThrottleKey, Limit)], _reserved: Reservation) {}
}

/// A node with another one that lives.
async fn with(there: &Arc<There>) -> Node {
    let node = Node::start().await;
    node.throttle.share_among(2);
    node.throttle.count_together(Arc::clone(there) as _);
    node
}

/// All that is left may be in the hands of others for as long as an evaluation takes.
#[tokio::test(start_paused = true)]
async fn others_that_hold_all_of_a_limit_leave_no_share_of_it() {
    let there = There::new(&[&wants(1)], &[Together::Wait]);
    let node = with(&there).await;
    let started = Instant::now();
    let refused = node.throttle.reserve(wants(1), None, node.within(Duration::from_secs(5))).await;
    assert_eq!(refused.err(), Some(Refused::Busy));
    assert!(started.elapsed() > Duration::from_secs(4), "{:?}", started.elapsed());
    let count = there.asked().len();
    assert!((10..20).contains(&count), "it is asked {count} times");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_others_has_the_place_that_they_give_back() {
    let says = [Together::Wait, Together::Wait, Together::Reserved(RESERVATION)];
    let there = There::new(&[&wants(1)], &says);
    let node = with(&there).await;
    node.reserve(1).await.expect("there is room in the end").give_back();
    assert_eq!(there.asked().len(), 3);
}

/// The time that a request may spend there is over, not the wait.
#[tokio::test(start_paused = true)]
async fn who_has_waited_and_hears_no_more_has_no_share_while_the_counter_is_known() {
    let there = There::new(&[&wants(1)], &[Together::Wait, Together::Unknown]);
    let node = with(&there).await;
    assert_eq!(node.reserve(1).await.err(), Some(Refused::Busy));
    node.reserve(1).await.expect("a share: nobody says that others hold all").give_back();
}

#[tokio::test(start_paused = true)]
async fn a_counter_that_cannot_be_known_keeps_none_of_the_others_from_being_counted_together() {
    let there = There::new(&[&wants(1)], &[Together::Reserved(RESERVATION)]);
    let node = with(&there).await;
    let both = [wants(1), wants(2)].concat();
    for _ in 0..3 {
        let ticket =
            node.throttle.reserve(both.clone(), None, node.within(Duration::from_secs(5))).await;
        ticket.expect("there is room").fail().await;
    }
    assert_eq!(there.asked(), vec![vec![wants(1)[0].0]; 3]);
    let refused = node.throttle.reserve(both, None, node.within(Duration::from_secs(5))).await;
    assert!(matches!(refused.err(), Some(Refused::Throttled { .. })), "the share of one is used");
    node.fail(1).await;
    node.fail(1).await;
    node.assert_throttled(1).await;
}
