//! `nightlatch audit`: who did what to whose account, as a table, as JSON lines, or as it happens.
//!
//! Written to the output alone, so that a log collector can take it from there.

use std::collections::BTreeMap;
use std::time::Duration;

use nightlatch_core::{
    AuditEntry, AuditId, AuditPage, AuditQuery, AuditedUser, StoreError, Timestamp, Who,
};
use serde::Serialize;

use super::FINE;
use super::args::AuditArgs;
use super::console::Console;
use super::node::{IfAbsent, with_node};
use super::table::Table;
use crate::app::Node;
use crate::config::Loaded;

/// Entries that are read at once.
const PAGE: u32 = 500;

/// How often it is looked for new entries.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far back it is looked for entries that got their place before others, and are seen after them:
/// longer than any statement takes.
const OVERLAP: Duration = Duration::from_secs(10);

/// Runs the command.
pub(super) fn run(
    args: &AuditArgs,
    loaded: Loaded,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    with_node(loaded, IfAbsent::Refuse, console, async |node, console| {
        let wanted = wanted(args, node).await?;
        let mut listing = Listing { json: args.json, written: false };
        let mut entries = latest(&wanted, args.limit.saturating_add(1), node).await?;
        let is_cut = entries.len() > args.limit as usize;
        if is_cut {
            entries.remove(0);
        }
        listing.write(&entries, console)?;
        if is_cut {
            console.talk(format_args!(
                "these are the newest {}; --limit N shows more, --since WHEN says from when on",
                args.limit
            ));
        } else if entries.is_empty() && !args.follow {
            console.talk(format_args!("there are no such entries"));
        }
        if args.follow {
            let seen = entries.iter().map(|entry| (entry.id, entry.at)).collect();
            follow(&wanted, seen, node, (&mut listing, console)).await?;
        }
        Ok(FINE)
    })
}

/// What the arguments ask for.
async fn wanted(args: &AuditArgs, node: &Node) -> Result<AuditQuery, StoreError> {
    let user = match &args.user {
        Some(name) => Some(match node.service.find_user(name, node.soon()).await? {
            Some(user) => AuditedUser::Id(user.id),
            // Who is gone has left entries all the same.
            None => AuditedUser::Name(name.clone()),
        }),
        None => None,
    };
    let now = node.service.now();
    Ok(AuditQuery {
        user,
        actions: args.action.clone(),
        since: args.since.map(|moment| moment.at(now)),
        until: args.until.map(|moment| moment.at(now)),
        page: AuditPage::Newest,
        limit: PAGE,
    })
}

/// The newest of them, at most so many, the oldest first.
async fn latest(
    wanted: &AuditQuery,
    limit: u32,
    node: &Node,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    let mut query = wanted.clone();
    loop {
        query.limit = PAGE.min(limit.saturating_sub(u32::try_from(entries.len()).unwrap_or(limit)));
        let page = node.service.list_audit(query.clone(), node.after_many_rows()).await?;
        let is_last = page.len() < query.limit as usize;
        entries.extend(page);
        match entries.last() {
            Some(last) if !is_last && entries.len() < limit as usize => {
                query.page = AuditPage::Below(last.id);
            }
            _ => break,
        }
    }
    entries.reverse();
    Ok(entries)
}

