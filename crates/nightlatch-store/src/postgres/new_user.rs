//! Users who are not there yet: one by one, or imported in batches.
//!
//! Who comes second when two want the same name is decided by the unique index, inside the one
//! statement; what it collided with may be too new for that statement to see, and is then asked
//! for again.

use nightlatch_core::{
    Actor, CreateUser, Deadline, Email, FailureClass, Generation, ImportOutcome, ImportUser,
    NewUser, Outcome, PasswordHash, StoreError, StoreErrorKind, Subject, User,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresRecord;
use super::audit::{actor, audited, by, clock_now};
use super::call::{Call, Effect, Param};
use super::row::Reader;

/// The generation of a new user.
const FIRST_GENERATION: Generation = Generation(1);

/// How often it is looked for what a new user collided with: each time somebody must have taken
/// the name and given it back.
const ROUNDS_MAX: u32 = 3;

const CREATE: &str = concat!(
    "WITH created AS (
        INSERT INTO nightlatch.users (id, username, username_folded, email, email_folded,
            email_verified, name, groups, password_hash, hash_kind, enabled, created_at,
            updated_at, generation, subject)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)
        ON CONFLICT DO NOTHING
        RETURNING id
    )",
    audited!(),
    "SELECT ",
    clock_now!(),
    ", 'user-created', created.id, $2, NULL::uuid, NULL::bigint, NULL, ",
    by!("$15"),
    " FROM created)
    SELECT EXISTS (SELECT FROM created) AS is_created,
        EXISTS (SELECT FROM nightlatch.users WHERE username_folded = $3) AS has_name,
        EXISTS (SELECT FROM nightlatch.users WHERE email_folded = $5) AS has_email,
        EXISTS (SELECT FROM nightlatch.users WHERE subject = $14) AS has_subject"
);

/// Groups come joined: there are no arrays of arrays of different lengths, and no group name has
/// a comma.
const IMPORT: &str = concat!(
    "WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
            $6::boolean[], $7::text[], $8::text[], $9::text[], $10::text[], $11::boolean[],
            $12::bigint[]) WITH ORDINALITY AS t (id, username, username_folded, email,
            email_folded, email_verified, name, groups, password_hash, hash_kind, enabled,
            created_at, number)
    ), created AS (
        INSERT INTO nightlatch.users (id, username, username_folded, email, email_folded,
            email_verified, name, groups, password_hash, hash_kind, enabled, created_at,
            updated_at, generation)
        SELECT id, username, username_folded, email, email_folded, email_verified, name,
            string_to_array(groups, ','), password_hash, hash_kind, enabled, created_at,
            created_at, $13
        FROM wanted ORDER BY number
        ON CONFLICT DO NOTHING
        RETURNING id, username_folded, email_folded
    ), named AS MATERIALIZED (
        SELECT u.username_folded, u.email_folded
        FROM nightlatch.users u JOIN wanted w USING (username_folded)
        UNION SELECT username_folded, email_folded FROM created
    ), mailed AS MATERIALIZED (
        SELECT u.email_folded FROM nightlatch.users u JOIN wanted w USING (email_folded)
        UNION SELECT email_folded FROM created
    )",
    audited!(),
    "SELECT ",
    clock_now!(),
    ", 'user-created', c.id, w.username, NULL::uuid, NULL::bigint, NULL, ",
    by!("$14"),
    " FROM created c JOIN wanted w ON w.id = c.id)
    SELECT EXISTS (SELECT FROM created c WHERE c.id = w.id) AS is_created,
        EXISTS (SELECT FROM named n WHERE n.username_folded = w.username_folded) AS has_name,
        EXISTS (SELECT FROM named n WHERE n.username_folded = w.username_folded
            AND n.email_folded IS NOT DISTINCT FROM w.email_folded) AS has_both,
        EXISTS (SELECT FROM mailed m WHERE m.email_folded = w.email_folded) AS has_email
    FROM wanted w ORDER BY w.number"
);

impl PostgresRecord {
    pub(super) async fn insert_user(
        &self,
        user: NewUser,
        by: Actor,
        deadline: Deadline,
    ) -> Result<CreateUser, StoreError> {
        let doing = "creating a user";
        let params: &[Param] = &[
            (user.id.as_uuid(), Type::UUID),
            (&user.username.as_str(), Type::TEXT),
            (&user.username.folded(), Type::TEXT),
            (&user.email.as_ref().map(Email::as_str), Type::TEXT),
            (&user.email.as_ref().map(Email::folded), Type::TEXT),
            (&user.email_verified, Type::BOOL),
            (&user.name, Type::TEXT),
            (&user.groups.as_slice(), Type::TEXT_ARRAY),
            (&user.hash.as_ref().map(PasswordHash::expose), Type::TEXT),
            (&user.hash.as_ref().map(|hash| hash.kind().0), Type::TEXT),
            (&user.enabled, Type::BOOL),
            (&user.created_at.as_micros(), Type::INT8),
            (&FIRST_GENERATION.0, Type::INT8),
            (&user.subject.as_ref().map(Subject::as_str), Type::TEXT),
            (&actor(&by), Type::TEXT_ARRAY),
        ];
        for _ in 0..ROUNDS_MAX {
            let call = Call { doing, effect: Effect::Write, sql: CREATE, params };
            let row = self.row(call, deadline).await?;
            let reader = Reader { row: &row, doing };
            if reader.get("is_created")? {
                return Ok(CreateUser::Created(created(user)));
            }
            if reader.get("has_name")? {
                return Ok(CreateUser::UsernameTaken);
            }
            if reader.get("has_email")? {
                return Ok(CreateUser::EmailTaken);
            }
            if reader.get("has_subject")? {
                return Ok(CreateUser::SubjectTaken);
            }
        }
        Err(never_settled(doing))
    }

