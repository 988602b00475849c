//! Mirrored users in PostgreSQL.
//!
//! One statement looks, another writes what was decided, unless somebody has taken a name meanwhile.

use nightlatch_core::{
    Deadline, Email, MirrorFound, MirrorKeys, MirrorStore, MirrorUpdate, Mirrored, StandingNote,
    StandingPage, StandingQuery, StoreError, StoreResult, Subject, Timestamp, User, UserId,
    Written,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::call::{Call, Effect, Param};
use super::end::at_clock;
use super::node::micros;
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

/// Down the index of subjects, so that a page costs the same wherever it is.
const LIST_STANDINGS: &str = "
    SELECT u.subject, u.id AS user_id, u.username,
        u.asked_at <= $2 AND EXISTS (
            SELECT FROM nightlatch.sessions s
            WHERE s.user_id = u.id AND s.generation = u.generation
                AND s.ended_at IS NULL AND s.expires_at > $3
                AND s.last_seen_at + $4 >= u.asked_at)
        AND NOT EXISTS (
            SELECT FROM nightlatch.sessions s
            WHERE s.user_id = u.id AND s.generation = u.generation
                AND s.ended_at IS NULL AND s.created_at > $2) AS is_due
    FROM (
        SELECT id, subject, username, generation,
            CASE WHEN standing_asked_at <= $3 THEN standing_asked_at ELSE 0 END AS asked_at
        FROM nightlatch.users
        WHERE subject IS NOT NULL AND subject > $1 AND password_hash IS NULL AND enabled
        ORDER BY subject LIMIT 500
    ) u
    ORDER BY u.subject";

/// As the statement has it: a planner that knows the limit goes down the index.
const PAGE_MAX: usize = 500;

/// Locked in one order, so that two nodes do not wait for each other.
const NOTE_STANDINGS: &str = "
    WITH due AS MATERIALIZED (
        SELECT id FROM nightlatch.users
        WHERE id = ANY ($1) AND coalesce(standing_asked_at, 0) NOT BETWEEN $2 + 1 AND $4
        ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE nightlatch.users u SET standing_asked_at = $3 FROM due
    WHERE u.id = due.id
    RETURNING u.id AS user_id";

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

    fn list_standings(
        &self,
        query: StandingQuery,
        deadline: Deadline,
    ) -> StoreResult<'_, StandingPage> {
        Box::pin(async move {
            let doing = "listing mirrored users";
            // No subject is empty.
            let after = query.after.as_ref().map_or("", Subject::as_str);
            let (asked_before, now) = (query.asked_before.as_micros(), query.now.as_micros());
            let noted_within = micros(query.noted_within);
            let params: &[Param] = &[
                (&after, Type::TEXT),
                (&asked_before, Type::INT8),
                (&now, Type::INT8),
                (&noted_within, Type::INT8),
            ];
            let call = Call { doing, effect: Effect::Read, sql: LIST_STANDINGS, params };
            let rows = self.rows(call, deadline).await?;
            page(&rows, doing, query.limit as usize)
        })
    }

    fn note_standings(
        &self,
        note: StandingNote,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<UserId>> {
        Box::pin(async move {
            let doing = "noting who is asked about";
            let ids: Vec<Uuid> = note.ids.iter().map(|id| *id.as_uuid()).collect();
            let [before, at, now] =
                [note.asked_before, note.asked_at, note.now].map(Timestamp::as_micros);
            let params: &[Param] = &[
                (&ids, Type::UUID_ARRAY),
                (&before, Type::INT8),
                (&at, Type::INT8),
                (&now, Type::INT8),
            ];
            let call = Call { doing, effect: Effect::Write, sql: NOTE_STANDINGS, params };
            let rows = self.rows(call, deadline).await?;
            let id = |row| Reader { row, doing }.get("user_id").map(UserId::from_uuid);
            rows.iter().map(id).collect()
        })
    }
}

fn page(rows: &[Row], doing: &'static str, limit: usize) -> Result<StandingPage, StoreError> {
    let limit = limit.min(PAGE_MAX);
    let rows = &rows[..rows.len().min(limit)];
    let (mut due, mut last) = (Vec::new(), None);
    for row in rows {
        let reader = Reader { row, doing };
        last = reader.subject()?;
        if let (Some(subject), true) = (&last, reader.get("is_due")?) {
            let (id, username) = (UserId::from_uuid(reader.get("user_id")?), reader.username()?);
            due.push(Mirrored { id, subject: subject.clone(), username });
        }
    }
    Ok(StandingPage { due, next: last.filter(|_| rows.len() == limit) })
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
