//! A SQLite file, its folder and its disk, judged.
//!
//! SQLite says of most of it that it cannot open the file; the place says why.

use std::path::Path;

use nightlatch_core::FailureClass as Class;
use nightlatch_store::sqlite::inspect::{
    Space, SqliteCause, SqliteContent, SqliteFile, SqliteFolder, SqliteLook, SqlitePlace,
    SqliteRefusal,
};

use super::super::configured::Configured;
use super::super::finding::Finding;
use super::super::near;
use crate::app::sqlite_inspector;
use crate::config::ProblemLevel::{Error, Info, Warn};

/// Below this a login may fail at any moment.
const FREE_MIN: u64 = 50 << 20;

/// Below this, or this part of the disk, somebody should look.
const FREE_LOW: u64 = 500 << 20;
const FREE_LOW_PERCENT: u64 = 5;

/// Looks at the file, and tells what is wrong with it.
pub(super) async fn examine(subject: &Configured, path: &Path, found: &mut Vec<Finding>) {
    let look = match sqlite_inspector(path).look().await {
        Ok(look) => look,
        Err(class) => {
            let why = format!("leads to a file that could not be looked at in time ({class})");
            found.push(Finding::new("database-hangs", Error, why));
            return;
        }
    };
    found.extend(misspelt(subject, &look).map_or_else(|| judge_place(&look.place), |it| vec![it]));
    match look.content {
        None => {}
        Some(Ok(content)) => found.extend(judge_content(&look.place, &content)),
        Some(Err(refused)) => found.push(judge_refusal(&look.place, refused)),
    }
}

fn judge_place(place: &SqlitePlace) -> Vec<Finding> {
    if place.folder == SqliteFolder::Missing {
        let folder = folder(place);
        let why = format!("lies in the folder {}, which is not there", folder.display());
        let finding = Finding::new("database-folder-missing", Error, why);
        return vec![finding.run(format!("mkdir -p {}", quoted(folder)))];
    }
    let found = [of_disk(place), of_folder(place), of_file(place), of_network(place)];
    found.into_iter().flatten().chain(place.space.and_then(of_space)).collect()
}

/// A record of almost that name lies there, and a new one would be empty.
fn misspelt(subject: &Configured, look: &SqliteLook) -> Option<Finding> {
    let path = &look.place.path;
    let name = path.file_name()?.to_str()?;
    let near = near::only_slip(name, look.beside.iter().map(String::as_str))?;
    let why = format!(
        "names {}, which is not there and would be made anew, without anybody in it; {near}, a record, \
         lies beside it: is that the one?",
        path.display()
    );
    let fix = subject.line(|url| Some(format!("{}{near}", url.strip_suffix(name)?)));
    Some(Finding { fix, ..Finding::new("database-file-missing", Warn, why) })
}

fn of_disk(place: &SqlitePlace) -> Option<Finding> {
    place.is_read_only.then(|| {
        let why = "lies on a disk that is mounted read-only: nobody can log in";
        Finding::new("database-readonly", Error, why)
    })
}

fn of_folder(place: &SqlitePlace) -> Option<Finding> {
    let SqliteFolder::Forbidden(owner, mode) = place.folder else { return None };
    let folder = folder(place);
    let why = format!(
        "lies in the folder {} (user {owner}, mode {mode:o}), in which user {} may not make files; \
         SQLite keeps two beside the database",
        folder.display(),
        place.user
    );
    let finding = Finding::new("database-folder-forbidden", Error, why);
    Some(finding.run(right_to(place.user, owner, folder, "u+wx")))
}

fn of_file(place: &SqlitePlace) -> Option<Finding> {
    let path = place.path.display();
    match place.file {
        SqliteFile::Missing if place.folder == SqliteFolder::Usable && !place.is_read_only => {
            let why =
                format!("names {path}, which is not there yet: it is made at the first start");
            Some(Finding::new("database-file-missing", Info, why))
        }
        SqliteFile::NotAFile => {
            let why = format!("names {path}, which is no file");
            Some(Finding::new("database-not-a-file", Error, why))
        }
        SqliteFile::There { owner, mode, is_usable: false, .. }
            if place.folder == SqliteFolder::Usable && !place.is_read_only =>
        {
            let why = format!(
                "names {path} (user {owner}, mode {mode:o}): user {} may not read and write it, or \
                 the -wal and -shm beside it",
                place.user
            );
            let finding = Finding::new("database-file-forbidden", Error, why);
            Some(finding.run(right_to(place.user, owner, &place.path, "u+rw")))
        }
        SqliteFile::Missing | SqliteFile::Hidden | SqliteFile::There { .. } => None,
    }
}

