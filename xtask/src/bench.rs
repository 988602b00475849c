//! `cargo xtask bench`: builds the server and what measures it, and has it measured.
//!
//! The measuring is a program of its own, `nightlatch-bench`: it needs the server's library, and
//! tidy must not wait for that.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::tidy::root;
use crate::{Task, say};

pub(crate) const TASK: Task = Task {
    name: "bench",
    about: "measure a release build and write docs/benchmarks.md; `--fitted-in`, `--telling` and `--scale` measure a part, `--quick` only tries it out",
    run,
};

const DOCUMENT: &str = "docs/benchmarks.md";
const SCALING: &str = "docs/scaling.md";

/// A release as users build it: of these packages alone.
const RELEASE: &[&str] =
    &["build", "--release", "--package", "nightlatch", "--package", "nightlatch-bench"];

/// What the release is compared with, which is no part of the workspace.
const BESIDE: &str = "crates/nightlatch-bench/beside/tower-sessions/Cargo.toml";
const BESIDE_PROGRAM: &str = "beside-tower-sessions";

/// The build that the tests use, so that trying the benchmark out compiles nothing more.
const OF_TESTS: &[&str] = &["build", "--workspace", "--all-features", "--bins", "--tests"];

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let is_quick = arguments.contains(&"--quick");
    let parts: Vec<&str> = arguments.into_iter().filter(|one| *one != "--quick").collect();
    let document = match parts.as_slice() {
        [] | ["--fitted-in" | "--telling"] => DOCUMENT,
        ["--scale"] => SCALING,
        _ => anyhow::bail!("takes `--quick`, and one of `--fitted-in`, `--telling` and `--scale`"),
    };
    let (profile, build) = if is_quick { ("debug", OF_TESTS) } else { ("release", RELEASE) };
    anyhow::ensure!(cargo(build)?, "the workspace does not build");
    let programs = programs(profile)?;
    let mut bench = Command::new(programs.join("nightlatch-bench"));
    bench
        .arg("--server")
        .arg(programs.join("nightlatch"))
        .args(["--commit", &commit()?])
        .args(&parts);
    if is_quick {
        bench.arg("--quick");
    } else {
        bench.args(["--write", document]);
        if parts.is_empty() {
            bench.arg("--beside").arg(build_beside(&programs)?);
        }
    }
    let measured = bench.current_dir(root()).status().context("starting the benchmark")?;
    if measured.success() && !is_quick {
        say(&format!("commit {document} if the machine had nothing else to do"));
    }
    Ok(if measured.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds what the release is compared with, in a folder of its own.
fn build_beside(programs: &Path) -> anyhow::Result<PathBuf> {
    let target = programs.join("beside");
    let folder = target.to_str().context("the target directory has no plain name")?;
    let build = ["build", "--release", "--manifest-path", BESIDE, "--target-dir", folder];
    anyhow::ensure!(cargo(&build)?, "{BESIDE} does not build");
    Ok(target.join("release").join(BESIDE_PROGRAM))
}

fn cargo(arguments: &[&str]) -> anyhow::Result<bool> {
    let status = Command::new("cargo")
        .args(arguments)
        .args(["--quiet", "--locked"])
        .current_dir(root())
        .status()
        .context("running cargo")?;
    Ok(status.success())
}

/// Cargo puts the programs of a profile side by side, and the profiles into one directory.
fn programs(profile: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding the directory of built programs")?;
    let target = own.parent().and_then(Path::parent);
    Ok(target.context("this program lies in no target directory")?.join(profile))
}

/// What is measured, and whether it is more than what is committed.
fn commit() -> anyhow::Result<String> {
    let git = |arguments: &[&str]| -> anyhow::Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root())
            .output()
            .context("asking git for the commit")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let name = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--", ".", ":!docs"])?;
    Ok(if changes.is_empty() { name } else { format!("{name} with changes") })
}
