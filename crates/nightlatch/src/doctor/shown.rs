//! What of a URL may be shown: where it leads, and nothing that lets anybody in.
//!
//! By what is known to be harmless, since a password may stand anywhere in what cannot be read.

use std::net::Ipv6Addr;

use nightlatch_core::Secret;
use nightlatch_store::redis::RedisAddress;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::redis_url::{RedisUrl, shown_host};

/// What needs no encoding in a password (RFC 3986, 2.3).
pub(super) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Schemes that are shown.
const SCHEMES: [&str; 8] =
    ["redis", "rediss", "valkey", "valkeys", "http", "https", "tcp", "postgres"];

/// A text that may be a URL, without user, password and parameters. `None`: not even its place is sure.
pub(super) fn masked(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (base, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (user_info, at) = base.rsplit_once('@').map_or(("", base), |(_, at)| ("***@", at));
    let is_shown = SCHEMES.contains(&scheme) && !parameters.contains('@') && is_place(at);
    is_shown.then(|| format!("{scheme}://{user_info}{at}"))
}

/// Whether it is a host with a dot or a port, and perhaps a database.
fn is_place(text: &str) -> bool {
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_number = |text: &str| text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    is_host(host) && is_number(port) && is_number(path)
}

/// Whether it is the name or address of a host as they usually are.
pub(super) fn is_host(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    !text.is_empty() && text.bytes().all(is_plain) || text.parse::<Ipv6Addr>().is_ok()
}

/// What somebody was to replace, as `<password>`: words in angle brackets, with these.
pub(super) fn bracketed(text: &str) -> Option<&str> {
    let begin = text.find('<')?;
    let end = begin + text[begin..].find('>')?;
    let inner = &text[begin + 1..end];
    let is_word = |c: char| c.is_ascii_alphabetic() || " -_".contains(c);
    (!inner.is_empty() && inner.chars().all(is_word)).then(|| &text[begin..=end])
}

/// A host and port, where they may be shown.
pub(super) fn place(host: &str, port: u16) -> String {
    if is_host(host) { shown_host(host, port) } else { format!("port {port} of that host") }
}

/// A URL that was read, without its user and secrets.
pub(super) fn shown(url: &RedisUrl) -> Option<String> {
    written(url, "***@")
}

/// A URL that was read as it should be written, with `USER` and `PASSWORD` for what is not shown. What
/// `text` says of TLS is kept.
pub(super) fn rewritten(url: &RedisUrl, text: &str) -> Option<String> {
    let is_default = url.username.as_ref().is_some_and(|user| user.expose() == "default");
    let user_info = match (&url.username, &url.password) {
        (Some(_), Some(_)) if is_default => "default:PASSWORD@",
        (Some(_), Some(_)) => "USER:PASSWORD@",
        (None, None) => "",
        (Some(_), None) | (None, Some(_)) => ":PASSWORD@",
    };
    Some(with_parameters(written(url, user_info)?, text))
}

/// The same with user, password and all parameters, to be written where the URL stands, and nowhere else.
pub(super) fn corrected(url: &RedisUrl, text: &str) -> Option<Secret<String>> {
    let mut user_info = Secret::new(String::new());
    let mut push = |mark: &str, part: &Option<Secret<String>>| {
        let Some(part) = part else { return };
        user_info.expose_mut().push_str(mark);
        user_info.expose_mut().extend(utf8_percent_encode(part.expose(), UNRESERVED));
    };
    push("", &url.username);
    push(":", &url.password);
    user_info.expose_mut().push('@');
    let mut whole = Secret::new(written(url, user_info.expose())?);
    let kept: Vec<&str> = parameters(text).filter(|it| !it.starts_with("db=")).collect();
    if !kept.is_empty() {
        whole.expose_mut().push('?');
        whole.expose_mut().push_str(&kept.join("&"));
    }
    Some(whole)
}

/// What stands behind the question mark of a URL. Before the last `@` one may be part of a password.
fn parameters(text: &str) -> impl Iterator<Item = &str> {
    let at = text.rsplit('@').next().unwrap_or(text);
    let query = at.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|parameter| !parameter.is_empty())
}

/// A URL with what another says of TLS.
fn with_parameters(url: String, text: &str) -> String {
    const KNOWN: [&str; 4] = ["ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"];
    let is_kept = |parameter: &&str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"=_-./".contains(&b);
        let is_known = parameter.split_once('=').is_some_and(|(name, _)| KNOWN.contains(&name));
        is_known && parameter.bytes().all(is_plain)
    };
    let kept: Vec<&str> = parameters(text).filter(is_kept).collect();
    if kept.is_empty() { url } else { format!("{url}?{}", kept.join("&")) }
}

fn written(url: &RedisUrl, user_info: &str) -> Option<String> {
    let RedisAddress::Tcp { host, port } = &url.address else { return None };
    if !is_host(host) {
        return None;
    }
    let has_user = url.username.is_some() || url.password.is_some();
    let user_info = if has_user { user_info } else { "" };
    let scheme = if url.tls.is_some() { "rediss" } else { "redis" };
    let at = shown_host(host, *port);
    let number = url.database.map_or(String::new(), |number| format!("/{number}"));
    Some(format!("{scheme}://{user_info}{at}{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_angle_brackets_are_to_be_replaced() {
        for (text, found) in [
            ("<password>", Some("<password>")),
            ("redis://:<your password>@h", Some("<your password>")),
            ("a<b", None),
            ("a>b<c", None),
            ("<>", None),
            ("<p4ss>", None),
        ] {
            assert_eq!(bracketed(text), found, "{text}");
        }
    }
}
