//! Users and their credentials. What takes credentials away raises the generation and writes the
//! feed in the same statement; see [`super::session`] for how these statements are built.

use nightlatch_core::{
    Actor, AddressPrefix, ChangedPassword, CreateUser, Credentials, Deadline, Groups, HashKind,
    ImportOutcome, ImportUser, KNOWN_PREFIX_RETENTION, LoginName, NewUser, PasswordChange,
    PasswordHash, StoreError, StoreResult, Timestamp, User, UserId, UserStore, Written,
};
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::audit::{actor, audit_owner, audited, by};
use super::call::{Call, Effect, Param};
use super::end::{at_clock, end_all_of_owner};
use super::row::{Reader, fed_columns, fed_rows, user_columns};

macro_rules! find_credentials {
    ($column:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", u.password_hash, u.subject, EXISTS (
                   SELECT FROM nightlatch.known_prefixes k
                   WHERE k.user_id = u.id AND k.prefix = $2 AND k.last_login_at > $3
               ) AS prefix_is_known
               FROM nightlatch.users u WHERE u.",
            $column,
            " = $1"
        )
    };
}

const FIND_BY_USERNAME: &str = find_credentials!("username_folded");

const FIND_BY_EMAIL: &str = find_credentials!("email_folded");

const FIND_BY_ID: &str = find_credentials!("id");

const LIST: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM nightlatch.users u WHERE $1 IS NULL OR u.username_folded > $1
      ORDER BY u.username_folded LIMIT $2"
);

const DISABLE: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users SET enabled = false, generation = generation + 1,
             updated_at = (SELECT at FROM clock)
         WHERE id = $1
         RETURNING *
     )",
    end_all_of_owner!(5),
    audit_owner!("user-disabled", "NULL::bigint", "NULL", "$4"),
    " SELECT ",
    user_columns!(),
    ", ",
    fed_columns!(),
    " FROM owner u LEFT JOIN fed f ON true"
);

/// The feed says "below the generation after the last": it ends what any login in flight may
/// still have got.
const DELETE: &str = concat!(
    at_clock!(),
    ", owner AS (
         DELETE FROM nightlatch.users WHERE id = $1
         RETURNING id, username, generation + 1 AS generation
     ), forgotten AS (
         DELETE FROM nightlatch.known_prefixes WHERE user_id = (SELECT id FROM owner)
     )",
    end_all_of_owner!(5),
    audit_owner!("user-deleted", "NULL::bigint", "NULL", "$4"),
    " SELECT ",
    fed_columns!(),
    " FROM owner LEFT JOIN fed f ON true"
);

/// The end of statements that change what copies of a user's sessions show.
macro_rules! tell_of_owner {
    ($kind:literal) => {
        concat!(
            ", moved AS (
                 UPDATE nightlatch.feed_head h SET position = h.position + 1, row_id = $3
                 FROM owner
                 RETURNING h.position
             ), fed AS (
                 INSERT INTO nightlatch.feed (position, id, kind, user_id, at)
                 SELECT moved.position, $3, ",
            $kind,
            ", owner.id, clock.at FROM moved, owner, clock
                 RETURNING *
             )
             SELECT ",
            user_columns!(),
            ", ",
            fed_columns!(),
            " FROM owner u LEFT JOIN fed f ON true"
        )
    };
}

pub(super) use tell_of_owner;

const ENABLE: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users SET enabled = true, updated_at = (SELECT at FROM clock)
         WHERE id = $1 RETURNING *
     )",
    audit_owner!("user-enabled", "NULL::bigint", "NULL", "$4"),
    tell_of_owner!(6)
);

const SET_GROUPS: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users SET groups = $4, updated_at = (SELECT at FROM clock)
         WHERE id = $1 RETURNING *
     )",
    audit_owner!("groups-changed", "NULL::bigint", "array_to_string(owner.groups, ',')", "$5"),
    tell_of_owner!(4)
);

