//! Which staging system a drill takes, and that it is none that people depend on.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use nightlatch_core::Secret;
use nightlatch_drill::client::Server;
use nightlatch_drill::scene::{Account, StagingRequest};
use nightlatch_store::net::Tls;

use super::super::args::{DrillArgs, ProxyArg};
use super::super::console::Console;
use super::super::{WrongUsage, password};
use crate::config::WebOrigin;

/// The largest file that a password is read from.
const PASSWORD_BYTES_MAX: usize = 2048;

pub(super) fn request(
    url: &str,
    args: &DrillArgs,
    console: &mut Console<'_>,
) -> anyhow::Result<StagingRequest> {
    let args = &args.staging;
    let wrong = |why: String| WrongUsage(format!("--url {why}, as https://staging.example"));
    let (origin, rest) = WebOrigin::split(url).map_err(|error| wrong(error.to_string()))?;
    if !matches!(rest, "" | "/") {
        bail!(wrong("is scheme, host and port alone".to_owned()));
    }
    if !args.i_know_this_is_not_production {
        confirm(&origin, console)?;
    }
    let name = args.user.clone().unwrap_or_default();
    let password = match &args.password_file {
        Some(file) => read_line_of(file)?,
        None => Secret::new(password::read_known(&name, console)?.expose().to_owned()),
    };
    let tls = origin.is_https().then(|| Tls::new(None)).transpose();
    let tls = tls.map_err(|error| anyhow!("TLS cannot be spoken here: {error}"))?;
    let host = origin.host().trim_start_matches('[').trim_end_matches(']');
    let way =
        |proxy: &Option<ProxyArg>| proxy.as_ref().map(|proxy| (proxy.listen, proxy.target.clone()));
    Ok(StagingRequest {
        server: Server::new(host, origin.port(), &origin.authority(), tls),
        account: Account { name, password: Arc::new(password) },
        redis: way(&args.redis_proxy),
        database: way(&args.database_proxy),
    })
}

/// Somebody has to know what they do: what follows ends sessions and takes away what is beneath.
fn confirm(origin: &WebOrigin, console: &mut Console<'_>) -> anyhow::Result<()> {
    let host = origin.host();
    if !console.is_interactive {
        bail!(WrongUsage(format!("this takes {host} apart: say --i-know-this-is-not-production")));
    }
    console.talk(format_args!(
        "This brings faults about beneath {host}, and load. Nobody may depend on it."
    ));
    console.talk(format_args!("Type its host to go on:"));
    let typed = console.read_line()?.unwrap_or_default();
    if String::from_utf8_lossy(&typed).trim() != host {
        bail!(WrongUsage("that is not its host; nothing was done".to_owned()));
    }
    Ok(())
}

/// The first line of a file.
pub(super) fn read_line_of(file: &std::path::Path) -> anyhow::Result<Secret<String>> {
    let reading = || format!("reading the password from {}", file.display());
    let bytes = fs::read(file).with_context(reading)?;
    if bytes.len() > PASSWORD_BYTES_MAX {
        bail!("{} is no file of a password: it is too long", file.display());
    }
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("it is not UTF-8"));
    let text = text.with_context(reading)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("{} holds no password in its first line", file.display());
    }
    Ok(Secret::new(line.to_owned()))
}
