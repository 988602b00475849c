//! Columns of a picture: each is what happened in half a minute.
//!
//! Of states the worst is kept: that all was well again ten seconds later is no reason not to see it.

use std::time::Duration;

use nightlatch_core::Timestamp;

use super::{Count, Sample};

/// How far back a picture goes, and in how many columns.
const SPAN: Duration = Duration::from_hours(1);
pub(crate) const COLUMNS: usize = 120;

/// What happened in one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    /// Each dependency, with the class of its failure if it has failed meanwhile.
    pub(crate) states: Vec<(&'static str, Option<&'static str>)>,
    /// Session checks by where the answer came from.
    pub(crate) checks: Vec<Count>,
    /// Logins by what became of them.
    pub(crate) logins: Vec<Count>,
    /// Calls of each dependency, and how long they took in all.
    pub(crate) calls: Vec<(&'static str, u64, Duration)>,
    /// The longest that the record confirmed nothing.
    pub(crate) staleness: Duration,
    /// How much time it knows of.
    pub(crate) covered: Duration,
}

impl Column {
    /// So many of `counts` a second.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        per(count, self.covered)
    }

    /// So many of `counts` a minute.
    pub(crate) fn per_minute(&self, count: u64) -> f64 {
        per(count, self.covered) * 60.0
    }

    /// How long a call of this dependency took on average; `None`: there was none.
    pub(crate) fn mean_call(&self, dependency: &str) -> Option<Duration> {
        let (_, count, took) = self.calls.iter().find(|(name, ..)| *name == dependency)?;
        took.checked_div(u32::try_from(*count).ok()?)
    }

    fn add(&mut self, before: &Sample, after: &Sample) {
        for &(name, class) in &after.states {
            match self.states.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = known.or(class),
                None => self.states.push((name, class)),
            }
        }
        add_counts(&mut self.checks, &before.checks, &after.checks);
        add_counts(&mut self.logins, &before.logins, &after.logins);
        for &(name, count, took) in &after.calls {
            let then = before.calls.iter().find(|(known, ..)| *known == name);
            let (count_then, took_then) = then.map_or((0, Duration::ZERO), |(_, n, t)| (*n, *t));
            let more = (count.saturating_sub(count_then), took.saturating_sub(took_then));
            match self.calls.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, count, took)) => {
                    *count += more.0;
                    *took += more.1;
                }
                None => self.calls.push((name, more.0, more.1)),
            }
        }
        self.staleness = self.staleness.max(after.staleness);
        self.covered += after.at.since(before.at);
    }
}

/// The columns up to `now`, the oldest first; `None`: nothing is known of it.
pub(super) fn columns(samples: &[Sample], now: Timestamp) -> Vec<Option<Column>> {
    let mut columns = vec![None; COLUMNS];
    for pair in samples.windows(2) {
        let [before, after] = pair else { continue };
        let Some(place) = place(after.at, now) else { continue };
        columns[place].get_or_insert_with(Column::default).add(before, after);
    }
    columns
}

fn place(at: Timestamp, now: Timestamp) -> Option<usize> {
    let width = SPAN / u32::try_from(COLUMNS).ok()?;
    let back = usize::try_from(now.since(at).as_micros() / width.as_micros()).ok()?;
    (COLUMNS - 1).checked_sub(back)
}

fn add_counts(to: &mut Vec<Count>, before: &[Count], after: &[Count]) {
    for &(name, count) in after {
        let then = before.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count);
        let more = count.saturating_sub(then);
        match to.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known += more,
            None => to.push((name, more)),
        }
    }
}

/// Counts of this process in a second.
#[expect(clippy::cast_precision_loss, reason = "a picture, and 2^53 requests are centuries")]
fn per(count: u64, span: Duration) -> f64 {
    if span.is_zero() { 0.0 } else { count as f64 / span.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, class: Option<&'static str>, checks: u64) -> Sample {
        Sample {
            at: Timestamp::from_seconds(second),
            states: vec![("database", class)],
            checks: vec![("memory", checks)],
            logins: Vec::new(),
            calls: vec![("database", checks, Duration::from_millis(checks * 2))],
            staleness: Duration::ZERO,
        }
    }

    #[test]
    fn a_column_keeps_the_rate_and_the_worst_state() {
        let samples =
            [at(0, None, 0), at(5, Some("closed"), 50), at(10, None, 100), at(40, None, 400)];
        let columns = columns(&samples, Timestamp::from_seconds(40));
        let [earlier, later] = &columns[COLUMNS - 2..] else { panic!("they are many") };
        let earlier = earlier.as_ref().expect("it is known");
        assert_eq!(earlier.states, [("database", Some("closed"))]);
        assert!((earlier.per_second(earlier.checks[0].1) - 10.0).abs() < 1e-9);
        assert_eq!(earlier.mean_call("database"), Some(Duration::from_millis(2)));
        let later = later.as_ref().expect("it is known");
        assert_eq!((later.states[0].1, later.checks[0].1), (None, 300));
        assert!(columns[..COLUMNS - 2].iter().all(Option::is_none));
    }

    #[test]
    fn what_is_older_than_the_picture_is_left_out() {
        let samples = [at(0, None, 0), at(5, None, 1), at(7200, None, 2)];
        let columns = columns(&samples, Timestamp::from_seconds(7200));
        assert_eq!(columns.iter().flatten().count(), 1);
        let newest = columns[COLUMNS - 1].as_ref().expect("it is known");
        assert_eq!(newest.covered.as_secs(), 7195, "the node was stopped, and counts on");
    }
}
