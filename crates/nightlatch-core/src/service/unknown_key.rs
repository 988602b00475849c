//! The budget for tokens of keys that this node does not have.
//!
//! While keys are rotated one node at a time, a token may come from a key that this node has not
//! been given yet: the record is asked. An attacker can invent key ids as he likes, so what this may
//! cost the record is bounded for the whole node.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Look-ups a second, and at once: enough for a rotation, nothing for the record.
const PER_SECOND: u32 = 100;

const WINDOW: Duration = Duration::from_secs(1);

/// Counts look-ups in windows of a second.
#[derive(Debug, Default)]
pub(super) struct UnknownKeyBudget(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    window_start: Duration,
    count: u32,
}

impl UnknownKeyBudget {
    /// Spends one look-up, or says when there is one again.
    pub(super) fn spend(&self, now: Duration) -> Result<(), Duration> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(spent.window_start) >= WINDOW {
            *spent = Spent { window_start: now, count: 0 };
        }
        if spent.count >= PER_SECOND {
            return Err((spent.window_start + WINDOW).saturating_sub(now));
        }
        spent.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_comes_back_next_second() {
        let budget = UnknownKeyBudget::default();
        let start = Duration::from_secs(50);
        let granted = (0..500).filter(|_| budget.spend(start).is_ok()).count();
        assert_eq!(granted, 100);
        assert_eq!(
            budget.spend(start + Duration::from_millis(400)),
            Err(Duration::from_millis(600))
        );
        assert_eq!(budget.spend(start + WINDOW), Ok(()));
    }
}
