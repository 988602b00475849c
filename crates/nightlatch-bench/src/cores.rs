//! Which core measures and which is measured.
//!
//! What is measured gets one core to itself, so that a number means "per core" on every machine,
//! and the load generator another, so that it takes nothing from it.

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two cores of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Where servers and raw hashing run.
    pub(crate) measured: usize,
    /// Where the load generator runs.
    pub(crate) load: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub(crate) fn choose() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None).context("asking which cores may be used")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let (load, measured) = (cores.next(), cores.next());
        let (Some(load), Some(measured)) = (load, measured) else {
            anyhow::bail!("two cores are needed: one measures, one is measured");
        };
        Ok(Self { measured, load })
    }

    /// Runs `start` with this thread on the measured core, which child processes inherit; ends on
    /// the load generator's.
    pub(crate) fn on_measured<T>(self, start: impl FnOnce() -> T) -> anyhow::Result<T> {
        pin(self.measured)?;
        let started = start();
        pin(self.load)?;
        Ok(started)
    }
}

/// Has this thread run on one core alone.
pub(crate) fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("pinning to core {core}"))
}
