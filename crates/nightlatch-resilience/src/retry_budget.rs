//! How much of the traffic may be retries.
//!
//! Each caller who tries three times triples the load on a server just when it cannot bear it. A budget
//! bounds that for all callers together: each call puts a part of a retry in, each retry takes one out,
//! and what is saved up in good times is little. So a server that fails now and then is retried every
//! time, and one that fails always gets hardly more than it would without.
//!
//! A state machine without I/O or clock. The idea is Finagle's `RetryBudget` (2015), without its time to
//! live: the lower `reserve` is, the less an old saving matters.
//!
//! ```
//! use nightlatch_resilience::RetryBudget;
//!
//! let mut budget = RetryBudget::new(20, 2);
//! // Two are saved up; then every fifth call pays for one.
//! assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
//! (0..5).for_each(|_| budget.deposit());
//! assert!(budget.withdraw() && !budget.withdraw());
//! ```

/// What a whole retry costs, in hundredths.
const RETRY: u32 = 100;

/// Bounds the retries of all callers together.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    /// What a call puts in, in hundredths of a retry.
    per_call: u32,
    most: u32,
    saved: u32,
}

impl RetryBudget {
    /// `percent` retries for a hundred calls, and `reserve` beside that: from the start, and as the most
    /// that is ever saved up.
    #[must_use]
    pub const fn new(percent: u32, reserve: u32) -> Self {
        let most = reserve.saturating_mul(RETRY);
        Self { per_call: percent, most, saved: most }
    }

    /// A call is made for the first time.
    pub fn deposit(&mut self) {
        self.saved = self.saved.saturating_add(self.per_call).min(self.most);
    }

    /// Whether a call may be made again; then it is paid for.
    #[must_use]
    pub fn withdraw(&mut self) -> bool {
        let left = self.saved.checked_sub(RETRY);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }

    /// How many retries are saved up, in hundredths.
    #[must_use]
    pub const fn saved_hundredths(&self) -> u32 {
        self.saved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_always_fails_gets_little_more_than_without_retries() {
        let mut budget = RetryBudget::new(20, 10);
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            // Each call would try twice more.
            retries += u32::from(budget.withdraw()) + u32::from(budget.withdraw());
        }
        assert!((200..=210).contains(&retries), "{retries} retries for 1000 calls");
    }

    #[test]
    fn what_is_saved_up_is_bounded() {
        let mut budget = RetryBudget::new(20, 3);
        (0..10_000).for_each(|_| budget.deposit());
        assert_eq!((0..10).filter(|_| budget.withdraw()).count(), 3);
        let mut none = RetryBudget::new(0, 0);
        none.deposit();
        assert!(!none.withdraw());
        let mut huge = RetryBudget::new(u32::MAX, u32::MAX);
        huge.deposit();
        assert!(huge.withdraw());
    }
}
