//! One value that should be a Redis URL: what was pasted instead, or what is wrong within it.
//!
//! People paste quotes, commands, dashboards and other products' notations. Each is told apart, since "is
//! no URL" helps nobody.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::finding::Finding;
use crate::config::Environment;
use crate::config::ProblemLevel::{Error, Info, Warn};
use crate::config::redis_url::{self, RedisUrl};
use nightlatch_store::redis::RedisAddress;

/// What needs no encoding in a password (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Providers whose Redis speaks nothing but TLS.
const TLS_ONLY: [&str; 2] = [".upstash.io", ".ondigitalocean.com"];

/// Where Azure and others have TLS, and where a Sentinel listens.
const TLS_PORT: u16 = 6380;
const SENTINEL_PORT: u16 = 26379;

/// Databases that a Redis has as it comes.
const DATABASES: u32 = 16;

/// What was learned of a value.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    /// What it leads to, if anything.
    pub(super) url: Option<RedisUrl>,
}

/// Examines the value of `name`.
pub(super) fn examine(name: &str, value: &str, environment: Environment) -> Examined {
    if value.trim().is_empty() {
        return Examined { findings: Vec::new(), url: None };
    }
    let (mut findings, bare) = unwrap(value);
    let found = placeholder(bare).or_else(|| unexpanded(bare)).or_else(|| no_url(bare));
    if let Some(finding) = found {
        findings.push(finding);
        return Examined { findings, url: None };
    }
    let wrong = match redis_url::parse(bare) {
        Ok(url) => {
            for finding in &mut findings {
                finding.fix.get_or_insert_with(|| with_placeholder(&url.shown));
            }
            findings.extend(within(name, bare, &url, environment));
            return Examined { findings, url: Some(url) };
        }
        Err(wrong) => wrong,
    };
    let Some(url) = encoded(bare) else {
        findings.push(unreadable(bare, &wrong.why));
        return Examined { findings, url: None };
    };
    findings.push(unencoded(bare, &url));
    findings.extend(within(name, bare, &url, environment));
    Examined { findings, url: Some(url) }
}

fn unencoded(text: &str, url: &RedisUrl) -> Finding {
    let why = "has a password with characters that end it (@ / ? # : or %), or that are not \
               percent-encoded";
    let finding = Finding::new("redis-password-unencoded", Error, why);
    finding.text(masked(text).unwrap_or_default()).fix(with_placeholder(&url.shown))
}

/// What was pasted around a URL, and the URL.
fn unwrap(value: &str) -> (Vec<Finding>, &str) {
    let mut findings = Vec::new();
    let mut bare = value.trim();
    if bare.len() < value.len() {
        let why = "has blanks around it, which become part of the host or the database";
        findings.push(Finding::new("value-padded", Error, why));
    }
    // Bounded: a value holds a few layers, and each round takes one off.
    for _ in 0..4 {
        let quotes = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];
        let inner = quotes.iter().find_map(|(open, close)| {
            bare.strip_prefix(*open).and_then(|rest| rest.strip_suffix(*close))
        });
        if let Some(inner) = inner {
            let why = "has quotes within its value: they become part of it";
            findings.push(Finding::new("value-quoted", Error, why));
            bare = inner.trim();
        } else if let Some(rest) = after_own_name(bare) {
            let why = "begins with a name and `=`, which were pasted with it";
            findings.push(Finding::new("value-prefixed", Error, why));
            bare = rest.trim();
        } else if let Some(url) = within_command(bare) {
            let why = "is a command of redis-cli, not the URL in it";
            findings.push(Finding::new("value-command", Error, why));
            bare = url;
        } else {
            break;
        }
    }
    (findings, bare)
}

fn after_own_name(text: &str) -> Option<&str> {
    let text = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let (name, rest) = text.split_once(['=', ':'])?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    (is_name && rest.contains("://")).then_some(rest)
}

fn within_command(text: &str) -> Option<&str> {
    let is_command = text.starts_with("redis-cli ") || text.starts_with("valkey-cli ");
    let url = || text.split_whitespace().find(|word| word.contains("://"));
    if is_command { url().map(|url| url.trim_matches(['"', '\''])) } else { None }
}

