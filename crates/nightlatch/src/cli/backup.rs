//! `nightlatch backup FILE`: the whole record in one file, while a server runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::advice::Advisor;
use super::console::Console;
use super::{FINE, block_on};
use crate::app::Base;
use crate::config::{Config, Database, Loaded, key_file};

/// How long the copy may take: gigabytes on a slow disk.
const BACKUP_DEADLINE: Duration = Duration::from_hours(1);

/// Runs the command.
pub(super) fn run(to: &Path, loaded: Loaded, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let Loaded { config, report } = loaded;
    let base = Base::open(&config)?;
    let advisor = Advisor::new(&report);
    let copied = block_on(base.record.backup(to, base.within(BACKUP_DEADLINE)));
    copied.map_err(|error| advisor.explain_repeated(error))?;
    writeln!(console.out, "copied the database to {}", to.display())?;
    if let Some(keys) = kept_secret(&config) {
        console.talk(format_args!(
            "{} is not part of it: keep a copy of that secret too, in another place, or a restore \
             logs everybody out",
            keys.display()
        ));
    }
    Ok(FINE)
}

/// The file of a generated secret that lies beside the database.
fn kept_secret(config: &Config) -> Option<PathBuf> {
    let Database::Sqlite { path } = &config.database else { return None };
    let keys = key_file::beside(path);
    (config.secrets.session.is_none() && keys.exists()).then_some(keys)
}
