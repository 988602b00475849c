//! Chance that can be repeated: everything random in a test comes from one seed, which is printed.

use rustix::rand::{GetRandomFlags, getrandom};

/// Names a seed to repeat a run with.
const SEED_VARIABLE: &str = "NIGHTLATCH_TEST_SEED";

/// A sequence of numbers from a seed (`SplitMix64`: Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From `NIGHTLATCH_TEST_SEED`, else a fresh seed; prints it.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "shown by the test harness with the test that failed")]
    pub fn from_environment(what: &str) -> Self {
        let seed = seed_of_environment().unwrap_or_else(fresh_seed);
        println!("{what}: repeat it with {SEED_VARIABLE}={seed}");
        Self(seed)
    }

    /// From a seed.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own, for somebody who runs beside.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias is below 2^-32 for the small bounds of tests.
        self.next() % bound.max(1)
    }

    /// One of `choices`, or `None` if there is none.
    pub fn pick<'c, T>(&mut self, choices: &'c [T]) -> Option<&'c T> {
        let count = u64::try_from(choices.len()).expect("lengths fit");
        let at = usize::try_from(self.below(count)).expect("it is below a length");
        choices.get(at)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the server")]
fn seed_of_environment() -> Option<u64> {
    std::env::var(SEED_VARIABLE).ok()?.parse().ok()
}

fn fresh_seed() -> u64 {
    let mut bytes = [0_u8; 8];
    getrandom(&mut bytes, GetRandomFlags::empty()).expect("the kernel gives random bytes");
    // Short enough to be typed again.
    u64::from_le_bytes(bytes) >> 24
}
