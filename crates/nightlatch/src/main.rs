//! The `nightlatch` command.

use std::process::ExitCode;

use clap::Parser;
use nightlatch::cli;

fn main() -> ExitCode {
    // Before anything speaks TLS: one provider for all of it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::run(cli::args::Cli::parse())
}
