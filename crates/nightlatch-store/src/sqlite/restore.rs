//! Writing revocations back that the record has lost: a backup was restored, or a file was.

use nightlatch_core::{
    Actor, FeedKind, FeedRow, Generation, LostRevocations, LostUser, SessionEnd, Timestamp,
};
use rusqlite::{OptionalExtension, params};

use super::feed::Change;
use super::{data, session, user};

pub(super) fn restore(
    change: &Change<'_>,
    lost: &LostRevocations,
    now: Timestamp,
) -> rusqlite::Result<Vec<FeedRow>> {
    let mut rows = Vec::new();
    if lost.everything {
        rows.extend(session::end(change, SessionEnd::Everything, now, &Actor::node())?.rows);
    }
    for id in &lost.sessions {
        rows.extend(session::end_where(change, "id = ?2", &[id.as_uuid().as_bytes()], now)?.rows);
        rows.extend(data::end_where(change, "id = ?2", &[id.as_uuid().as_bytes()], now)?);
    }
    for user in &lost.users {
        restore_user(change, user, now, &mut rows)?;
    }
    Ok(rows)
}

fn restore_user(
    change: &Change<'_>,
    lost: &LostUser,
    now: Timestamp,
    rows: &mut Vec<FeedRow>,
) -> rusqlite::Result<()> {
    let id = lost.id.as_uuid().as_bytes();
    let there = change
        .conn
        .prepare_cached("SELECT generation, enabled FROM users WHERE id = ?1")?
        .query_row([id], |row| Ok((Generation(row.get(0)?), row.get::<_, bool>(1)?)))
        .optional()?;
    let Some((was, could_log_in)) = there else { return Ok(()) };
    let enabled = lost.enabled.unwrap_or(could_log_in);
    // Copies of the present generation have to end as well.
    let least = if could_log_in && !enabled { Generation(was.0 + 1) } else { was };
    let generation = lost.below.map_or(least, |below| below.max(least));
    if generation == was && enabled == could_log_in {
        return Ok(());
    }
    change
        .conn
        .prepare_cached(
            "UPDATE users SET generation = ?2, enabled = ?3, updated_at = ?4 WHERE id = ?1",
        )?
        .execute(params![id, generation.0, enabled, now.as_micros()])?;
    if generation > was {
        let kind = if enabled { FeedKind::UserBelow } else { FeedKind::UserDisabled };
        rows.push(change.append_to_feed(kind(lost.id, generation), now)?);
        user::end_sessions(change, lost.id, now)?;
    }
    if enabled && !could_log_in {
        rows.push(change.append_to_feed(FeedKind::UserEnabled(lost.id), now)?);
    }
    Ok(())
}
