//! Session checks while few, many and very many sessions are stored: what a check costs must not
//! grow with them.
//!
//! The sessions are written straight into the file of a server that is stopped: logging in a
//! million times would take hours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nightlatch::config::secrets;
use nightlatch_core::{Clock, Entropy, SessionId, SessionTokens, SystemClock, SystemEntropy};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::load::{Load, Outcome, Requests};
use crate::plan::Plan;
use crate::report::{Row, micros};
use crate::server::{DATABASE_FILE, Program, SESSION_SECRET_KEY, Server};
use crate::start;
use crate::{memory, people};

const CONNECTIONS: usize = 32;

/// The sessions that are checked lie evenly among all. Each is checked once on a server that has
/// just started, and then some of them again and again.
const CHECKED_MAX: usize = 40_000;
const CHECKED_AGAIN: usize = 1000;

/// How long the stored sessions are good.
pub(crate) const AGE: Duration = Duration::from_hours(24);

/// What a check took of the core.
struct Cost {
    first: Duration,
    again: Duration,
    /// What the server's memory grew by in the second half of the first checks, for each of them:
    /// bytes. In the first half SQLite's page caches fill, too.
    copy_bytes: u64,
}

/// Measures with each number of stored sessions.
pub(crate) async fn measure(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let home = TempDir::new().context("making a temporary directory")?;
    let server = ready(program, home.path()).await?;
    people::register(server.address).await?;
    server.process.stop()?;

    let mut stored = Stored::new(home.path())?;
    let mut costs = Vec::new();
    for &count in plan.stored_sessions {
        let tokens = stored.fill_up_to(count, CHECKED_MAX)?;
        let checks: Vec<String> = tokens.iter().map(|token| people::check_request(token)).collect();
        let server = ready(program, home.path()).await?;
        costs.push(cost(&server, checks, plan).await?);
        server.process.stop()?;
    }
    Ok(rows(plan.stored_sessions, &costs))
}

/// Starts a server on what is there, and waits until it answers.
pub(crate) async fn ready(program: &Program, home: &Path) -> anyhow::Result<Server> {
    let server = program.start(home)?;
    start::become_ready(&server).await?;
    Ok(server)
}

async fn cost(server: &Server, mut checks: Vec<String>, plan: &Plan) -> anyhow::Result<Cost> {
    let load = |requests| Load {
        server: server.address,
        requests,
        connections: CONNECTIONS,
        every: Duration::ZERO,
    };
    // Both halves lie evenly among all that is stored.
    let half = |odd| checks.iter().skip(odd).step_by(2).cloned().collect::<Vec<_>>();
    let (even, odd) = (half(0), half(1));
    let first = load(Requests::once(even));
    let first = core_each(server, first.run(plan.check_turn)).await?;
    let before = server.process.resident()?.anonymous_bytes();
    let count = u64::try_from(odd.len())?.max(1);
    core_each(server, load(Requests::once(odd)).run(plan.check_turn)).await?;
    let copy_bytes = server.process.resident()?.anonymous_bytes().saturating_sub(before) / count;
    let step = (checks.len() / CHECKED_AGAIN).max(1);
    checks = checks.into_iter().step_by(step).collect();
    let again = load(Requests::new(checks));
    let again = core_each(server, again.run(plan.check_turn)).await?;
    Ok(Cost { first, again, copy_bytes })
}

/// What each answer of a load took of the server's core.
async fn core_each(
    server: &Server,
    load: impl Future<Output = anyhow::Result<Outcome>>,
) -> anyhow::Result<Duration> {
    let before = server.process.core_time()?;
    let outcome = load.await?;
    let took = server.process.core_time()?.saturating_sub(before);
    anyhow::ensure!(outcome.refused == 0, "{} stored sessions were refused", outcome.refused);
    Ok(took / u32::try_from(outcome.latencies.len())?.max(1))
}

fn rows(counts: &[usize], costs: &[Cost]) -> Vec<Row> {
    let joined = |parts: Vec<String>| parts.join(" / ");
    let counts = joined(counts.iter().map(ToString::to_string).collect());
    let said = |of: fn(&Cost) -> Duration| {
        let parts = costs.iter().map(|cost| micros(of(cost))).collect();
        format!("{} of the core each", joined(parts))
    };
    vec![
        Row::new(
            format!("first check of a session after a start, {counts} stored"),
            said(|cost| cost.first),
        ),
        Row::new(format!("the checks after it, {counts} stored"), said(|cost| cost.again)),
        Row::new("memory of 100,000 sessions that are known".to_owned(), copies(costs)),
    ]
}

/// Of the run with the most sessions: with few, what a server needs in any case would count, too.
fn copies(costs: &[Cost]) -> String {
    let bytes = costs.last().map_or(0, |cost| cost.copy_bytes);
    format!("{}, {bytes} bytes each", memory::megabytes(bytes * 100_000))
}

/// Tokens as the server makes them.
pub(crate) fn tokens() -> anyhow::Result<SessionTokens> {
    Ok(SessionTokens::new(&secrets::master_keys(SESSION_SECRET_KEY)?))
}

/// The sessions in the file of a stopped server.
pub(crate) struct Stored {
    file: PathBuf,
    count: usize,
    tokens: SessionTokens,
}

impl Stored {
    pub(crate) fn new(home: &Path) -> anyhow::Result<Self> {
        Ok(Self { file: home.join(DATABASE_FILE), count: 0, tokens: tokens()? })
    }

    /// Writes sessions until there are `count`, and gives tokens of at most `most` of the new ones,
    /// evenly chosen.
    pub(crate) fn fill_up_to(&mut self, count: usize, most: usize) -> anyhow::Result<Vec<String>> {
        let mut database = Connection::open(&self.file).context("opening the server's file")?;
        // Nothing is lost with it that could not be written again.
        database.pragma_update(None, "synchronous", "OFF")?;
        let user = "SELECT id, generation FROM users LIMIT 1";
        let (user, generation): ([u8; 16], i64) =
            database.query_row(user, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let now = SystemClock.wall();
        let step = (count - self.count).div_ceil(most);
        let mut chosen = Vec::with_capacity(most);
        let change = database.transaction()?;
        let mut insert = change.prepare(
            "INSERT INTO sessions (id, token_hash, user_id, generation, created_at, last_seen_at,
                 expires_at, remember, address, user_agent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, 0, '127.0.0.1', 'Firefox on Linux')",
        )?;
        for number in 0..count - self.count {
            let (token, hash) = self.tokens.mint(&SystemEntropy as &dyn Entropy);
            insert.execute(params![
                SessionId::fresh(&SystemEntropy, now).as_uuid().as_bytes(),
                hash.as_bytes(),
                user,
                generation,
                now.as_micros(),
                now.after(AGE).as_micros(),
            ])?;
            if number % step == 0 {
                chosen.push(token.expose().to_owned());
            }
        }
        drop(insert);
        change.commit()?;
        self.count = count;
        Ok(chosen)
    }
}
