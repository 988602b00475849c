//! Why the server takes no changes, as its answers to changes have told: reads go on when a disk is
//! full, so nothing else shows it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{FailureClass, StoreError};

/// A refusal that nobody has met again for this long is over: perhaps nobody has tried.
const LASTS: Duration = Duration::from_secs(10);

/// The latest refusal.
#[derive(Default)]
pub(super) struct Refusal(Mutex<Option<Refused>>);

#[derive(Clone, Copy)]
struct Refused {
    class: FailureClass,
    /// Another change may need no room, and succeed.
    doing: &'static str,
    at: Duration,
}

impl Refusal {
    /// Notes how a change ended, at this boot time.
    pub(super) fn note<T>(
        &self,
        doing: &'static str,
        result: &Result<T, StoreError>,
        at: Duration,
    ) {
        match result.as_ref().map_err(StoreError::class) {
            Ok(_) => _ = self.lock().take_if(|refused| refused.doing == doing),
            Err(class @ (FailureClass::DiskFull | FailureClass::IoError)) => {
                *self.lock() = Some(Refused { class, doing, at });
            }
            Err(_) => {}
        }
    }

    /// Why changes are refused.
    pub(super) fn class(&self, now: Duration) -> Option<FailureClass> {
        let refused = *self.lock();
        let lasts = refused.filter(|refused| now.saturating_sub(refused.at) <= LASTS);
        lasts.map(|refused| refused.class)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use nightlatch_core::{Outcome, StoreErrorKind};

    use super::*;

    #[test]
    fn a_refusal_is_over_when_the_same_succeeds_or_nobody_meets_it_again() {
        let at = Duration::from_secs;
        let full = || {
            let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::DiskFull);
            Err::<(), _>(StoreError::new(kind, class, Outcome::NotApplied, "a login"))
        };
        let refusal = Refusal::default();
        refusal.note("a login", &full(), at(1));
        refusal.note("a heartbeat", &Ok(()), at(2));
        assert_eq!(refusal.class(at(11)), Some(FailureClass::DiskFull));
        assert_eq!(refusal.class(at(12)), None);
        refusal.note("a login", &full(), at(20));
        refusal.note("a login", &Ok(()), at(21));
        assert_eq!(refusal.class(at(21)), None);
    }
}
