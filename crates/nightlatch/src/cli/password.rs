//! A new password for a command: asked for twice at a terminal, else one line of the input.
//!
//! Never an argument: other users of the machine could read it in the list of processes.

use std::io::{self, ErrorKind};

use anyhow::{Context, bail};
use nightlatch_core::{Password, Weakness};
use tokio::signal::unix::{SignalKind, signal};

use super::block_on;
use super::console::Console;

/// How often somebody may mistype or choose something too easily guessed.
const TRIES_MAX: u32 = 3;

/// Reads a new password for `whose` account.
pub(super) fn read(whose: &str, console: &mut Console<'_>) -> anyhow::Result<Password> {
    if console.is_interactive { ask(whose, console) } else { take_line(console) }
}

/// Reads the password that `whose` account has; before anything runs that a runtime of its own would be in
/// the way of.
pub(super) fn read_known(whose: &str, console: &mut Console<'_>) -> anyhow::Result<Password> {
    if !console.is_interactive {
        return take_line(console);
    }
    // Signals are listened to by a runtime.
    block_on(async {
        let _caught = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
        prompt(&format!("Password of {whose}: "))
    })
}

/// How often a new password was not taken.
#[derive(Default)]
pub(super) struct Refusals(u32);

impl Refusals {
    /// Says why it was not taken, and fails unless another one may be chosen.
    pub(super) fn add(
        &mut self,
        weakness: &Weakness,
        console: &mut Console<'_>,
    ) -> anyhow::Result<()> {
        self.0 += 1;
        if !console.is_interactive || self.0 >= TRIES_MAX {
            bail!("{} Nothing was changed.", weakness.0);
        }
        console.talk(format_args!("{}", weakness.0));
        Ok(())
    }
}

fn ask(whose: &str, console: &mut Console<'_>) -> anyhow::Result<Password> {
    // The prompt switches off the terminal's echo and, at Ctrl-C, raises the signal before it is
    // back on; a signal that is listened to ends the prompt and not the process.
    let _caught = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    for _ in 0..TRIES_MAX {
        let typed = prompt(&format!("New password for {whose}: "))?;
        let again = prompt("The same again: ")?;
        if typed.expose() == again.expose() {
            return Ok(typed);
        }
        console.talk(format_args!("The two are not the same."));
    }
    bail!("the two passwords were never the same; nothing was changed")
}

fn prompt(words: &str) -> anyhow::Result<Password> {
    match rpassword::prompt_password(words) {
        Ok(typed) => Ok(Password::try_new(typed)?),
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            bail!("interrupted; nothing was changed")
        }
        Err(error) => Err(error).context("asking for the password at the terminal"),
    }
}

fn take_line(console: &mut Console<'_>) -> anyhow::Result<Password> {
    let line = console.read_line().context("reading the password from stdin")?;
    let Some(line) = line.filter(|line| !line.is_empty()) else {
        bail!("no password came on stdin; write it there as one line, or run this at a terminal")
    };
    let typed = String::from_utf8(line)
        // Without the bytes: they are the password.
        .map_err(|_| io::Error::from(ErrorKind::InvalidData))
        .context("the password on stdin is not UTF-8")?;
    Ok(Password::try_new(typed)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::console::tests::play;

    #[test]
    fn a_line_is_taken_exactly_as_it_is() {
        let played = play("  correct horse \r\nmore\n", false, |console| read("a", console));
        assert_eq!(played.result.unwrap().expose(), "  correct horse ");
        assert_eq!((played.out.as_str(), played.err.as_str()), ("", ""));
    }

    #[test]
    fn nothing_and_too_much_are_refused_in_words() {
        for (typed, words) in [("", "stdin"), ("\n", "stdin"), (&*"x".repeat(1025), "1024 bytes")] {
            let refused = play(typed, false, |console| read("a", console)).result.unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
        }
    }
}
