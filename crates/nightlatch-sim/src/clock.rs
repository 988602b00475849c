//! The clocks of the simulated machines: all of them derive from the runtime's time, which stands
//! still while anybody works and jumps when everybody waits.
//!
//! A machine's wall clock and its boot time come from this one source, so that they cannot
//! contradict each other, except where a fault says so.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nightlatch_core::{Clock, Timestamp};
use tokio::time::Instant;

/// When the simulation begins, in record time.
const BEGIN: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// True time: what no simulated machine knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrueTime(Instant);

impl TrueTime {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Since the beginning.
    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }
}

/// What the record's clock says at a true time.
pub(crate) fn record_time(at: Duration) -> Timestamp {
    BEGIN.after(at)
}

/// How far a machine's clocks are from the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skew {
    /// For how long it has been up when the simulation begins.
    pub(crate) uptime: Duration,
    /// By how much its oscillator is fast, in millionths.
    pub(crate) drift_ppm: i64,
    /// By how much its wall clock is ahead.
    pub(crate) wall_micros: i64,
}

/// The clocks of a machine on which nodes run.
pub(crate) struct SimClock {
    time: TrueTime,
    uptime: Duration,
    drift_ppm: i64,
    wall_micros: AtomicI64,
}

impl SimClock {
    pub(crate) const fn new(time: TrueTime, skew: Skew) -> Self {
        let Skew { uptime, drift_ppm, wall_micros } = skew;
        Self { time, uptime, drift_ppm, wall_micros: AtomicI64::new(wall_micros) }
    }

    /// Somebody steps the wall clock.
    pub(crate) fn step_wall(&self, micros: i64) {
        self.wall_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn wall(&self) -> Timestamp {
        let ahead = self.wall_micros.load(Ordering::Relaxed);
        Timestamp::from_micros(record_time(self.time.now()).as_micros() + ahead)
    }

    fn boottime(&self) -> Duration {
        let elapsed = self.time.now();
        let micros = i64::try_from(elapsed.as_micros()).expect("a simulation lasts minutes");
        let drift = Duration::from_nanos((micros * self.drift_ppm.abs() / 1000).unsigned_abs());
        let counted = self.uptime + elapsed;
        if self.drift_ppm < 0 { counted.saturating_sub(drift) } else { counted + drift }
    }
}

/// The clock of the machine on which the record runs: the one that the others follow. Deadlines are
/// points of the boot time of those who ask; it is not the record that keeps them.
pub(crate) struct RecordMachine(pub(crate) TrueTime);

impl Clock for RecordMachine {
    fn wall(&self) -> Timestamp {
        record_time(self.0.now())
    }

    fn boottime(&self) -> Duration {
        Duration::ZERO
    }
}
