//! The world: nodes around one record, the faults that befall them, and the passing of time.
//!
//! All that happens goes through here, so that its order is the seed's and nobody else's.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, Clock, CreateUser, Deadline, Groups, NewUser, SweepBefore, Timestamp, UserId, Username,
};
use tokio::task::unconstrained;
use uuid::Uuid;

use crate::accelerator::Accelerator;
use crate::client::{name_of, password_of};
use crate::clock::{RecordMachine, SimClock, TrueTime, record_time};
use crate::entropy::{Rng, SimEntropy};
use crate::fault::{Fault, Setting};
use crate::hasher;
use crate::history::{Action, Given, Moment, NodeId, Person, Recorder, Trouble};
use crate::node::{Node, Start};
use crate::store::{Quality, Wire};
use crate::subject::{Restore, SharedRecord, Subject};
use crate::tasks::Tasks;
use crate::tokens::PlainTokens;

/// How often the record is backed up, where it may go back.
const BACK_UP_EVERY: Duration = Duration::from_millis(250);

/// How many backups are kept.
const BACKUPS_MAX: usize = 24;

/// The most milliseconds that each way may take for a look at the feed to be answered within the
/// second that it waits.
const SLOW_BUT_IN_TIME: usize = 450;

/// Rows that one sweep removes.
const SWEEP_MAX: u32 = 500;

/// A program whose answer was lost asks again so long after the record is back.
const ASKS_AGAIN_AFTER: Duration = Duration::from_millis(1500);

/// Streams of the seed, beside those of the nodes.
const RECORD_STREAM: u64 = 1;
const TASK_STREAM: u64 = 2;
const ACCELERATOR_STREAM: u64 = 3;
const NODE_STREAMS: u64 = 100;

/// Nodes around a record.
pub(crate) struct World {
    subject: Subject,
    setting: Setting,
    time: TrueTime,
    pub(crate) recorder: Arc<Recorder>,
    shared: SharedRecord,
    nodes: Vec<Node>,
    accelerator: Option<Arc<Accelerator>>,
    access_tokens: Arc<PlainTokens>,
    tasks: Tasks,
    /// Backups of the record, oldest first; `None`: it never goes back.
    backups: Option<VecDeque<Backup>>,
    /// What happens later, by when and in which order it was decided.
    agenda: BTreeMap<(Duration, usize), Later>,
    decided: usize,
    rng: Rng,
}

struct Backup {
    of: Moment,
    restore: Restore,
}

/// What follows from a fault.
#[derive(Clone, Copy, Debug)]
enum Later {
    MendWire(NodeId),
    Start(NodeId),
    Resume(NodeId),
    GoBack(Duration),
}

