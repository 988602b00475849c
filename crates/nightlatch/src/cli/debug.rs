//! `nightlatch debug ..`: single parts of the server, run on given input.

use super::args::DebugCommand;
use super::console::Console;
use super::{FAILURE, FINE};
use crate::{hashing, jwt};

/// Runs the command. It needs no configuration and no database.
pub(super) fn run(command: &DebugCommand, console: &mut Console<'_>) -> anyhow::Result<u8> {
    if console.is_interactive {
        console.talk(format_args!("reading JSON lines; Ctrl-D ends"));
    }
    let (input, out) = (&mut *console.input, &mut *console.out);
    let report = match command {
        DebugCommand::VerifyHash => hashing::verify_lines(input, out)?,
        DebugCommand::VerifyJws => jwt::verify_jws_lines(input, out)?,
    };
    Ok(if report.refused == 0 { FINE } else { FAILURE })
}
