//! What came of a drill, for people and for scripts: numbers in words, JSON, and a page with pictures
//! that needs nothing but itself.

use std::time::Duration;

use askama::Template;
use nightlatch_drill::outcome::{Broken, Column, Outcome};
use nightlatch_drill::run::Report;
use serde_json::{Value, json};

use crate::chart::{self, COLUMN, amount};

pub(crate) use crate::chart::span;

/// The report as a page.
#[derive(Template)]
#[template(path = "drill.html")]
struct Page<'r> {
    style: [&'static str; 2],
    is_clean: bool,
    summary: String,
    scene: &'r str,
    seconds: u64,
    version: &'static str,
    rows: Vec<Row<'r>>,
    left_out: Vec<(&'static str, &'static str)>,
}

struct Row<'r> {
    name: &'static str,
    title: &'static str,
    promise: &'static str,
    requests: usize,
    failures: usize,
    lost: usize,
    resurrected: usize,
    worst: String,
    recovery: String,
    classes: String,
    broken: &'r [Broken],
    width: usize,
    /// Where the fault begins, and how wide it is.
    fault: (usize, usize),
    seconds: String,
    pictures: [Picture; 2],
}

struct Picture {
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
    place: usize,
    path: String,
}

/// The report as a page.
pub(crate) fn as_html(report: &Report) -> Result<String, askama::Error> {
    let page = Page {
        style: [include_str!("../static/style.css"), include_str!("../static/status.css")],
        is_clean: report.is_clean(),
        summary: summary(report),
        scene: &report.scene,
        seconds: report.span.as_secs(),
        version: env!("CARGO_PKG_VERSION"),
        rows: report.outcomes.iter().map(row).collect(),
        left_out: report.left_out.iter().map(|(fault, why)| (fault.title, *why)).collect(),
    };
    page.render()
}

/// The report for scripts.
pub(crate) fn as_json(report: &Report) -> Value {
    let outcomes = report.outcomes.iter().map(|outcome| {
        let broken = outcome.broken.iter().map(|broken| {
            json!({ "promise": broken.promise, "times": broken.times, "first": broken.first })
        });
        json!({
            "fault": outcome.fault.name,
            "requests": outcome.requests,
            "failures": outcome.failures,
            "lost": outcome.lost,
            "resurrected": outcome.resurrected,
            "worst_ms": milliseconds(outcome.worst),
            "recovery_ms": outcome.recovery.map(milliseconds),
            "health": outcome.classes,
            "broken": broken.collect::<Vec<Value>>(),
        })
    });
    let left_out = report.left_out.iter();
    let left_out = left_out.map(|(fault, why)| json!({ "fault": fault.name, "why": why }));
    json!({
        "kept": report.is_clean(),
        "scene": report.scene,
        "seconds": report.span.as_secs(),
        "faults": outcomes.collect::<Vec<Value>>(),
        "left_out": left_out.collect::<Vec<Value>>(),
    })
}

/// All of it in a sentence.
pub(crate) fn summary(report: &Report) -> String {
    let faults = report.outcomes.len();
    let requests: usize = report.outcomes.iter().map(|outcome| outcome.requests).sum();
    let broken = report.outcomes.iter().filter(|outcome| !outcome.broken.is_empty()).count();
    let noun = if faults == 1 { "fault" } else { "faults" };
    match broken {
        0 => format!("Every promise was kept under {faults} {noun} and {requests} requests."),
        broken => format!("Promises broke under {broken} of {faults} {noun}."),
    }
}

/// Whether the promises were kept.
pub(crate) fn verdict(outcome: &Outcome) -> String {
    if outcome.broken.is_empty() { "kept".to_owned() } else { "BROKEN".to_owned() }
}

/// How long after the fault's end all was well.
pub(crate) fn recovery(outcome: &Outcome) -> String {
    outcome.recovery.map_or_else(|| "never".to_owned(), |it| format!("{} after", span(it)))
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn row(outcome: &Outcome) -> Row<'_> {
    // In the picture's own units.
    let place = |at: Duration| {
        let places = at.as_nanos() * COLUMN as u128 / outcome.width.as_nanos().max(1);
        usize::try_from(places).unwrap_or(usize::MAX)
    };
    let (begin, end) = (place(outcome.faulty.0), place(outcome.faulty.1));
    let columns = u32::try_from(outcome.columns.len()).unwrap_or(u32::MAX);
    Row {
        name: outcome.fault.name,
        title: outcome.fault.title,
        promise: outcome.fault.promise,
        requests: outcome.requests,
        failures: outcome.failures,
        lost: outcome.lost,
        resurrected: outcome.resurrected,
        worst: span(outcome.worst),
        recovery: recovery(outcome),
        classes: outcome.classes.join(", "),
        broken: &outcome.broken,
        width: COLUMN * outcome.columns.len(),
        fault: (begin, end.saturating_sub(begin)),
        seconds: span(outcome.width * columns),
        pictures: [requests(outcome), times(outcome)],
    }
}

