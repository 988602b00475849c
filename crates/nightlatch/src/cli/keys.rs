//! `nightlatch keys ..`: the keys that access tokens are signed with, beside running servers.
//!
//! The next key has to be known before it signs: to every server, and to every service that verifies
//! tokens by itself. So it is made by a command, and the servers begin to use it by themselves.

use anyhow::{Context, bail};
use nightlatch_core::Keys;
use serde_json::json;

use super::FINE;
use super::actor::actor;
use super::args::KeysCommand;
use super::console::Console;
use super::node::{IfAbsent, with_node};
use super::table::Table;
use crate::app::Node;
use crate::config::{Config, Loaded};
use crate::jwt::{KeptKeys, KeyState, ListedKey};

/// Runs the command.
pub(super) fn run(
    command: KeysCommand,
    loaded: Loaded,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let config = loaded.config.clone();
    with_node(loaded, IfAbsent::Refuse, console, async |node, console| {
        if config.tokens.keys.is_some() {
            bail!(
                "JWT_PRIVATE_KEY is set: its keys are the only ones; docs/tokens.md says how they \
                 are rotated"
            );
        }
        let record = node.base.record.port();
        let keys = node.base.kept_keys(&config, &sealing_keys(node, &config).await?, record);
        match command {
            KeysCommand::List { json } => list(&keys, json, node, console).await,
            KeysCommand::Rotate => rotate(&keys, node, console).await,
        }
    })
}

/// The servers' own keys.
async fn sealing_keys(node: &Node, config: &Config) -> anyhow::Result<Keys> {
    // Before any could be made: a server has been here, and its secret is where it will be looked for.
    if node.base.record.port().list_keys(node.soon()).await?.is_empty() {
        bail!("there is no key yet: the first is made by the first server that starts");
    }
    match node.base.local_keys(config)? {
        Some(keys) => Ok(keys),
        None => node.base.shared_keys(config, node.soon()).await.context("reading the secret"),
    }
}

async fn list(
    keys: &KeptKeys,
    json: bool,
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let listed = keys.list(node.soon()).await?;
    if json {
        let keys: Vec<_> = listed.iter().map(key_json).collect();
        writeln!(console.out, "{}", json!({ "keys": keys }))?;
        return Ok(FINE);
    }
    let mut table = Table::new(["NUMBER", "STATE", "SIGNS FROM", "MADE", "ID"]);
    for key in listed {
        table.push([
            key.number.to_string(),
            state(key.state).to_owned(),
            key.signs_from.to_rfc3339(),
            key.stored_at.to_rfc3339(),
            key.id.unwrap_or_default(),
        ]);
    }
    table.write(&mut *console.out)?;
    Ok(FINE)
}

async fn rotate(keys: &KeptKeys, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let (number, signs_from) = keys.rotate(actor(), node.soon()).await?;
    let from = signs_from.to_rfc3339();
    writeln!(console.out, "made key {number}; it is published now and signs from {from}")?;
    Ok(FINE)
}

fn key_json(key: &ListedKey) -> serde_json::Value {
    json!({
        "number": key.number,
        "id": key.id,
        "state": state(key.state),
        "signs_from": key.signs_from.to_rfc3339(),
        "created_at": key.stored_at.to_rfc3339(),
    })
}

const fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Next => "next",
        KeyState::Signs => "signs",
        KeyState::Verifies => "verifies",
        KeyState::Retired => "retired",
    }
}
