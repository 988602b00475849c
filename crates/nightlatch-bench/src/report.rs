//! The whole run: what is measured in which order, and the table that comes of it.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cores::Cores;
use crate::plan::Plan;
use crate::server::Program;
use crate::{
    accelerated, allocations, audited, beside, conditions, counting, forward_auth, idle_sockets,
    logins, memory, people, session_checks, start, stored_sessions, storm, tokens, traced,
    two_nodes,
};

/// How long a server has to settle before its memory is looked at: it hashes at its start, to learn
/// what that costs here.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    result: String,
    aim: Option<Aim>,
}

#[derive(Debug)]
struct Aim {
    words: &'static str,
    is_met: bool,
}

impl Row {
    pub(crate) fn new(what: String, result: String) -> Self {
        Self { what, result, aim: None }
    }

    pub(crate) fn with_aim(self, words: &'static str, is_met: bool) -> Self {
        Self { aim: Some(Aim { words, is_met }), ..self }
    }
}

/// Measures alone what applications use beside the API, and returns conditions and table.
pub(crate) async fn measure_fitted_in(
    server: &Path,
    commit: &str,
    plan: &Plan,
) -> anyhow::Result<String> {
    measure_alone((server, commit), async |program| fitted_in(program, plan).await).await
}

/// Measures alone what telling of requests costs, and returns conditions and table.
pub(crate) async fn measure_telling(
    server: &Path,
    commit: &str,
    plan: &Plan,
) -> anyhow::Result<String> {
    measure_alone((server, commit), async |program| telling(program, plan).await).await
}

async fn measure_alone(
    (server, commit): (&Path, &str),
    part: impl AsyncFnOnce(&Program) -> anyhow::Result<Vec<Row>>,
) -> anyhow::Result<String> {
    let cores = Cores::choose()?;
    cores.on_measured(|| ())?;
    let conditions = conditions::describe(commit, cores).await?;
    let rows = part(&program(server, cores)?).await?;
    Ok(format!("{conditions}\n\n{}", table(&rows)))
}

async fn telling(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let mut rows = audited::measure(program, plan).await?;
    rows.extend(traced::measure(program, plan).await?);
    Ok(rows)
}

async fn fitted_in(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let mut rows = idle_sockets::measure(program, plan).await?;
    rows.extend(forward_auth::measure(program, plan).await?);
    Ok(rows)
}

pub(crate) fn program(path: &Path, cores: Cores) -> anyhow::Result<Program> {
    let whole = path.canonicalize();
    let path = whole.with_context(|| format!("there is no {}", path.display()))?;
    Ok(Program { path, cores })
}

/// Measures everything and returns the conditions and the table in Markdown.
pub(crate) async fn measure(
    (server, beside): (&Path, Option<&Path>),
    commit: &str,
    plan: &Plan,
) -> anyhow::Result<String> {
    let cores = Cores::choose()?;
    cores.on_measured(|| ())?;
    let conditions = conditions::describe(commit, cores).await?;
    let mut rows = rows(&program(server, cores)?, plan).await?;
    if let Some(beside) = beside {
        rows.extend(beside::measure(&program(beside, cores)?).await?);
    }
    Ok(format!("{conditions}\n\n{}", table(&rows)))
}

async fn rows(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let home = TempDir::new().context("making a temporary directory")?;
    let mut rows = Vec::new();
    let server = program.start(home.path())?;
    start::become_ready(&server).await?;
    sleep(SETTLE).await;
    let idle = server.process.resident()?;
    rows.push(memory::row("idle memory before the first login".to_owned(), idle));

    people::register(server.address).await?;
    let checks = people::open_sessions(server.address, plan.sessions).await?;
    rows.extend(session_checks::measure(program, &server, &checks, plan).await?);
    rows.push(allocations::measure(program).await?);
    rows.push(counting::measure(program.cores)?);
    rows.extend(logins::measure(program, &server, plan).await?);
    rows.extend(storm::measure(&server, &checks, plan).await?);

    // New servers start while this one idles.
    let looked_at = Instant::now() + plan.idle;
    let new: Vec<TempDir> = new_directories(plan.starts)?;
    let started = start::measure(program, "new database", new.iter().map(TempDir::path)).await?;
    sleep_until(looked_at).await;
    let what = format!("idle memory {} s after the last login", plan.idle.as_secs());
    rows.push(memory::row(what, server.process.resident()?));
    rows.push(started);

    rows.extend(tokens::measure(program, &server, plan).await?);
    rows.push(tokens::exchanged_on_postgres(program, plan).await?);
    server.process.stop()?;
    let existing = std::iter::repeat_n(home.path(), plan.starts);
    rows.push(start::measure(program, "existing database", existing).await?);
    rows.extend(stored_sessions::measure(program, plan).await?);
    rows.extend(two_nodes::measure(program, plan).await?);
    rows.extend(accelerated::measure(program, plan).await?);
    rows.extend(fitted_in(program, plan).await?);
    rows.extend(telling(program, plan).await?);
    Ok(rows)
}

fn new_directories(count: usize) -> anyhow::Result<Vec<TempDir>> {
    let directories: std::io::Result<_> = (0..count).map(|_| TempDir::new()).collect();
    directories.context("making temporary directories")
}

fn table(rows: &[Row]) -> String {
    let mut table = "| what | result | aim | |\n|---|---|---|---|\n".to_owned();
    for Row { what, result, aim } in rows {
        let (aim, verdict) = match aim {
            None => ("", ""),
            Some(Aim { words, is_met: true }) => (*words, "met"),
            Some(Aim { words, is_met: false }) => (*words, "**missed**"),
        };
        writeln!(table, "| {what} | {result} | {aim} | {verdict} |").expect("text takes any line");
    }
    table
}

pub(crate) fn micros(span: Duration) -> String {
    format!("{:.1} us", span.as_secs_f64() * 1e6)
}

pub(crate) fn millis(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_says_whether_each_aim_is_met() {
        let rows = [
            Row::new("a".to_owned(), "1".to_owned()),
            Row::new("b".to_owned(), "2".to_owned()).with_aim("at most 2", true),
            Row::new("c".to_owned(), "3".to_owned()).with_aim("at most 2", false),
        ];
        let lines = [
            "| a | 1 |  |  |",
            "| b | 2 | at most 2 | met |",
            "| c | 3 | at most 2 | **missed** |",
        ];
        assert_eq!(table(&rows).lines().skip(2).collect::<Vec<_>>(), lines);
    }
}
