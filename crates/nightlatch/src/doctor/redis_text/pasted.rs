//! What stands where a Redis URL belongs: another product's notation, a command, a path, a slip in the
//! scheme.
//!
//! Where what was meant is sure, it is kept: an example says less than the line to write.

use nightlatch_core::Secret;
use percent_encoding::utf8_percent_encode;

use super::super::finding::Finding;
use super::super::near;
use super::super::shown::{UNRESERVED, corrected, is_host, masked, rewritten, shown};
use super::{EXAMPLE, TLS_ONLY};
use crate::config::ProblemLevel::Error;
use crate::config::redis_url::{self, PORT, RedisUrl, shown_host};

/// The schemes that are most written, and so most misspelt.
const SCHEMES: [&str; 4] = ["rediss", "redis", "valkeys", "valkey"];

/// Another notation than a URL.
pub(super) fn examine(text: &str) -> Option<Finding> {
    if text.starts_with(['{', '[']) {
        let why = "is JSON where a URL belongs";
        return Some(Finding::new("redis-url-json", Error, why).fix(EXAMPLE));
    }
    let is_scheme = |scheme: &str| {
        scheme.len() <= 20
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let finding = match scheme.as_deref().filter(|scheme| is_scheme(scheme)) {
        None => return Some(without_scheme(text)),
        Some("http" | "https") => of_web(text),
        Some(scheme)
            if ["redis", "valkey", "unix"].iter().any(|known| scheme.starts_with(known)) =>
        {
            return None;
        }
        Some(scheme) => of_other_scheme(text, scheme),
    };
    Some(Finding { text: masked(text), ..finding })
}

fn without_scheme(text: &str) -> Finding {
    if [",password=", ",ssl=", ",abortConnect="].iter().any(|mark| text.contains(mark)) {
        let why = "is a connection string of .NET, which only StackExchange.Redis reads";
        let is_tls = text.to_ascii_lowercase().contains("ssl=true");
        let fix = if is_tls { "rediss://:PASSWORD@HOST:6380/0" } else { EXAMPLE };
        return Finding::new("redis-url-dotnet", Error, why).fix(fix);
    }
    if text.starts_with('/') {
        return of_path(text);
    }
    if text.split_whitespace().next().is_some_and(is_client) {
        let why = "is a command of redis-cli where a URL belongs";
        let finding = Finding::new("value-command", Error, why);
        return command(text)
            .map_or_else(|| finding.clone().fix(EXAMPLE), |url| meant(&finding, &url));
    }
    let why = "has no scheme: it begins with neither redis:// nor rediss://";
    let finding = Finding::new("redis-url-no-scheme", Error, why);
    if let Some(url) = slip(text) {
        return meant(&finding, &url);
    }
    // Anything else may be a password.
    let is_here = ["localhost:6379", "127.0.0.1:6379", "redis:6379"].contains(&text);
    if is_here { finding.fix(format!("redis://{text}")) } else { finding.fix(EXAMPLE) }
}

/// The finding with this URL as what was meant.
fn meant(finding: &Finding, url: &RedisUrl) -> Finding {
    let fix = rewritten(url, "").unwrap_or_else(|| EXAMPLE.to_owned());
    let (text, correction) = (shown(url), corrected(url, ""));
    Finding { text, correction, ..finding.clone().fix(fix) }
}

/// A path of a socket is no secret, and anything else that begins so may be one.
fn of_path(text: &str) -> Finding {
    let finding = Finding::new("redis-url-path", Error, "is a path, which is no URL yet");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.strip_suffix(".sock").is_none() || !text.chars().all(is_plain) {
        return finding.fix("unix:///PATH?db=0");
    }
    let url = format!("unix://{text}?db=0");
    let (text, correction) = (Some(text.to_owned()), Some(Secret::new(url.clone())));
    Finding { text, correction, ..finding.fix(url) }
}

/// The page of a provider, or `http` by habit before the port of a Redis.
fn of_web(text: &str) -> Finding {
    let why = "is the address of a REST interface, which does not speak Redis";
    let finding = Finding::new("redis-url-rest", Error, why);
    let at = masked(text).and_then(|it| it.split_once("://").map(|(_, at)| at.to_owned()));
    let at = at.filter(|at| !at.contains('@')).unwrap_or_default();
    let bare = at.trim_end_matches('/');
    let fix = if TLS_ONLY.iter().any(|provider| bare.ends_with(provider)) {
        format!("rediss://default:PASSWORD@{bare}:{PORT}")
    } else if bare.ends_with(&format!(":{PORT}")) {
        format!("redis://{bare}")
    } else {
        "rediss://:PASSWORD@HOST:6379/0".to_owned()
    };
    finding.fix(fix)
}

fn of_other_scheme(text: &str, scheme: &str) -> Finding {
    let finding = Finding::new("redis-url-scheme", Error, "is a URL, but not of Redis");
    let is_tls = scheme.ends_with("ss");
    let known =
        near::only(scheme, if is_tls { ["rediss", "valkeys"] } else { ["redis", "valkey"] });
    let url =
        known.zip(text.split_once("://")).map(|(known, (_, rest))| format!("{known}://{rest}"));
    let url = url.map(Secret::new).and_then(|url| redis_url::parse(url.expose()).ok());
    let fix = url.as_ref().and_then(|url| rewritten(url, text));
    finding.fix(fix.unwrap_or_else(|| EXAMPLE.to_owned()))
}

/// `redis//h`, `redis:/h` and the like, as a whole URL.
fn slip(text: &str) -> Option<RedisUrl> {
    let (scheme, rest) = SCHEMES.iter().find_map(|it| Some((it, text.strip_prefix(it)?)))?;
    let at = rest.trim_start_matches([':', ';', '/']);
    let between = &rest[..rest.len() - at.len()];
    // Without slashes the first word is a host.
    let is_slip = between.contains(":/") || between.starts_with("//");
    let url = Secret::new(format!("{scheme}://{at}"));
    redis_url::parse(url.expose()).ok().filter(|_| is_slip)
}

fn is_client(word: &str) -> bool {
    ["redis-cli", "valkey-cli"].iter().any(|client| word.ends_with(client))
}

/// The URL that a command with flags connects to. `None`: it has others, or says less.
fn command(text: &str) -> Option<RedisUrl> {
    let (mut host, mut port, mut database) = ("127.0.0.1", PORT, 0_u32);
    let (mut user, mut password, mut scheme) = ("", "", "redis");
    let mut words = text.split_whitespace().skip(1);
    while let Some(flag) = words.next() {
        if flag == "--tls" {
            scheme = "rediss";
            continue;
        }
        let value = words.next()?.trim_matches(['"', '\'']);
        match flag {
            "-h" => host = value,
            "-p" => port = value.parse().ok()?,
            "-n" => database = value.parse().ok()?,
            "-a" | "--pass" => password = value,
            "--user" => user = value,
            _ => return None,
        }
    }
    if !is_host(host) || password.is_empty() && !user.is_empty() {
        return None;
    }
    let encode = |part| utf8_percent_encode(part, UNRESERVED);
    let user_info = match (user, password) {
        ("", "") => Secret::new(String::new()),
        (user, password) => Secret::new(format!("{}:{}@", encode(user), encode(password))),
    };
    let at = shown_host(host, port);
    let url = Secret::new(format!("{scheme}://{}{at}/{database}", user_info.expose()));
    redis_url::parse(url.expose()).ok()
}
