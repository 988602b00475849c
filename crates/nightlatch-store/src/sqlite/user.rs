//! Users in SQLite: the statements behind the port of users.
//!
//! Whatever takes a right away raises the credential generation in the same savepoint: a login under
//! way reads the old one and is refused.

use nightlatch_core::{
    Actor, AddressPrefix, AuditAction, ChangedPassword, CreateUser, Credentials, Email, FeedKind,
    FeedRow, Generation, Groups, HashKind, ImportOutcome, KNOWN_PREFIX_RETENTION, LoginName,
    NewSession, NewUser, PasswordChange, PasswordHash, Subject, Timestamp, User, UserId, Written,
};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::audit::About;
use super::feed::Change;
use super::row::{self, USER_COLUMNS, user_columns};
use super::{mirror, session};

/// Whom credentials are asked for.
pub(super) enum Whom {
    Name(LoginName),
    Id(UserId),
}

pub(super) fn find_credentials(
    conn: &Connection,
    whom: &Whom,
    prefix: AddressPrefix,
    now: Timestamp,
) -> rusqlite::Result<Option<Credentials>> {
    let known_since = now.before(KNOWN_PREFIX_RETENTION).as_micros();
    // What cannot be a name is asked for too, by NULL that equals nothing: "nobody" must not be
    // answered faster, or while the record gives no answers.
    let (sql, key): (_, &dyn ToSql) = match whom {
        Whom::Name(LoginName::Username(folded)) => (BY_USERNAME, folded),
        Whom::Name(LoginName::Email(folded)) => (BY_EMAIL, folded),
        Whom::Name(LoginName::Impossible(_)) => (BY_USERNAME, &rusqlite::types::Null),
        Whom::Id(id) => (BY_ID, id.as_uuid().as_bytes()),
    };
    let params: [&dyn ToSql; 3] = [key, prefix.as_bytes(), &known_since];
    conn.prepare_cached(sql)?
        .query_row(params, |row| {
            let hash: Option<String> = row.get(USER_COLUMNS)?;
            Ok(Credentials {
                user: row::user(row, 0)?,
                hash: hash.map(PasswordHash::from_stored),
                subject: mirror::subject(row, USER_COLUMNS + 1)?,
                prefix_is_known: row.get(USER_COLUMNS + 2)?,
            })
        })
        .optional()
}

macro_rules! credentials_by {
    ($column:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", u.password_hash, u.subject, EXISTS (SELECT 1 FROM known_prefixes k
                 WHERE k.user_id = u.id AND k.prefix = ?2 AND k.last_login_at > ?3)
             FROM users u WHERE u.",
            $column,
            " = ?1"
        )
    };
}

const BY_USERNAME: &str = credentials_by!("username_folded");
const BY_EMAIL: &str = credentials_by!("email_folded");
const BY_ID: &str = credentials_by!("id");

pub(super) fn list(
    conn: &Connection,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<User>> {
    conn.prepare_cached(concat!(
        "SELECT ",
        user_columns!(),
        " FROM users u WHERE u.username_folded > ?1 ORDER BY u.username_folded LIMIT ?2"
    ))?
    .query_map(params![after.unwrap_or_default(), limit], |row| row::user(row, 0))?
    .collect()
}

pub(super) fn list_hash_kinds(conn: &Connection) -> rusqlite::Result<Vec<HashKind>> {
    // One step of the index for each kind, however many users there are.
    conn.prepare_cached(
        "WITH RECURSIVE kinds (kind) AS (
             SELECT min(hash_kind) FROM users
             UNION ALL
             SELECT (SELECT min(hash_kind) FROM users WHERE hash_kind > kind)
             FROM kinds WHERE kind IS NOT NULL)
         SELECT kind FROM kinds WHERE kind IS NOT NULL",
    )?
    .query_map([], |row| row.get(0).map(HashKind))?
    .collect()
}

pub(super) fn create(
    change: &Change<'_>,
    user: &NewUser,
    by: &Actor,
) -> rusqlite::Result<CreateUser> {
    if is_taken(change.conn, "username_folded", user.username.folded())? {
        return Ok(CreateUser::UsernameTaken);
    }
    if email_is_taken(change.conn, user)? {
        return Ok(CreateUser::EmailTaken);
    }
    if let Some(subject) = &user.subject
        && is_taken(change.conn, "subject", subject.as_str())?
    {
        return Ok(CreateUser::SubjectTaken);
    }
    insert(change, user, by).map(CreateUser::Created)
}

pub(super) fn import(
    change: &Change<'_>,
    users: &[NewUser],
    by: &Actor,
) -> rusqlite::Result<Vec<ImportOutcome>> {
    users.iter().map(|user| import_one(change, user, by)).collect()
}

