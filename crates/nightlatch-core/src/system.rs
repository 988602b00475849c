//! The system's clocks and random source.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::{Clock, Entropy, Timestamp};

/// The clocks of this machine, read through libc.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
        Timestamp::from_micros(tv_sec.saturating_mul(1_000_000).saturating_add(tv_nsec / 1000))
    }

    fn boottime(&self) -> Duration {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
    }
}

/// The kernel's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut filled = 0;
        // Bounded by the length: each round fills at least a byte or was interrupted by a signal.
        while filled < bytes.len() {
            match rustix::rand::getrandom(
                &mut bytes[filled..],
                rustix::rand::GetRandomFlags::empty(),
            ) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("the kernel gives no random bytes: {error}"),
            }
        }
    }
}
