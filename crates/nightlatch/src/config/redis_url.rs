//! Reads a Redis URL:
//! `redis[s]://[[user]:password@]host[:port][/database][?..]`, `unix://[[user]:password@]/path[?db=..]`,
//! `redis+sentinel://[[user]:password@]host[:port][,..]/name[/database][?sentinel_password=..]`,
//! `redis[s]+cluster://[[user]:password@]host[:port][,..][?..]`.
//!
//! It is pasted from many places, with quotes, its own name or a command in front, so what was
//! meant is looked for and told; only what is a URL is used. Nothing that is told quotes a password.

mod parameters;
mod wrapping;

use std::path::PathBuf;

use nightlatch_core::Secret;
use nightlatch_store::redis::{RedisAddress, RedisTls};

use super::percent::{is_percent_encoded, percent_decoded};
use super::value::Wrong;
pub(crate) use wrapping::{Wrapping, unwrapped};

use parameters::Parameters;

/// What a URL says.
#[derive(Clone, Debug)]
pub(crate) struct RedisUrl {
    pub(crate) address: RedisAddress,
    pub(crate) username: Option<Secret<String>>,
    pub(crate) password: Option<Secret<String>>,
    pub(crate) sentinel_password: Option<Secret<String>>,
    pub(crate) database: Option<u32>,
    pub(crate) tls: Option<RedisTls>,
    /// For people: no password.
    pub(crate) shown: String,
    /// What was left out or taken otherwise.
    pub(crate) remarks: Vec<Wrong>,
}

const EXAMPLE: &str = "redis://:PASSWORD@redis.example.com:6379/0";
const SENTINEL_EXAMPLE: &str =
    "redis+sentinel://:PASSWORD@sentinel-1:26379,sentinel-2:26379/mymaster/0";

const CLUSTER_EXAMPLE: &str = "redis+cluster://:PASSWORD@redis-1:6379,redis-2:6379";

/// Where Redis listens if nobody says otherwise.
pub(crate) const PORT: u16 = 6379;

/// Where a Sentinel does.
const SENTINEL_PORT: u16 = 26379;

/// Reads a URL.
pub(crate) fn parse(text: &str) -> Result<RedisUrl, Wrong> {
    let wrong = match parse_bare(text) {
        Ok(url) => return Ok(url),
        Err(wrong) => wrong,
    };
    let (layers, meant) = unwrapped(text);
    match (layers.first(), parse_bare(meant)) {
        (Some(layer), Ok(url)) => Err(Wrong::new(layer.why()).better(url.shown).id(layer.id())),
        (Some(_), Err(_)) | (None, _) => Err(wrong),
    }
}

fn parse_bare(text: &str) -> Result<RedisUrl, Wrong> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(unreadable("holds a blank; in a password it is written %20"));
    }
    let no_url = |id| {
        let why = "is no URL: it begins with none of redis://, rediss:// and unix://";
        Wrong::new(why).better(EXAMPLE).id(id)
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(|| no_url("redis-url-no-scheme"))?;
    match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => Parts::of(rest)?.over_tcp(Scheme::Plain),
        "rediss" | "valkeys" => Parts::of(rest)?.over_tcp(Scheme::Tls),
        "unix" | "redis+unix" | "valkey+unix" => over_unix(rest),
        "redis+sentinel" | "redis-sentinel" | "valkey+sentinel" => by_sentinels(rest),
        "redis+cluster" | "redis-cluster" | "valkey+cluster" => over_cluster(rest, Scheme::Plain),
        "rediss+cluster" | "rediss-cluster" | "valkeys+cluster" => over_cluster(rest, Scheme::Tls),
        _ => Err(no_url("redis-url-scheme")),
    }
}

/// A URL with a mistake that has no finding of its own.
fn unreadable(why: &str) -> Wrong {
    Wrong::new(why).better(EXAMPLE).id("redis-url-unreadable")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "redis",
            Self::Tls => "rediss",
        }
    }
}

/// A URL, cut into its parts and nothing understood yet.
struct Parts<'a> {
    user_info: &'a str,
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Result<Self, Wrong> {
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = base.split_once('/').unwrap_or((base, ""));
        let is_torn = path.contains(['@', '/'])
            || query.contains('@')
            || rest.contains('#')
            || authority.matches('@').count() > 1;
        if is_torn {
            let why = "holds a / ? # or @ where none belongs; in a password they are written \
                       %2F, %3F, %23 and %40";
            return Err(unreadable(why));
        }
        let (user_info, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if ![user_info, host, path, query].into_iter().all(is_percent_encoded) {
            let why = "holds a % that begins no code such as %25, which is how a % is written";
            return Err(unreadable(why));
        }
        Ok(Self { user_info, host, path, query })
    }

    fn over_tcp(self, scheme: Scheme) -> Result<RedisUrl, Wrong> {
        let (host, port) = host_and_port(self.host, PORT)?;
        let database = match self.path {
            "" => None,
            digits => Some(database(digits)?),
        };
        let address = RedisAddress::Tcp { host: host.to_owned(), port };
        let mut url = RedisUrl::at(address, self.user_info);
        url.database = database;
        let parameters = Parameters::parse(self.query, &mut url.remarks);
        url.take(&parameters, scheme);
        url.leave_sentinel_password();
        let at = url.shown_user(self.user_info);
        let number = url.database.map_or(String::new(), |number| format!("/{number}"));
        url.shown = format!("{}://{at}{}{number}", scheme.name(), shown_host(host, port));
        Ok(url)
    }
}

