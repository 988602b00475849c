//! `nightlatch migrate`: brings the schema up to this release.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;

use super::advice::Advisor;
use super::{FINE, block_on};
use crate::app::Base;
use crate::config::Loaded;

/// How long all migrations together may take.
const MIGRATE_DEADLINE: Duration = Duration::from_mins(10);

/// Migrates and says what was applied.
pub(super) fn run(loaded: &Loaded) -> anyhow::Result<u8> {
    let Loaded { config, report } = loaded;
    let base = Base::open(config)?;
    let advisor = Advisor::new(report);
    let migrated = block_on(async {
        let record = base.record.port();
        record.migrate(base.within(MIGRATE_DEADLINE)).await.context("migrating")
    });
    let applied = migrated.map_err(|error| advisor.explain_repeated(error))?;
    let mut out = io::stdout().lock();
    if applied.is_empty() {
        writeln!(out, "the schema is up to date")?;
    }
    for name in applied {
        writeln!(out, "applied {name}")?;
    }
    Ok(FINE)
}
