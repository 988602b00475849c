//! The last known state of a dependency, and when a change of it is worth a line in the log.
//!
//! Health must be answered from what is known, never by asking, or the health check hangs with
//! whatever hangs. So outcomes of calls and probes are fed in here as they come. And an outage must
//! be told once: a line for each failed request buries its cause, and a dependency that comes and
//! goes twice a second would write a line each time. The first change is told at once; those within
//! the next [`Dependency::FOLD`] become one line with their number.
//!
//! A state machine without I/O: outcomes and `now` in, lines out. All times are points of one clock
//! that never steps, such as the time since boot.
//!
//! ```
//! use std::time::Duration;
//! use nightlatch_resilience::{Dependency, HealthState};
//!
//! let mut cache = Dependency::new("cache");
//! let at = Duration::from_secs;
//! assert!(cache.observe(Ok(()), at(0), at(0)).is_none());
//! let line = cache.observe(Err("timeout"), at(60), at(62)).expect("a change is told");
//! assert_eq!(line.to_string(), "cache is down: timeout");
//! assert!(cache.observe(Err("timeout"), at(63), at(65)).is_none());
//! assert_eq!(cache.state(), HealthState::Down { class: "timeout" });
//! assert_eq!(cache.since(), at(62));
//! ```

use std::fmt;
use std::time::Duration;

/// What is known of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// Nothing yet.
    Unknown,
    /// It answers as it should.
    Up,
    /// It does not.
    Down {
        /// How it fails, in the words of whoever observed it.
        class: &'static str,
    },
}

impl HealthState {
    const fn is_down(self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

/// One line for the log: a state that was entered, or the last of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthLine {
    /// Whose.
    pub dependency: &'static str,
    /// The state it is in.
    pub state: HealthState,
    /// Since when it is up, or down.
    pub since: Duration,
    /// How long it was down, if it is up again.
    pub was_down_for: Option<Duration>,
    /// How many changes the line stands for: at least one.
    pub changes: u32,
}

impl fmt::Display for HealthLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ", self.dependency)?;
        match self.state {
            HealthState::Unknown => f.write_str("not known")?,
            HealthState::Up => f.write_str("up")?,
            HealthState::Down { class } => write!(f, "down: {class}")?,
        }
        if let Some(span) = self.was_down_for {
            write!(f, " again after {} s", span.as_secs())?;
        }
        if self.changes > 1 {
            write!(f, " ({} changes)", self.changes)?;
        }
        Ok(())
    }
}

/// Follows one dependency.
#[derive(Clone, Debug)]
pub struct Dependency {
    name: &'static str,
    state: HealthState,
    since: Duration,
    /// When the call began that told the present state. A call that began before it says nothing
    /// new: its time-out may arrive long after the dependency is back.
    newest_began: Duration,
    down_for: Option<Duration>,
    /// Changes that no line has told.
    untold: u32,
    /// Until when changes are only counted.
    fold_until: Option<Duration>,
}

impl Dependency {
    /// Changes within this span of a line become one line.
    pub const FOLD: Duration = Duration::from_secs(10);