/// A value that somebody was to replace.
fn placeholder(text: &str) -> Option<Finding> {
    let lower = text.to_ascii_lowercase();
    let words = ["changeme", "change-me", "change_me", "null", "none", "undefined", "todo", "xxx"];
    let bracketed = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let is_bracketed = bracketed.is_some_and(|(inner, _)| {
        !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphabetic() || " -_".contains(c))
    });
    let password = lower.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    let password = password.map(|(user_info, _)| user_info.rsplit(':').next().unwrap_or_default());
    let is_word = words.contains(&lower.as_str())
        || password.is_some_and(|password| words[..3].contains(&password))
        || password
            .is_some_and(|password| password.starts_with("your-") || password.starts_with("your_"));
    (is_bracketed || is_word).then(|| {
        let why = "is a placeholder that nobody has replaced";
        Finding::new("value-placeholder", Error, why).fix("redis://:PASSWORD@HOST:6379/0")
    })
}

/// A reference that is still one.
fn unexpanded(text: &str) -> Option<Finding> {
    let inner = |open: &str, close: &str| {
        let (_, rest) = text.split_once(open)?;
        let (name, _) = rest.split_once(close)?;
        // What is no name may be a part of a password.
        let shown = if is_variable(name.trim()) { name } else { ".." };
        (!name.is_empty()).then(|| format!("{open}{shown}{close}"))
    };
    let percent = || {
        let shown = inner("%", "%")?;
        let name = shown.trim_matches('%');
        // Else `%41B%` would be one.
        (name.len() > 2 && is_variable(name) && name.bytes().any(|b| b > b'F')).then_some(shown)
    };
    let shown = inner("${", "}")
        .or_else(|| inner("$(", ")"))
        .or_else(|| inner("{{", "}}"))
        .or_else(percent)?;
    let why = "holds a reference that nothing here replaces: the program gets it as it stands";
    Some(Finding::new("value-not-expanded", Error, why).text(shown))
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
}

/// Another notation than a URL.
fn no_url(text: &str) -> Option<Finding> {
    let example = "redis://:PASSWORD@HOST:6379/0";
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let finding = match scheme.as_deref() {
        None if text.starts_with(['{', '[']) => {
            Finding::new("redis-url-json", Error, "is JSON where a URL belongs").fix(example)
        }
        None if text.contains(",password=")
            || text.contains("ssl=")
            || text.contains("abortConnect=") =>
        {
            let why = "is a connection string of .NET, which only StackExchange.Redis reads";
            let host =
                text.split(',').next().filter(|host| is_host_and_port(host)).unwrap_or("HOST");
            let is_tls = text.to_ascii_lowercase().contains("ssl=true");
            let scheme = if is_tls { "rediss" } else { "redis" };
            Finding::new("redis-url-dotnet", Error, why)
                .fix(format!("{scheme}://:PASSWORD@{host}/0"))
        }
        None if text.starts_with('/') => {
            let why = "is a path, which is no URL yet";
            Finding::new("redis-url-path", Error, why).fix(format!("unix://{text}?db=0"))
        }
        None => {
            let why = "has no scheme: it begins with neither redis:// nor rediss://";
            let finding = Finding::new("redis-url-no-scheme", Error, why);
            // Anything else may be a password.
            if is_host_and_port(text) {
                finding.fix(format!("redis://{text}"))
            } else {
                finding.fix(example)
            }
        }
        Some("http" | "https") => {
            let why = "is the address of a REST interface, which does not speak Redis";
            let host = text.split("://").nth(1).unwrap_or_default();
            let host = host.split(['/', '?']).next().unwrap_or_default();
            let host = host.rsplit('@').next().filter(|host| is_host(host)).unwrap_or("HOST");
            Finding::new("redis-url-rest", Error, why)
                .fix(format!("rediss://:PASSWORD@{host}:6379/0"))
        }
        Some("redis" | "rediss" | "valkey" | "valkeys" | "unix") => return None,
        Some(scheme)
            if scheme.contains("unix")
                || scheme.contains("sentinel")
                || scheme.contains("cluster") =>
        {
            return None;
        }
        Some(scheme) => {
            let why = format!("begins with {scheme}://, which is not Redis");
            Finding::new("redis-url-scheme", Error, why).fix(example)
        }
    };
    Some(match masked(text) {
        Some(shown) => finding.text(shown),
        None => finding,
    })
}

fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    is_host(host) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_host(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
}

/// A URL that cannot be read, told by the likeliest reason.
fn unreadable(text: &str, why: &str) -> Finding {
    let shown = masked(text).unwrap_or_default();
    let id = match why {
        _ if why.contains("IPv6") || why.contains('[') => "redis-ipv6-brackets",
        _ if why.contains("port") => "redis-port",
        _ if why.contains("database") => "redis-database",
        _ => "redis-url-unreadable",
    };
    let finding = Finding::new(id, Error, why).text(shown);
    match (id, bracketed(text)) {
        ("redis-ipv6-brackets", Some(better)) => finding.fix(better),
        _ => finding.fix("redis://:PASSWORD@HOST:6379/0"),
    }
}

