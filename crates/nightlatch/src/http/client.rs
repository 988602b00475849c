//! Who is on the other side: the address as far as trusted proxies tell it, the browser in words.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use ipnet::IpNet;
use nightlatch_core::Client;

/// The address of the connection's other end, put into every request by the accept loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The most hops that are looked at.
const HOPS_MAX: usize = 16;

/// The client of a request.
pub(crate) fn client(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Client {
    Client {
        address: address(peer.0.ip(), headers, trusted),
        user_agent: headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map_or_else(|| "Unknown client".to_owned(), in_words),
    }
}

/// Goes from the connection backwards through `X-Forwarded-For` for as long as each hop is a
/// trusted proxy: what a client wrote there itself stands before the first one that is not.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer.to_canonical();
    let hops = headers.get_all("x-forwarded-for");
    let values: Vec<&str> = hops.iter().filter_map(|value| value.to_str().ok()).collect();
    let hops = values.iter().rev().flat_map(|value| value.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        if !is_trusted(address, trusted) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(next) => address = next.to_canonical(),
            // A proxy that we trust wrote nonsense: it itself is the last that we know.
            None => break,
        }
    }
    address
}

/// Whether an address is a trusted proxy's.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address.to_canonical()))
}

fn parse_hop(hop: &str) -> Option<IpAddr> {
    let unbracketed = hop.trim_start_matches('[').trim_end_matches(']');
    unbracketed.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// A user agent such as "Firefox on Linux": what people know their devices by.
fn in_words(user_agent: &str) -> String {
    // The parser's time grows with length; no browser needs more.
    let end = user_agent.floor_char_boundary(512);
    let known = |word: &str| !word.is_empty() && word != "UNKNOWN";
    let words = match woothee::parser::Parser::new().parse(&user_agent[..end]) {
        Some(parsed) if known(parsed.name) && known(parsed.os) => {
            format!("{} on {}", parsed.name, os_in_words(parsed.os))
        }
        // "HTTP Library" and the like: what the program calls itself says more.
        Some(parsed) if known(parsed.name) && parsed.category != "misc" => parsed.name.to_owned(),
        Some(_) | None => program_name(user_agent),
    };
    let end = words.floor_char_boundary(Client::USER_AGENT_BYTES_MAX);
    words[..end].to_owned()
}

fn os_in_words(os: &str) -> &str {
    match os {
        "Mac OSX" => "macOS",
        os if os.starts_with("Windows") => "Windows",
        os => os,
    }
}

/// The product in front of `/`, such as `curl` of `curl/8.5.0`.
fn program_name(user_agent: &str) -> String {
    let product = user_agent.split(['/', ' ', '(']).next().unwrap_or_default();
    let plain: String = product
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .take(40)
        .collect();
    if plain.is_empty() { "Unknown client".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(forwarded: &[&str]) -> HeaderMap {
        forwarded
            .iter()
            .map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, forwarded, expected) in [
            ("192.0.2.9", &["1.2.3.4"][..], "192.0.2.9"),
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4"][..], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4"][..], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"][..], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4"][..], "1.2.3.4"),
            ("10.0.0.1", &["1.2.3.4, junk"][..], "10.0.0.1"),
            ("10.0.0.1", &["[2001:db8::1]:443"][..], "2001:db8::1"),
            ("::ffff:10.0.0.1", &["1.2.3.4"][..], "1.2.3.4"),
        ] {
            assert_eq!(
                address(ip(peer), &headers(forwarded), &trusted),
                ip(expected),
                "{forwarded:?}"
            );
        }
    }

    #[test]
    fn browsers_are_told_in_words() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            ("my-app/1.0", "my-app"),
            ("curl/8.5.0", "curl"),
            ("python-requests/2.32", "python-requests"),
            ("", "Unknown client"),
            ("<script>", "script"),
        ] {
            assert_eq!(in_words(agent), words, "{agent}");
        }
        assert!(in_words(&"x".repeat(5000)).len() <= 64);
    }
}
