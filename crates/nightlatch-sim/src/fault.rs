//! What goes wrong, and when: drawn from the seed, within what this seed's world is troubled by.
//!
//! A world in which everything goes wrong at once shows little, so each seed has its own few kinds
//! of faults, and its own limits.

use std::time::Duration;

use crate::accelerator::Faith;
use crate::clock::Skew;
use crate::entropy::Rng;
use crate::history::NodeId;
use crate::store::Quality;

/// What a world is like.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) people: usize,
    /// How the clocks of each machine are; as many as there are nodes.
    pub(crate) skews: Vec<Skew>,
    pub(crate) staleness: Duration,
    pub(crate) remembered_max: usize,
    pub(crate) session_age: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    /// Whether somebody may end all sessions of everybody.
    pub(crate) ends_everything: bool,
    /// Whether nodes share copies and news, and how well.
    pub(crate) accelerator: Option<Faith>,
    /// How tokens are, where programs have some.
    pub(crate) tokens: Option<TokenSetting>,
}

/// How tokens are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenSetting {
    pub(crate) access_age: Duration,
    pub(crate) grace: Duration,
    /// Whether the record goes away from all nodes for longer than the grace.
    has_outages: bool,
}

/// So many of a thousand faults, where there are any.
const OUTAGES_PERMILLE: usize = 200;

impl TokenSetting {
    fn draw(rng: &mut Rng) -> Self {
        let has_outages = rng.permille(400);
        let access_age = rng.millis(5_000, 60_000);
        Self { access_age, grace: rng.millis(3_000, 30_000), has_outages }
    }
}

/// More revocations than a run has.
const REMEMBERS_ALL: usize = 100_000;

impl Setting {
    fn draw(rng: &mut Rng, accelerator: Option<Faith>, tokens: Option<TokenSetting>) -> Self {
        let nodes = 2 + rng.below(2);
        let remembers_few = rng.permille(300);
        Self {
            people: 2 + rng.below(2),
            skews: (0..nodes).map(|_| draw_skew(rng)).collect(),
            staleness: rng.millis(4_000, 15_000),
            remembered_max: if remembers_few { 1 + rng.below(8) } else { REMEMBERS_ALL },
            session_age: if rng.permille(200) {
                rng.millis(10_000, 60_000)
            } else {
                Duration::from_hours(24)
            },
            idle_timeout: rng.permille(200).then(|| rng.millis(40_000, 60_000)),
            ends_everything: rng.permille(200),
            accelerator,
            tokens,
        }
    }

    /// Whether nodes remember every revocation.
    pub(crate) const fn remembers_all(&self) -> bool {
        self.remembered_max == REMEMBERS_ALL
    }
}

fn draw_skew(rng: &mut Rng) -> Skew {
    let drift_ppm = i64::try_from(rng.below(401)).expect("it is small") - 200;
    Skew { uptime: rng.millis(10_000, 1_000_000), drift_ppm, wall_micros: draw_step(rng) }
}

/// A wall clock is right, or off by up to two hours.
fn draw_step(rng: &mut Rng) -> i64 {
    if rng.permille(500) {
        return 0;
    }
    (i64::try_from(rng.below(14_400)).expect("it is small") - 7200) * 1_000_000
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    CutOff,
    Slow,
    Lossy,
    Kill,
    Suspend,
    StepWall,
    GoBack,
    Prune,
}

const KINDS: [Kind; 8] = [
    Kind::CutOff,
    Kind::Slow,
    Kind::Lossy,
    Kind::Kill,
    Kind::Suspend,
    Kind::StepWall,
    Kind::GoBack,
    Kind::Prune,
];

