//! What commands work with: the use cases over the record that the configuration names.
//!
//! A command runs beside servers and shares nothing with them but the record, so what it changes
//! binds them as fast as they look there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nightlatch_core::{Deadline, FailureClass, Keys, StoreError};

use super::advice::Advisor;
use super::block_on;
use super::console::Console;
use crate::app::{Base, Beside, Node};
use crate::config::{Database, Loaded, secrets};

/// How long the record may take to answer at first, and for each small thing after it.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// How long hashing a password on a busy machine and storing it may take.
const HASHING_DEADLINE: Duration = Duration::from_secs(15);

/// How long changing or making very many rows may take.
const BULK_DEADLINE: Duration = Duration::from_mins(2);

/// What to do where there is no database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfAbsent {
    /// Make one: the command puts something into it.
    Create,
    /// Say so: an empty one would answer no question, and is most likely in the wrong place.
    Refuse,
}

/// Runs a command with the use cases, on a record whose schema is up to date.
pub(super) fn with_node(
    loaded: Loaded,
    if_absent: IfAbsent,
    console: &mut Console<'_>,
    command: impl AsyncFnOnce(&Node, &mut Console<'_>) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    let Loaded { config, report } = loaded;
    let base = Base::open(&config)?;
    let advisor = Advisor::new(&report);
    let done = block_on(async {
        let ready = make_ready(&base, &config.database, if_absent, console).await;
        ready.map_err(|error| advisor.explain_repeated(error))?;
        let keys = unused_keys(&base)?;
        let record = base.record.port();
        let beside = Beside {
            record,
            announcer: Arc::new(()),
            access_tokens: Arc::new(()),
            auth_service: None,
        };
        let node = base.assemble(&config, keys, beside)?;
        command(&node, console).await
    });
    done.map_err(|error| advisor.explain(error))
}

impl Node {
    /// A deadline for one small thing.
    pub(super) fn soon(&self) -> Deadline {
        self.base.within(ANSWER_DEADLINE)
    }

    /// A deadline for what hashes a password.
    pub(super) fn after_hashing(&self) -> Deadline {
        self.base.within(HASHING_DEADLINE)
    }

    /// A deadline for what touches very many rows.
    pub(super) fn after_many_rows(&self) -> Deadline {
        self.base.within(BULK_DEADLINE)
    }
}

/// Asks the record how it is, brings its schema up where that is all that is missing, and takes
/// over its clock.
async fn make_ready(
    base: &Base,
    database: &Database,
    if_absent: IfAbsent,
    console: &mut Console<'_>,
) -> anyhow::Result<()> {
    let Err(error) = base.follow_clock(base.within(ANSWER_DEADLINE)).await else { return Ok(()) };
    let has_no_file = has_no_file(&error, database);
    let may_migrate = match if_absent {
        IfAbsent::Create => has_no_file || error.class() == FailureClass::Schema,
        IfAbsent::Refuse => error.class() == FailureClass::Schema,
    };
    if !may_migrate {
        return Err(error.into());
    }
    let applied = base.record.port().migrate(base.within(BULK_DEADLINE)).await?;
    if let (true, Database::Sqlite { path }) = (has_no_file, database) {
        console.talk(format_args!("created the database {}", path.display()));
    } else if !applied.is_empty() {
        let applied = applied.join(", ");
        console.talk(format_args!("brought the database's schema up to this release: {applied}"));
    }
    Ok(base.follow_clock(base.within(ANSWER_DEADLINE)).await?)
}

fn has_no_file(error: &StoreError, database: &Database) -> bool {
    let Database::Sqlite { path } = database else { return false };
    error.class() == FailureClass::Missing && !path.exists()
}

/// Keys that nothing is signed with: a command neither issues nor checks tokens. The servers' own
/// would have to be read, or made, in a file that belongs to them.
fn unused_keys(base: &Base) -> anyhow::Result<Keys> {
    let fresh = secrets::fresh(&*base.entropy);
    let keys = secrets::kept_keys(fresh.expose().as_bytes()).context("making keys")?;
    Ok(Keys::derive(&keys, &keys))
}
