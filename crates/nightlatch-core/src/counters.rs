//! Counters that each core adds to by itself.
//!
//! One number that all cores write is a line of memory that they take from each other, and a session
//! check would wait for it longer than it takes altogether. So each thread has a part of its own, and who
//! wants to know adds the parts up.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Parts of one set of counters. A server has a thread for each core and a few more; those beyond share.
const PARTS: usize = 16;

/// The part of the thread that begins next.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
}

/// `N` counters, which never go down.
#[derive(Debug)]
pub struct Counters<const N: usize> {
    parts: [Part<N>; PARTS],
}

/// Two lines of memory, since processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Part<const N: usize>([AtomicU64; N]);

impl<const N: usize> Counters<N> {
    /// All are 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { parts: [const { Part([const { AtomicU64::new(0) }; N]) }; PARTS] }
    }

    /// One more of the counter with this index. An index that is none counts nothing.
    pub fn count(&self, index: usize) {
        self.add(index, 1);
    }

    /// So many more of the counter with this index. An index that is none counts nothing.
    pub fn add(&self, index: usize, more: u64) {
        // A thread that is being taken down has no part of its own any more.
        let part = PART.try_with(|part| *part).unwrap_or_default();
        if let Some(counter) = self.parts[part].0.get(index) {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// All of them. Each is whole, but one may be older than another.
    #[must_use]
    pub fn read(&self) -> [u64; N] {
        std::array::from_fn(|index| {
            let parts = self.parts.iter();
            parts.map(|part| part.0[index].load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
        })
    }
}

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_is_added_up() {
        let counters = Counters::<3>::new();
        std::thread::scope(|scope| {
            for _ in 0..PARTS + 3 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| counters.count(0));
                    counters.add(2, 5);
                    counters.count(3);
                });
            }
        });
        let threads = PARTS as u64 + 3;
        assert_eq!(counters.read(), [1000 * threads, 0, 5 * threads]);
    }

    #[test]
    fn no_two_parts_share_a_line_of_memory() {
        assert_eq!(align_of::<Part<1>>(), 128);
        assert_eq!(size_of::<Counters<1>>(), 128 * PARTS);
    }
}
