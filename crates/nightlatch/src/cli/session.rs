//! `nightlatch session ..`: who is logged in, and ending that, beside a running server.
//!
//! When an account is taken over, somebody who is not logged in must be able to throw the thief out.

use std::io::{self, BufWriter, Write};

use anyhow::bail;
use nightlatch_core::service::ListedSessions;
use nightlatch_core::{Session, SessionId, User, Username};
use serde::Serialize;
use uuid::Uuid;

use super::actor::actor;
use super::args::{RevokeArgs, SessionCommand};
use super::console::Console;
use super::node::{IfAbsent, with_node};
use super::printable::printable;
use super::table::Table;
use super::user::find;
use super::{FINE, WrongUsage};
use crate::app::Node;
use crate::config::Loaded;

/// Sessions that are read and written at once.
const PAGE: u32 = 500;

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

async fn list(
    user: Option<&str>,
    json: bool,
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let mut listing = Listing { out: BufWriter::new(&mut *console.out), json, written: 0 };
    listing.begin()?;
    let mut cut_at_user = None;
    match user {
        Some(name) => {
            let user = find(name, node).await?;
            if listing.add_one(&user, node).await? {
                cut_at_user = Some(user.username);
            }
        }
        None => listing.add_all(node).await?,
    }
    let written = listing.end(cut_at_user.is_some())?;
    if let Some(name) = cut_at_user {
        let name = name.as_str();
        console.talk(format_args!("{name} has more sessions than these, which are the newest"));
    } else if written == 0 {
        console.talk(format_args!("nobody is logged in"));
    }
    Ok(FINE)
}

/// A list that is written page by page, so that it does not matter how many sessions there are.
struct Listing<W: Write> {
    out: W,
    json: bool,
    written: u64,
}

impl<W: Write> Listing<W> {
    fn begin(&mut self) -> io::Result<()> {
        if self.json { write!(self.out, "{{\"sessions\":[") } else { Ok(()) }
    }

    /// Those of one user; whether some were left out.
    async fn add_one(&mut self, user: &User, node: &Node) -> anyhow::Result<bool> {
        let listed = node.service.list_sessions_or_cut(user.id, node.soon()).await?;
        let ListedSessions { sessions, is_cut } = listed;
        let owned = sessions.into_iter().map(|session| (session, user.username.clone()));
        self.add(&owned.collect::<Vec<_>>())?;
        Ok(is_cut)
    }

    async fn add_all(&mut self, node: &Node) -> anyhow::Result<()> {
        let mut below = None;
        // Ends: each page begins below the last, and new sessions come above the first.
        loop {
            let page = node.service.list_all_sessions(below, PAGE, node.soon()).await?;
            self.add(&page.sessions)?;
            below = page.next;
            if below.is_none() {
                return Ok(());
            }
        }
    }

    fn add(&mut self, page: &[(Session, Username)]) -> io::Result<()> {
        if self.json {
            self.add_json(page)?;
        } else {
            self.add_rows(page)?;
        }
        self.written += page.len() as u64;
        Ok(())
    }

    fn add_rows(&mut self, page: &[(Session, Username)]) -> io::Result<()> {
        let header = ["ID", "USER", "DEVICE", "ADDRESS", "CREATED", "LAST SEEN", "EXPIRES"];
        let mut table = Table::new(header).goes_on(self.written > 0);
        for (session, user) in page {
            table.push([
                session.id.to_string(),
                user.as_str().to_owned(),
                session.client.user_agent.clone(),
                session.client.address.to_string(),
                session.created_at.to_rfc3339(),
                session.last_seen_at.to_rfc3339(),
                session.expires_at.to_rfc3339(),
            ]);
        }
        table.write(&mut self.out)
    }

    fn add_json(&mut self, page: &[(Session, Username)]) -> io::Result<()> {
        let mut is_first = self.written == 0;
        for owned in page {
            let separator = if std::mem::take(&mut is_first) { "\n" } else { ",\n" };
            write!(self.out, "{separator}{}", serde_json::to_string(&SessionJson::from(owned))?)?;
        }
        Ok(())
    }

    /// Writes what is left, and how many there were.
    fn end(mut self, is_cut: bool) -> io::Result<u64> {
        if self.json {
            writeln!(self.out, "],\"truncated\":{is_cut}}}")?;
        }
        self.out.flush()?;
        Ok(self.written)
    }
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

impl<'a> From<&'a (Session, Username)> for SessionJson<'a> {
    fn from((session, username): &'a (Session, Username)) -> Self {
        Self {
            id: session.id.to_string(),
            user_id: session.user_id.to_string(),
            username: username.as_str(),
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
            let ended =
                node.service.revoke_all_of(user.id, actor(), node.after_many_rows()).await?;
            let name = user.username.as_str();
            writeln!(console.out, "ended {} of {name}", counted(ended))?;
            Ok(FINE)
        }
        RevokeArgs { all: true, .. } => {
            let ended = node.service.revoke_everything(actor(), node.after_many_rows()).await?;
            // Whatever a restore has brought back is over.
            node.base.record.forget_restore(node.soon()).await?;
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
            node.service
                .revoke_session_of_anybody(SessionId::from_uuid(uuid), actor(), node.soon())
                .await?
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
