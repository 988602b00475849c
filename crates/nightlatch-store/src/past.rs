//! What a record says of its own past: that it came out of a backup, or has moved away.
//!
//! A record that goes back in time is noticed by servers that live, and they write back what they
//! remember. Where none has lived through it nobody remembers, so the record itself has to say it.

use nightlatch_core::Timestamp;

/// What befell a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When the backup was made that it was restored from, or when it was first seen to be restored.
    /// Who logged out later is logged in again.
    pub restored_at: Option<Timestamp>,
    /// When it was moved into another one, which has what came since.
    pub moved_at: Option<Timestamp>,
}

/// The names of these among the shared secrets, where there is room for a value.
pub(crate) const RESTORED: &str = "restored";
pub(crate) const MOVED: &str = "moved";

impl Past {
    /// From names and values; others are nothing.
    pub(crate) fn of(notes: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut past = Self::default();
        for (name, value) in notes {
            match name.as_str() {
                RESTORED => past.restored_at = Some(time(&value)),
                MOVED => past.moved_at = Some(time(&value)),
                _ => {}
            }
        }
        past
    }
}

/// A moment as a value: microseconds, in digits.
#[cfg(feature = "sqlite")]
pub(crate) fn value(at: Timestamp) -> Vec<u8> {
    at.as_micros().to_string().into_bytes()
}

/// The moment of a value. One that makes no sense must not hide that it happened.
fn time(value: &[u8]) -> Timestamp {
    let micros = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    Timestamp::from_micros(micros.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_back_and_nonsense_still_says_that_it_happened() {
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let past = Past::of([(RESTORED.to_owned(), value(at)), ("other".to_owned(), vec![1])]);
        assert_eq!(past, Past { restored_at: Some(at), moved_at: None });
        let past = Past::of([(MOVED.to_owned(), b"x".to_vec())]);
        assert_eq!(past.moved_at, Some(Timestamp::from_micros(0)));
    }
}