fn exposed(place: &SqlitePlace) -> Option<Finding> {
    let SqliteFile::There { mode, is_exposed: true, .. } = place.file else { return None };
    let why = format!(
        "names a file that everybody on this machine may read (mode {mode:o}); it holds hashes of \
         passwords and keys"
    );
    let finding = Finding::new("database-file-exposed", Warn, why);
    Some(finding.run(format!("chmod 600 {}", quoted(&place.path))))
}

fn of_network(place: &SqlitePlace) -> Option<Finding> {
    place.network.map(|name| {
        let why = format!(
            "lies on a network's file system ({name}), where the write-ahead log of SQLite does not \
             work reliably: keep it on a disk of this machine, or use PostgreSQL"
        );
        Finding::new("database-network-disk", Warn, why)
    })
}

fn of_space(space: Space) -> Option<Finding> {
    let Space { free, total } = space;
    let percent = free.saturating_mul(100) / total;
    let (id, level) = match free {
        _ if free < FREE_MIN => ("database-disk-full", Error),
        _ if free < FREE_LOW || percent < FREE_LOW_PERCENT => ("database-disk-low", Warn),
        _ => return None,
    };
    let why = format!("lies on a disk with {} MiB free of {} MiB", free >> 20, total >> 20);
    Some(Finding::new(id, level, why))
}

fn judge_content(place: &SqlitePlace, content: &SqliteContent) -> Vec<Finding> {
    let mut findings = Vec::new();
    if content.is_sound == Some(false) {
        findings.push(damaged());
    }
    findings.extend(exposed(place));
    if content.is_sound.is_none() {
        let why = "names a file that is too large to be examined as a whole in 5 s; nothing wrong was \
                   seen in what was read";
        findings.push(Finding::new("database-check-unfinished", Info, why));
    }
    if let Some(class) = content.unwritable {
        findings.push(judge_refusal(place, SqliteRefusal { class, cause: None }));
    }
    findings.extend(super::rights::of_schema(&content.missing, None, content.newer));
    if findings.iter().all(|finding| finding.level < Error) {
        let why = format!("names {}, which can be read and written", place.path.display());
        findings.push(Finding::new("database-answers", Info, why));
    }
    findings
}

fn damaged() -> Finding {
    let why = "names a file that is damaged: stop the server, keep a copy, and put a backup in its \
               place, or save what can be read";
    let saved = "sqlite3 FILE .recover | sqlite3 NEW_FILE";
    Finding::new("database-corrupt", Error, why).run(saved)
}

fn judge_refusal(place: &SqlitePlace, refused: SqliteRefusal) -> Finding {
    let path = place.path.display();
    let (id, why) = match (refused.cause, refused.class) {
        (Some(SqliteCause::NoDatabase), _) => {
            let why = format!("names {path}, which is no SQLite database, or an encrypted one");
            ("database-not-sqlite", why)
        }
        (Some(SqliteCause::Foreign), _) => {
            let why = format!("names {path}, which is another program's database");
            ("database-foreign", why)
        }
        (Some(SqliteCause::Changed(name)), _) => return super::rights::changed(name),
        (None, Class::Corrupt) => return damaged(),
        (None, Class::Locked) => {
            let why = format!(
                "names {path}, which somebody else has kept locked for seconds: another program \
                 that writes to it and does not end"
            );
            ("database-locked", why)
        }
        (None, Class::DiskFull) => {
            ("database-disk-full", format!("names {path}, for which the disk has no room"))
        }
        (None, Class::Readonly) => {
            ("database-readonly", format!("names {path}, which takes no changes"))
        }
        (None, Class::Forbidden) => {
            let why = format!("names {path}, which user {} may not use", place.user);
            ("database-file-forbidden", why)
        }
        (None, Class::Missing) => {
            ("database-file-missing", format!("names {path}, which went away meanwhile"))
        }
        (None, Class::Schema) => {
            let why = format!("names {path}, which lacks tables that it should have");
            ("database-foreign", why)
        }
        (None, class) => {
            ("database-io-error", format!("names {path}, which the system fails to read ({class})"))
        }
    };
    Finding::new(id, Error, why)
}

/// A command for who owns it, or for root where somebody else does.
fn right_to(user: u32, owner: u32, path: &Path, rights: &str) -> String {
    let path = quoted(path);
    if user == owner { format!("chmod {rights} {path}") } else { format!("chown {user} {path}") }
}

fn folder(place: &SqlitePlace) -> &Path {
    place.path.parent().unwrap_or_else(|| Path::new("/"))
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
