//! One node: a machine with its clocks and its wire to the record, and the server that lives on it
//! until it is killed.
//!
//! The server is what ships: use cases, throttle, copies and the tasks in the background, in the
//! rhythm of the real one.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::service::ThrottleLimits;
use nightlatch_core::{
    Clock, Deadline, Entropy, HEARTBEAT_EVERY, Keys, Limit, MasterKeys, Policy, Ports, Record,
    RecordClock, Secret, Service, ThrottleScope,
};
use nightlatch_store::intercepted::{InterceptedRecord, Interceptor};
use nightlatch_store::throttle::LocalThrottle;
use tokio::sync::watch;

use crate::accelerator::Accelerator;
use crate::client::Client;
use crate::clock::SimClock;
use crate::entropy::{Rng, SimEntropy};
use crate::fault::Setting;
use crate::hasher::PlainHasher;
use crate::history::{Action, Life, NodeId, Recorder, Trouble};
use crate::store::{ASKED_BY, Wire};
use crate::subject::{NodeParts, Subject};
use crate::tasks::Tasks;
use crate::tokens::PlainTokens;

/// How often uses of sessions are written, as in the server.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// How often revocations that wait for the record are tried again, as in the server.
const RETRY_PENDING_EVERY: Duration = Duration::from_millis(500);

/// The longest such a task waits for the record, as in the server.
const JOB_DEADLINE: Duration = Duration::from_secs(2);

/// Counters that a node holds.
const THROTTLE_KEYS_MAX: usize = 10_000;

/// A machine with what lives on it.
pub(crate) struct Node {
    id: NodeId,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) wire: Arc<Wire>,
    server: Option<Server>,
}

/// Far beyond what a run has: throttling has tests of its own, and nothing in it concerns copies.
/// Here it is what keeps logins out until a start is complete.
const LIMIT: Limit = Limit { count: Limit::COUNT_MAX, span: Duration::from_secs(1) };

/// How often a start is tried again, as in the server.
const START_RETRY_EVERY: Duration = Duration::from_millis(500);

/// One life of a server.
struct Server {
    life: Life,
    service: Arc<Service>,
    access_tokens: Arc<PlainTokens>,
    session_age: Duration,
}

/// What a server is started with.
pub(crate) struct Start<'a> {
    pub(crate) subject: Subject,
    pub(crate) record: Arc<dyn Record>,
    pub(crate) accelerator: Option<&'a Arc<Accelerator>>,
    pub(crate) access_tokens: &'a Arc<PlainTokens>,
    pub(crate) setting: &'a Setting,
    pub(crate) recorder: &'a Recorder,
    pub(crate) rng: Rng,
}

impl Node {
    pub(crate) const fn new(id: NodeId, clock: Arc<SimClock>, wire: Arc<Wire>) -> Self {
        Self { id, clock, wire, server: None }
    }

    pub(crate) const fn lives(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn start(&mut self, start: Start<'_>, tasks: &mut Tasks) {
        let Start { subject, record, accelerator, access_tokens, setting, recorder, mut rng } =
            start;
        let interceptor = Arc::clone(&self.wire) as Arc<dyn Interceptor>;
        let wired = Arc::new(InterceptedRecord::new(record, interceptor));
        let clock = Arc::new(RecordClock::new(Arc::clone(&self.clock) as Arc<dyn Clock>));
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(Rng::stream(rng.next(), 1)));
        let node_record = subject.node_record(NodeParts {
            record: wired,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            staleness: setting.staleness,
            remembered_max: setting.remembered_max,
            accelerator: accelerator.map(|accelerator| (self.id, Arc::clone(accelerator))),
        });
        let hasher = Arc::new(PlainHasher::new(Rng::stream(rng.next(), 2)));
        let server_id = nightlatch_core::NodeId::fresh(&*entropy, clock.now());
        let throttle = Arc::new(LocalThrottle::new(
            Arc::clone(&node_record.record) as _,
            server_id,
            Arc::clone(&clock),
            THROTTLE_KEYS_MAX,
        ));
        let ports = Ports {
            record: Arc::clone(&node_record.record),
            auth_service: None,
            hasher: Arc::clone(&hasher) as _,
            assessor: hasher,
            throttle: Arc::clone(&throttle) as _,
            announcer: node_record.announcer,
            access_tokens: Arc::clone(access_tokens) as _,
            clock: Arc::clone(&clock),
            entropy,
            node: server_id,
        };
        let service = Arc::new(Service::new(ports, keys(), policy(setting)));
        let life = recorder.is_born(self.id);
        let machine = self.id;
        tasks.begin(machine, node_record.following);
        if let Some(accelerator) = accelerator {
            let (accelerator, of) = (Arc::clone(accelerator), Arc::clone(&service));
            let hear = node_record.hear;
            tasks.begin(machine, async move {
                loop {
                    let told = accelerator.hear(machine).await;
                    if let Some(pending) = hear(told) {
                        of.hear_pending(pending);
                    }
                }
            });
        }
        let has_looked = node_record.has_looked;
        tasks.begin(machine, async move { complete_start(has_looked, &throttle, &clock).await });
        let of = Arc::clone(&service);
        tasks.begin(machine, async move { retry_pending(&of).await });
        let of = Arc::clone(&service);
        tasks.begin(machine, async move { flush_last_seen(&of).await });
        let of = Arc::clone(&service);
        tasks.begin(machine, async move { beat(&of).await });
        self.server = Some(Server {
            life,
            service,
            access_tokens: Arc::clone(access_tokens),
            session_age: setting.session_age,
        });
    }

