//! The sources of settings, read in order: `nightlatch.toml`, the env file, the environment,
//! flags. Later ones win.
//!
//! The only file that reads the environment: everywhere else a value has an origin that can be
//! shown, and a test can give values without touching the process.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nightlatch_core::Secret;

use super::problem::{Problem, ProblemLevel};
use super::{Origin, env_file, toml_file};

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct LoadArgs {
    /// `--env-file`.
    pub env_file: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--to`: the database that the configured one is to move to.
    pub database_url: Option<String>,
}

impl LoadArgs {
    /// The env file that is read: the one that is named, else that of the working directory.
    #[must_use]
    pub fn env_file(&self) -> PathBuf {
        self.env_file.clone().unwrap_or_else(|| PathBuf::from(ENV_FILE))
    }
}

/// The environment of this process.
pub(crate) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// One value from one source, not yet understood.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: Secret<String>,
    pub(super) origin: Origin,
    pub(super) rank: Rank,
}

/// Which source wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Toml,
    EnvFile,
    Environment,
    Flag,
}

/// All sources together.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<Problem>,
    /// The files that were read.
    pub(super) files: Vec<PathBuf>,
    /// Env files that lie beside the one that was read, and were not.
    pub(super) other_env_files: Vec<PathBuf>,
    /// Whether what is said quotes values: one that stands in the wrong place may be a secret.
    pub(super) hides_values: bool,
}

/// A setting that somebody else has read.
pub(crate) struct Assigned<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: Secret<String>,
    /// `None`: it comes from the environment.
    pub(crate) line: Option<usize>,
}

impl Gathered {
    /// Values that the program gives, as the environment would.
    pub(super) fn given<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut gathered = Self::default();
        for (name, value) in values {
            gathered.push(name.to_owned(), value.to_owned(), Origin::Given, Rank::Environment);
        }
        gathered
    }

    /// What a file says, and nothing else.
    pub(super) fn of_file(path: &Path) -> Self {
        let mut gathered = Self::default();
        gathered.read_env_file(path, IsNamed::Yes);
        gathered
    }

    /// What was read of a file already, and perhaps of the environment; and what `nightlatch.toml` beside it
    /// says.
    pub(super) fn of_assigned<'a>(
        path: &Path,
        assigned: impl IntoIterator<Item = Assigned<'a>>,
    ) -> Self {
        let entry = |Assigned { name, value, line }| {
            let (origin, rank) = match line {
                Some(line) => (Origin::EnvFile { path: path.to_owned(), line }, Rank::EnvFile),
                None => (Origin::Environment, Rank::Environment),
            };
            Entry { name: str::to_owned(name), value, origin, rank }
        };
        let mut gathered = Self { hides_values: true, ..Self::default() };
        gathered.read_toml(&path.with_file_name(TOML_FILE));
        gathered.entries.extend(assigned.into_iter().map(entry));
        gathered
    }

    /// Takes everything together, files relative to `directory`.
    pub(super) fn read(
        args: &LoadArgs,
        directory: &Path,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Self {
        let mut gathered = Self::default();
        gathered.read_toml(&shown_path(directory, TOML_FILE));
        match &args.env_file {
            Some(path) => gathered.read_env_file(&directory.join(path), IsNamed::Yes),
            None => gathered.read_env_file(&shown_path(directory, ENV_FILE), IsNamed::No),
        }
        gathered.other_env_files = other_env_files(directory, &gathered.files);
        gathered.read_environment(environment);
        if let Some(listen) = &args.listen {
            let origin = Origin::Flag("--listen");
            gathered.push("NIGHTLATCH_LISTEN".to_owned(), listen.clone(), origin, Rank::Flag);
        }
        if let Some(url) = &args.database_url {
            let origin = Origin::Flag("--to");
            gathered.push("DATABASE_URL".to_owned(), url.clone(), origin, Rank::Flag);
        }
        gathered
    }

    fn push(&mut self, name: String, value: String, origin: Origin, rank: Rank) {
        self.entries.push(Entry { name, value: Secret::new(value), origin, rank });
    }

    fn read_toml(&mut self, path: &Path) {
        let origin = |line| Origin::Toml { path: path.to_owned(), line };
        let Some(text) = self.read_text(path, IsNamed::No, origin(1)) else { return };
        let (values, errors) = toml_file::parse(text.expose());
        for (line, why) in errors {
            self.warn(None, origin(line), format!("{why}; what it says there is left out"));
        }
        for toml_file::TomlValue { line, name, value } in values {
            let origin = origin(line);
            match value {
                Ok(value) => self.entries.push(Entry { name, value, origin, rank: Rank::Toml }),
                Err(why) => self.warn(Some(name), origin, format!("{why}; it is left out")),
            }
        }
    }

    fn read_env_file(&mut self, path: &Path, is_named: IsNamed) {
        let origin = |line| Origin::EnvFile { path: path.to_owned(), line };
        let Some(text) = self.read_text(path, is_named, origin(1)) else { return };
        let (assignments, bad_lines) = env_file::parse(text.expose());
        for env_file::BadLine { line, name, why } in bad_lines {
            self.warn(name, origin(line), format!("{why}; the line is left out"));
        }
        for env_file::Assignment { line, name, value, .. } in assignments {
            self.entries.push(Entry { name, value, origin: origin(line), rank: Rank::EnvFile });
        }
    }

    fn read_environment(&mut self, environment: impl Iterator<Item = (OsString, OsString)>) {
        for (name, value) in environment {
            // Names that are not UTF-8 are nobody's settings.
            let Some(name) = name.to_str() else { continue };
            let value = Secret::new(value.to_string_lossy().into_owned());
            let (name, origin) = (name.to_owned(), Origin::Environment);
            self.entries.push(Entry { name, value, origin, rank: Rank::Environment });
        }
    }

    /// The text of a file; `None` if there is none to be had, which is reported where it matters.
    fn read_text(
        &mut self,
        path: &Path,
        is_named: IsNamed,
        origin: Origin,
    ) -> Option<Secret<String>> {
        match read_bounded(path, FILE_BYTES_MAX) {
            Ok(text) => {
                self.files.push(path.to_owned());
                Some(text)
            }
            // A directory called `.env` is somebody's virtual environment.
            Err(error)
                if is_named == IsNamed::No
                    && matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                    ) =>
            {
                None
            }
            Err(error) => {
                let level = match is_named {
                    IsNamed::Yes => ProblemLevel::Error,
                    IsNamed::No => ProblemLevel::Warn,
                };
                let origin =
                    if is_named == IsNamed::Yes { Origin::Flag("--env-file") } else { origin };
                let why = format!("the file {} cannot be read: {error}", path.display());
                let id = "env-file-missing";
                self.problems.push(Problem { id, level, name: None, origin, why, fix: None });
                None
            }
        }
    }

    fn warn(&mut self, name: Option<String>, origin: Origin, why: String) {
        let (id, level) = ("env-line", ProblemLevel::Warn);
        self.problems.push(Problem { id, level, name, origin, why, fix: None });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsNamed {
    Yes,
    No,
}

const TOML_FILE: &str = "nightlatch.toml";
const ENV_FILE: &str = ".env";
/// No hand-written file comes near it; a mistyped path to a device would never end.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The text of a file of at most `bytes_max`.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Secret<String>> {
    let bytes = read_bounded_bytes(path, bytes_max)?;
    let text = str::from_utf8(bytes.expose()).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(Secret::new(text.to_owned()))
}

/// The bytes of a file of at most `bytes_max`.
pub(crate) fn read_bounded_bytes(path: &Path, bytes_max: u64) -> io::Result<Secret<Vec<u8>>> {
    let mut bytes = Secret::new(Vec::new());
    fs::File::open(path)?.take(bytes_max + 1).read_to_end(bytes.expose_mut())?;
    if bytes.expose().len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// The working directory is where people are: its files are shown without it.
fn shown_path(directory: &Path, file: &str) -> PathBuf {
    if directory == Path::new("") { PathBuf::from(file) } else { directory.join(file) }
}

/// Env files that one might think were read: beside the one that was, or in the working directory.
fn other_env_files(directory: &Path, read: &[PathBuf]) -> Vec<PathBuf> {
    let env_file = read.iter().find(|path| !path.ends_with(TOML_FILE));
    let beside = env_file.and_then(|path| path.parent()).unwrap_or(directory);
    let listed = if beside == Path::new("") { Path::new(".") } else { beside };
    let Ok(entries) = fs::read_dir(listed) else { return Vec::new() };
    let names = entries.take(DIRECTORY_ENTRIES_MAX).flatten().map(|entry| entry.file_name());
    let mut others: Vec<_> = names
        .filter(|name| name.to_str().is_some_and(is_env_file_name))
        .map(|name| beside.join(name))
        .filter(|path| Some(path) != env_file)
        .collect();
    others.sort();
    others.truncate(OTHER_ENV_FILES_MAX);
    others
}

/// The listing is a courtesy; a huge directory must not hold up the start.
const DIRECTORY_ENTRIES_MAX: usize = 10_000;
const OTHER_ENV_FILES_MAX: usize = 8;

fn is_env_file_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(ENV_FILE) else { return false };
    let is_template = ["example", "sample", "template", "dist", "swp"]
        .iter()
        .any(|ending| rest.to_ascii_lowercase().ends_with(ending));
    (rest.is_empty() || rest.starts_with('.')) && !is_template && !rest.ends_with('~')
}
