//! Whose sessions `doctor session` tries, and where: somebody's who is there, or of two people who are made
//! for it and removed again.
//!
//! Apart from the trying itself, which knows nothing of the database.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use nightlatch_core::service::AddUser;
use nightlatch_core::{
    DisplayName, Entropy, Groups, Password, Secret, SystemEntropy, User, Username,
};

use super::super::actor::actor;
use super::super::args::DoctorServer;
use super::super::console::Console;
use super::super::node::{IfAbsent, with_node};
use super::super::password;
use super::super::stop::StopRequest;
use super::super::{FINE, WrongUsage, block_on};
use super::progress;
use crate::app::Node;
use crate::config::{Config, LoadArgs, Loaded, Scheme, WebOrigin, secrets};
use crate::doctor::finding::Finding;
use crate::doctor::{Canary, Parts, examine_session};

/// How many people are made: what is one's own must not be another's.
const PEOPLE: usize = 2;

/// What their names begin with, so that one who was left behind is known.
const NAME: &str = "nightlatch-doctor-";

/// Tries the sessions of a server.
pub(super) fn examine(
    server: &DoctorServer,
    parts: Parts,
    load: &LoadArgs,
    console: &mut Console<'_>,
) -> anyhow::Result<Vec<Finding>> {
    let loaded = Config::load(load);
    let origin = match &server.url {
        Some(url) => origin(url)?,
        None => listening(&Config::examine(load, false)),
    };
    let Some(name) = &server.user else {
        return with_people(loaded?, (&origin, parts), console);
    };
    let typed = password::read_known(name, console)?;
    let password = Secret::new(typed.expose().to_owned());
    let people = [Arc::new(Canary { name: name.clone(), password })];
    block_on(async { Ok(examine_session(&origin, &people, parts, &mut progress(console)).await) })
}

pub(super) fn origin(url: &str) -> anyhow::Result<WebOrigin> {
    let wrong = |why: String| anyhow!(WrongUsage(format!("--url {why}, as http://127.0.0.1:8080")));
    let (origin, rest) = WebOrigin::split(url).map_err(|error| wrong(error.to_string()))?;
    if !matches!(rest, "" | "/") {
        return Err(wrong("is scheme, host and port alone".to_owned()));
    }
    Ok(origin)
}

/// Where the configuration has a server of this machine listen.
fn listening(loaded: &Loaded) -> WebOrigin {
    let mut address = loaded.config.web.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    WebOrigin::of_address(Scheme::Http, address)
}

fn with_people(
    loaded: Loaded,
    (origin, parts): (&WebOrigin, Parts),
    console: &mut Console<'_>,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    with_node(loaded, IfAbsent::Refuse, console, async |node, console| {
        let (mut users, mut people, mut was_interrupted) = (Vec::new(), Vec::new(), Ok(()));
        // Before anybody is made: who is made is removed, however this ends.
        let mut request = StopRequest::listen()?;
        let made = make(node, &mut users, &mut people).await;
        if made.is_ok() {
            let mut tell = progress(console);
            let trying = examine_session(origin, &people, parts, &mut tell);
            tokio::select! {
                found = Box::pin(trying) => findings = found,
                () = request.received() => {
                    let why = "interrupted: what was made is removed, and nothing is known";
                    was_interrupted = Err(anyhow!(why));
                }
            }
        }
        let removed = remove(node, &users).await;
        made.and(removed).and(was_interrupted)?;
        Ok(FINE)
    })?;
    Ok(findings)
}

async fn make(
    node: &Node,
    users: &mut Vec<User>,
    people: &mut Vec<Arc<Canary>>,
) -> anyhow::Result<()> {
    for _ in 0..PEOPLE {
        let name = format!("{NAME}{:016x}", SystemEntropy.bits());
        let text = secrets::fresh(&*node.base.entropy);
        let password = Password::try_new(text.expose().clone())?;
        let wanted = AddUser {
            username: Username::try_new(&name)?,
            email: None,
            name: DisplayName::default(),
            groups: Groups::default(),
            password: Some(password),
        };
        let user = node.service.add_user(wanted, actor(), node.after_hashing()).await;
        users.push(user.context("making a user to try it with")?);
        people.push(Arc::new(Canary { name, password: text }));
    }
    Ok(())
}

async fn remove(node: &Node, users: &[User]) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for user in users {
        let removed = node.service.delete_user(user.id, actor(), node.soon()).await;
        let name = user.username.as_str();
        let removed = removed.with_context(|| {
            format!("removing the user {name}: run `nightlatch user delete {name} --yes`")
        });
        outcome = outcome.and(removed.map(|_| ()));
    }
    outcome
}