    pub(super) async fn insert_absent_users(
        &self,
        users: Vec<ImportUser>,
        by: Actor,
        deadline: Deadline,
    ) -> Result<Vec<ImportOutcome>, StoreError> {
        let doing = "importing users";
        let mut outcomes: Vec<Option<ImportOutcome>> = vec![None; users.len()];
        for _ in 0..ROUNDS_MAX {
            let open: Vec<usize> = (0..users.len()).filter(|at| outcomes[*at].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let batch: Vec<&ImportUser> = open.iter().map(|at| &users[*at]).collect();
            let rows = self.import_batch(doing, &batch, &by, deadline).await?;
            for (at, row) in open.into_iter().zip(&rows) {
                outcomes[at] = import_outcome(&Reader { row, doing })?;
            }
        }
        outcomes.into_iter().map(|outcome| outcome.ok_or_else(|| never_settled(doing))).collect()
    }

    async fn import_batch(
        &self,
        doing: &'static str,
        users: &[&ImportUser],
        by: &Actor,
        deadline: Deadline,
    ) -> Result<Vec<Row>, StoreError> {
        fn column<'a, T>(users: &[&'a ImportUser], of: impl Fn(&'a ImportUser) -> T) -> Vec<T> {
            users.iter().map(|user| of(user)).collect()
        }
        let ids: Vec<Uuid> = column(users, |user| *user.id.as_uuid());
        let emails = column(users, |user| user.email.as_ref().map(Email::as_str));
        let folded_emails = column(users, |user| user.email.as_ref().map(Email::folded));
        let hashes = column(users, |user| user.hash.as_ref().map(PasswordHash::expose));
        let kinds = column(users, |user| user.hash.as_ref().map(|hash| hash.kind().0));
        let params: &[Param] = &[
            (&ids, Type::UUID_ARRAY),
            (&column(users, |user| user.username.as_str()), Type::TEXT_ARRAY),
            (&column(users, |user| user.username.folded()), Type::TEXT_ARRAY),
            (&emails, Type::TEXT_ARRAY),
            (&folded_emails, Type::TEXT_ARRAY),
            (&column(users, |user| user.email_verified), Type::BOOL_ARRAY),
            (&column(users, |user| user.name.as_str()), Type::TEXT_ARRAY),
            (&column(users, |user| user.groups.as_slice().join(",")), Type::TEXT_ARRAY),
            (&hashes, Type::TEXT_ARRAY),
            (&kinds, Type::TEXT_ARRAY),
            (&column(users, |user| user.enabled), Type::BOOL_ARRAY),
            (&column(users, |user| user.created_at.as_micros()), Type::INT8_ARRAY),
            (&FIRST_GENERATION.0, Type::INT8),
            (&actor(by), Type::TEXT_ARRAY),
        ];
        let call = Call { doing, effect: Effect::Write, sql: IMPORT, params };
        self.rows(call, deadline).await
    }
}

/// `None`: it collided with somebody whom the statement could not see yet.
fn import_outcome(reader: &Reader<'_>) -> Result<Option<ImportOutcome>, StoreError> {
    if reader.get("is_created")? {
        return Ok(Some(ImportOutcome::Created));
    }
    if reader.get("has_both")? {
        return Ok(Some(ImportOutcome::Present));
    }
    if reader.get("has_name")? {
        return Ok(Some(ImportOutcome::UsernameTaken));
    }
    let has_email: bool = reader.get("has_email")?;
    Ok(has_email.then_some(ImportOutcome::EmailTaken))
}

fn created(user: NewUser) -> User {
    User {
        id: user.id,
        username: user.username,
        email: user.email,
        email_verified: user.email_verified,
        name: user.name,
        groups: user.groups,
        generation: FIRST_GENERATION,
        enabled: user.enabled,
        created_at: user.created_at,
    }
}

fn never_settled(doing: &'static str) -> StoreError {
    let (kind, class) = (StoreErrorKind::Unavailable, FailureClass::Busy);
    StoreError::new(kind, class, Outcome::NotApplied, doing)
}