/// One fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The wire of a node is bad for a while.
    Wire { node: NodeId, quality: Quality, lasts: Duration },
    /// The record is away from all nodes for a while, and takes the answer to an exchange of tokens
    /// with it.
    Outage { node: NodeId, after: Duration, lasts: Duration },
    /// A node is killed, and started anew after a while.
    Kill { node: NodeId, down: Duration },
    /// The machine of a node is suspended for a while.
    Suspend { node: NodeId, lasts: Duration },
    /// Somebody steps a wall clock.
    StepWall { node: NodeId, micros: i64 },
    /// The record goes back to what it was, and perhaps once more a little later.
    GoBack { by: Duration, again_after: Option<Duration> },
    /// Somebody logs out, and the record goes back right after that took effect.
    LoseLatest { node: NodeId, after: Duration },
    /// Rows of the feed and ended sessions that are older than this are swept.
    Prune { older_than: Duration },
}

/// Which faults there are in a world.
pub(crate) struct FaultPlan {
    pub(crate) setting: Setting,
    kinds: Vec<Kind>,
    /// Faults in a thousand steps.
    permille: usize,
    rng: Rng,
}

impl FaultPlan {
    pub(crate) fn draw(mut rng: Rng, mut of_accelerator: Rng, of_tokens: Option<Rng>) -> Self {
        let accelerator = [None, Some(Faith::Good), Some(Faith::Bad), Some(Faith::Bad)];
        let accelerator = of_accelerator.pick(&accelerator).flatten();
        let tokens = of_tokens.map(|mut rng| TokenSetting::draw(&mut rng));
        let setting = Setting::draw(&mut rng, accelerator, tokens);
        let kinds = KINDS.into_iter().filter(|_| rng.permille(400)).collect();
        let permille = 5 + rng.below(30);
        Self { setting, kinds, permille, rng }
    }

    /// Whether the record may go back.
    pub(crate) fn goes_back(&self) -> bool {
        self.kinds.contains(&Kind::GoBack)
    }

    /// What goes wrong before the next step, if anything.
    pub(crate) fn next(&mut self) -> Option<Fault> {
        if !self.rng.permille(self.permille) {
            return None;
        }
        let outages = self.setting.tokens.filter(|tokens| tokens.has_outages);
        if let Some(TokenSetting { grace, .. }) = outages
            && self.rng.permille(OUTAGES_PERMILLE)
        {
            let rng = &mut self.rng;
            let node = NodeId(rng.below(self.setting.skews.len()));
            let lasts = grace + rng.millis(0, 20_000);
            return Some(Fault::Outage { node, after: rng.millis(1, 5), lasts });
        }
        let kind = self.rng.pick(&self.kinds)?;
        let rng = &mut self.rng;
        let node = NodeId(rng.below(self.setting.skews.len()));
        // Most are short; some outlast the staleness bound.
        let lasts = if rng.permille(300) { rng.millis(5000, 25_000) } else { rng.millis(50, 5000) };
        Some(match kind {
            Kind::CutOff => {
                let quality = if rng.permille(500) { Quality::Refusing } else { Quality::Silent };
                Fault::Wire { node, quality, lasts }
            }
            Kind::Slow => {
                let most = if rng.permille(600) { 100 + rng.below(350) } else { 700 };
                Fault::Wire { node, quality: Quality::Slow(most), lasts }
            }
            Kind::Lossy => {
                let quality = Quality::Lossy(50 + rng.below(450));
                Fault::Wire { node, quality, lasts }
            }
            Kind::Kill => Fault::Kill { node, down: rng.millis(1, 3000) },
            Kind::Suspend => Fault::Suspend { node, lasts },
            Kind::StepWall => Fault::StepWall { node, micros: draw_step(rng) },
            Kind::GoBack if rng.permille(400) => {
                Fault::LoseLatest { node, after: rng.millis(2, 12) }
            }
            Kind::GoBack => {
                let again_after = rng.permille(300).then(|| rng.millis(0, 3000));
                Fault::GoBack { by: rng.millis(1, 4000), again_after }
            }
            Kind::Prune => Fault::Prune { older_than: rng.millis(500, 10_000) },
        })
    }
}
