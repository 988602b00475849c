//! `nightlatch user ..`: what operators do with users, beside a running server.
//!
//! Each command is one use case of the core and one sentence about what came of it.

mod import;
mod listing;

use anyhow::{anyhow, bail};
use nightlatch_core::service::{AddUser, AddUserError, SetPasswordError};
use nightlatch_core::{Email, Groups, User};

use super::actor::actor;
use super::args::UserCommand;
use super::console::Console;
use super::node::{IfAbsent, with_node};
use super::password::{self, Refusals};
use super::printable::printable;
use super::{FAILURE, FINE, WrongUsage};
use crate::app::Node;
use crate::config::Loaded;

/// Runs the command.
pub(super) fn run(
    command: UserCommand,
    loaded: Loaded,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let if_absent = match &command {
        UserCommand::Add { .. } | UserCommand::Import { .. } => IfAbsent::Create,
        UserCommand::List { .. }
        | UserCommand::Show { .. }
        | UserCommand::Enable { .. }
        | UserCommand::Disable { .. }
        | UserCommand::Delete { .. }
        | UserCommand::SetPassword { .. }
        | UserCommand::VerifyEmail { .. }
        | UserCommand::SetGroups { .. } => IfAbsent::Refuse,
    };
    check_usage(&command, console)?;
    with_node(loaded, if_absent, console, async |node, console| match command {
        UserCommand::Add { name, email, display_name, no_password } => {
            let wanted = AddUser {
                username: name,
                email,
                name: display_name.unwrap_or_default(),
                groups: Groups::default(),
                password: None,
            };
            add(wanted, no_password, node, console).await
        }
        UserCommand::List { json } => listing::list(json, node, console).await,
        UserCommand::Show { name, json } => listing::show(&name, json, node, console).await,
        UserCommand::Enable { name } => enable(&name, node, console).await,
        UserCommand::Disable { name } => disable(&name, node, console).await,
        UserCommand::Delete { name, yes } => delete(&name, yes, node, console).await,
        UserCommand::SetPassword { name } => set_password(&name, node, console).await,
        UserCommand::VerifyEmail { name } => verify_email(&name, node, console).await,
        UserCommand::SetGroups { name, groups } => set_groups(&name, &groups, node, console).await,
        UserCommand::Import { file, format, json } => {
            import::run(&file, format, json, node, console).await
        }
    })
}

/// What is wrong before any database is asked.
fn check_usage(command: &UserCommand, console: &Console<'_>) -> anyhow::Result<()> {
    match command {
        UserCommand::Delete { yes: false, .. } if !console.is_interactive => {
            bail!(WrongUsage("deleting asks first, and nobody is at a terminal: add --yes".into()))
        }
        UserCommand::SetGroups { groups, .. } => {
            Groups::try_new(groups).map_err(|why| WrongUsage(why.to_string()))?;
        }
        UserCommand::Add { .. }
        | UserCommand::List { .. }
        | UserCommand::Show { .. }
        | UserCommand::Enable { .. }
        | UserCommand::Disable { .. }
        | UserCommand::Delete { .. }
        | UserCommand::SetPassword { .. }
        | UserCommand::VerifyEmail { .. }
        | UserCommand::Import { .. } => {}
    }
    Ok(())
}

/// The user of a name or e-mail address, or a sentence on how to find one.
pub(super) async fn find(name: &str, node: &Node) -> anyhow::Result<User> {
    match node.service.find_user(name, node.soon()).await? {
        Some(user) => Ok(user),
        None => Err(nobody(name)),
    }
}

fn nobody(name: &str) -> anyhow::Error {
    let name = printable(name);
    anyhow!(
        "there is no user with the name or e-mail address {name}; `nightlatch user list` shows all"
    )
}

/// Somebody deleted the user between two of our questions.
fn gone(user: &User) -> anyhow::Error {
    anyhow!("{} was deleted meanwhile by somebody else", user.username.as_str())
}

async fn add(
    wanted: AddUser,
    no_password: bool,
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let name = wanted.username.as_str();
    // Nobody should choose a password for a name that cannot be had.
    if node.service.find_user(name, node.soon()).await?.is_some() {
        return Err(not_added(AddUserError::UsernameTaken, &wanted));
    }
    let mut refusals = Refusals::default();
    loop {
        let password = if no_password { None } else { Some(password::read(name, console)?) };
        let user = AddUser { password, ..wanted.clone() };
        match node.service.add_user(user, actor(), node.after_hashing()).await {
            Ok(_) => break,
            Err(AddUserError::Password(SetPasswordError::Weak(weakness))) => {
                refusals.add(&weakness, console)?;
            }
            Err(error) => return Err(not_added(error, &wanted)),
        }
    }
    writeln!(console.out, "added {name}")?;
    if no_password {
        console.talk(format_args!(
            "they can log in when they have a password: nightlatch user set-password {name}"
        ));
    }
    Ok(FINE)
}

