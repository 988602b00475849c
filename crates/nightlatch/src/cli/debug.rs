//! `nightlatch debug ..`: single parts of the server, run on given input.

use super::args::DebugCommand;
use super::console::Console;
use super::{FAILURE, FINE};
use crate::hashing;

/// Runs the command. It needs no configuration and no database.
pub(super) fn run(command: &DebugCommand, console: &mut Console<'_>) -> anyhow::Result<u8> {
    match command {
        DebugCommand::VerifyHash => {
            if console.is_interactive {
                console.talk(format_args!("reading JSON lines; Ctrl-D ends"));
            }
            let report = hashing::verify_lines(&mut *console.input, &mut *console.out)?;
            Ok(if report.refused == 0 { FINE } else { FAILURE })
        }
    }
}
