//! Latencies: all of them are kept and sorted, so that a percentile is one that was measured.

use std::time::Duration;

/// What was measured, in the order in which it came or sorted.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many are at least this.
    pub(crate) fn count_from(&self, least: Duration) -> usize {
        self.0.iter().filter(|latency| **latency >= least).count()
    }

    /// The smallest measured latency that at least `permille` of all do not exceed.
    pub(crate) fn percentile(&mut self, permille: usize) -> Duration {
        self.0.sort_unstable();
        let rank = (self.0.len() * permille).div_ceil(1000);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(crate) fn p50(&mut self) -> Duration {
        self.percentile(500)
    }

    pub(crate) fn p99(&mut self) -> Duration {
        self.percentile(990)
    }
}

/// The value in the middle; of an even number the higher one, so that no result flatters.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.p99(), Duration::ZERO);
        for millis in (1..=200).rev() {
            latencies.push(Duration::from_millis(millis));
        }
        for (permille, millis) in [(0, 1), (5, 1), (500, 100), (990, 198), (995, 199), (1000, 200)]
        {
            assert_eq!(latencies.percentile(permille), Duration::from_millis(millis), "{permille}");
        }
    }

    #[test]
    fn median_is_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