fn not_added(error: AddUserError, wanted: &AddUser) -> anyhow::Error {
    match error {
        AddUserError::UsernameTaken => {
            let name = wanted.username.as_str();
            anyhow!("the user name {name} is taken; see `nightlatch user show {name}`")
        }
        AddUserError::EmailTaken => {
            let email = wanted.email.as_ref().map(Email::as_str).unwrap_or_default();
            anyhow!("the e-mail address {email} is taken; see `nightlatch user show {email}`")
        }
        AddUserError::Password(error) => no_password(error),
    }
}

/// The record's errors as they are, for the advice on them.
fn no_password(error: SetPasswordError) -> anyhow::Error {
    match error {
        SetPasswordError::Record(error) => error.into(),
        SetPasswordError::Hash(error) => {
            anyhow::Error::from(error).context("this machine is too busy; try again in a moment")
        }
        SetPasswordError::Weak(_)
        | SetPasswordError::NoUser
        | SetPasswordError::ManagedElsewhere => error.into(),
    }
}

async fn set_password(name: &str, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let user = find(name, node).await?;
    let name = user.username.as_str();
    let mut refusals = Refusals::default();
    let changed = loop {
        let password = password::read(name, console)?;
        match node.service.set_password(&user, password, actor(), node.after_hashing()).await {
            Ok(changed) => break changed,
            Err(SetPasswordError::Weak(weakness)) => refusals.add(&weakness, console)?,
            Err(SetPasswordError::NoUser) => return Err(gone(&user)),
            Err(error) => return Err(no_password(error)),
        }
    };
    writeln!(console.out, "set the password of {name} and ended all of their sessions")?;
    if !changed.enabled {
        console.talk(format_args!(
            "{name} is disabled and cannot log in before: nightlatch user enable {name}"
        ));
    }
    Ok(FINE)
}

async fn enable(name: &str, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let user = find(name, node).await?;
    let enabled = node.service.enable_user(user.id, actor(), node.soon()).await?;
    let enabled = enabled.ok_or_else(|| gone(&user))?;
    writeln!(console.out, "enabled {}", enabled.username.as_str())?;
    Ok(FINE)
}

async fn disable(name: &str, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let user = find(name, node).await?;
    let disabled = node.service.disable_user(user.id, actor(), node.soon()).await?;
    let disabled = disabled.ok_or_else(|| gone(&user))?;
    let name = disabled.username.as_str();
    writeln!(console.out, "disabled {name} and ended all of their sessions")?;
    Ok(FINE)
}

async fn delete(
    name: &str,
    is_sure: bool,
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let user = find(name, node).await?;
    let name = user.username.as_str();
    let email = user.email.as_ref().map_or("no e-mail address", Email::as_str);
    let question = format_args!("Delete {name} ({email}) for ever and end all of their sessions?");
    if !is_sure && !console.confirm(question)? {
        console.talk(format_args!("{name} was not deleted"));
        return Ok(FAILURE);
    }
    if !node.service.delete_user(user.id, actor(), node.soon()).await? {
        return Err(gone(&user));
    }
    writeln!(console.out, "deleted {name} and ended all of their sessions")?;
    Ok(FINE)
}

async fn verify_email(name: &str, node: &Node, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let user = find(name, node).await?;
    let name = user.username.as_str();
    let Some(email) = &user.email else { bail!("{name} has no e-mail address") };
    let verified = node.service.verify_email(user.id, actor(), node.soon()).await?;
    verified.ok_or_else(|| gone(&user))?;
    writeln!(console.out, "marked {} of {name} as verified", email.as_str())?;
    Ok(FINE)
}

async fn set_groups(
    name: &str,
    groups: &[String],
    node: &Node,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let groups = Groups::try_new(groups)?;
    let user = find(name, node).await?;
    let changed = node.service.set_groups(user.id, groups, actor(), node.soon()).await?;
    let changed = changed.ok_or_else(|| gone(&user))?;
    let name = changed.username.as_str();
    let groups = changed.groups.as_slice().join(", ");
    if groups.is_empty() {
        writeln!(console.out, "{name} is in no group now")?;
    } else {
        writeln!(console.out, "{name} is in {} now", printable(&groups))?;
    }
    Ok(FINE)
}