fn import_one(change: &Change<'_>, user: &NewUser, by: &Actor) -> rusqlite::Result<ImportOutcome> {
    let there: Option<Option<String>> = change
        .conn
        .prepare_cached("SELECT email_folded FROM users WHERE username_folded = ?1")?
        .query_row([user.username.folded()], |row| row.get(0))
        .optional()?;
    if let Some(email) = there {
        let is_same = email.as_deref() == user.email.as_ref().map(Email::folded);
        return Ok(if is_same { ImportOutcome::Present } else { ImportOutcome::UsernameTaken });
    }
    if email_is_taken(change.conn, user)? {
        return Ok(ImportOutcome::EmailTaken);
    }
    insert(change, user, by)?;
    Ok(ImportOutcome::Created)
}

fn email_is_taken(conn: &Connection, user: &NewUser) -> rusqlite::Result<bool> {
    match &user.email {
        Some(email) => is_taken(conn, "email_folded", email.folded()),
        None => Ok(false),
    }
}

fn is_taken(conn: &Connection, column: &'static str, folded: &str) -> rusqlite::Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM users WHERE {column} = ?1)");
    conn.prepare_cached(&sql)?.query_row([folded], |row| row.get(0))
}

fn insert(change: &Change<'_>, user: &NewUser, by: &Actor) -> rusqlite::Result<User> {
    let first = Generation(1);
    change
        .conn
        .prepare_cached(
            "INSERT INTO users (id, username, username_folded, email, email_folded, email_verified,
             name, groups, password_hash, hash_kind, generation, enabled, created_at, updated_at,
             subject)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14)",
        )?
        .execute(params![
            user.id.as_uuid().as_bytes(),
            user.username.as_str(),
            user.username.folded(),
            user.email.as_ref().map(Email::as_str),
            user.email.as_ref().map(Email::folded),
            user.email_verified,
            user.name,
            row::groups_to_json(&user.groups),
            user.hash.as_ref().map(PasswordHash::expose),
            user.hash.as_ref().map(|hash| hash.kind().0),
            first.0,
            user.enabled,
            user.created_at.as_micros(),
            user.subject.as_ref().map(Subject::as_str),
        ])?;
    change.audit(AuditAction::UserCreated, About::user(user.id), by, change.now)?;
    Ok(User {
        id: user.id,
        username: user.username.clone(),
        email: user.email.clone(),
        email_verified: user.email_verified,
        name: user.name.clone(),
        groups: user.groups.clone(),
        generation: first,
        enabled: user.enabled,
        created_at: user.created_at,
    })
}

pub(super) fn set_enabled(
    change: &Change<'_>,
    id: UserId,
    enabled: bool,
    by: &Actor,
) -> rusqlite::Result<Option<Written<User>>> {
    let sql = "UPDATE users SET enabled = ?2, updated_at = ?3 WHERE id = ?1";
    let there = change.conn.prepare_cached(sql)?.execute(params![
        id.as_uuid().as_bytes(),
        enabled,
        change.now.as_micros()
    ])?;
    if there == 0 {
        return Ok(None);
    }
    let action = if enabled { AuditAction::UserEnabled } else { AuditAction::UserDisabled };
    change.audit(action, About::user(id), by, change.now)?;
    let rows = if enabled {
        vec![change.append_to_feed(FeedKind::UserEnabled(id), change.now)?]
    } else {
        end_all(change, id, FeedKind::UserDisabled, change.now)?.map_or_else(Vec::new, rows_of)
    };
    Ok(find(change.conn, id)?.map(|value| Written { value, rows }))
}

pub(super) fn delete(
    change: &Change<'_>,
    id: UserId,
    by: &Actor,
) -> rusqlite::Result<Written<bool>> {
    // The generation is raised first: the feed names one above the last that a session can have.
    let ended = end_all(change, id, FeedKind::UserDisabled, change.now)?;
    if ended.is_some() {
        change.audit(AuditAction::UserDeleted, About::user(id), by, change.now)?;
    }
    change
        .conn
        .prepare_cached("DELETE FROM users WHERE id = ?1")?
        .execute([id.as_uuid().as_bytes()])?;
    Ok(Written { value: ended.is_some(), rows: ended.map_or_else(Vec::new, rows_of) })
}

fn rows_of<T>(written: Written<T>) -> Vec<FeedRow> {
    written.rows
}

pub(super) fn set_groups(
    change: &Change<'_>,
    id: UserId,
    groups: &Groups,
    by: &Actor,
) -> rusqlite::Result<Option<Written<User>>> {
    let sql = "UPDATE users SET groups = ?2, updated_at = ?3 WHERE id = ?1";
    let changed = change.conn.prepare_cached(sql)?.execute(params![
        id.as_uuid().as_bytes(),
        row::groups_to_json(groups),
        change.now.as_micros()
    ])?;
    if changed > 0 {
        let groups = groups.as_slice().join(",");
        let about = About { detail: Some(&groups), ..About::user(id) };
        change.audit(AuditAction::GroupsChanged, about, by, change.now)?;
    }
    refetched(change, id, changed)
}