/// Host and port, an IPv6 address in brackets.
pub(crate) fn shown_host(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn by_sentinels(rest: &str) -> Result<RedisUrl, Wrong> {
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = base.split_once('/').unwrap_or((base, ""));
    let (primary, number) =
        path.split_once('/').map_or((path, None), |(primary, number)| (primary, Some(number)));
    let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if primary.is_empty() || primary.contains('@') || rest.contains('#') {
        let why = "names no primary: its name stands behind the Sentinels";
        return Err(unreadable(why).better(SENTINEL_EXAMPLE));
    }
    if ![user_info, hosts, path, query].into_iter().all(is_percent_encoded) {
        let why = "holds a % that begins no code such as %25, which is how a % is written";
        return Err(unreadable(why).better(SENTINEL_EXAMPLE));
    }
    let sentinels = several(hosts, SENTINEL_PORT)?;
    let shown = shown_hosts(&sentinels);
    let primary = percent_decoded(primary);
    let address = RedisAddress::Sentinel { sentinels, primary: primary.clone() };
    let mut url = RedisUrl::at(address, user_info);
    url.database = number.filter(|number| !number.is_empty()).map(database).transpose()?;
    let parameters = Parameters::parse(query, &mut url.remarks);
    url.take(&parameters, Scheme::Plain);
    let at = url.shown_user(user_info);
    let number = url.database.map_or(String::new(), |number| format!("/{number}"));
    url.shown = format!("redis+sentinel://{at}{shown}/{primary}{number}");
    Ok(url)
}

fn over_cluster(rest: &str, scheme: Scheme) -> Result<RedisUrl, Wrong> {
    let Parts { user_info, host, path, query } = Parts::of(rest)
        .map_err(|wrong| Wrong { better: Some(CLUSTER_EXAMPLE.to_owned()), ..wrong })?;
    let nodes = several(host, PORT)?;
    let shown = shown_hosts(&nodes);
    let mut url = RedisUrl::at(RedisAddress::Cluster(nodes), user_info);
    let number = (!path.is_empty()).then(|| database(path)).transpose()?;
    let parameters = Parameters::parse(query, &mut url.remarks);
    url.take(&parameters, scheme);
    url.leave_sentinel_password();
    if url.database.take().or(number).is_some_and(|number| number != 0) {
        let why = "names a database, of which a Cluster has one; number 0 is used";
        url.remarks.push(Wrong::new(why));
    }
    let at = url.shown_user(user_info);
    url.shown = format!("{}+cluster://{at}{shown}", scheme.name());
    Ok(url)
}

/// Hosts and ports with commas between them.
fn several(hosts: &str, default: u16) -> Result<Vec<(String, u16)>, Wrong> {
    let each = hosts.split(',').map(|host| host_and_port(host, default));
    each.map(|at| at.map(|(host, port)| (host.to_owned(), port))).collect()
}

fn shown_hosts(hosts: &[(String, u16)]) -> String {
    let shown: Vec<_> = hosts.iter().map(|(host, port)| shown_host(host, *port)).collect();
    shown.join(",")
}

fn over_unix(rest: &str) -> Result<RedisUrl, Wrong> {
    const UNIX_EXAMPLE: &str = "unix:///run/redis/redis.sock?db=0";
    let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user_info, path) = base.rsplit_once('@').unwrap_or(("", base));
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(unreadable("names no socket: a path begins with /").better(UNIX_EXAMPLE));
    }
    if ![user_info, path, query].into_iter().all(is_percent_encoded) {
        let why = "holds a % that begins no code such as %25, which is how a % is written";
        return Err(unreadable(why).better(UNIX_EXAMPLE));
    }
    let path = PathBuf::from(percent_decoded(path));
    let mut url = RedisUrl::at(RedisAddress::Unix(path.clone()), user_info);
    let parameters = Parameters::parse(query, &mut url.remarks);
    url.take(&parameters, Scheme::Plain);
    let number = url.database.map_or(String::new(), |number| format!("?db={number}"));
    url.shown = format!("unix://{}{}{number}", url.shown_user(user_info), path.display());
    Ok(url)
}

