//! Says at a start what befell the record, and what there is to be done about it.
//!
//! After a restore everything looks well: people are logged in, some of whom had logged out. Nobody but
//! the record knows, and nobody but a person can decide what is lost.

use std::time::Duration;

use nightlatch_store::past::Past;

use crate::app::Base;

/// How long the record may take: nothing of a start depends on it.
const LIMIT: Duration = Duration::from_secs(2);

/// Looks, and tells.
pub(crate) async fn tell(base: &Base) {
    let Past { restored_at, moved_at } = match base.record.past(base.within(LIMIT)).await {
        Ok(past) => past,
        Err(error) => {
            // A role that may not write there serves all the same.
            tracing::debug!(event = "record.past_unknown", error = %error);
            return;
        }
    };
    if let Some(at) = restored_at {
        tracing::warn!(
            event = "record.restored",
            at = at.to_rfc3339(),
            fix = "nightlatch session revoke --all",
            "the database was restored from a backup: who logged out, was disabled or changed the \
             password since then may be logged in again"
        );
    }
    if let Some(at) = moved_at {
        tracing::warn!(
            event = "record.moved",
            at = at.to_rfc3339(),
            fix = "set DATABASE_URL to where it was moved to",
            "this database was moved into another one: what has changed there since then is not here"
        );
    }
}
