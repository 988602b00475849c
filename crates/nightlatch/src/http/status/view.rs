//! What the status page shows, as plain values that its template is checked against when compiled.
//!
//! Each picture has its newest and greatest values in words, for who cannot see it, and for who wants to
//! know exactly.

use std::time::Duration;

use askama::Template;

use crate::chart::{self, COLUMN, amount, span};
use crate::health::{Change, Failing, OptionalStatus, Snapshot, Status};
use crate::http::pages::{Moment, asset_version};
use crate::status::{Board, COLUMNS, Column, Count};

/// How many changes of state are listed.
const CHANGES_SHOWN: usize = 20;

/// `/status`
#[derive(Template)]
#[template(path = "status.html")]
pub(super) struct StatusView {
    word: &'static str,
    is_ready: bool,
    since: Moment,
    now: Moment,
    started: Moment,
    version: &'static str,
    nodes: Option<u32>,
    warnings: Vec<&'static str>,
    dependencies: Vec<DependencyView>,
    pictures: Vec<Picture>,
    changes: Vec<ChangeView>,
}

struct DependencyView {
    name: &'static str,
    /// `connected`, `unknown` or its class.
    word: &'static str,
    is_failing: bool,
    finding: Option<&'static str>,
    fix: Option<&'static str>,
    strip: Vec<Stretch>,
    /// The strip in words.
    told: String,
}

/// Columns in a row of one state.
struct Stretch {
    x: usize,
    width: usize,
    class: Option<&'static str>,
}

struct Picture {
    id: &'static str,
    title: &'static str,
    /// What the upper edge stands for.
    top: String,
    is_line: bool,
    series: Vec<Series>,
    /// The picture in words.
    told: String,
}

struct Series {
    name: &'static str,
    /// Chooses its colour.
    place: usize,
    path: String,
    newest: String,
}

struct ChangeView {
    at: Moment,
    dependency: &'static str,
    class: Option<&'static str>,
}

impl StatusView {
    pub(super) fn of(board: &Board) -> Self {
        let (snapshot, now) = (board.health().snapshot(), board.now());
        let columns = board.samples().columns(now);
        let changes = board.health().changes();
        let view_of = |change: &Change| ChangeView {
            at: Moment::new(change.at, now),
            dependency: change.dependency,
            class: change.class,
        };
        Self {
            word: snapshot.status.as_str(),
            is_ready: board.health().is_ready(),
            since: Moment::new(snapshot.since, now),
            now: Moment::new(now, now),
            started: Moment::new(board.started(), now),
            version: env!("CARGO_PKG_VERSION"),
            nodes: board.nodes(),
            warnings: snapshot.warnings.clone(),
            dependencies: dependencies(&snapshot, &columns),
            pictures: pictures(&columns),
            changes: changes.iter().rev().take(CHANGES_SHOWN).map(view_of).collect(),
        }
    }

    /// Changes with the files, so that browsers may keep them for good.
    #[expect(clippy::unused_self, reason = "templates reach functions through their values")]
    const fn asset_version(&self) -> u32 {
        asset_version()
    }

    const fn width() -> usize {
        COLUMN * COLUMNS
    }

    fn is_healthy(&self) -> bool {
        self.word == Status::Healthy.as_str()
    }
}

fn dependencies(snapshot: &Snapshot, columns: &[Option<Column>]) -> Vec<DependencyView> {
    snapshot
        .dependencies()
        .into_iter()
        .filter(|(_, status)| *status != OptionalStatus::Disabled)
        .map(|(name, status)| {
            let (word, is_failing) = match status {
                OptionalStatus::Failed(class) => (class, true),
                OptionalStatus::Connected => ("connected", false),
                OptionalStatus::Disabled | OptionalStatus::Unknown => ("unknown", false),
            };
            let failing = snapshot.failing.iter().find(|failing| failing.dependency == name);
            let remedy = failing.map(|Failing { remedy, .. }| remedy);
            DependencyView {
                name,
                word,
                is_failing,
                finding: remedy.map(|remedy| remedy.finding),
                fix: remedy.and_then(|remedy| remedy.fix),
                strip: strip(name, columns),
                told: strip_in_words(name, columns),
            }
        })
        .collect()
}

/// An error: the class of its failure. `None`: it is not known.
fn state_of(name: &str, column: &Column) -> Option<Result<(), &'static str>> {
    column
        .states
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, class)| class.map_or(Ok(()), Err))
}

fn strip(name: &str, columns: &[Option<Column>]) -> Vec<Stretch> {
    let mut strip: Vec<Stretch> = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let Some(state) = column.as_ref().and_then(|column| state_of(name, column)) else {
            continue;
        };
        let class = state.err();
        let x = place * COLUMN;
        match strip.last_mut() {
            Some(last) if last.class == class && last.x + last.width == x => last.width += COLUMN,
            _ => strip.push(Stretch { x, width: COLUMN, class }),
        }
    }
    strip
}