impl World {
    pub(crate) async fn begin(
        (seed, subject): (u64, Subject),
        setting: Setting,
        goes_back: bool,
    ) -> Self {
        let time = TrueTime::begin();
        let recorder = Arc::new(Recorder::begin(time));
        let entropy = Arc::new(SimEntropy::new(Rng::stream(seed, RECORD_STREAM)));
        let shared = subject.shared_record(Arc::new(RecordMachine(time)), entropy);
        let mut rng = Rng::stream(seed, NODE_STREAMS);
        let mut nodes = Vec::new();
        for (number, skew) in setting.skews.iter().enumerate() {
            let clock = Arc::new(SimClock::new(time, *skew));
            let wire_rng = Rng::stream(rng.next(), 0);
            let wire =
                Wire::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&recorder), wire_rng);
            nodes.push(Node::new(NodeId(number), clock, Arc::new(wire)));
        }
        let accelerator = setting.accelerator.map(|faith| {
            let rng = Rng::stream(seed, ACCELERATOR_STREAM);
            Arc::new(Accelerator::new(time, faith, nodes.len(), rng))
        });
        let backups = goes_back.then(VecDeque::new);
        let mut world = Self {
            subject,
            setting,
            time,
            recorder,
            shared,
            nodes,
            accelerator,
            access_tokens: Arc::default(),
            tasks: Tasks::new(Rng::stream(seed, TASK_STREAM)),
            backups,
            agenda: BTreeMap::new(),
            decided: 0,
            rng,
        };
        world.populate().await;
        for number in 0..world.nodes.len() {
            world.start(NodeId(number));
        }
        world
    }

    /// The nodes that can be asked.
    pub(crate) fn living(&self) -> Vec<NodeId> {
        let living = self.nodes.iter().enumerate().filter(|(_, node)| node.lives());
        living.map(|(number, _)| NodeId(number)).collect()
    }

    /// Whether somebody here ends all sessions of everybody.
    pub(crate) const fn ends_everything(&self) -> bool {
        self.setting.ends_everything
    }

    /// Whether there are programs here that have tokens.
    pub(crate) const fn has_tokens(&self) -> bool {
        self.setting.tokens.is_some()
    }

    pub(crate) fn ask(&mut self, node: NodeId, action: Action) {
        self.nodes[node.0].ask(action, &self.recorder, &mut self.tasks);
    }

    /// Lets time pass, with what is due in it.
    pub(crate) async fn pass(&mut self, span: Duration) {
        let until = self.time.now() + span;
        loop {
            self.back_up();
            let due = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let next = due.unwrap_or(until).min(until).min(self.next_backup().unwrap_or(until));
            self.work_for(next.saturating_sub(self.time.now())).await;
            while let Some(entry) = self.agenda.first_entry()
                && entry.key().0 <= self.time.now()
            {
                let later = entry.remove();
                self.happens(later);
            }
            if self.time.now() >= until {
                return;
            }
        }
    }

    /// Everybody goes on until they wait, and time goes on until somebody need not.
    async fn work_for(&mut self, span: Duration) {
        let mut span = pin!(tokio::time::sleep(span));
        let working = poll_fn(|context| {
            self.tasks.poll(context);
            span.as_mut().poll(context)
        });
        // Nobody else waits for the thread.
        unconstrained(working).await;
    }

    /// All troubles end.
    pub(crate) fn heal(&mut self) {
        while let Some((_, later)) = self.agenda.pop_first() {
            match later {
                Later::GoBack(_) => {}
                Later::MendWire(_) | Later::Start(_) | Later::Resume(_) => self.happens(later),
            }
        }
    }

    pub(crate) async fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Wire { node, quality, lasts } => {
                self.spoil_wire(node, quality, lasts);
            }
            Fault::Outage { node, after, lasts } => self.outage((node, after), lasts).await,
            Fault::Kill { node, down } => {
                if self.nodes[node.0].lives() {
                    self.nodes[node.0].resume(&self.recorder, &mut self.tasks);
                    self.nodes[node.0].kill(&self.recorder, &mut self.tasks);
                    if let Some(accelerator) = &self.accelerator {
                        accelerator.hangs_up(node);
                    }
                    self.recorder.trouble_begins(node, Trouble::Dead);
                    self.later(down, Later::Start(node));
                }
            }
            Fault::Suspend { node, lasts } => {
                if self.nodes[node.0].suspend(&self.recorder, &mut self.tasks) {
                    self.later(lasts, Later::Resume(node));
                }
            }
            Fault::StepWall { node, micros } => self.nodes[node.0].clock.step_wall(micros),
            Fault::GoBack { by, again_after } => {
                self.go_back(by);
                if let Some(after) = again_after {
                    self.later(after, Later::GoBack(by));
                }
            }
            Fault::LoseLatest { node, after } => {
                let latest = self.recorder.history().sessions.len().checked_sub(1);
                if let Some(session) = latest.map(Given)
                    && let Some(backups) = &mut self.backups
                {
                    backups.push_back(back_up_now(&self.recorder, &self.shared));
                    self.ask(node, Action::Logout { session });
                    self.pass(after).await;
                    self.go_back(Duration::ZERO);
                }
            }
            Fault::Prune { older_than } => {
                self.recorder.prunes();
                let time = record_time(self.time.now()).before(older_than);
                let before = SweepBefore { ended: time, audited: time };
                let swept = self.shared.record.sweep(before, SWEEP_MAX, never()).await;
                swept.expect("the record itself never fails");
            }
        }
    }

    /// Longer than tokens may be exchanged again, so nobody else asks for anything meanwhile.
    async fn outage(&mut self, (node, after): (NodeId, Duration), lasts: Duration) {
        let exchange = self.latest_exchange();
        if let Some(exchange) = exchange {
            self.ask(node, exchange);
            self.pass(after).await;
        }
        for node in 0..self.nodes.len() {
            self.spoil_wire(NodeId(node), Quality::Refusing, lasts);
        }
        self.pass(lasts + ASKS_AGAIN_AFTER).await;
        if let Some(exchange) = exchange {
            self.ask(node, exchange);
        }
    }

    fn happens(&mut self, later: Later) {
        match later {
            Later::MendWire(node) => self.mend_wire(node),
            Later::Start(node) => {
                self.recorder.trouble_ends(node, Trouble::Dead);
                self.start(node);
            }
            Later::Resume(node) => {
                self.nodes[node.0].resume(&self.recorder, &mut self.tasks);
            }
            Later::GoBack(by) => self.go_back(by),
        }
    }

    /// What the program does whose session is the latest.
    fn latest_exchange(&self) -> Option<Action> {
        let history = self.recorder.history();
        (0..history.sessions.len()).rev().map(Given).find_map(|session| {
            let pair = history.latest_pair(session)?;
            Some(Action::Refresh { session, pair })
        })
    }

    fn spoil_wire(&mut self, node: NodeId, quality: Quality, lasts: Duration) {
        // One at a time: the last one counts.
        self.mend_wire(node);
        self.nodes[node.0].wire.set(quality);
        self.recorder.trouble_begins(node, trouble_of(quality));
        self.later(lasts, Later::MendWire(node));
    }

    fn mend_wire(&self, node: NodeId) {
        self.nodes[node.0].wire.set(Quality::Good);
        self.recorder.trouble_ends(node, Trouble::CutOff);
        self.recorder.trouble_ends(node, Trouble::Slow);
        self.recorder.trouble_ends(node, Trouble::Impaired);
    }

    fn start(&mut self, node: NodeId) {
        let rng = Rng::stream(self.rng.next(), 0);
        let start = Start {
            subject: self.subject,
            record: Arc::clone(&self.shared.record),
            accelerator: self.accelerator.as_ref(),
            access_tokens: &self.access_tokens,
            setting: &self.setting,
            recorder: &self.recorder,
            rng,
        };
        self.nodes[node.0].start(start, &mut self.tasks);
    }

    fn later(&mut self, after: Duration, what: Later) {
        self.decided += 1;
        self.agenda.insert((self.time.now() + after, self.decided), what);
    }

    fn next_backup(&self) -> Option<Duration> {
        self.backups.as_ref()?.back().map(|backup| backup.of.at + BACK_UP_EVERY)
    }

    fn back_up(&mut self) {
        let is_due = self.next_backup().is_none_or(|at| at <= self.time.now());
        let Some(backups) = self.backups.as_mut().filter(|_| is_due) else { return };
        backups.push_back(back_up_now(&self.recorder, &self.shared));
        if backups.len() > BACKUPS_MAX {
            backups.pop_front();
        }
    }

    /// The record goes back to the newest backup that is as old. Newer ones are of a history that
    /// is no longer.
    fn go_back(&mut self, by: Duration) {
        let latest = self.time.now().saturating_sub(by);
        let Some(backups) = &mut self.backups else { return };
        backups.retain(|backup| backup.of.at <= latest);
        if let Some(Backup { of, restore }) = backups.back() {
            restore();
            self.recorder.forks(*of);
        }
    }

    async fn populate(&self) {
        for number in 0..self.setting.people {
            let person = Person(number);
            let id = u128::try_from(number).expect("there are few people") + 1;
            let user = NewUser {
                id: UserId::from_uuid(Uuid::from_u128(id)),
                username: Username::try_existing(&name_of(person)).expect("the name is plain"),
                email: None,
                email_verified: false,
                name: String::new(),
                groups: Groups::default(),
                hash: Some(hasher::stored(&password_of(person, 0))),
                subject: None,
                enabled: true,
                created_at: Timestamp::EPOCH,
            };
            let created = self.shared.record.create_user(user, Actor::node(), never()).await;
            let Ok(CreateUser::Created(user)) = created else {
                unreachable!("an empty record has room for {}", name_of(person))
            };
            self.recorder.history().people.push(user.id);
        }
    }
}

const fn trouble_of(quality: Quality) -> Trouble {
    match quality {
        Quality::Refusing | Quality::Silent => Trouble::CutOff,
        Quality::Slow(most) if most <= SLOW_BUT_IN_TIME => Trouble::Slow,
        Quality::Good | Quality::Slow(_) | Quality::Lossy(_) => Trouble::Impaired,
    }
}

fn back_up_now(recorder: &Recorder, shared: &SharedRecord) -> Backup {
    Backup { of: recorder.moment(), restore: (shared.back_up)() }
}

/// The deadline of the world itself.
const fn never() -> Deadline {
    Deadline::at_boottime(Duration::MAX)
}
