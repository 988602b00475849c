//! Where a command reads and speaks: data out, talk beside it, and what is typed.
//!
//! Handed to every command, so that tests can play the person.

use std::fmt;
use std::io::{BufRead, Read, Write};

/// The longest line that is read from the input, in bytes: the longest password and its line end.
const LINE_BYTES_MAX: u64 = 2048;

/// The three streams of a command.
pub(super) struct Console<'a> {
    /// For data: what a script reads.
    pub(super) out: &'a mut dyn Write,
    /// For talk: what a person reads.
    pub(super) err: &'a mut dyn Write,
    /// For answers and data that are given to the command.
    pub(super) input: &'a mut dyn BufRead,
    /// Whether a person sits at the input.
    pub(super) is_interactive: bool,
}

impl Console<'_> {
    /// Says something to the person. Nobody there is no failure.
    pub(super) fn talk(&mut self, words: fmt::Arguments<'_>) {
        let _ = writeln!(self.err, "{words}");
    }

    /// Whether the person answers a question with yes.
    pub(super) fn confirm(&mut self, question: fmt::Arguments<'_>) -> anyhow::Result<bool> {
        let _ = write!(self.err, "{question} [y/N] ");
        let _ = self.err.flush();
        let answer = self.read_line()?.unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer).trim().to_lowercase();
        Ok(["y", "yes"].contains(&answer.as_str()))
    }

    /// One line of the input without its end; `None` when there is none, and what is too long is
    /// cut past any limit that it could have kept.
    pub(super) fn read_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut *self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        for end in [b'\n', b'\r'] {
            if line.last() == Some(&end) {
                line.pop();
            }
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a command said to whom, after it was given `typed`.
    pub(in crate::cli) struct Played<T> {
        pub(in crate::cli) result: T,
        pub(in crate::cli) out: String,
        pub(in crate::cli) err: String,
    }

    pub(in crate::cli) fn play<T>(
        typed: &str,
        is_interactive: bool,
        run: impl FnOnce(&mut Console<'_>) -> T,
    ) -> Played<T> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let result = run(&mut Console {
            out: &mut out,
            err: &mut err,
            input: &mut typed.as_bytes(),
            is_interactive,
        });
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Played { result, out: text(out), err: text(err) }
    }

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for (typed, is_yes) in
            [("y\n", true), ("YES\r\n", true), ("\n", false), ("", false), ("yes please\n", false)]
        {
            let played = play(typed, true, |console| console.confirm(format_args!("Sure?")));
            assert_eq!(played.result.unwrap(), is_yes, "{typed:?}");
            assert_eq!(played.err, "Sure? [y/N] ");
        }
    }

    #[test]
    fn a_line_ends_at_its_end_and_at_the_limit() {
        let long = "x".repeat(5000);
        let lines = play(&format!(" a b \r\n\n{long}"), false, |console| {
            [0; 3].map(|_| console.read_line().unwrap())
        });
        let [first, second, third] = lines.result;
        assert_eq!(first.unwrap(), b" a b ");
        assert_eq!(second.unwrap(), b"");
        assert_eq!(third.unwrap().len() as u64, LINE_BYTES_MAX);
        assert_eq!(play("", false, |console| console.read_line().unwrap()).result, None);
    }
}
