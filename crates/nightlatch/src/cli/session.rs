//! `nightlatch session ..`: who is logged in, and ending that, beside a running server.
//!
//! When an account is taken over, somebody who is not logged in must be able to throw the thief out.

use std::io::Write;

use anyhow::bail;
use nightlatch_core::service::ListedSessions;
use nightlatch_core::{Session, SessionId, User};
use serde::Serialize;
use uuid::Uuid;

use super::args::{RevokeArgs, SessionCommand};
use super::console::Console;
use super::node::{IfAbsent, with_node};
use super::printable::printable;
use super::table::Table;
use super::user::find;
use super::{FINE, WrongUsage};
use crate::app::Node;
use crate::config::Loaded;

/// Users that are read at once.
const PAGE: u32 = 500;

/// Users whose sessions are looked up in one list. Each takes a question to the record, so that these
/// take some seconds: more would keep people waiting for what nobody reads to the end.
const USERS_MAX: u32 = 50_000;

/// Sessions of one list.
const SESSIONS_MAX: usize = 10_000;

/// Runs the command.
pub(super) fn run(
    command: SessionCommand,
    loaded: Loaded,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    with_node(loaded, IfAbsent::Refuse, console, async |node, console| match command {
        SessionCommand::List { user, json } => list(user.as_deref(), json, node, console).await,
        SessionCommand::Revoke(which) => revoke(which, node, console).await,
    })
}

/// Sessions with their users, and whether that is all.
#[derive(Default)]
struct Listing {
    rows: Vec<(Session, String)>,
    is_cut: bool,
}

async fn list(
    user: Option<&str>,
    json: bool,
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let mut listing = Listing::default();
    match user {
        Some(name) => listing.add(&find(name, node).await?, node).await?,
        None => listing.add_all(node).await?,
    }
    if json {
        listing.write_json(console.out)?;
    } else {
        listing.write_table(console.out)?;
    }
    if listing.is_cut {
        console.talk(format_args!(
            "there are too many to list, and not all were looked at; `--user NAME` lists those of \
             one user"
        ));
    } else if listing.rows.is_empty() {
        console.talk(format_args!("nobody is logged in"));
    }
    Ok(FINE)
}

impl Listing {
    async fn add(&mut self, user: &User, node: &Node) -> anyhow::Result<()> {
        let listed = node.service.list_sessions_or_cut(user.id, node.soon()).await?;
        let ListedSessions { sessions, is_cut } = listed;
        self.is_cut |= is_cut;
        let name = user.username.as_str();
        self.rows.extend(sessions.into_iter().map(|session| (session, name.to_owned())));
        Ok(())
    }

    /// All users by name, up to the limits.
    async fn add_all(&mut self, node: &Node) -> anyhow::Result<()> {
        let mut after = None;
        for _ in 0..USERS_MAX / PAGE {
            let page = node.service.list_users(after.as_ref(), PAGE, node.soon()).await?;
            for user in &page {
                if self.rows.len() >= SESSIONS_MAX {
                    self.is_cut = true;
                    return Ok(());
                }
                self.add(user, node).await?;
            }
            if page.len() < PAGE as usize {
                return Ok(());
            }
            after = page.into_iter().next_back().map(|user| user.username);
        }
        self.is_cut = true;
        Ok(())
    }

    fn write_table(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let header = ["ID", "USER", "DEVICE", "ADDRESS", "CREATED", "LAST SEEN", "EXPIRES"];
        let mut table = Table::new(header);
        for (session, user) in &self.rows {
            table.push([
                session.id.to_string(),
                user.clone(),
                session.client.user_agent.clone(),
                session.client.address.to_string(),
                session.created_at.to_rfc3339(),
                session.last_seen_at.to_rfc3339(),
                session.expires_at.to_rfc3339(),
            ]);
        }
        table.write(out)
    }

    fn write_json(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let sessions = self.rows.iter().map(SessionJson::from).collect();
        let json = ListingJson { sessions, truncated: self.is_cut };
        writeln!(out, "{}", serde_json::to_string(&json)?)
    }
}

#[derive(Serialize)]
struct ListingJson<'a> {
    sessions: Vec<SessionJson<'a>>,
    truncated: bool,
}

#[derive(Serialize)]
struct SessionJson<'a> {
    id: String,
    user_id: String,
    username: &'a str,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
    remember: bool,
    address: String,
    user_agent: &'a str,
}

impl<'a> From<&'a (Session, String)> for SessionJson<'a> {
    fn from((session, username): &'a (Session, String)) -> Self {
        Self {
            id: session.id.to_string(),
            user_id: session.user_id.to_string(),
            username,
            created_at: session.created_at.to_rfc3339(),
            last_seen_at: session.last_seen_at.to_rfc3339(),
            expires_at: session.expires_at.to_rfc3339(),
            remember: session.remember,
            address: session.client.address.to_string(),
            user_agent: &session.client.user_agent,
        }
    }
}

async fn revoke(which: RevokeArgs, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    match which {
        RevokeArgs { id: Some(id), .. } => revoke_one(&id, node, console).await,
        RevokeArgs { user: Some(name), .. } => {
            let user = find(&name, node).await?;
            let ended = node.service.revoke_all_of(user.id, node.after_many_rows()).await?;
            let name = user.username.as_str();
            writeln!(console.out, "ended {} of {name}", counted(ended))?;
            Ok(FINE)
        }
        RevokeArgs { all: true, .. } => {
            let ended = node.service.revoke_everything(node.after_many_rows()).await?;
            writeln!(console.out, "ended {}; everybody has to log in again", counted(ended))?;
            Ok(FINE)
        }
        RevokeArgs { id: None, user: None, all: false } => {
            bail!(WrongUsage("say which: an ID, --user NAME or --all".to_owned()))
        }
    }
}

async fn revoke_one(id: &str, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let was_live = match Uuid::parse_str(id) {
        Ok(uuid) => {
            node.service.revoke_session_of_anybody(SessionId::from_uuid(uuid), node.soon()).await?
        }
        Err(_) => false,
    };
    let id = printable(id);
    if !was_live {
        // Not "fine": who mistyped the id of a thief's session must not be told that it is over.
        bail!("no live session has the id {id}; `nightlatch session list` shows those that live");
    }
    writeln!(console.out, "ended session {id}")?;
    Ok(FINE)
}

fn counted(sessions: u64) -> String {
    match sessions {
        1 => "1 session".to_owned(),
        _ => format!("{sessions} sessions"),
    }
}
