//! One fault, from the registration of its people to its verdict.
//!
//! All that a fault does is done from one task, which also says how it goes: dropped at any moment, nothing
//! goes on behind it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::well::Well;
use super::{DrillError, Event, Phase, Progress, sleeper};
use crate::chance::Chance;
use crate::client::Client;
use crate::fault::{Act, Fault};
use crate::history::{Circumstances, CutOff};
use crate::load::{Crowd, Habit, LoadError, Person, SteadyLoad, register};
use crate::outcome::{Findings, Outcome, is_failure};
use crate::proxy::{self, FaultProxy};
use crate::scene::{Private, Scene, fresh_secret};

/// How long the load goes on without a fault, to compare with.
const BEFORE: Duration = Duration::from_secs(2);

/// How long it goes on when all is well again: longer than the news of a logout takes.
const AFTER: Duration = Duration::from_secs(3);

/// How long an answer may take before nobody waits for it any more: above every deadline of a server.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Between two looks at how it goes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Between two times that Redis is flushed.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What people of the drill are called before their number.
pub(super) const NAME: &str = "drill";

/// A fault that is being shown.
pub(super) struct Row<'r> {
    pub(super) scene: &'r mut Scene,
    pub(super) fault: &'static Fault,
    pub(super) span: Duration,
    pub(super) load: SteadyLoad,
    /// Somebody who is not of the crowd.
    pub(super) onlooker: Person,
    /// When the fault began and ended.
    pub(super) faulty: (Duration, Duration),
    well: Well,
    meter: Meter,
    tell: &'r mut dyn FnMut(Event<'_>),
}

/// What was read of the log so far.
struct Meter {
    progress: Progress,
    read: usize,
    at: Duration,
    classes: BTreeSet<String>,
}

impl<'r> Row<'r> {
    /// Registers people, logs them in and lets them begin.
    pub(super) async fn begin(
        scene: &'r mut Scene,
        (number, fault): (usize, &'static Fault),
        span: Duration,
        chance: &mut Chance,
        tell: &'r mut dyn FnMut(Event<'_>),
    ) -> Result<Self, DrillError> {
        let progress = Progress {
            fault,
            phase: Phase::Preparing,
            per_second: 0.0,
            failures: 0,
            worst: Duration::ZERO,
        };
        tell(Event::Progress(&progress));
        let in_load = |error| DrillError::Load(fault.name, error);
        let mut people = people_of(scene, number).await.map_err(in_load)?;
        let onlooker = people.remove(0);
        let started = SteadyLoad::start(&scene.servers, people, ANSWER_LIMIT, chance).await;
        let load = started.map_err(in_load)?;
        let well = Well::usual(&scene.servers, onlooker.clone()).await;
        // The display begins here; what was asked before is no rate of a moment.
        let (read, at) = (load.read_on(0, |_| {}), load.now());
        let meter = Meter { progress, read, at, classes: BTreeSet::new() };
        let faulty = (Duration::ZERO, Duration::ZERO);
        Ok(Self { scene, fault, span, load, onlooker, faulty, well, meter, tell })
    }

    /// Shows the fault and judges.
    pub(super) async fn hold(mut self) -> Result<Outcome, DrillError> {
        self.enter(Phase::Before);
        self.pass(BEFORE).await;
        self.enter(Phase::Faulty);
        self.faulty = (self.load.now(), self.load.now());
        self.suffer().await?;
        self.enter(Phase::Recovering);
        let is_well = self.recover().await;
        let well_at = self.load.now();
        self.enter(Phase::After);
        self.pass(AFTER).await;
        let end = self.load.now();
        self.enter(Phase::Judging);
        let Self { fault, load, faulty, scene, meter, .. } = self;
        let log = load.finish().await.map_err(|error| DrillError::Load(fault.name, error))?;
        let is_cut_off =
            matches!(fault.act, Act::Database(proxy::Fault::Refuse | proxy::Fault::Silent));
        let nodes = 0..scene.servers.len();
        let cut_off = nodes.filter(|_| is_cut_off);
        let cut_off = cut_off.map(|node| CutOff { node, from: faulty.0, to: well_at });
        let circumstances = Circumstances {
            cut_off: cut_off.collect(),
            behind_proxy: scene.private.is_none(),
            ..Circumstances::default()
        };
        let recovery = is_well.then(|| well_at.saturating_sub(faulty.1));
        let classes = meter.classes.into_iter().collect();
        let asleep = fault.asleep();
        Ok(Findings { fault, log: &log, circumstances, faulty, end, recovery, classes, asleep }
            .conclude())
    }

    fn enter(&mut self, phase: Phase) {
        self.meter.progress.phase = phase;
        (self.tell)(Event::Progress(&self.meter.progress));
    }

