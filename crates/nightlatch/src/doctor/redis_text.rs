//! One value that should be a Redis URL: what was pasted instead, or what is wrong within it.
//!
//! People paste quotes, commands, dashboards and other products' notations. Each is told apart, since "is
//! no URL" helps nobody.

mod pasted;

use nightlatch_core::Secret;
use nightlatch_store::redis::{RedisAddress, RedisTls};
use percent_encoding::utf8_percent_encode;

use super::finding::Finding;
use super::redis_urls::Role;
use super::shown::{UNRESERVED, bracketed, corrected, is_host, masked, rewritten, shown};
use crate::config::ProblemLevel::{Error, Warn};
use crate::config::redis_url::{self, RedisUrl, Wrapping};
use crate::config::value::Wrong;

/// Providers whose Redis speaks nothing but TLS.
const TLS_ONLY: [&str; 2] = [".upstash.io", ".ondigitalocean.com"];

/// Where Azure and others have TLS, and where a Sentinel listens.
const TLS_PORT: u16 = 6380;
const SENTINEL_PORT: u16 = 26379;

/// Databases that a Redis has as it comes.
const DATABASES: u32 = 16;

/// What to write where nothing of what stands there can be kept.
const EXAMPLE: &str = "redis://:PASSWORD@HOST:6379/0";

/// The finding of a URL whose mistake has none of its own.
const UNREADABLE: &str = "redis-url-unreadable";

/// The finding of a URL of Celery's results that does not say whether certificates are checked, and what to
/// add: that they are, as the code does unless somebody says otherwise.
const CELERY_UNPROVEN: &str = "celery-ssl-cert-reqs";
const CERTIFICATE_REQUIRED: &str = "ssl_cert_reqs=CERT_REQUIRED";

/// What was learned of a value.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    /// What it leads to, if anything.
    pub(super) url: Option<RedisUrl>,
}

/// Examines the value of `name`.
pub(super) fn examine(name: &str, value: &str) -> Examined {
    if value.trim().is_empty() {
        return Examined { findings: Vec::new(), url: None };
    }
    let (mut findings, bare) = unwrap(value);
    if let Some(finding) = placeholder(bare).or_else(|| unexpanded(bare)) {
        findings.push(finding);
        return Examined { findings, url: None };
    }
    if is_of_others(bare) {
        return Examined { findings, url: None };
    }
    if let Some(finding) = pasted::examine(bare) {
        findings.push(finding);
        return Examined { findings, url: None };
    }
    let wrong = match redis_url::parse(bare) {
        Ok(url) => {
            for finding in &mut findings {
                finding.fix = finding.fix.take().or_else(|| rewritten(&url, bare));
                finding.correction = corrected(&url, bare);
            }
            findings.extend(within(name, bare, &url));
            return Examined { findings, url: Some(url) };
        }
        Err(wrong) => wrong,
    };
    let Some(url) = encoded(bare) else {
        findings.push(unreadable(bare, &wrong));
        return Examined { findings, url: None };
    };
    if is_doubtful(bare) {
        findings.push(Finding { fix: None, correction: None, ..unencoded(bare, &url) });
        return Examined { findings, url: None };
    }
    findings.push(unencoded(bare, &url));
    findings.extend(within(name, bare, &url));
    Examined { findings, url: Some(url) }
}

/// Whether it may as well lead to another host: what follows the first `@` is one, with an end.
fn is_doubtful(text: &str) -> bool {
    let between = text.split_once('@').and_then(|(_, rest)| rest.rsplit_once('@'));
    between.is_some_and(|(between, _)| between.contains(['/', '?', '#']))
}

fn unencoded(text: &str, url: &RedisUrl) -> Finding {
    let why = "has a password with characters that end it (@ / ? # : or %), or that are not \
               percent-encoded";
    let finding = Finding::new("redis-password-unencoded", Error, why);
    let (fix, correction) = (rewritten(url, ""), corrected(url, text));
    Finding { text: masked(text), fix, correction, ..finding }
}

