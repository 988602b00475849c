//! `nightlatch serve`: the log, the start block, and then the server until it is told to stop.

use std::time::Duration;

use super::{FINE, block_on};
use crate::config::{LoadArgs, Loaded};
use crate::doctor::finding::Finding;
use crate::{doctor, serve, telemetry};

/// How long the last lines of the log may take.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// Serves.
pub(super) fn run(loaded: Loaded, load: &LoadArgs) -> anyhow::Result<u8> {
    let log = telemetry::install(loaded.config.log)?;
    for Finding { id, name, line, why, fix, .. } in doctor::examine_at_start(load, &loaded.report) {
        tracing::warn!(event = "config.finding", finding = id, name, line, fix, "{why}");
    }
    let served = block_on(serve::serve(loaded));
    // What cannot be written by then is lost with whoever does not read it.
    let _ = log.flush(FLUSH_DEADLINE);
    served.map(|()| FINE)
}
