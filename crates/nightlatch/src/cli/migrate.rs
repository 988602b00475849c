//! `nightlatch migrate`: brings the schema up to this release.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::block_on;
use crate::app::Base;
use crate::config::Loaded;

/// How long all migrations together may take.
const MIGRATE_DEADLINE: Duration = Duration::from_mins(10);

/// Migrates and says what was applied.
pub(super) fn run(loaded: &Loaded) -> anyhow::Result<ExitCode> {
    let base = Base::open(&loaded.config)?;
    let applied = block_on(async {
        let record = base.record.port();
        record.migrate(base.within(MIGRATE_DEADLINE)).await.context("migrating")
    })?;
    let mut out = io::stdout().lock();
    if applied.is_empty() {
        writeln!(out, "the schema is up to date")?;
    }
    for name in applied {
        writeln!(out, "applied {name}")?;
    }
    Ok(ExitCode::SUCCESS)
}
