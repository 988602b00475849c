//! The command line: which command runs, and what its exit code is.
//!
//! Exit codes: 0 fine, 1 an error found or a failure, 2 wrong usage. Data goes to stdout, talk to
//! stderr.

mod actor;
mod advice;
pub mod args;
mod audit;
mod backup;
pub mod config;
mod console;
mod debug;
mod doctor;
mod drill;
mod health;
mod keys;
mod migrate;
mod node;
mod password;
mod printable;
mod serve;
mod session;
mod stop;
mod table;
mod transfer;
mod user;

use std::fmt;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use thiserror::Error;

use crate::cli::args::{Cli, Command, DoctorArgs, DoctorServer, DoctorTopic, MigrateArgs};
use crate::cli::console::Console;
use crate::config::{Config, LoadArgs, Loaded};
use crate::http::openapi;

/// The exit code of a command that did what it was asked for.
const FINE: u8 = 0;

/// The exit code of one that did not.
const FAILURE: u8 = 1;

/// The exit code of one that was asked in a way that makes no sense.
const USAGE: u8 = 2;

/// Wrong usage that the definition of the arguments cannot tell.
#[derive(Debug, Error)]
#[error("{0}")]
struct WrongUsage(String);

/// Runs what the command line asks for.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let (load, command) = cli.into_command();
    match dispatch(command, &load) {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            talk(format_args!("error: {error:#}"));
            ExitCode::from(if error.is::<WrongUsage>() { USAGE } else { FAILURE })
        }
    }
}

fn dispatch(command: Command, load: &LoadArgs) -> anyhow::Result<u8> {
    let mut out = io::stdout().lock();
    match command {
        Command::Serve(_) => with_config(load, |loaded| serve::run(loaded, load)),
        Command::Config(args) => Ok(config::run(args, load, &mut out, &mut io::stderr())?),
        Command::Migrate(MigrateArgs { to: None }) => {
            with_config(load, |loaded| migrate::run(&loaded))
        }
        Command::Migrate(MigrateArgs { to: Some(url) }) => with_console(|console| {
            with_config(load, |loaded| transfer::run((url, load), &loaded, console))
        }),
        Command::Health => with_config(load, |loaded| health::run(&loaded.config, &mut out)),
        Command::Openapi => {
            out.write_all(openapi::document_text().as_bytes())?;
            Ok(FINE)
        }
        Command::User(command) => {
            with_console(|console| with_config(load, |loaded| user::run(command, loaded, console)))
        }
        Command::Session(command) => with_console(|console| {
            with_config(load, |loaded| session::run(command, loaded, console))
        }),
        Command::Keys(command) => {
            with_console(|console| with_config(load, |loaded| keys::run(command, loaded, console)))
        }
        Command::Audit(args) => {
            with_console(|console| with_config(load, |loaded| audit::run(&args, loaded, console)))
        }
        Command::Backup { file } => {
            with_console(|console| with_config(load, |loaded| backup::run(&file, loaded, console)))
        }
        Command::Doctor(args) => with_console(|console| doctor::run(&args, load, console)),
        Command::TestRedis(flags) => {
            let (topic, server) = (DoctorTopic::Redis, DoctorServer::default());
            let args = DoctorArgs { topic, server, flags };
            with_console(|console| doctor::run(&args, load, console))
        }
        Command::Drill(args) => with_console(|console| drill::run(&args, load, console)),
        Command::Debug(command) => with_console(|console| debug::run(&command, console)),
    }
}

/// Runs a command on the streams of this process.
fn with_console(
    command: impl FnOnce(&mut Console<'_>) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    let stdin = io::stdin();
    command(&mut Console {
        out: &mut io::stdout().lock(),
        err: &mut io::stderr(),
        is_interactive: stdin.is_terminal(),
        input: &mut stdin.lock(),
    })
}

/// Loads the configuration for a command that needs a sound one, and says everything that is wrong
/// with it at once.
fn with_config(
    load: &LoadArgs,
    command: impl FnOnce(Loaded) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    match Config::load(load) {
        Ok(loaded) => command(loaded),
        Err(errors) => {
            talk(format_args!("{errors}"));
            Ok(FAILURE)
        }
    }
}

/// Runs a future to its end on a runtime of its own.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("nightlatch-async")
        .enable_all()
        .build()
        .context("starting the threads of the server")?;
    runtime.block_on(future)
}

/// Says something to the person at the terminal. Nobody there is no failure.
fn talk(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{words}");
}

/// `nightlatch user list | head` is no error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
