//! Chance as an argument: the only source of secret bytes.

use uuid::Uuid;

use crate::Timestamp;

/// A source of unpredictable bytes. The simulator gives one that is repeatable.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`. A source that cannot must panic: a guessable token is worse than none.
    fn fill(&self, bytes: &mut [u8]);

    /// 64 fresh bits.
    fn bits(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

/// `N` fresh bytes.
pub(crate) fn fresh<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A UUID of version 7 (RFC 9562): sorted by time, so that new rows stand side by side in an index.
pub(crate) fn fresh_id(entropy: &dyn Entropy, now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &fresh(entropy)).into_uuid()
}