/// What was pasted around a URL, and the URL.
fn unwrap(value: &str) -> (Vec<Finding>, &str) {
    let (layers, bare) = redis_url::unwrapped(value);
    let findings = layers.into_iter().map(|layer| {
        let (level, why) = match layer {
            Wrapping::Blanks => {
                (Error, "has blanks around it, which become part of the host or the database")
            }
            Wrapping::Quotes => (Error, "has quotes within its value: they become part of it"),
            Wrapping::Backticks => (Warn, "has quotes within its value: they become part of it"),
            Wrapping::Name => (Error, "begins with a name and `=`, which were pasted with it"),
            Wrapping::Command => (Error, "is a command of redis-cli, not the URL in it"),
        };
        Finding::new(layer.id(), level, why)
    });
    (findings.collect(), bare)
}

/// A value that somebody was to replace.
fn placeholder(text: &str) -> Option<Finding> {
    const WORDS: [&str; 8] =
        ["changeme", "change-me", "change_me", "null", "none", "undefined", "todo", "xxx"];
    let is = |text: &str, words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let password = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    let password = password.and_then(|(user_info, _)| user_info.rsplit(':').next());
    let is_word = is(text, &WORDS)
        || password.is_some_and(|it| {
            is(it, &WORDS[..3]) || it.starts_with("your-") || it.starts_with("your_")
        });
    (bracketed(text).is_some() || is_word).then(|| {
        let why = "is a placeholder that nobody has replaced";
        let filled = bracketed(text).map(|it| text.replacen(it, "PASSWORD", 1));
        let url = redis_url::parse(filled.as_deref().unwrap_or(text)).ok();
        let fix = url.as_ref().and_then(|url| rewritten(url, text));
        let finding = Finding::new("value-placeholder", Error, why);
        let fix = fix.unwrap_or_else(|| EXAMPLE.to_owned());
        Finding { text: url.as_ref().and_then(shown), ..finding.fix(fix) }
    })
}

/// A reference that is still one. What stands in it may be a part of a password, so it is not shown.
fn unexpanded(text: &str) -> Option<Finding> {
    let holds = |open: &str, close: &str| {
        text.split_once(open).is_some_and(|(_, rest)| rest.contains(close))
    };
    if holds("${", "}") {
        let why = "refers with ${..} to a name that is not in this file: it must be set elsewhere, \
                   and whatever reads the file must replace it";
        return Some(Finding::new("value-not-expanded", Warn, why));
    }
    let why = "holds a reference that nothing here replaces: the program gets it as it stands";
    (holds("$(", ")") || holds("{{", "}}") || is_of_windows(text))
        .then(|| Finding::new("value-not-expanded", Error, why))
}

