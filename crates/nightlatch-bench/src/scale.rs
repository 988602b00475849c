//! How it grows: what everything costs with 1,000 to 1,000,000 sessions and one to four nodes, and what
//! that comes to for millions of users.

pub(crate) mod meter;
mod model;
mod nodes;
pub(crate) mod record;
mod sizes;
mod tables;

use std::path::Path;
use std::time::Duration;

use crate::conditions;
use crate::cores::Cores;
use crate::plan::Plan;
use crate::postgres::Postgres;
use crate::raw::Raw;
use crate::raw_hash;
use crate::report;
use crate::scale::meter::Cost;
use crate::scale::nodes::Shared;
use crate::scale::record::{Kind, Record};
use crate::scale::sizes::Costs;
use crate::server::Program;

/// What is multiplied.
struct Measured {
    /// One bare hash, at the beginning of the run.
    hash: Duration,
    /// Of the record that nodes share.
    record: (Vec<Costs>, Cost),
    shared: Vec<Shared>,
}

/// Measures everything and returns it in Markdown, with what it comes to.
pub(crate) async fn measure(server: &Path, commit: &str, plan: &Plan) -> anyhow::Result<String> {
    let cores = Cores::choose()?;
    cores.on_measured(|| ())?;
    let conditions = conditions::describe(commit, cores).await?;
    let program = report::program(server, cores)?;
    let mut raw = Raw::spawn(cores, raw_hash::ARGUMENT)?;
    let before = raw.process.ran()?;
    let done = raw.turn(plan.login_turn)?.done;
    let hash = (raw.process.ran()? - before).all() / done.max(1);
    let (sqlite, _) = grown(&program, Kind::Sqlite, plan).await?;
    let mut tables = said(tables::of_sizes("SQLite: sessions stored", &sqlite));
    let (postgres, mut record) =
        grown(&program, Kind::Postgres(Postgres::start().await?), plan).await?;
    tables += &said(tables::of_sizes("PostgreSQL: sessions stored", &postgres));
    let shared = nodes::measure(&program, &mut record, plan).await?;
    tables += &said(tables::of_nodes(&shared));
    let sums = model::arithmetic(&Measured { hash, record: postgres, shared })?;
    Ok(format!(
        "{conditions} PostgreSQL shares the load generator's core, and all nodes share the server's. \
         A bare argon2id hash took {} of the core.\n\n{tables}{sums}",
        report::millis(hash)
    ))
}

/// Shows a table as soon as it is there: it took minutes.
fn said(table: String) -> String {
    crate::say(&format!("{table}\n"));
    table + "\n"
}

async fn grown(
    program: &Program,
    kind: Kind,
    plan: &Plan,
) -> anyhow::Result<((Vec<Costs>, Cost), Record)> {
    let mut record = Record::begin(kind, program).await?;
    let costs = sizes::measure(program, &mut record, plan).await?;
    let use_written = sizes::uses(program, &mut record, &plan.scale).await?;
    Ok(((costs, use_written), record))
}