    /// Of which nothing is known yet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            state: HealthState::Unknown,
            since: Duration::ZERO,
            newest_began: Duration::ZERO,
            down_for: None,
            untold: 0,
            fold_until: None,
        }
    }

    /// Its name in lines and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What is known of it.
    #[must_use]
    pub const fn state(&self) -> HealthState {
        self.state
    }

    /// Since when it is up, or down in whatever way; zero while nothing is known.
    #[must_use]
    pub const fn since(&self) -> Duration {
        self.since
    }

    /// A call or probe that began at `began` has ended at `now`: well, or failed with a class. A
    /// line, if there is something to tell now.
    ///
    /// That it is up from the start is no change and gets no line.
    pub fn observe(
        &mut self,
        outcome: Result<(), &'static str>,
        began: Duration,
        now: Duration,
    ) -> Option<HealthLine> {
        let seen = match outcome {
            Ok(()) => HealthState::Up,
            Err(class) => HealthState::Down { class },
        };
        if seen == self.state {
            self.newest_began = self.newest_began.max(began);
        } else if self.state == HealthState::Unknown || began >= self.newest_began {
            self.enter(seen, began, now);
        }
        self.tick(now)
    }

    /// Time has passed. A line, if one was due.
    pub fn tick(&mut self, now: Duration) -> Option<HealthLine> {
        if self.fold_until.is_some_and(|until| now < until) {
            return None;
        }
        self.fold_until = None;
        if self.untold == 0 {
            return None;
        }
        self.fold_until = Some(now.saturating_add(Self::FOLD));
        Some(HealthLine {
            dependency: self.name,
            state: self.state,
            since: self.since,
            was_down_for: self.down_for.filter(|_| self.state == HealthState::Up),
            changes: std::mem::take(&mut self.untold),
        })
    }

    /// When [`Self::tick`] has something to tell, if nothing else happens before.
    #[must_use]
    pub fn due_at(&self) -> Option<Duration> {
        self.fold_until.filter(|_| self.untold > 0)
    }

    fn enter(&mut self, next: HealthState, began: Duration, now: Duration) {
        let before = std::mem::replace(&mut self.state, next);
        self.newest_began = began;
        if before != HealthState::Unknown || next.is_down() {
            self.untold = self.untold.saturating_add(1);
        }
        // Down in another way is a change, but not the beginning of the outage.
        if !(before.is_down() && next.is_down()) {
            self.down_for = before.is_down().then(|| now.saturating_sub(self.since));
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Result<(), &str> = Err("timeout");
    const OTHER: Result<(), &str> = Err("refused");
    const UP: Result<(), &str> = Ok(());

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Feeds instant outcomes and ticks in between; the lines with their times.
    fn told(events: &[(u64, Option<Result<(), &'static str>>)]) -> Vec<(u64, String)> {
        let mut dependency = Dependency::new("cache");
        let mut lines = Vec::new();
        for (now, event) in events {
            let line = match event {
                Some(outcome) => dependency.observe(*outcome, at(*now), at(*now)),
                None => dependency.tick(at(*now)),
            };
            lines.extend(line.map(|line| (*now, line.to_string())));
        }
        lines
    }

    #[test]
    fn each_change_is_told_once() {
        for (what, events, lines) in [
            ("up from the start", vec![(0, Some(UP)), (5, Some(UP)), (90, None)], vec![]),
            ("down from the start", vec![(0, Some(DOWN))], vec![(0, "cache is down: timeout")]),
            (
                "a long outage",
                vec![(0, Some(UP)), (60, Some(DOWN)), (61, Some(DOWN)), (90, Some(UP)), (99, None)],
                vec![(60, "cache is down: timeout"), (90, "cache is up again after 30 s")],
            ),
            (
                "a short outage",
                vec![(0, Some(UP)), (60, Some(DOWN)), (63, Some(UP)), (69, None), (70, None)],
                vec![(60, "cache is down: timeout"), (70, "cache is up again after 3 s")],
            ),
            (
                "another class in the same outage",
                vec![(0, Some(DOWN)), (60, Some(OTHER)), (90, Some(UP))],
                vec![
                    (0, "cache is down: timeout"),
                    (60, "cache is down: refused"),
                    (90, "cache is up again after 90 s"),
                ],
            ),
            (
                "there and back within the fold",
                vec![(0, Some(DOWN)), (2, Some(UP)), (4, Some(DOWN)), (10, None), (20, None)],
                vec![(0, "cache is down: timeout"), (10, "cache is down: timeout (2 changes)")],
            ),
            (
                "nobody ticks: the next outcome brings the line",
                vec![(0, Some(DOWN)), (2, Some(UP)), (40, Some(UP))],
                vec![(0, "cache is down: timeout"), (40, "cache is up again after 2 s")],
            ),
        ] {
            let told = told(&events);
            let told: Vec<_> = told.iter().map(|(now, line)| (*now, line.as_str())).collect();
            assert_eq!(told, lines, "{what}");
        }
    }

    #[test]
    fn flapping_twice_a_second_is_six_lines_a_minute_and_no_change_is_lost() {
        let mut dependency = Dependency::new("cache");
        let (mut lines, mut changes) = (0, 0);
        for half in 0..120_u64 {
            let now = Duration::from_millis(500 * half);
            let outcome = if half % 2 == 0 { DOWN } else { UP };
            if let Some(line) = dependency.observe(outcome, now, now) {
                lines += 1;
                changes += line.changes;
            }
        }
        assert_eq!(lines, 6);
        let last = dependency.tick(at(60)).expect("the last fold is over");
        assert_eq!(changes + last.changes, 120);
    }

    #[test]
    fn an_outcome_that_began_before_the_present_state_says_nothing_new() {
        let mut dependency = Dependency::new("cache");
        dependency.observe(UP, at(0), at(0));
        assert!(dependency.observe(DOWN, at(20), at(25)).is_some());
        assert!(dependency.observe(UP, at(40), at(40)).is_some());
        // Begun in the outage, timed out after its end.
        assert!(dependency.observe(DOWN, at(39), at(55)).is_none());
        assert_eq!(dependency.state(), HealthState::Up);
        assert!(dependency.observe(DOWN, at(56), at(61)).is_some());
        assert_eq!(dependency.since(), at(61));
    }

    #[test]
    fn a_line_that_waits_says_when_it_is_due() {
        let mut dependency = Dependency::new("cache");
        assert_eq!(dependency.due_at(), None);
        dependency.observe(DOWN, at(5), at(5));
        assert_eq!(dependency.due_at(), None);
        dependency.observe(UP, at(6), at(6));
        assert_eq!(dependency.due_at(), Some(at(15)));
        let line = dependency.tick(at(15)).expect("it is due");
        assert_eq!((line.state, line.since, line.changes), (HealthState::Up, at(6), 1));
        assert_eq!(line.was_down_for, Some(at(1)));
        assert_eq!(dependency.due_at(), None);
    }
}
