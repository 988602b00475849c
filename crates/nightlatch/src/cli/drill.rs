//! `nightlatch drill`: faults under load, and whether every promise was kept.

mod live;
mod private;
mod staging;

use std::fs::{self, File};

use anyhow::Context as _;
use nightlatch_drill::fault::FAULTS;
use nightlatch_drill::run::{Event, Plan, Report, hold};
use nightlatch_drill::scene::Scene;

use super::args::DrillArgs;
use super::console::Console;
use super::stop::StopRequest;
use super::table::Table;
use super::{FAILURE, FINE, USAGE, WrongUsage, block_on, talk};
use crate::config::LoadArgs;
use crate::drill_report;
use live::Live;

/// Runs the command; the exit code: 1 if a promise broke, 2 if nothing is known.
pub(super) fn run(
    args: &DrillArgs,
    load: &LoadArgs,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    if args.list {
        list(console)?;
        return Ok(FINE);
    }
    let held = drill(args, load, console);
    match held.and_then(|report| tell(&report, args, console).map(|()| report.is_clean())) {
        Ok(true) => Ok(FINE),
        Ok(false) => Ok(FAILURE),
        Err(error) => {
            talk(format_args!("error: {error:#}"));
            Ok(USAGE)
        }
    }
}

fn list(console: &mut Console<'_>) -> anyhow::Result<()> {
    let mut table = Table::new(["FAULT", "WHAT", "WHAT PEOPLE MUST SEE"]);
    for fault in FAULTS {
        table.push([fault.name, fault.title, fault.promise].map(str::to_owned));
    }
    Ok(table.write(console.out)?)
}

fn drill(args: &DrillArgs, load: &LoadArgs, console: &mut Console<'_>) -> anyhow::Result<Report> {
    let staging = args.staging.url.as_deref();
    let staging = staging.map(|url| staging::request(url, args, console)).transpose()?;
    if let Some(file) = &args.report {
        // Said now, and not when all is over.
        let opened = File::options().create(true).append(true).open(file);
        opened.with_context(|| format!("opening the report {}", file.display()))?;
    }
    let mut live = Live::new();
    block_on(async {
        // Before anything is started: what is started is ended, however this ends.
        let mut request = StopRequest::listen()?;
        let holding = async {
            let mut scene = match staging {
                Some(staging) => Scene::staging(staging).await?,
                None => Scene::private(private::request(args, load).await?).await?,
            };
            let plan = plan(args, &scene)?;
            Live::begin(&scene.in_words(), &plan);
            let mut tell = |event: Event<'_>| match event {
                Event::Progress(progress) => live.progress(progress),
                Event::Done(outcome) => live.done(outcome),
            };
            Ok::<_, anyhow::Error>(hold(&mut scene, &plan, &mut tell).await?)
        };
        tokio::select! {
            report = Box::pin(holding) => report,
            () = request.received() => Err(anyhow::anyhow!("interrupted: all that was started is gone, and nothing is known")),
        }
    })
}

/// What was asked for, or all that can be shown here.
fn plan(args: &DrillArgs, scene: &Scene) -> anyhow::Result<Plan> {
    let mut faults = args.fault.clone();
    if faults.is_empty() {
        // The others, too: the report says why they are left out.
        faults.extend(FAULTS);
    }
    let span = std::time::Duration::from_secs(args.seconds.into());
    if faults.iter().all(|fault| fault.why_not(scene).is_some()) {
        let why = faults.first().and_then(|fault| fault.why_not(scene)).unwrap_or_default();
        anyhow::bail!(WrongUsage(format!("nothing can be shown: {why}")));
    }
    Ok(Plan { faults, span })
}

fn tell(report: &Report, args: &DrillArgs, console: &mut Console<'_>) -> anyhow::Result<()> {
    if let Some(file) = &args.report {
        let written = fs::write(file, drill_report::as_html(report)?);
        written.with_context(|| format!("writing the report {}", file.display()))?;
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *console.out, &drill_report::as_json(report))?;
        writeln!(console.out)?;
    } else {
        as_text(report, console)?;
    }
    Ok(())
}

fn as_text(report: &Report, console: &mut Console<'_>) -> anyhow::Result<()> {
    let header =
        ["FAULT", "REQUESTS", "FAILED", "LOST", "RESURRECTED", "WORST", "WELL AGAIN", "PROMISES"];
    let mut table = Table::new(header);
    for outcome in &report.outcomes {
        table.push([
            outcome.fault.name.to_owned(),
            outcome.requests.to_string(),
            outcome.failures.to_string(),
            outcome.lost.to_string(),
            outcome.resurrected.to_string(),
            drill_report::span(outcome.worst),
            drill_report::recovery(outcome),
            drill_report::verdict(outcome),
        ]);
    }
    table.write(console.out)?;
    for outcome in &report.outcomes {
        for broken in &outcome.broken {
            let (name, times) = (outcome.fault.name, broken.times);
            writeln!(console.out, "\n{name}: BROKEN {times} times: {}", broken.promise)?;
            writeln!(console.out, "  first: {}", super::printable::printable(&broken.first))?;
        }
    }
    for (fault, why) in &report.left_out {
        writeln!(console.out, "left out: {} ({why})", fault.name)?;
    }
    writeln!(console.out, "{}", drill_report::summary(report))?;
    Ok(())
}