fn strip_in_words(name: &str, columns: &[Option<Column>]) -> String {
    let states = || columns.iter().flatten().filter_map(|column| state_of(name, column));
    let (known, failed) = (states().count(), states().filter(Result::is_err).count());
    match (known, failed) {
        (0, _) => "Nothing is known yet".to_owned(),
        (_, 0) => "As it should be in all that is known of the last hour".to_owned(),
        (known, failed) => {
            let minutes = |count: usize| format!("{}.{}", count / 2, count % 2 * 5);
            format!("Failed in {} of {} minutes", minutes(failed), minutes(known))
        }
    }
}

fn pictures(columns: &[Option<Column>]) -> Vec<Picture> {
    let checks = counted(
        ("checks", "Session checks a second, by where the answer came from"),
        columns,
        |column| &column.checks,
        Column::per_second,
    );
    let logins = counted(
        ("logins", "Logins a minute, by what became of them"),
        columns,
        |column| &column.logins,
        Column::per_minute,
    );
    let staleness = columns.iter().map(|column| Some(column.as_ref()?.staleness)).collect();
    let stale = ("staleness", "Time without word of the database on who has logged out");
    let stale = timed(stale, vec![("staleness", staleness)]);
    [Some(checks), Some(logins), calls(columns), Some(stale)].into_iter().flatten().collect()
}

/// The mean time of a call of each dependency.
fn calls(columns: &[Option<Column>]) -> Option<Picture> {
    let newest = columns.iter().rev().flatten().next()?;
    let is_called = |name: &str| columns.iter().flatten().any(|one| one.mean_call(name).is_some());
    let called = newest.calls.iter().filter(|(name, ..)| is_called(name));
    let series = called.map(|(name, ..)| {
        let values = columns.iter().map(|column| column.as_ref()?.mean_call(name)).collect();
        (*name, values)
    });
    Some(timed(("calls", "Mean time of a call"), series.collect()))
}

fn counted(
    (id, title): (&'static str, &'static str),
    columns: &[Option<Column>],
    of: impl Fn(&Column) -> &Vec<Count>,
    rate: impl Fn(&Column, u64) -> f64,
) -> Picture {
    let newest = columns.iter().rev().flatten().next();
    let names: Vec<&'static str> =
        newest.map(|column| of(column).iter().map(|(name, _)| *name).collect()).unwrap_or_default();
    let values_of = |name: &str| -> Vec<Option<f64>> {
        let of_column = |column: &Column| {
            let (_, count) = of(column).iter().find(|(known, _)| *known == name)?;
            Some(rate(column, *count))
        };
        columns.iter().map(|column| of_column(column.as_ref()?)).collect()
    };
    let values: Vec<Vec<Option<f64>>> = names.iter().map(|name| values_of(name)).collect();
    let sum_at = |place: usize| values.iter().filter_map(|one| one[place]).sum::<f64>();
    let most = (0..columns.len()).map(sum_at).fold(0.0, f64::max);
    let top = chart::round_up(most, 1.0);
    let now = |values: &[Option<f64>]| values.iter().rev().flatten().next().copied().unwrap_or(0.0);
    let paths = chart::stacked(&values, top);
    let series = names.iter().zip(paths).zip(&values).enumerate();
    let series = series.map(|(place, ((name, path), values))| Series {
        name,
        place,
        path,
        newest: amount(now(values)),
    });
    let told = format!("{title}: at most {}", amount(most));
    Picture { id, title, top: amount(top), is_line: false, series: series.collect(), told }
}

type Timed = (&'static str, Vec<Option<Duration>>);

fn timed((id, title): (&'static str, &'static str), series: Vec<Timed>) -> Picture {
    let seconds = |values: &[Option<Duration>]| -> Vec<Option<f64>> {
        values.iter().map(|value| value.map(|span| span.as_secs_f64())).collect()
    };
    let most = series.iter().flat_map(|(_, values)| values.iter().flatten()).max();
    let most = most.copied().unwrap_or_default();
    let top = chart::round_up(most.as_secs_f64(), 0.001);
    let series = series.into_iter().enumerate().map(|(place, (name, values))| Series {
        name,
        place,
        path: chart::line(&seconds(&values), top),
        newest: values
            .iter()
            .rev()
            .flatten()
            .next()
            .map_or_else(|| "none".to_owned(), |it| span(*it)),
    });
    Picture {
        id,
        title,
        top: span(Duration::from_secs_f64(top)),
        is_line: true,
        series: series.collect(),
        told: format!("{title}: at most {}", span(most)),
    }
}
