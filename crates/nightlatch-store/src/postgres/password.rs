//! A password change: the new hash, the end of all sessions and the next one, in one statement.

use nightlatch_core::{
    Actor, ChangedPassword, Deadline, FailureClass, FoundSession, Outcome, PasswordChange,
    StoreError, StoreErrorKind, Written,
};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::audit::{actor, audit_owner, audited, by};
use super::call::{Call, Effect, Param};
use super::end::{at_clock, end_all_of_owner, lately};
use super::row::{Reader, fed_columns, fed_rows, head_columns, user_columns};

const CHANGE_PASSWORD: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users SET password_hash = $4, hash_kind = $5,
             generation = generation + 1, updated_at = (SELECT at FROM clock)
         WHERE id = $1 AND subject IS NULL AND ($6 IS NULL OR (enabled AND generation = $6))
         RETURNING *
     )",
    end_all_of_owner!(2),
    ", next AS (
         INSERT INTO nightlatch.sessions (id, token_hash, user_id, generation, created_at,
             last_seen_at, expires_at, remember, address, user_agent)
         SELECT $7, $8, owner.id, owner.generation, $9, $10, $11, $12, $13, $14
         FROM owner WHERE $7 IS NOT NULL
     )",
    audit_owner!("password-changed", "NULL::bigint", "NULL", "$15"),
    " SELECT ",
    head_columns!(),
    ", ",
    user_columns!(),
    ", ",
    fed_columns!(),
    " FROM owner u LEFT JOIN nightlatch.feed_head head ON true LEFT JOIN fed f ON true"
);

/// What [`CHANGE_PASSWORD`] gives, if it has happened: its feed row `$2` is there. Without the user's
/// columns if more has happened to the user `$1` or to the next session `$3` since.
const PASSWORD_CHANGED: &str = concat!(
    "SELECT ",
    head_columns!(),
    ", ",
    user_columns!(),
    ", ",
    fed_columns!(),
    " FROM nightlatch.feed_head head
      JOIN nightlatch.feed f ON f.position > head.position - ",
    lately!(),
    " AND f.id = $2
      LEFT JOIN nightlatch.users u ON u.id = $1 AND u.generation = f.generation
          AND ($3 IS NULL OR EXISTS (
              SELECT FROM nightlatch.sessions s WHERE s.id = $3 AND s.ended_at IS NULL
          ))"
);

impl PostgresRecord {
    pub(super) async fn replace_password(
        &self,
        change: PasswordChange,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Option<Written<ChangedPassword>>, StoreError> {
        let doing = "changing a password";
        let next = change.next_session.as_ref();
        let session = next.map(|next| &next.session);
        let token = next.map(|next| next.token.as_bytes().as_slice());
        let row_id = self.fresh_row_id();
        let params: &[Param] = &[
            (change.user_id.as_uuid(), Type::UUID),
            (&session.map(|s| s.created_at.as_micros()), Type::INT8),
            (&row_id, Type::INT8),
            (&change.hash.expose(), Type::TEXT),
            (&change.hash.kind().0, Type::TEXT),
            (&change.verified_at.map(|generation| generation.0), Type::INT8),
            (&session.map(|s| *s.id.as_uuid()), Type::UUID),
            (&token, Type::BYTEA),
            (&session.map(|s| s.created_at.as_micros()), Type::INT8),
            (&session.map(|s| s.last_seen_at.as_micros()), Type::INT8),
            (&session.map(|s| s.expires_at.as_micros()), Type::INT8),
            (&session.map(|s| s.remember), Type::BOOL),
            (&session.map(|s| s.client.address), Type::INET),
            (&session.map(|s| s.client.user_agent.as_str()), Type::TEXT),
            (&actor(&by), Type::TEXT_ARRAY),
        ];
        let write = Call { doing, effect: Effect::Write, sql: CHANGE_PASSWORD, params };
        let seen: &[Param] = &[
            (change.user_id.as_uuid(), Type::UUID),
            (&row_id, Type::INT8),
            (&session.map(|s| *s.id.as_uuid()), Type::UUID),
        ];
        let seen = Call { doing, effect: Effect::Read, sql: PASSWORD_CHANGED, params: seen };
        let rows = self.server.change(write, seen, deadline).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let reader = Reader { row, doing };
        let Some(user) = reader.user_opt()? else { return Err(overtaken(doing)) };
        let (as_of, history) = (reader.as_of()?, reader.history()?);
        let next = change.next_session.map(|next| {
            let (session, user) = (next.session, user.clone());
            FoundSession::new(session, user, as_of, history)
        });
        let value = ChangedPassword { user, next };
        Ok(Some(Written { value, rows: fed_rows(&rows, doing)? }))
    }
}

/// It has happened, and more after it: who asked has no session by it.
fn overtaken(doing: &'static str) -> StoreError {
    let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Closed);
    StoreError::new(kind, class, Outcome::Unknown, doing)
}