impl RedisUrl {
    fn at(address: RedisAddress, user_info: &str) -> Self {
        let (user, password) =
            user_info.split_once(':').map_or((user_info, None), |(user, pass)| (user, Some(pass)));
        let mut remarks = Vec::new();
        if password.is_none() && !user.is_empty() {
            let why = "has a user and no password; a password alone stands behind a colon, as in \
                       redis://:PASSWORD@host";
            remarks.push(Wrong::new(why).id("redis-password-as-user"));
        }
        let given = |text: &str| (!text.is_empty()).then(|| percent_decoded(text));
        Self {
            address,
            username: given(user).map(Secret::new),
            password: password.and_then(given).map(Secret::new),
            sentinel_password: None,
            database: None,
            tls: None,
            shown: String::new(),
            remarks,
        }
    }

    fn take(&mut self, parameters: &Parameters, scheme: Scheme) {
        self.database = parameters.database.or(self.database);
        self.sentinel_password.clone_from(&parameters.sentinel_password);
        if scheme == Scheme::Tls {
            self.tls = Some(parameters.tls(&mut self.remarks));
        } else if parameters.is_about_tls {
            let why = "has ssl_ parameters and speaks no TLS: rediss:// does; they are left out";
            self.remarks.push(Wrong::new(why));
        }
    }

    fn leave_sentinel_password(&mut self) {
        if self.sentinel_password.take().is_some() {
            let why = "has a sentinel_password and leads to no Sentinel: redis+sentinel:// does";
            self.remarks.push(Wrong::new(why));
        }
    }

    /// The part before the host, as it may be shown. A user without a password may be one.
    fn shown_user(&self, user_info: &str) -> String {
        match (user_info.is_empty(), &self.username, &self.password) {
            (true, _, _) => String::new(),
            (false, Some(user), Some(_)) => format!("{}:***@", user.expose()),
            (false, None, Some(_)) => ":***@".to_owned(),
            (false, _, None) => "***@".to_owned(),
        }
    }
}

fn host_and_port(text: &str, default: u16) -> Result<(&str, u16), Wrong> {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, ""))) => (address, None),
        Some(Some((address, rest))) => (address, Some(rest.strip_prefix(':').unwrap_or(rest))),
        Some(None) => return Err(unreadable("has a [ without a ]").id("redis-ipv6-brackets")),
        None if text.matches(':').count() > 1 && !is_like_ipv6(text) => {
            return Err(unreadable("has a host with several colons: an @ is missing, or encoded"));
        }
        None if text.matches(':').count() > 1 => {
            let why = "has an IPv6 address without brackets";
            let wrong = Wrong::new(why).id("redis-ipv6-brackets");
            return Err(wrong.better("redis://[2001:db8::1]:6379/0"));
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(unreadable("names no host"));
    }
    let Some(port) = port else { return Ok((host, default)) };
    match port.parse::<u16>() {
        Ok(port @ 1..) => Ok((host, port)),
        Ok(0) | Err(_) => {
            Err(unreadable("has a port that is no number from 1 to 65535").id("redis-port"))
        }
    }
}

fn is_like_ipv6(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
}

/// The number of a database.
pub(super) fn database(text: &str) -> Result<u32, Wrong> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && *number <= DATABASE_MAX);
    number.ok_or_else(|| {
        unreadable(&format!("has a database that is no number from 0 to {DATABASE_MAX}"))
            .id("redis-database")
    })
}