    /// Lets time pass, and says how it goes.
    pub(super) async fn pass(&mut self, span: Duration) {
        let end = self.load.now() + span;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while self.load.now() < end {
            ticks.tick().await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let (mut seen, now) = (0_u32, self.load.now());
        let progress = &mut self.meter.progress;
        self.meter.read = self.load.read_on(self.meter.read, |operation| {
            seen += 1;
            progress.failures += usize::from(is_failure(operation));
            progress.worst = progress.worst.max(operation.took());
        });
        let since = now.saturating_sub(self.meter.at).max(Duration::from_millis(1));
        progress.per_second = f64::from(seen) / since.as_secs_f64();
        self.meter.at = now;
        (self.tell)(Event::Progress(progress));
        if self.meter.progress.phase == Phase::Faulty {
            self.meter.classes.extend(self.well.classes().await);
        }
    }

    /// Waits until all is well; whether it came to be.
    async fn recover(&mut self) -> bool {
        self.well.again(&self.load).await
    }

    /// From the fault's beginning to its end.
    async fn suffer(&mut self) -> Result<(), DrillError> {
        match self.fault.act {
            Act::Redis(fault) => self.suffer_way(fault, |scene| scene.redis.as_ref()).await,
            Act::Database(fault) => self.suffer_way(fault, |scene| scene.database.as_ref()).await,
            Act::KillRedis => {
                self.with_private(|private| {
                    if let Some(redis) = &mut private.redis {
                        redis.kill();
                    }
                });
                self.pass(self.span).await;
                self.fault_ends();
                match self.scene.private.as_mut().and_then(|private| private.redis.as_mut()) {
                    Some(redis) => Ok(redis.start().await?),
                    None => Ok(()),
                }
            }
            Act::FlushRedis => self.flush().await,
            Act::StaleRedis => self.stale().await,
            Act::LockFile => {
                let lock = self.scene.private.as_ref().map(Private::lock_file).transpose()?;
                self.pass(self.span).await;
                drop(lock);
                self.fault_ends();
                Ok(())
            }
            Act::KillNode => {
                self.with_private(|private| private.nodes[0].kill());
                self.pass(self.span).await;
                self.fault_ends();
                self.start_node(0).await
            }
            Act::PauseNode => sleeper::suffer(self).await,
            Act::RestartNodes => {
                for node in 0..self.scene.servers.len() {
                    self.restart_node(node).await?;
                    self.pass(self.span / 2).await;
                }
                self.fault_ends();
                Ok(())
            }
        }
    }

    /// What happens from now on is no longer the fault.
    pub(super) fn fault_ends(&mut self) {
        self.faulty.1 = self.load.now();
    }

    async fn suffer_way(
        &mut self,
        fault: proxy::Fault,
        way: impl Fn(&Scene) -> Option<&FaultProxy>,
    ) -> Result<(), DrillError> {
        set(way(self.scene), fault).await?;
        self.pass(self.span).await;
        self.fault_ends();
        set(way(self.scene), proxy::Fault::None).await
    }

    async fn flush(&mut self) -> Result<(), DrillError> {
        let end = self.load.now() + self.span;
        while self.load.now() < end {
            if let Some(redis) = self.scene.private.as_ref().and_then(|it| it.redis.as_ref()) {
                redis.tell("FLUSHALL").await?;
            }
            self.pass(FLUSH_EVERY).await;
        }
        self.fault_ends();
        Ok(())
    }

    /// Redis keeps what it had; who could tell it otherwise has forgotten.
    async fn stale(&mut self) -> Result<(), DrillError> {
        set(self.scene.redis.as_ref(), proxy::Fault::Refuse).await?;
        self.pass(self.span).await;
        for node in 0..self.scene.servers.len() {
            self.restart_node(node).await?;
        }
        self.fault_ends();
        set(self.scene.redis.as_ref(), proxy::Fault::None).await
    }

    pub(super) fn with_private(&mut self, act: impl FnOnce(&mut Private)) {
        if let Some(private) = &mut self.scene.private {
            act(private);
        }
    }

    async fn start_node(&mut self, node: usize) -> Result<(), DrillError> {
        let Some(private) = &mut self.scene.private else { return Ok(()) };
        private.nodes[node].start().await?;
        self.load.move_to(node, private.nodes[node].server());
        Ok(())
    }

    async fn restart_node(&mut self, node: usize) -> Result<(), DrillError> {
        if let Some(private) = &mut self.scene.private {
            private.nodes[node].stop().await;
        }
        self.start_node(node).await
    }
}

async fn set(way: Option<&FaultProxy>, fault: proxy::Fault) -> Result<(), DrillError> {
    match way {
        Some(proxy) => Ok(proxy.set(fault).await?),
        None => Ok(()),
    }
}

/// The onlooker and the crowd: of a private set-up people who are registered now, else the one who is
/// there, whose password nobody changes.
async fn people_of(scene: &Scene, number: usize) -> Result<Vec<Person>, LoadError> {
    let looker = std::iter::once(Habit::Checks);
    if let Some(account) = &scene.account {
        let password = &account.password;
        let person = |habit| Person {
            name: account.name.clone(),
            passwords: [Arc::clone(password), Arc::clone(password)],
            habit,
        };
        return Ok(looker.chain(Crowd::DELEGATED.habits()).map(person).collect());
    }
    let mut client = Client::new(scene.servers[0].clone(), ANSWER_LIMIT);
    let mut people = Vec::new();
    for (place, habit) in looker.chain(Crowd::STEADY.habits()).enumerate() {
        let name = format!("{NAME}{}-{number}-{place}", std::process::id());
        let passwords = std::array::from_fn(|_| Arc::new(fresh_secret()));
        register(&mut client, &name, passwords[0].expose()).await?;
        people.push(Person { name, passwords, habit });
    }
    Ok(people)
}
