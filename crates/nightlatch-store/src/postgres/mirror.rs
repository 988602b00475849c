//! Mirrored users in PostgreSQL.
//!
//! One statement looks, another writes what was decided, unless somebody has taken a name meanwhile.

use nightlatch_core::{
    Deadline, Email, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, StoreError, StoreResult,
    Subject, User, Written,
};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::end::at_clock;
use super::row::{Reader, fed_columns, user_columns};
use super::user::{of, tell_of_owner};

const FIND: &str = concat!(
    "SELECT ",
    user_columns!(),
    ", u.subject, u.password_hash IS NOT NULL AS has_password FROM nightlatch.users u
      WHERE u.subject = $1 OR u.username_folded = $2 OR u.email_folded = $3"
);

const UPDATE: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users SET subject = $4, username = $5, username_folded = $6, email = $7,
             email_folded = $8, email_verified = $9, name = $10, groups = $11,
             updated_at = (SELECT at FROM clock)
         WHERE id = $1 AND password_hash IS NULL AND (subject IS NULL OR subject = $4)
             AND NOT EXISTS (SELECT FROM nightlatch.users o WHERE o.id <> $1
                 AND (o.subject = $4 OR o.username_folded = $6 OR o.email_folded = $8))
         RETURNING *
     )",
    tell_of_owner!(4)
);

impl MirrorStore for PostgresRecord {
    fn find_mirrored(
        &self,
        keys: MirrorKeys,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<MirrorFound>> {
        Box::pin(async move {
            let doing = "finding a mirrored user";
            let params: &[Param] = &[
                (&keys.subject.as_str(), Type::TEXT),
                (&keys.username.folded(), Type::TEXT),
                (&keys.email.as_ref().map(Email::folded), Type::TEXT),
            ];
            let call = Call { doing, effect: Effect::Read, sql: FIND, params };
            let rows = self.rows(call, deadline).await?;
            rows.iter().map(|row| found(&Reader { row, doing })).collect()
        })
    }

    fn update_mirrored(
        &self,
        update: MirrorUpdate,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let row_id = self.fresh_row_id();
            let [id, at, feed] = of(&update.id, &row_id);
            let params: &[Param] = &[
                id,
                at,
                feed,
                (&update.subject.as_str(), Type::TEXT),
                (&update.username.as_str(), Type::TEXT),
                (&update.username.folded(), Type::TEXT),
                (&update.email.as_ref().map(Email::as_str), Type::TEXT),
                (&update.email.as_ref().map(Email::folded), Type::TEXT),
                (&update.email_verified, Type::BOOL),
                (&update.name, Type::TEXT),
                (&update.groups.as_slice(), Type::TEXT_ARRAY),
            ];
            self.change_user("mirroring a user", UPDATE, params, deadline).await
        })
    }
}

fn found(reader: &Reader<'_>) -> Result<MirrorFound, StoreError> {
    Ok(MirrorFound {
        user: reader.user()?,
        subject: reader.subject()?,
        has_password: reader.get("has_password")?,
    })
}

impl Reader<'_> {
    /// Whose mirror a user is.
    pub(super) fn subject(&self) -> Result<Option<Subject>, StoreError> {
        let stored: Option<&str> = self.get("subject")?;
        let subject = stored.map(Subject::try_new).transpose();
        subject.map_err(|error| self.malformed("subject", error))
    }
}