/// Redis has 16 databases as it comes, and counts them in 31 bits.
const DATABASE_MAX: u32 = i32::MAX as u32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_connected_to_and_what_people_see() {
        for (text, shown, username, password, has_tls) in [
            ("redis://h", "redis://h:6379", None, None, false),
            ("redis://:p%40ss@h:1/3", "redis://:***@h:1/3", None, Some("p@ss"), false),
            ("rediss://KEY@h:6380/0", "rediss://***@h:6380/0", Some("KEY"), None, true),
            ("valkeys://u:p@h", "rediss://u:***@h:6379", Some("u"), Some("p"), true),
            ("redis://[::1]:7/?db=2", "redis://[::1]:7/2", None, None, false),
            ("unix://:p@/run/r.sock?db=1", "unix://:***@/run/r.sock?db=1", None, Some("p"), false),
            (
                "redis+sentinel://:p@h1,h2:7/main/2?sentinel_password=q",
                "redis+sentinel://:***@h1:26379,h2:7/main/2",
                None,
                Some("p"),
                false,
            ),
            (
                "redis-cluster://:p@h1,[::1]:7",
                "redis+cluster://:***@h1:6379,[::1]:7",
                None,
                Some("p"),
                false,
            ),
            ("rediss+cluster://h/0", "rediss+cluster://h:6379", None, None, true),
        ] {
            let url = parse(text).unwrap_or_else(|wrong| panic!("{text} {}", wrong.why));
            assert_eq!(url.shown, shown);
            assert_eq!(url.username.as_ref().map(|u| u.expose().as_str()), username, "{text}");
            assert_eq!(url.password.as_ref().map(|p| p.expose().as_str()), password, "{text}");
            assert_eq!(url.tls.is_some(), has_tls, "{text}");
        }
    }

    #[test]
    fn sentinels_are_asked_with_a_password_of_their_own() {
        let url =
            parse("redis+sentinel://u:p@[::1]:1,h2/main?sentinel_password=q%40").expect("a URL");
        let sentinels = vec![("::1".to_owned(), 1), ("h2".to_owned(), 26379)];
        assert_eq!(url.address, RedisAddress::Sentinel { sentinels, primary: "main".to_owned() });
        let password = url.sentinel_password.as_ref().map(|password| password.expose().as_str());
        assert_eq!((password, url.remarks.len()), (Some("q@"), 0));
        let url = parse("redis://h?sentinel_password=q").expect("a URL");
        assert!(url.sentinel_password.is_none() && url.remarks.len() == 1);
    }

    #[test]
    fn a_cluster_has_one_database() {
        for (text, remarks) in [
            ("redis+cluster://h1:1,h2:2", 0),
            ("redis+cluster://h1:1,h2:2/0", 0),
            ("redis+cluster://h1:1,h2:2/3", 1),
            ("redis+cluster://h1:1,h2:2?db=3", 1),
            ("redis+cluster://h1:1,h2:2?sentinel_password=p", 1),
        ] {
            let url = parse(text).unwrap_or_else(|wrong| panic!("{text} {}", wrong.why));
            let nodes = vec![("h1".to_owned(), 1), ("h2".to_owned(), 2)];
            assert_eq!(url.address, RedisAddress::Cluster(nodes), "{text}");
            assert_eq!((url.database, url.remarks.len()), (None, remarks), "{text}");
        }
    }

    #[test]
    fn certificates_are_verified_unless_somebody_says_none() {
        for (query, verifies, remarks) in [
            ("", true, 0),
            ("?ssl_cert_reqs=required", true, 0),
            ("?ssl_cert_reqs=CERT_NONE", false, 0),
            ("?ssl_cert_reqs=requierd", true, 1),
            ("?ssl_cert_reqs=optional", true, 1),
            ("?ssl_ca_cert=/ca.pem", true, 1),
            ("?ssl_keyfile=/key.pem", true, 1),
        ] {
            let url = parse(&format!("rediss://h{query}")).expect("it is a URL");
            assert_eq!(url.tls.map(|tls| tls.verifies), Some(verifies), "{query}");
            assert_eq!(url.remarks.len(), remarks, "{query}");
        }
    }

    #[test]
    fn what_was_pasted_around_a_url_is_told_and_the_password_is_not() {
        for (text, why, better) in [
            ("\"redis://:hunter2@h:1\"", "quotes", "redis://:***@h:1"),
            ("REDIS_URL=redis://:hunter2@h:1", "own name", "redis://:***@h:1"),
            ("redis-cli -u redis://:hunter2@h:1", "command", "redis://:***@h:1"),
            (" redis://:hunter2@h:1 ", "blanks", "redis://:***@h:1"),
            ("redis://:hunter2/x@h", "%2F", EXAMPLE),
            ("redis://:hunter2#x@h", "%23", EXAMPLE),
            ("redis://:hunter2%@h", "%25", EXAMPLE),
            ("redis://:hunter2@h:port", "port", EXAMPLE),
            ("redis://:hunter2@[::1]6380x", "port", EXAMPLE),
            ("redis://:hunter2@h/zero", "database", EXAMPLE),
            ("redis://::1:6379", "brackets", "redis://[2001:db8::1]:6379/0"),
            ("h:6379", "no URL", EXAMPLE),
            ("https://h", "no URL", EXAMPLE),
            ("redis://", "no host", EXAMPLE),
            ("redis+sentinel://:hunter2@h", "no primary", SENTINEL_EXAMPLE),
            ("redis+cluster://:hunter2@h1,,h2", "no host", EXAMPLE),
            ("redis+cluster://:hunter2/x@h1,h2", "%2F", CLUSTER_EXAMPLE),
            ("unix://run", "no socket", "unix:///run/redis/redis.sock?db=0"),
        ] {
            let Err(wrong) = parse(text) else { panic!("{text} was taken") };
            assert!(wrong.why.contains(why), "{text}: {}", wrong.why);
            assert_eq!(wrong.better.as_deref(), Some(better), "{text}");
            assert!(!wrong.why.contains("hunter2"), "{text}: {}", wrong.why);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[\\PC@:/?&=%\\[\\],]{0,80}") {
            let _ = parse(&format!("redis://{text}"));
            let _ = parse(&text);
        }
    }
}