/// Prints what comes, until it is stopped. Of a record that gives no answer it is told once, and asked
/// again.
async fn follow(
    wanted: &AuditQuery,
    mut seen: BTreeMap<AuditId, Timestamp>,
    node: &Node,
    (listing, console): (&mut Listing, &mut Console<'_>),
) -> anyhow::Result<()> {
    let mut low = seen.keys().next_back().copied();
    let mut is_away = false;
    loop {
        match news(wanted, low, node).await {
            Ok(mut entries) => {
                is_away = false;
                entries.retain(|entry| seen.insert(entry.id, entry.at).is_none());
                listing.write(&entries, console)?;
                low = forget_old(&mut seen, low);
            }
            Err(error) if is_away => {
                tracing::debug!(error = %error, "the record still does not answer");
            }
            Err(error) => {
                is_away = true;
                console.talk(format_args!("the record does not answer ({error}); asking again"));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// All entries above one.
async fn news(
    wanted: &AuditQuery,
    low: Option<AuditId>,
    node: &Node,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut above = low.unwrap_or_default();
    let mut entries = Vec::new();
    // Ends: entries do not come faster than they are read.
    loop {
        let query = AuditQuery { page: AuditPage::Above(above), ..wanted.clone() };
        let page = node.service.list_audit(query, node.soon()).await?;
        let is_last = page.len() < PAGE as usize;
        above = page.last().map_or(above, |last| last.id);
        entries.extend(page);
        if is_last {
            return Ok(entries);
        }
    }
}

/// Below what came in the last moments nothing new is to be expected: from there it is asked on.
fn forget_old(seen: &mut BTreeMap<AuditId, Timestamp>, low: Option<AuditId>) -> Option<AuditId> {
    let newest = seen.values().max().copied()?;
    let old_to = seen.iter().take_while(|(_, at)| at.after(OVERLAP) < newest).last();
    let old_to = old_to.map(|(id, _)| *id);
    if let Some(old_to) = old_to {
        seen.retain(|id, _| *id > old_to);
    }
    old_to.or(low)
}

/// Entries as they are printed.
struct Listing {
    json: bool,
    written: bool,
}

impl Listing {
    fn write(&mut self, entries: &[AuditEntry], console: &mut Console<'_>) -> anyhow::Result<()> {
        if self.json {
            for entry in entries {
                serde_json::to_writer(&mut *console.out, &EntryJson::from(entry))?;
                writeln!(console.out)?;
            }
        } else {
            let header = ["TIME", "ACTION", "USER", "BY", "ADDRESS", "SESSION", "MORE"];
            let mut table = Table::new(header).goes_on(self.written);
            entries.iter().map(row).for_each(|row| table.push(row));
            table.write(console.out)?;
        }
        self.written |= !entries.is_empty();
        console.out.flush()?;
        Ok(())
    }
}

fn row(entry: &AuditEntry) -> [String; 7] {
    let text = |text: Option<String>| text.unwrap_or_default();
    let count = entry.count.map(|count| format!("{count} in all"));
    [
        entry.at.to_rfc3339(),
        entry.action.clone(),
        text(entry.username.clone()),
        by(&entry.by.who),
        text(entry.by.address.map(|address| address.to_string())),
        text(entry.session.map(|session| session.to_string())),
        text(entry.detail.clone().or(count)),
    ]
}

fn by(who: &Who) -> String {
    match who {
        Who::User => "user".to_owned(),
        Who::Operator(name) => format!("operator {name}"),
        Who::Command(name) => format!("command of {name}"),
        Who::AuthService => "auth service".to_owned(),
        Who::Node => "nightlatch".to_owned(),
    }
}

#[derive(Serialize)]
struct EntryJson<'a> {
    id: i64,
    at: String,
    action: &'a str,
    user_id: Option<String>,
    username: Option<&'a str>,
    session_id: Option<String>,
    count: Option<u64>,
    detail: Option<&'a str>,
    actor: &'a str,
    actor_name: Option<&'a str>,
    address: Option<String>,
    request_id: Option<&'a str>,
}

impl<'a> From<&'a AuditEntry> for EntryJson<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        let (actor, actor_name) = entry.by.who.as_stored();
        Self {
            id: entry.id.0,
            at: entry.at.to_rfc3339(),
            action: &entry.action,
            user_id: entry.user.map(|user| user.to_string()),
            username: entry.username.as_deref(),
            session_id: entry.session.map(|session| session.to_string()),
            count: entry.count,
            detail: entry.detail.as_deref(),
            actor,
            actor_name,
            address: entry.by.address.map(|address| address.to_string()),
            request_id: entry.by.request_id.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_late_is_still_asked_for() {
        let at = |id: i64, seconds: i64| (AuditId(id), Timestamp::from_seconds(seconds));
        let mut seen: BTreeMap<_, _> = [at(1, 100), at(2, 101), at(4, 105), at(5, 111)].into();
        assert_eq!(forget_old(&mut seen, None), Some(AuditId(1)));
        assert_eq!(seen.len(), 3, "2 is ten seconds old, not more");
        assert_eq!(forget_old(&mut seen, Some(AuditId(1))), Some(AuditId(1)));
    }
}
