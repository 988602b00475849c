//! Whether a program is there that a test needs.
//!
//! A test that cannot run must say what to install, not pass.

use std::process::Command;

/// Panics with the name of the Debian package, unless this command of its program can be run.
pub fn assert_installed(command: &mut Command, package: &str) {
    let ran = command.output();
    assert!(
        ran.is_ok_and(|output| output.status.success()),
        "a program is not installed: Debian package `{package}`: {command:?}"
    );
}