const VERIFY_EMAIL: &str = concat!(
    at_clock!(),
    ", owner AS (
         UPDATE nightlatch.users SET email_verified = true, updated_at = (SELECT at FROM clock)
         WHERE id = $1 AND email IS NOT NULL RETURNING *
     )",
    audit_owner!("email-verified", "NULL::bigint", "NULL", "$4"),
    tell_of_owner!(4)
);

const UPGRADE_HASH: &str = "
    UPDATE nightlatch.users SET password_hash = $3, hash_kind = $4
    WHERE id = $1 AND password_hash = $2
    RETURNING id";

/// Each kind is one step in the index, however many users have it.
const LIST_HASH_KINDS: &str = "
    WITH RECURSIVE kinds AS (
        SELECT min(hash_kind) AS kind FROM nightlatch.users
        UNION ALL
        SELECT (SELECT min(hash_kind) FROM nightlatch.users WHERE hash_kind > kinds.kind)
        FROM kinds WHERE kinds.kind IS NOT NULL
    )
    SELECT kind FROM kinds WHERE kind IS NOT NULL";

impl UserStore for PostgresRecord {
    fn find_credentials<'a>(
        &'a self,
        name: &'a LoginName,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'a, Option<Credentials>> {
        Box::pin(async move {
            let (sql, text) = match name {
                LoginName::Username(name) => (FIND_BY_USERNAME, Some(name.as_str())),
                LoginName::Email(email) => (FIND_BY_EMAIL, Some(email.as_str())),
                // Asked all the same, so that it takes as long and fails as other names do.
                LoginName::Impossible(_) => (FIND_BY_USERNAME, None),
            };
            // No text of PostgreSQL holds a NUL, so nobody has such a name.
            let text = text.filter(|text| !text.contains('\0'));
            let found = self.find((&text, Type::TEXT), sql, (prefix, now), deadline).await;
            self.lookups.credentials.note(name.clone(), &found, StoreError::class);
            found
        })
    }

    fn find_credentials_by_id(
        &self,
        id: UserId,
        prefix: AddressPrefix,
        now: Timestamp,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Credentials>> {
        Box::pin(async move {
            self.find((id.as_uuid(), Type::UUID), FIND_BY_ID, (prefix, now), deadline).await
        })
    }

    fn create_user(
        &self,
        user: NewUser,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, CreateUser> {
        Box::pin(self.insert_user(user, by, deadline))
    }

    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
        deadline: Deadline,
    ) -> StoreResult<'a, Vec<User>> {
        Box::pin(async move {
            let doing = "listing users";
            let params: &[Param] = &[(&after, Type::TEXT), (&i64::from(limit), Type::INT8)];
            let call = Call { doing, effect: Effect::Read, sql: LIST, params };
            let rows = self.rows(call, deadline).await?;
            rows.iter().map(|row| Reader { row, doing }.user()).collect()
        })
    }

