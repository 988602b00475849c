//! Chance that can be repeated: everything random in a test comes from one seed, which is printed.

pub use nightlatch_drill::chance::Chance;

use rustix::rand::{GetRandomFlags, getrandom};

/// Names a seed to repeat a run with.
const SEED_VARIABLE: &str = "NIGHTLATCH_TEST_SEED";

/// From `NIGHTLATCH_TEST_SEED`, else a fresh seed; prints it.
#[must_use]
#[expect(clippy::print_stdout, reason = "shown by the test harness with the test that failed")]
pub fn from_environment(what: &str) -> Chance {
    let seed = seed_of_environment().unwrap_or_else(fresh_seed);
    println!("{what}: repeat it with {SEED_VARIABLE}={seed}");
    Chance::from_seed(seed)
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