/// `%NAME%` as a whole password or value, and no percent-encoding.
fn is_of_windows(text: &str) -> bool {
    let is_name = |name: &str| {
        name.len() > 2
            && name.bytes().next().is_some_and(|b| b.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
    };
    let is_reference = |part: &str| {
        part.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(is_name)
    };
    text.split(['/', ':', '@']).any(is_reference)
}

/// Notations of other programs, which it takes them to judge: several URLs, Sentinels as Celery and Lettuce
/// write them, Predis, namespaces, and a server that is not named.
fn is_of_others(text: &str) -> bool {
    const SCHEMES: [&str; 7] =
        ["rediscache", "redis+socket", "redis-socket", "sentinel", "redis-sentinel", "tls", "tcp"];
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let at = rest.rsplit('@').next().unwrap_or_default();
    let is_several = [";", ","].iter().any(|mark| {
        ["redis", "sentinel"].iter().any(|scheme| text.contains(&format!("{mark}{scheme}")))
    });
    let has_namespace = at.split('/').count() == 3;
    let is_known = scheme.starts_with("redis") || scheme.starts_with("valkey");
    SCHEMES.contains(&scheme)
        || is_several
        || is_known && has_namespace
        || at.contains(',')
        || is_known && rest.is_empty()
}

/// A URL that cannot be read.
fn unreadable(text: &str, wrong: &Wrong) -> Finding {
    let fixed = in_brackets(text, ":PASSWORD@");
    let id = if fixed.is_some() { "redis-ipv6-brackets" } else { wrong.id.unwrap_or(UNREADABLE) };
    let why = match id {
        UNREADABLE => "cannot be read as a URL of Redis: is an @ missing or encoded?",
        _ => &wrong.why,
    };
    if let Some(finding) = followed(text).or_else(|| ended(text)).or_else(|| misplaced(text)) {
        return finding;
    }
    let fix = fixed.unwrap_or_else(|| EXAMPLE.to_owned());
    let user_info = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    let user_info = Secret::new(user_info.map_or(String::new(), |(info, _)| format!("{info}@")));
    let correction = in_brackets(text, user_info.expose()).map(Secret::new);
    let correction = correction.filter(|url| redis_url::parse(url.expose()).is_ok());
    Finding { text: masked(text), correction, ..Finding::new(id, Error, why).fix(fix) }
}

/// A URL with a comment that has no blank before it. Without an @ nothing before it is a password.
fn followed(text: &str) -> Option<Finding> {
    let (before, _) = text.split_once('#').filter(|_| !text.contains('@'))?;
    let url = redis_url::parse(before).ok()?;
    let has_port = before.split_once("://").is_some_and(|(_, at)| at.contains(':'));
    let why = "has a # right behind it: a comment begins with a blank before the #";
    let fix = rewritten(&url, "").filter(|_| has_port)?;
    Some(Finding { text: shown(&url), ..Finding::new(UNREADABLE, Error, why).fix(fix) })
}

/// A URL with the end of a statement or of a list behind it. In a database and a port neither belongs.
fn ended(text: &str) -> Option<Finding> {
    let bare = text.trim_end_matches([';', ',']);
    let url = redis_url::parse(bare).ok().filter(|_| bare.len() < text.len())?;
    let has_number = bare.ends_with(|c: char| c.is_ascii_digit()) && !bare.contains('?');
    let why = "has a ; or , behind it, which becomes part of the port or the database";
    let fix = rewritten(&url, bare).filter(|_| has_number)?;
    let (text, correction) = (shown(&url), corrected(&url, bare));
    Some(Finding { text, correction, ..Finding::new(UNREADABLE, Error, why).fix(fix) })
}

/// Host, port and database in another order: `h/1:6379`, or `h:6379:1`.
fn misplaced(text: &str) -> Option<Finding> {
    let (scheme, rest) = text.split_once("://")?;
    let (user_info, at) = rest.rsplit_once('@').map_or(("", rest), |(info, at)| (info, at));
    let number = |text: &str| text.parse::<u32>().is_ok_and(|number| number < DATABASES);
    let (host, tail) = at.split_once(['/', ':'])?;
    let (one, other) = tail.split_once(':')?;
    let (port, database) = if at.contains('/') { (other, one) } else { (one, other) };
    if !is_host(host) || port.parse::<u16>().is_err() || !number(database) {
        return None;
    }
    let mark = if user_info.is_empty() { "" } else { "@" };
    let meant = Secret::new(format!("{scheme}://{user_info}{mark}{host}:{port}/{database}"));
    let url = redis_url::parse(meant.expose()).ok()?;
    let why =
        "has its database in the wrong place: it stands behind host and port, as in host:6379/0";
    let finding = Finding::new("redis-database", Error, why);
    Some(Finding {
        text: shown(&url),
        fix: rewritten(&url, ""),
        correction: Some(meant),
        ..finding
    })
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

/// With brackets around the address, if it is one of IPv6, and this for who logs in.
fn in_brackets(text: &str, user_info: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.rsplit('@').next()?;
    let (address, path) = host.split_once('/').unwrap_or((host, "0"));
    let is_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    let (address, port) = match address.rsplit_once(':') {
        Some((before, port)) if is_address(before) && port.len() > 3 => (before, port),
        _ if is_address(address) => (address, "6379"),
        _ => return None,
    };
    let is_plain =
        ["redis", "rediss"].contains(&scheme) && path.bytes().all(|b| b.is_ascii_digit());
    let user_info = if rest.contains('@') { user_info } else { "" };
    is_plain.then(|| format!("{scheme}://{user_info}[{address}]:{port}/{path}"))
}

/// What a URL says that will not work, or not as it was meant.
fn within(name: &str, text: &str, url: &RedisUrl) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The host is known to speak nothing else.
    let secured = || {
        let tls = Some(RedisTls { verifies: true, authorities: None, client: None });
        corrected(&RedisUrl { tls, ..url.clone() }, text)
    };
    let proven = || {
        let mark = if text.contains('?') { '&' } else { '?' };
        let whole = || Secret::new(format!("{text}{mark}{CERTIFICATE_REQUIRED}"));
        redis_url::parse(text).is_ok().then(whole)
    };
    let mut find = |id, level, why: &str, fix: Option<String>| {
        let correction = match (id, level) {
            ("redis-tls-needed", Error) => secured(),
            (CELERY_UNPROVEN, _) => proven(),
            _ => None,
        };
        let finding = Finding::new(id, level, why);
        findings.push(Finding { text: shown(url), fix, correction, ..finding });
    };
    let fixed = rewritten(url, text);
    let in_tls = || fixed.as_ref().map(|fixed| fixed.replacen("redis://", "rediss://", 1));
    if let RedisAddress::Tcp { host, port } = &url.address {
        let is_plain = url.tls.is_none();
        if is_plain && TLS_ONLY.iter().any(|provider| host.ends_with(provider)) {
            find("redis-tls-needed", Error, "leads to a server that speaks only TLS", in_tls());
        } else if is_plain && *port == TLS_PORT && host.ends_with(".windows.net") {
            find("redis-tls-needed", Error, "speaks no TLS to the port of TLS", in_tls());
        } else if is_plain && *port == TLS_PORT && is_far(host) {
            let why = "speaks no TLS to port 6380, where servers usually want it";
            find("redis-tls-needed", Warn, why, in_tls());
        }
        if *port == SENTINEL_PORT && !name.contains("SENTINEL") {
            let why = "leads to port 26379, a Sentinel's, which knows where Redis is and is none";
            let fix = fixed.as_ref().map(|fixed| fixed.replacen(":26379", ":6379", 1));
            find("redis-sentinel-port", Warn, why, fix);
        }
    }
    let user_info = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    let has_colon = user_info.is_some_and(|(user_info, _)| user_info.contains(':'));
    let user = url.username.as_ref().map(|user| user.expose().as_str());
    if url.password.is_none() && !has_colon && user.is_some_and(|user| user != "default") {
        let why = "has a user and no password: is it the password, without the colon before it?";
        find("redis-password-as-user", Warn, why, fixed.clone());
    }
    if url.database.is_some_and(|number| number >= DATABASES) {
        let why = "names a database above 15, which a Redis does not have as it comes";
        find("redis-database", Warn, why, None);
    }
    if url.tls.as_ref().is_some_and(|tls| !tls.verifies) {
        let why = "checks no certificate, so anybody in between can read and change everything";
        find("redis-tls-unverified", Warn, why, fixed.as_deref().map(verified));
    }
    let is_of_results = Role::of(name) == Some(Role::Results);
    if is_of_results && url.tls.is_some() && !text.contains("ssl_cert_reqs") {
        let why = "has no ssl_cert_reqs, without which Celery's result backend refuses it unless the \
                   code sets it";
        let fix = fixed.as_ref().map(|fixed| {
            let mark = if fixed.contains('?') { '&' } else { '?' };
            format!("{fixed}{mark}{CERTIFICATE_REQUIRED}")
        });
        find(CELERY_UNPROVEN, Warn, why, fix);
    }
    findings
}

/// The same URL with certificates checked.
fn verified(url: &str) -> String {
    let (bare, parameters) = url.split_once('?').unwrap_or((url, ""));
    let others = parameters.split('&').filter(|it| !it.starts_with("ssl_cert_reqs="));
    let others = others.filter(|it| !it.is_empty()).map(|it| format!("&{it}"));
    format!("{bare}?ssl_cert_reqs=required{}", others.collect::<String>())
}

/// Whether a host is on another network, as far as its name says.
fn is_far(host: &str) -> bool {
    let is_name = is_host(host) && host.parse::<std::net::IpAddr>().is_err();
    let near = [".local", ".internal", ".svc", ".localhost", ".lan"];
    is_name && host.contains('.') && !near.iter().any(|ending| host.ends_with(ending))
}