pub(super) fn verify_email(
    change: &Change<'_>,
    id: UserId,
    by: &Actor,
) -> rusqlite::Result<Option<Written<User>>> {
    let sql = "UPDATE users SET email_verified = 1, updated_at = ?2
               WHERE id = ?1 AND email IS NOT NULL";
    let changed = change
        .conn
        .prepare_cached(sql)?
        .execute(params![id.as_uuid().as_bytes(), change.now.as_micros()])?;
    if changed > 0 {
        change.audit(AuditAction::EmailVerified, About::user(id), by, change.now)?;
    }
    refetched(change, id, changed)
}

/// The user after a change of data, which copies have to be told.
pub(super) fn refetched(
    change: &Change<'_>,
    id: UserId,
    changed: usize,
) -> rusqlite::Result<Option<Written<User>>> {
    if changed == 0 {
        return Ok(None);
    }
    let rows = vec![change.append_to_feed(FeedKind::RefetchUser(id), change.now)?];
    Ok(find(change.conn, id)?.map(|value| Written { value, rows }))
}

pub(super) fn change_password(
    change: &Change<'_>,
    wanted: &PasswordChange,
    by: &Actor,
) -> rusqlite::Result<Option<Written<ChangedPassword>>> {
    let sql = "UPDATE users SET password_hash = ?2, hash_kind = ?3, updated_at = ?4
               WHERE id = ?1 AND subject IS NULL
                   AND (?5 IS NULL OR (enabled AND generation = ?5))";
    let changed = change.conn.prepare_cached(sql)?.execute(params![
        wanted.user_id.as_uuid().as_bytes(),
        wanted.hash.expose(),
        wanted.hash.kind().0,
        change.now.as_micros(),
        wanted.verified_at.map(|generation| generation.0),
    ])?;
    if changed == 0 {
        return Ok(None);
    }
    let about = About::user(wanted.user_id);
    change.audit(AuditAction::PasswordChanged, about, by, change.now)?;
    let ended = end_all(change, wanted.user_id, FeedKind::UserBelow, change.now)?;
    let Some(user) = find(change.conn, wanted.user_id)? else { return Ok(None) };
    let next = match &wanted.next_session {
        Some(next) => {
            let next = NewSession { generation: user.generation, replaces: None, ..next.clone() };
            session::insert(change, &next, by)?;
            session::find_by_id(change.conn, next.session.id)?
        }
        None => None,
    };
    let rows = ended.map_or_else(Vec::new, rows_of);
    Ok(Some(Written { value: ChangedPassword { user, next }, rows }))
}

pub(super) fn upgrade_hash(
    conn: &Connection,
    id: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> rusqlite::Result<bool> {
    let sql = "UPDATE users SET password_hash = ?3, hash_kind = ?4
               WHERE id = ?1 AND password_hash = ?2";
    let changed = conn.prepare_cached(sql)?.execute(params![
        id.as_uuid().as_bytes(),
        old.expose(),
        new.expose(),
        new.kind().0
    ])?;
    Ok(changed == 1)
}

/// Raises the generation, tells the feed by the row that `kind` makes of it, and ends the sessions.
/// How many; `None`: no such user.
pub(super) fn end_all(
    change: &Change<'_>,
    id: UserId,
    kind: fn(UserId, Generation) -> FeedKind,
    now: Timestamp,
) -> rusqlite::Result<Option<Written<u64>>> {
    let raised: Option<i64> = change
        .conn
        .prepare_cached(
            "UPDATE users SET generation = generation + 1 WHERE id = ?1 RETURNING generation",
        )?
        .query_row([id.as_uuid().as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(raised) = raised else { return Ok(None) };
    let rows = vec![change.append_to_feed(kind(id, Generation(raised)), now)?];
    Ok(Some(Written { value: end_sessions(change, id, now)?, rows }))
}

/// Raises everybody's generation, so that no login which is under way outlives this moment.
pub(super) fn raise_everybody(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE users SET generation = generation + 1")?.execute([]).map(drop)
}

/// Ends all sessions of a user without a word to the feed. How many.
pub(super) fn end_sessions(
    change: &Change<'_>,
    of: UserId,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let sql = "UPDATE sessions SET ended_at = ?2 WHERE user_id = ?1 AND ended_at IS NULL";
    let ended = change
        .conn
        .prepare_cached(sql)?
        .execute(params![of.as_uuid().as_bytes(), now.as_micros()])?;
    Ok(ended as u64)
}

fn find(conn: &Connection, id: UserId) -> rusqlite::Result<Option<User>> {
    conn.prepare_cached(concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = ?1"))?
        .query_row([id.as_uuid().as_bytes()], |row| row::user(row, 0))
        .optional()
}