/// The URL with its password encoded, if that makes it one.
fn encoded(text: &str) -> Option<RedisUrl> {
    let (scheme, rest) = text.split_once("://")?;
    let (user_info, host) = rest.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':').unwrap_or(("", user_info));
    if password.is_empty() {
        return None;
    }
    let written = utf8_percent_encode(password, UNRESERVED);
    redis_url::parse(&format!("{scheme}://{user}:{written}@{host}")).ok()
}

fn bracketed(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.rsplit('@').next()?;
    let (address, path) = host.split_once('/').unwrap_or((host, "0"));
    // An address, or one with a port behind it.
    let is_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    let (address, port) = match address.rsplit_once(':') {
        Some((before, port)) if is_address(before) && port.len() > 3 => (before, port),
        _ if is_address(address) => (address, "6379"),
        _ => return None,
    };
    let password = if rest.contains('@') { ":PASSWORD@" } else { "" };
    Some(format!("{scheme}://{password}[{address}]:{port}/{path}"))
}

/// What a URL says that will not work, or not as it was meant.
fn within(name: &str, text: &str, url: &RedisUrl, environment: Environment) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |id, level, why: &str, fix: Option<String>| {
        let finding = Finding::new(id, level, why).text(url.shown.clone());
        findings.push(match fix {
            Some(fix) => finding.fix(fix),
            None => finding,
        });
    };
    let shown = with_placeholder(&url.shown);
    let in_tls = || shown.replacen("redis://", "rediss://", 1);
    if let RedisAddress::Tcp { host, port } = &url.address {
        let is_plain = url.tls.is_none();
        if is_plain && TLS_ONLY.iter().any(|provider| host.ends_with(provider)) {
            find(
                "redis-tls-needed",
                Error,
                "leads to a server that speaks only TLS",
                Some(in_tls()),
            );
        } else if is_plain && *port == TLS_PORT {
            let level = if host.ends_with(".windows.net") { Error } else { Warn };
            let why = "speaks no TLS to port 6380, where servers usually want it";
            find("redis-tls-needed", level, why, Some(in_tls()));
        }
        if *port == SENTINEL_PORT {
            let why = "leads to a Sentinel, which knows where Redis is and is none";
            let better = format!("redis+sentinel://:PASSWORD@{host}:{port}/mymaster/0");
            find("redis-sentinel-port", Error, why, Some(better));
        }
    }
    if url.password.is_none() && url.username.is_some() {
        let why = "has its password where the user name belongs: a colon is missing before it";
        let fix = shown.replacen("PASSWORD@", ":PASSWORD@", 1);
        find("redis-password-as-user", Error, why, Some(fix));
    }
    if url.database.is_some_and(|number| number >= DATABASES) {
        let why = "names a database above 15, which a Redis does not have as it comes";
        find("redis-database", Warn, why, None);
    }
    let is_production = environment.is_production();
    if url.tls.as_ref().is_some_and(|tls| !tls.verifies) {
        let level = if is_production { Error } else { Info };
        let why = "checks no certificate, so anybody in between can read and change everything";
        find("redis-tls-unverified", level, why, Some(format!("{shown}?ssl_cert_reqs=required")));
    }
    let is_celerys = name.contains("CELERY") || name.contains("BROKER");
    if is_celerys && url.tls.is_some() && !text.contains("ssl_cert_reqs") {
        let why = "has no ssl_cert_reqs, without which Celery refuses rediss:// URLs";
        let fix = format!("{shown}?ssl_cert_reqs=CERT_REQUIRED");
        find("celery-ssl-cert-reqs", Warn, why, Some(fix));
    }
    findings
}

/// A URL as it may be shown: without user, password and parameters.
pub(super) fn masked(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if scheme.len() > 20 || !scheme.chars().all(is_scheme) {
        return None;
    }
    let (base, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (user_info, at) = base.rsplit_once('@').map_or(("", base), |(_, at)| ("***@", at));
    // What stands behind may be the rest of a password, or a password that a `#` has cut off.
    if parameters.contains('@') || !is_plain_place(at) {
        return Some(format!("{scheme}://***"));
    }
    Some(format!("{scheme}://{user_info}{at}"))
}

/// Whether it is a host, a port and a database, each of them as they should be.
fn is_plain_place(text: &str) -> bool {
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    host.bytes().all(is_host)
        && [port, path].iter().all(|it| it.bytes().all(|b| b.is_ascii_digit()))
}

fn with_placeholder(shown: &str) -> String {
    shown.replacen("***", "PASSWORD", 1)
}