    fn set_enabled(
        &self,
        id: UserId,
        enabled: bool,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let (doing, sql) =
                if enabled { ("enabling a user", ENABLE) } else { ("disabling a user", DISABLE) };
            let row_id = self.fresh_row_id();
            let [id, at, feed] = of(&id, &row_id);
            let params: &[Param] = &[id, at, feed, (&actor(&by), Type::TEXT_ARRAY)];
            self.change_user(doing, sql, params, deadline).await
        })
    }

    fn delete_user(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Written<bool>> {
        Box::pin(async move {
            let doing = "deleting a user";
            let row_id = self.fresh_row_id();
            let [id, at, feed] = of(&id, &row_id);
            let params: &[Param] = &[id, at, feed, (&actor(&by), Type::TEXT_ARRAY)];
            let call = Call { doing, effect: Effect::Write, sql: DELETE, params };
            let rows = self.rows(call, deadline).await?;
            Ok(Written { value: !rows.is_empty(), rows: fed_rows(&rows, doing)? })
        })
    }

    fn set_groups(
        &self,
        id: UserId,
        groups: Groups,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let row_id = self.fresh_row_id();
            let [id, at, feed] = of(&id, &row_id);
            let groups = groups.as_slice();
            let by = actor(&by);
            let params: &[Param] =
                &[id, at, feed, (&groups, Type::TEXT_ARRAY), (&by, Type::TEXT_ARRAY)];
            self.change_user("setting groups", SET_GROUPS, params, deadline).await
        })
    }

    fn verify_email(
        &self,
        id: UserId,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<User>>> {
        Box::pin(async move {
            let row_id = self.fresh_row_id();
            let [id, at, feed] = of(&id, &row_id);
            let params: &[Param] = &[id, at, feed, (&actor(&by), Type::TEXT_ARRAY)];
            self.change_user("verifying an e-mail", VERIFY_EMAIL, params, deadline).await
        })
    }

    fn change_password(
        &self,
        change: PasswordChange,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Option<Written<ChangedPassword>>> {
        Box::pin(self.replace_password(change, by, deadline))
    }

    fn upgrade_hash(
        &self,
        id: UserId,
        old: PasswordHash,
        new: PasswordHash,
        deadline: Deadline,
    ) -> StoreResult<'_, bool> {
        Box::pin(async move {
            let params: &[Param] = &[
                (id.as_uuid(), Type::UUID),
                (&old.expose(), Type::TEXT),
                (&new.expose(), Type::TEXT),
                (&new.kind().0, Type::TEXT),
            ];
            let doing = "upgrading a password hash";
            let call = Call { doing, effect: Effect::Write, sql: UPGRADE_HASH, params };
            Ok(self.row_opt(call, deadline).await?.is_some())
        })
    }

    fn import_users(
        &self,
        users: Vec<ImportUser>,
        by: Actor,
        deadline: Deadline,
    ) -> StoreResult<'_, Vec<ImportOutcome>> {
        Box::pin(self.insert_absent_users(users, by, deadline))
    }

    fn list_hash_kinds(&self, deadline: Deadline) -> StoreResult<'_, Vec<HashKind>> {
        Box::pin(async move {
            let doing = "listing kinds of password hashes";
            let call = Call { doing, effect: Effect::Read, sql: LIST_HASH_KINDS, params: &[] };
            let rows = self.rows(call, deadline).await?;
            rows.iter().map(|row| Reader { row, doing }.get("kind").map(HashKind)).collect()
        })
    }
}

/// What statements that change a user begin with: the user, the time (now), the id of the feed row.
pub(super) fn of<'a>(id: &'a UserId, row_id: &'a i64) -> [Param<'a>; 3] {
    [(id.as_uuid(), Type::UUID), (&None::<i64>, Type::INT8), (row_id, Type::INT8)]
}

impl PostgresRecord {
    async fn find(
        &self,
        key: Param<'_>,
        sql: &'static str,
        (prefix, now): (AddressPrefix, Timestamp),
        deadline: Deadline,
    ) -> Result<Option<Credentials>, StoreError> {
        let doing = "finding a user";
        let prefix = prefix.as_bytes().as_slice();
        let known_since = now.before(KNOWN_PREFIX_RETENTION).as_micros();
        let params: &[Param] = &[key, (&prefix, Type::BYTEA), (&known_since, Type::INT8)];
        let call = Call { doing, effect: Effect::Read, sql, params };
        let Some(row) = self.row_opt(call, deadline).await? else { return Ok(None) };
        let reader = Reader { row: &row, doing };
        Ok(Some(Credentials {
            user: reader.user()?,
            hash: reader.hash()?,
            subject: reader.subject()?,
            prefix_is_known: reader.get("prefix_is_known")?,
        }))
    }

    /// A statement that changes one user and gives the changed one.
    pub(super) async fn change_user(
        &self,
        doing: &'static str,
        sql: &'static str,
        params: &[Param<'_>],
        deadline: Deadline,
    ) -> Result<Option<Written<User>>, StoreError> {
        let call = Call { doing, effect: Effect::Write, sql, params };
        let rows = self.rows(call, deadline).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let value = Reader { row, doing }.user()?;
        Ok(Some(Written { value, rows: fed_rows(&rows, doing)? }))
    }
}
