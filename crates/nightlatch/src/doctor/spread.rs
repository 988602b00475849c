//! How long many answers took, as people read it.

use std::fmt;
use std::time::Duration;

/// Bars of the histogram, the lowest first.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// The upper bounds of its classes, in microseconds.
const BOUNDS: [u64; 9] = [50, 100, 200, 500, 1000, 2000, 5000, 20_000, 100_000];

/// Times of answers, sorted; there is one at least.
pub(super) struct Spread(Vec<Duration>);

impl Spread {
    /// `None`: there are none.
    pub(super) fn of(mut took: Vec<Duration>) -> Option<Self> {
        took.sort_unstable();
        (!took.is_empty()).then_some(Self(took))
    }

    /// What 99 of 100 are within.
    pub(super) fn late(&self) -> Duration {
        self.at(99)
    }

    pub(super) fn histogram(&self) -> String {
        histogram(&self.0)
    }

    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, late, worst] = [50, 99, 100].map(|percent| milliseconds(self.at(percent)));
        let count = self.0.len();
        write!(f, "{count} round trips: median {median}, 99 of 100 within {late}, worst {worst}")
    }
}

/// `≤0.10 ms █ 80  ≤0.20 ms ▂ 20`: sorted times, in classes.
fn histogram(took: &[Duration]) -> String {
    let mut parts = Vec::new();
    let mut below = 0;
    for bound in BOUNDS.map(Duration::from_micros).into_iter().chain([Duration::MAX]) {
        let within = took.partition_point(|one| *one <= bound);
        let count = within - below;
        below = within;
        if count > 0 {
            let bar = BARS[((count * BARS.len()).div_ceil(took.len()) - 1).min(BARS.len() - 1)];
            let label = if bound == Duration::MAX {
                "later".to_owned()
            } else {
                format!("≤{}", milliseconds(bound))
            };
            parts.push(format!("{label} {bar} {count}"));
        }
    }
    parts.join("  ")
}

/// In milliseconds, as people read them.
pub(super) fn milliseconds(span: Duration) -> String {
    let micros = span.as_micros();
    if micros < 10_000 {
        format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
    } else {
        format!("{} ms", micros / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_classes() {
        let took: Vec<Duration> =
            [40, 60, 70, 90, 300_000].into_iter().map(Duration::from_micros).collect();
        assert_eq!(histogram(&took), "≤0.05 ms ▂ 1  ≤0.10 ms ▅ 3  later ▂ 1");
    }
}
