//! Tasks of this workspace: `cargo xtask TASK`.
//!
//! What the compiler and its lints cannot check or write lives here, so that it runs on every
//! machine that can build the project and needs nothing else. A new task is a file and a line of
//! [`TASKS`].

mod bench;
mod faults;
mod reference;
mod tidy;

use std::process::ExitCode;

/// A thing that `cargo xtask` can do.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<ExitCode>,
}

const TASKS: &[Task] = &[tidy::TASK, reference::TASK, bench::TASK, faults::TASK];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        say(&usage());
        return ExitCode::from(USAGE);
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        say(&format!("there is no task `{name}`\n\n{}", usage()));
        return ExitCode::from(USAGE);
    };
    match (task.run)(&arguments.collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{}: {error:#}", task.name));
            ExitCode::FAILURE
        }
    }
}

/// Wrong usage, as for every program of this project.
const USAGE: u8 = 2;

fn usage() -> String {
    let tasks: Vec<String> =
        TASKS.iter().map(|task| format!("  {:<10} {}", task.name, task.about)).collect();
    format!("cargo xtask TASK, where TASK is one of\n{}", tasks.join("\n"))
}

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "a task talks to the terminal it was started from")]
fn say(line: &str) {
    println!("{}", line.trim_end());
}