fn requests(outcome: &Outcome) -> Picture {
    let rate = |count: u32| f64::from(count) / outcome.width.as_secs_f64();
    let of = |count: fn(&Column) -> u32| -> Vec<Option<f64>> {
        outcome.columns.iter().map(|column| Some(rate(count(column)))).collect()
    };
    let series = [of(|it| it.served), of(|it| it.refused), of(|it| it.failed)];
    let all = outcome.columns.iter().map(|it| rate(it.served + it.refused + it.failed));
    let most = all.fold(0.0, f64::max);
    let top = chart::round_up(most, 1.0);
    let names = [("served", 1), ("told 503", 2), ("without an answer, or another", 3)];
    let paths = chart::stacked(&series, top);
    let series = names.into_iter().zip(paths);
    Picture {
        title: "Requests a second",
        top: amount(top),
        is_line: false,
        series: series.map(|((name, place), path)| Series { name, place, path }).collect(),
        told: format!(
            "Requests a second: at most {}; {} failed in all",
            amount(most),
            outcome.failures
        ),
    }
}

fn times(outcome: &Outcome) -> Picture {
    let worst = outcome.columns.iter().map(|column| column.worst);
    let seconds: Vec<Option<f64>> =
        worst.clone().map(|worst| worst.map(|span| span.as_secs_f64())).collect();
    let most = worst.flatten().max().unwrap_or_default();
    let top = chart::round_up(most.as_secs_f64(), 0.001);
    let path = chart::line(&seconds, top);
    Picture {
        title: "The worst time of a request",
        top: span(Duration::from_secs_f64(top)),
        is_line: true,
        series: vec![Series { name: "worst", place: 0, path }],
        told: format!("The worst time of a request: at most {}", span(most)),
    }
}

#[cfg(test)]
mod tests {
    use nightlatch_drill::fault::Fault;

    use super::*;

    fn report(broken: Vec<Broken>) -> Report {
        let at = Duration::from_millis;
        let column = Column { served: 50, refused: 1, failed: 0, worst: Some(at(40)) };
        let outcome = Outcome {
            fault: Fault::named("redis-stale").unwrap(),
            requests: 2000,
            failures: 1,
            lost: 0,
            resurrected: broken.len(),
            worst: at(40),
            recovery: None,
            classes: vec!["unreachable".to_owned()],
            broken,
            faulty: (at(500), at(1000)),
            width: at(250),
            columns: vec![column; 8],
        };
        let left_out = vec![(Fault::named("database-slow").unwrap(), "there is none")];
        let scene = "servers".to_owned();
        Report { scene, span: at(500), outcomes: vec![outcome], left_out }
    }

    #[test]
    fn what_broke_stands_in_front_and_is_no_part_of_the_page() {
        let first = "<script>alert(1)</script>".to_owned();
        let promise = "An acknowledged logout is never undone";
        let report = report(vec![Broken { promise, times: 3, first: first.clone() }]);
        assert_eq!(summary(&report), "Promises broke under 1 of 1 fault.");
        let page = as_html(&report).unwrap();
        assert!(page.contains("<title>BROKEN") && page.contains("broken 3 times"), "{page}");
        assert!(!page.contains(&first), "what was seen is text");
        let json = as_json(&report);
        assert_eq!(
            (&json["kept"], &json["faults"][0]["broken"][0]["times"]),
            (&json!(false), &json!(3))
        );
        assert_eq!(json["faults"][0]["recovery_ms"], Value::Null);
        assert_eq!(json["left_out"], json!([{ "fault": "database-slow", "why": "there is none" }]));
    }

    #[test]
    fn the_fault_is_where_it_was_in_the_picture() {
        let page = as_html(&report(vec![])).unwrap();
        assert!(page.contains("<title>Kept"), "{page}");
        assert!(page.contains(r#"viewBox="0 0 48 120""#));
        assert!(page.contains(r#"<rect class="span" x="12" width="12" height="120">"#));
        assert!(page.contains("Requests a second: at most 204; 1 failed in all"));
    }
}
