//! How to call what may fail: what well-kept libraries do not already give.
//!
//! A service that depends on others has to know how long to wait before it tries again, must not
//! let everybody find out anew that something is gone, and has to say so once, not a thousand
//! times. These are rules here, without I/O, clock or randomness of their own: they take `now` and
//! random numbers as arguments, so they can be tested by tables and run in a simulation. They know
//! neither databases nor HTTP.
//!
//! ```
//! use std::time::Duration;
//! use nightlatch_resilience::Backoff;
//!
//! let backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(5) };
//! // The third attempt waits anything from nothing to 400 ms.
//! assert!(backoff.delay(2, 0x0123_4567_89ab_cdef) < Duration::from_millis(400));
//! ```

mod backoff;
mod breaker;
mod health;
mod retry_budget;

pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerPolicy, CallEnd, Pass};
pub use health::{Dependency, HealthLine, HealthState};
pub use retry_budget::RetryBudget;
