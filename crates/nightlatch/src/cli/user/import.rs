//! `nightlatch user import`: users with their hashes, in batches, with a word on each who was not
//! taken.
//!
//! Each batch is one commit, and who is there already is left alone. So an import that was cut off
//! is simply run again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use anyhow::Context;
use nightlatch_core::{ImportOutcome, ImportUser};
use serde::Serialize;

use crate::app::Node;
use crate::cli::actor::actor;
use crate::cli::args::ImportFormat;
use crate::cli::console::Console;
use crate::cli::printable::printable;
use crate::cli::{FAILURE, FINE};
use crate::import::{self, Format, Imported, Origin, RefusedUser};

/// Entries of one commit: enough to be fast, few enough that no login waits long behind it.
const BATCH: usize = 500;

/// Runs the command.
pub(super) async fn run(
    file: &Path,
    format: Option<ImportFormat>,
    json: bool,
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let reader: Box<dyn BufRead + '_> = if file == Path::new("-") {
        Box::new(&mut *console.input)
    } else {
        let open = File::open(file);
        Box::new(BufReader::new(open.with_context(|| format!("opening {}", file.display()))?))
    };
    let mut tally = Tally::begin(&mut *console.out, json)?;
    let done = take_all(reader, format.map(Format::from), node, &mut tally).await;
    tally.end(done.as_ref().err())?;
    done.with_context(|| format!("importing {} ended early", file.display()))?;
    Ok(if tally.refused == 0 { FINE } else { FAILURE })
}

impl From<ImportFormat> for Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Csv => Self::Csv,
            ImportFormat::Jsonl => Self::JsonLines,
            ImportFormat::Django => Self::Django,
        }
    }
}

async fn take_all(
    reader: impl BufRead,
    format: Option<Format>,
    node: &Node,
    tally: &mut Tally<'_>,
) -> anyhow::Result<()> {
    let origin = Origin { now: node.service.now(), entropy: node.service.entropy() };
    let mut entries = import::read(reader, format, origin)?;
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        let mut broken = None;
        for entry in entries.by_ref().take(BATCH) {
            match entry {
                Ok(entry) => batch.push(entry),
                Err(error) => broken = Some(error),
            }
        }
        let is_last = batch.len() < BATCH;
        // What was read before the file broke is taken all the same.
        take_batch(batch, node, tally).await?;
        match broken {
            Some(error) => return Err(error.into()),
            None if is_last => return Ok(()),
            None => {}
        }
    }
}

async fn take_batch(
    batch: Vec<Imported>,
    node: &Node,
    tally: &mut Tally<'_>,
) -> anyhow::Result<()> {
    let users: Vec<ImportUser> = batch.iter().filter_map(user_of).cloned().collect();
    let outcomes = if users.is_empty() {
        Vec::new()
    } else {
        node.service.import_users(users, actor(), node.after_many_rows()).await?
    };
    let mut outcomes = outcomes.into_iter();
    for entry in batch {
        match entry {
            Imported::Refused(refused) => tally.refuse(&refused)?,
            Imported::User { line, user } => {
                let outcome = outcomes.next().context("the record passed over a user")?;
                tally.count(outcome, line, &user)?;
            }
        }
    }
    Ok(())
}

fn user_of(entry: &Imported) -> Option<&ImportUser> {
    match entry {
        Imported::User { user, .. } => Some(user),
        Imported::Refused(_) => None,
    }
}

/// What came of it so far. Refusals are written as they come: a file of millions may be wrong from
/// end to end.
struct Tally<'a> {
    out: &'a mut dyn Write,
    json: bool,
    created: u64,
    present: u64,
    refused: u64,
}

impl<'a> Tally<'a> {
    fn begin(out: &'a mut dyn Write, json: bool) -> io::Result<Self> {
        if json {
            write!(out, "{{\"refused\":[")?;
        }
        Ok(Self { out, json, created: 0, present: 0, refused: 0 })
    }

    fn count(&mut self, outcome: ImportOutcome, line: u64, user: &ImportUser) -> io::Result<()> {
        let reason = match outcome {
            ImportOutcome::Created => {
                self.created += 1;
                return Ok(());
            }
            ImportOutcome::Present => {
                self.present += 1;
                return Ok(());
            }
            ImportOutcome::UsernameTaken => "the name is there with another e-mail address",
            ImportOutcome::EmailTaken => "the e-mail address is another user's",
        };
        let name = Some(user.username.as_str().to_owned());
        self.refuse(&RefusedUser { line, name, reason: reason.to_owned() })
    }

    fn refuse(&mut self, refused: &RefusedUser) -> io::Result<()> {
        let RefusedUser { line, name, reason } = refused;
        if self.json {
            let separator = if self.refused == 0 { "\n" } else { ",\n" };
            let json = serde_json::to_string(&RefusedJson { line: *line, name, reason })?;
            write!(self.out, "{separator}{json}")?;
        } else {
            let name = name.as_deref().unwrap_or("a user without a name");
            writeln!(self.out, "line {line}: {}: {}", printable(name), printable(reason))?;
        }
        self.refused += 1;
        Ok(())
    }

    fn end(&mut self, error: Option<&anyhow::Error>) -> io::Result<()> {
        let Self { created, present, refused, .. } = *self;
        if self.json {
            let error = serde_json::to_string(&error.map(|error| format!("{error:#}")))?;
            return writeln!(
                self.out,
                "],\"created\":{created},\"present\":{present},\"error\":{error}}}"
            );
        }
        writeln!(self.out, "created {created}, there already {present}, refused {refused}")
    }
}

#[derive(Serialize)]
struct RefusedJson<'a> {
    line: u64,
    name: &'a Option<String>,
    reason: &'a str,
}
