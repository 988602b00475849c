//! Somebody who looks at the server's health all the time, as load balancers do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::hyper::Method;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is looked at in turn.
const PATHS: [&str; 4] = ["/health/live", "/health/ready", "/health", "/metrics"];

/// Looks until it is dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

/// What was seen since the last [`Watch::begin`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    address: Option<SocketAddr>,
    /// The latest class of the database, or of Redis or the auth service where those are well.
    pub(crate) class: String,
    /// The latest word for the whole.
    pub(crate) word: String,
    /// The latest answer of `/health/ready`.
    pub(crate) ready: u16,
    /// All classes.
    pub(crate) classes: BTreeSet<String>,
    /// All words for the whole.
    pub(crate) words: BTreeSet<String>,
    /// All warnings.
    pub(crate) warnings: BTreeSet<String>,
    /// All statuses of each path.
    pub(crate) statuses: BTreeMap<&'static str, BTreeSet<u16>>,
    /// The slowest answers of `/health/live` and `/health/ready`.
    pub(crate) slowest: Duration,
    /// The slowest answer of `/metrics`.
    pub(crate) slowest_metrics: Duration,
}

impl Watch {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let seen = Seen { address: Some(address), ..Seen::default() };
        let seen = Arc::new(Mutex::new(seen));
        let mut task = JoinSet::new();
        task.spawn(look(Arc::clone(&seen)));
        Self { seen, _task: task }
    }

    /// The server has been started again, at this address.
    pub(crate) fn move_to(&self, address: SocketAddr) {
        self.lock().address = Some(address);
    }

    /// Forgets what was seen.
    pub(crate) fn begin(&self) {
        let mut seen = self.lock();
        let address = seen.address;
        let (class, ready) = (std::mem::take(&mut seen.class), seen.ready);
        *seen = Seen { address, class, ready, ..Seen::default() };
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(seen: Arc<Mutex<Seen>>) {
    let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let mut address = lock().address.expect("it was told where to look");
    let mut client = Client::new(address);
    let mut pace = interval(LOOK_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for path in PATHS.iter().cycle() {
        pace.tick().await;
        let now_at = lock().address.expect("it was told where to look");
        if now_at != address {
            address = now_at;
            client.move_to(address);
        }
        let asked = Instant::now();
        // A server that is dead says nothing of its health.
        if let Ok(answer) = client.request(Method::GET, path).try_send().await {
            note(&mut lock(), path, &answer, asked.elapsed());
        }
    }
}

fn note(seen: &mut Seen, path: &'static str, answer: &Answer, took: Duration) {
    seen.statuses.entry(path).or_default().insert(answer.status);
    match path {
        "/health" => {
            let body = answer.json();
            // A server that takes no more connections says so as a problem.
            let database = body["database_class"].as_str().unwrap_or("unreachable");
            let cache = body["cache_class"].as_str().unwrap_or("none");
            let service = body["auth_service_class"].as_str().unwrap_or("none");
            let classes = [database, cache, service];
            let class = classes.into_iter().find(|class| *class != "none").unwrap_or("none");
            class.clone_into(&mut seen.class);
            seen.classes.insert(seen.class.clone());
            body["status"].as_str().unwrap_or("unhealthy").clone_into(&mut seen.word);
            seen.words.insert(seen.word.clone());
            let warnings = body["warnings"].as_array().into_iter().flatten();
            seen.warnings.extend(warnings.filter_map(|warning| Some(warning.as_str()?.to_owned())));
        }
        "/health/ready" => {
            seen.ready = answer.status;
            seen.slowest = seen.slowest.max(took);
        }
        "/metrics" => seen.slowest_metrics = seen.slowest_metrics.max(took),
        _ => seen.slowest = seen.slowest.max(took),
    }
}
