//! The command line: which command runs, and what its exit code is.
//!
//! Exit codes: 0 fine, 1 an error found or a failure, 2 wrong usage. Data goes to stdout, talk to
//! stderr.

pub mod args;
pub mod config;
mod migrate;
mod serve;

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::args::{Cli, Command};
use crate::config::{Config, LoadArgs, Loaded};
use crate::http::openapi;

/// Runs what the command line asks for.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let (load, command) = cli.into_command();
    match dispatch(command, &load) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            talk(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command, load: &LoadArgs) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match command {
        Command::Serve => with_config(load, serve::run),
        Command::Config(args) => config::run(args, load, &mut out, &mut io::stderr())
            .map(ExitCode::from)
            .map_err(Into::into),
        Command::Migrate => with_config(load, |loaded| migrate::run(&loaded)),
        Command::Openapi => {
            out.write_all(openapi::document_text().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::User(_) | Command::Session(_) | Command::Backup { .. } | Command::Debug(_) => {
            anyhow::bail!("not here yet")
        }
    }
}

/// Loads the configuration for a command that needs a sound one, and says everything that is wrong
/// with it at once.
fn with_config(
    load: &LoadArgs,
    command: impl FnOnce(Loaded) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match Config::load(load) {
        Ok(loaded) => command(loaded),
        Err(errors) => {
            talk(format_args!("{errors}"));
            Ok(ExitCode::FAILURE)
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

/// `nightlatch config | head` is no error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
