//! Questions as JSON lines, each answered by a line: how scripts and other people's test vectors reach
//! single parts of the server.

use std::io::{self, BufRead, Read, Write};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The longest line, in bytes: hash and password at their longest, and both escaped.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// What came of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinesReport {
    /// Lines that were answered.
    pub answered: u64,
    /// Lines that were answered with an error.
    pub refused: u64,
}

/// Answers every line; with `{id, error}` where it is not what `expected` says.
///
/// # Errors
/// Those of reading and writing, and whatever keeps `answer` from answering.
pub fn answer_lines<Q: DeserializeOwned>(
    mut input: impl BufRead,
    mut output: impl Write,
    expected: &str,
    mut answer: impl FnMut(Q) -> io::Result<Value>,
) -> io::Result<LinesReport> {
    let mut report = LinesReport::default();
    let mut line = Vec::new();
    while read_line(&mut input, &mut line)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = match parse(&line, expected) {
            Ok(question) => {
                report.answered += 1;
                answer(question)?
            }
            Err(error) => {
                report.refused += 1;
                error
            }
        };
        writeln!(output, "{answer}")?;
    }
    output.flush()?;
    Ok(report)
}

/// The next line into `line`, of which at most a little over the limit is kept; `false` at the end.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', line)?;
    if line.len() as u64 > LINE_BYTES_MAX && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(!line.is_empty())
}

fn parse<Q: DeserializeOwned>(line: &[u8], expected: &str) -> Result<Q, Value> {
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(json!({"error": format!("a line has at most {LINE_BYTES_MAX} bytes")}));
    }
    serde_json::from_slice(line).map_err(|_| {
        // serde's own words may hold a part of the line, and with it of a secret.
        let id = serde_json::from_slice::<Value>(line).ok().and_then(|v| v.get("id").cloned());
        let error = format!("not {expected}");
        id.map_or_else(|| json!({"error": error}), |id| json!({"id": id, "error": error}))
    })
}