    /// Ends its life in the middle of whatever it does.
    pub(crate) fn kill(&mut self, recorder: &Recorder, tasks: &mut Tasks) {
        if let Some(server) = self.server.take() {
            tasks.kill(self.id);
            recorder.dies(server.life);
            self.wire.forget_calls();
        }
    }

    /// Suspends its machine; `false`: nothing runs on it.
    pub(crate) fn suspend(&self, recorder: &Recorder, tasks: &mut Tasks) -> bool {
        if self.lives() {
            tasks.suspend(self.id);
            recorder.trouble_begins(self.id, Trouble::Suspended);
        }
        self.lives()
    }

    pub(crate) fn resume(&self, recorder: &Recorder, tasks: &mut Tasks) {
        tasks.resume(self.id);
        recorder.trouble_ends(self.id, Trouble::Suspended);
    }

    /// Asks it something. A dead one cannot be reached.
    pub(crate) fn ask(&self, action: Action, recorder: &Arc<Recorder>, tasks: &mut Tasks) {
        let Some(server) = &self.server else { return };
        let op = recorder.begins(action, self.id, server.life);
        let service = Arc::clone(&server.service);
        let tokens = (Arc::clone(&server.access_tokens), server.session_age);
        let client = Client::new(service, tokens, (Arc::clone(recorder), op));
        let recorder = Arc::clone(recorder);
        let asking = async move {
            let outcome = client.perform(action).await;
            recorder.ends(op, outcome);
        };
        tasks.begin(self.id, ASKED_BY.scope(op, asking));
    }
}

/// Lets logins in once the record has told the time and what was counted before.
async fn complete_start(
    mut has_looked: watch::Receiver<bool>,
    throttle: &LocalThrottle,
    clock: &RecordClock,
) {
    if has_looked.wait_for(|has| *has).await.is_err() {
        return;
    }
    let limits = [(ThrottleScope::Login, LIMIT)];
    loop {
        let deadline = Deadline::within(clock.clock(), JOB_DEADLINE);
        match throttle.load(&limits, deadline).await {
            Ok(_) => return,
            Err(error) => tracing::debug!(event = "server.waiting_for_counters", error = %error),
        }
        tokio::time::sleep(START_RETRY_EVERY).await;
    }
}

async fn retry_pending(service: &Service) {
    loop {
        tokio::time::sleep(RETRY_PENDING_EVERY).await;
        let deadline = Deadline::within(service.clock(), JOB_DEADLINE);
        if let Err(error) = service.retry_pending(deadline).await {
            tracing::debug!(event = "job.postponed", error = %error);
        }
    }
}

async fn flush_last_seen(service: &Service) {
    loop {
        tokio::time::sleep(FLUSH_EVERY).await;
        let deadline = Deadline::within(service.clock(), JOB_DEADLINE);
        if let Err(error) = service.flush_last_seen(deadline).await {
            tracing::debug!(event = "job.postponed", error = %error);
        }
    }
}

async fn beat(service: &Service) {
    loop {
        tokio::time::sleep(HEARTBEAT_EVERY).await;
        let deadline = Deadline::within(service.clock(), JOB_DEADLINE);
        if let Err(error) = service.beat(deadline).await {
            tracing::debug!(event = "node.not_heard", error = %error);
        }
    }
}

/// All nodes have the same.
fn keys() -> Keys {
    let secret = Secret::new(b"of a simulation, and therefore known to everybody".to_vec());
    let masters = MasterKeys::try_new(vec![secret]).expect("one secret is a short list");
    Keys::derive(&masters, &masters)
}

fn policy(setting: &Setting) -> Policy {
    Policy {
        session_age: setting.session_age,
        remember_age: setting.session_age,
        idle_timeout: setting.idle_timeout,
        access_age: setting.tokens.map_or(setting.session_age, |tokens| tokens.access_age),
        refresh_age: setting.session_age,
        refresh_grace: setting.tokens.map_or(setting.session_age, |tokens| tokens.grace),
        registration_open: false,
        max_staleness: setting.staleness,
        throttles: Some(ThrottleLimits {
            login: LIMIT,
            address: LIMIT,
            account: LIMIT,
            register: LIMIT,
        }),
    }
}
