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

/// All that was measured.
struct Measured {
    /// One bare hash, at the beginning of the run.
    hash: Duration,
    sqlite: (Vec<Costs>, Cost),
    postgres: (Vec<Costs>, Cost),
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
    let (postgres, mut record) =
        grown(&program, Kind::Postgres(Postgres::start().await?), plan).await?;
    let shared = nodes::measure(&program, &mut record, plan).await?;
    let measured = Measured { hash, sqlite, postgres, shared };
    Ok(format!(
        "{conditions} PostgreSQL shares the load generator's core, and all nodes share the server's.\
         \n\n{}\n{}",
        tables::measured(&measured),
        model::arithmetic(&measured)?
    ))
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
