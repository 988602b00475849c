//! Spans of time by how long they were. Of our own, since each core adds to its own part: the library's
//! takes a lock for each observation.

use std::time::Duration;

use nightlatch_core::Counters;

/// From a local answer to the longest that a request waits, in seconds.
const BOUNDS: [f64; 16] = [
    0.0001,
    0.000_25,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    f64::INFINITY,
];

/// The counter behind those of the bounds: microseconds in all.
const SUM: usize = BOUNDS.len();

/// Spans of time by how long they were.
#[derive(Debug, Default)]
pub(crate) struct Histogram(Counters<{ SUM + 1 }>);

/// What was observed until now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Observed {
    /// How many spans were longer than the bound before, and no longer than this one.
    pub(crate) buckets: [(f64, u64); BOUNDS.len()],
    pub(crate) count: u64,
    pub(crate) sum: Duration,
}

impl Histogram {
    pub(crate) fn observe(&self, span: Duration) {
        let seconds = span.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        self.0.count(bucket.unwrap_or(SUM - 1));
        self.0.add(SUM, u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self) -> Observed {
        let counts = self.0.read();
        let buckets = std::array::from_fn(|bucket| (BOUNDS[bucket], counts[bucket]));
        let count = counts[..SUM].iter().sum();
        Observed { buckets, count, sum: Duration::from_micros(counts[SUM]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_in_the_first_bucket_that_it_fits_into() {
        let histogram = Histogram::default();
        for micros in [100, 101, 2_000_000, 9_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let Observed { buckets, count, sum } = histogram.read();
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0001, 1), (0.000_25, 1), (2.5, 1), (f64::INFINITY, 1)]);
        assert_eq!((count, sum), (4, Duration::from_micros(11_000_201)));
    }
}
