//! `nightlatch user list` and `nightlatch user show`.
//!
//! A list is written page by page, so that it does not matter how many users there are.

use std::io::{self, BufWriter, Write};

use nightlatch_core::{Email, HashKind, User};
use serde::Serialize;

use super::nobody;
use crate::app::Node;
use crate::cli::FINE;
use crate::cli::console::Console;
use crate::cli::printable::printable;
use crate::cli::table::Table;

/// Users that are read and written at once.
const PAGE: u32 = 500;

/// Writes all users.
pub(super) async fn list(json: bool, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let mut out = BufWriter::new(&mut *console.out);
    let mut listed = 0_u64;
    let mut after = None;
    if json {
        write!(out, "{{\"users\":[")?;
    }
    loop {
        let page = node.service.list_users(after.as_ref(), PAGE, node.soon()).await?;
        if json {
            write_json(&page, listed == 0, &mut out)?;
        } else {
            write_table(&page, listed == 0, &mut out)?;
        }
        listed += page.len() as u64;
        if page.len() < PAGE as usize {
            break;
        }
        after = page.into_iter().next_back().map(|user| user.username);
    }
    if json {
        writeln!(out, "]}}")?;
    }
    out.flush()?;
    drop(out);
    if listed == 0 {
        console.talk(format_args!("there are no users yet; `nightlatch user add NAME` adds one"));
    }
    Ok(FINE)
}

fn write_table(page: &[User], is_first: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(["NAME", "E-MAIL", "STATE", "GROUPS", "CREATED"]).goes_on(!is_first);
    for user in page {
        table.push([
            user.username.as_str().to_owned(),
            email_in_words(user),
            state(user).to_owned(),
            user.groups.as_slice().join(","),
            user.created_at.to_rfc3339(),
        ]);
    }
    table.write(out)
}

fn write_json(page: &[User], mut is_first: bool, out: &mut dyn Write) -> io::Result<()> {
    for user in page {
        let separator = if std::mem::take(&mut is_first) { "\n" } else { ",\n" };
        write!(out, "{separator}{}", serde_json::to_string(&UserJson::from(user))?)?;
    }
    Ok(())
}

/// Writes one user.
pub(super) async fn show(
    name: &str,
    json: bool,
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let found = node.service.find_user_and_hash_kind(name, node.soon()).await?;
    let (user, hash_kind) = found.ok_or_else(|| nobody(name))?;
    if json {
        let user = ShownJson {
            user: DetailJson { user: (&user).into(), password: hash_kind.map(|kind| kind.0) },
        };
        writeln!(console.out, "{}", serde_json::to_string(&user)?)?;
        return Ok(FINE);
    }
    for (label, value) in details(&user, hash_kind) {
        let value = if value.is_empty() { "-" } else { &*printable(&value) };
        writeln!(console.out, "{label:<9} {value}")?;
    }
    Ok(FINE)
}

fn details(user: &User, hash_kind: Option<HashKind>) -> [(&'static str, String); 8] {
    let password = match hash_kind {
        Some(kind) => format!("set ({})", kind.0),
        None => "none: nobody can log in until one is set".to_owned(),
    };
    [
        ("id", user.id.to_string()),
        ("name", user.username.as_str().to_owned()),
        ("shown as", user.name.clone()),
        ("e-mail", email_in_words(user)),
        ("groups", user.groups.as_slice().join(", ")),
        ("state", state(user).to_owned()),
        ("password", password),
        ("created", user.created_at.to_rfc3339()),
    ]
}

fn email_in_words(user: &User) -> String {
    match (&user.email, user.email_verified) {
        (Some(email), true) => format!("{} (verified)", email.as_str()),
        (Some(email), false) => email.as_str().to_owned(),
        (None, _) => String::new(),
    }
}

const fn state(user: &User) -> &'static str {
    if user.enabled { "enabled" } else { "disabled" }
}

#[derive(Serialize)]
struct ShownJson<'a> {
    user: DetailJson<'a>,
}

#[derive(Serialize)]
struct DetailJson<'a> {
    #[serde(flatten)]
    user: UserJson<'a>,
    /// The kind of the stored hash, without salt and tag; null if there is none.
    password: Option<String>,
}

#[derive(Serialize)]
struct UserJson<'a> {
    id: String,
    username: &'a str,
    email: Option<&'a str>,
    email_verified: bool,
    name: &'a str,
    groups: &'a [String],
    enabled: bool,
    created_at: String,
}

impl<'a> From<&'a User> for UserJson<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.as_str(),
            email: user.email.as_ref().map(Email::as_str),
            email_verified: user.email_verified,
            name: &user.name,
            groups: user.groups.as_slice(),
            enabled: user.enabled,
            created_at: user.created_at.to_rfc3339(),
        }
    }
}
