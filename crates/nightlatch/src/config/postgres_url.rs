//! Checks a PostgreSQL URL: `postgres://[user[:password]@]host[:port][,host[:port]..][/name][?..]`.
//!
//! The driver parses it again when it connects. This comes first because the driver's message
//! could quote the password, because a misspelt `sslmode` must verify, and because `pgbouncer`
//! and `sslrootcert` are ours.

use nightlatch_core::Secret;

use super::setting::Form;
use super::value::{self, Wrong};

/// What the URL says.
pub(super) struct PostgresUrl {
    /// For the driver.
    pub(super) url: Secret<String>,
    /// For people: no password, no parameter that might be one.
    pub(super) shown: String,
    pub(super) password: Option<Secret<String>>,
    pub(super) root_certificate: Option<String>,
    pub(super) pgbouncer: bool,
    /// What was left out or taken otherwise.
    pub(super) remarks: Vec<Wrong>,
}

/// Parses the URL.
pub(super) fn parse(text: &str) -> Result<PostgresUrl, Wrong> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Wrong::new("holds a blank; in a password it is written %20").better(EXAMPLE));
    }
    let rest = text.split_once("://").map(|(_, rest)| rest);
    let rest = rest.ok_or_else(|| Wrong::new("has no // after the scheme").better(EXAMPLE))?;
    let (base, query) = rest.split_once('?').map_or((rest, ""), |(base, query)| (base, query));
    let (authority, name) = base.split_once('/').map_or((base, ""), |(a, name)| (a, name));
    if name.contains(['@', '/']) || query.contains('@') || authority.matches('@').count() > 1 {
        return Err(Wrong::new(
            "holds a / ? or @ where none belongs; in a password they are written %2F, %3F and %40",
        )
        .better(EXAMPLE));
    }
    let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) =
        user_info.split_once(':').map_or((user_info, None), |(user, pass)| (user, Some(pass)));
    let parts = [user, password.unwrap_or_default(), hosts, name, query];
    if !parts.into_iter().all(is_percent_encoded) {
        let why = "holds a % that begins no code such as %25, which is how a % is written";
        return Err(Wrong::new(why).better(EXAMPLE));
    }
    check_hosts(hosts, query)?;
    let parameters = Parameters::parse(query);
    let shown_user = if password.is_some() { format!("{user}:***") } else { user.to_owned() };
    let at = if user_info.is_empty() { "" } else { "@" };
    let slash = if base.contains('/') { "/" } else { "" };
    let tail = format!("{at}{hosts}{slash}{name}");
    let user_info = Secret::new(user_info.to_owned());
    Ok(PostgresUrl {
        url: Secret::new(format!(
            "postgres://{}{tail}{}",
            user_info.expose(),
            as_query(&parameters.for_driver)
        )),
        shown: format!("postgres://{shown_user}{tail}{}", as_query(&parameters.shown)),
        password: password.filter(|p| !p.is_empty()).map(|p| Secret::new(percent_decoded(p))),
        root_certificate: parameters.root_certificate,
        pgbouncer: parameters.pgbouncer,
        remarks: parameters.remarks,
    })
}

const EXAMPLE: &str = "postgres://nightlatch@db.example.com:5432/nightlatch?sslmode=verify-full";

fn check_hosts(hosts: &str, query: &str) -> Result<(), Wrong> {
    let is_host_parameter = |pair: &str| pair.starts_with("host=") || pair.starts_with("hostaddr=");
    if hosts.is_empty() && query.split('&').any(is_host_parameter) {
        return Ok(());
    }
    for host in hosts.split(',') {
        // The colons of an IPv6 address stand in brackets.
        let after_address = host.rfind(']').map_or(0, |at| at + 1);
        let (name, port) = match host[after_address..].find(':') {
            Some(at) => (&host[..after_address + at], Some(&host[after_address + at + 1..])),
            None => (host, None),
        };
        if name.is_empty() {
            return Err(Wrong::new("names no host").better(EXAMPLE));
        }
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(Wrong::new("has a port that is no number from 1 to 65535").better(EXAMPLE));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Parameters {
    for_driver: Vec<String>,
    shown: Vec<String>,
    root_certificate: Option<String>,
    pgbouncer: bool,
    remarks: Vec<Wrong>,
}

impl Parameters {
    fn parse(query: &str) -> Self {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.take(name, value);
        }
        parameters
    }

    fn take(&mut self, name: &str, value: &str) {
        match name {
            "sslmode" => self.take_ssl_mode(value),
            "pgbouncer" => self.take_pgbouncer(value),
            "sslrootcert" => {
                // The word `system` stands for the machine's own authorities.
                let file = (value != "system").then(|| percent_decoded(value));
                self.root_certificate = file;
                self.keep(name, value);
            }
            name if PASSED_ON.contains(&name) => self.keep(name, value),
            name => {
                let near = PASSED_ON.iter().chain(OURS).find(|n| value::distance(n, name) <= 2);
                let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
                let name = super::reader::excerpt(name);
                let why = format!("has the unknown parameter {name}{hint}; it is left out");
                self.remarks.push(Wrong::new(why));
            }
        }
    }

    fn take_ssl_mode(&mut self, value: &str) {
        match value::word_of(value, SSL_MODES) {
            Ok(mode) => self.keep("sslmode", mode),
            Err(wrong) => {
                let value = super::reader::excerpt(value);
                let why = format!("sslmode={value} {}; taken as verify-full", wrong.why);
                let better = wrong.better.unwrap_or_else(|| "verify-full".to_owned());
                self.remarks
                    .push(Wrong::new(why).better(format!("postgres://..?sslmode={better}")));
                self.keep("sslmode", "verify-full");
            }
        }
    }

    /// Doubt means on: unnamed statements work with and without a pooler.
    fn take_pgbouncer(&mut self, value: &str) {
        self.pgbouncer = value::switch(value, Form::Switch).unwrap_or_else(|wrong| {
            let why = format!("pgbouncer={value:?} {}; taken as true", wrong.why);
            self.remarks.push(Wrong::new(why).better("postgres://..?pgbouncer=true"));
            true
        });
        self.shown.push(format!("pgbouncer={}", self.pgbouncer));
    }

    fn keep(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={value}");
        let is_harmless = OURS.contains(&name) || name == "target_session_attrs";
        self.shown.push(if is_harmless { pair.clone() } else { format!("{name}=***") });
        self.for_driver.push(pair);
    }
}

const SSL_MODES: Form =
    Form::Words(&["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]);

const OURS: &[&str] = &["sslmode", "sslrootcert", "pgbouncer"];

/// What the driver understands.
const PASSED_ON: &[&str] = &[
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

fn as_query(pairs: &[String]) -> String {
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn is_percent_encoded(text: &str) -> bool {
    let codes = text.split('%').skip(1);
    codes
        .into_iter()
        .all(|code| code.get(..2).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok()))
}

/// Decodes `%XX`; the text was checked before.
fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(hex, 16).ok());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_driver_gets_and_what_people_see() {
        let cases = [
            (
                "postgres://u:p%40ss@h/db",
                "postgres://u:p%40ss@h/db",
                "postgres://u:***@h/db",
                Some("p@ss"),
            ),
            (
                "postgresql://u@a:5432,[::1]:5433/db",
                "postgres://u@a:5432,[::1]:5433/db",
                "postgres://u@a:5432,[::1]:5433/db",
                None,
            ),
            ("postgres://h", "postgres://h", "postgres://h", None),
            (
                "postgres:///db?host=/run/pg",
                "postgres:///db?host=/run/pg",
                "postgres:///db?host=***",
                None,
            ),
            (
                "postgres://h/db?pgbouncer=true&sslmode=VERIFY-CA&x=1&password=q",
                "postgres://h/db?sslmode=verify-ca&password=q",
                "postgres://h/db?pgbouncer=true&sslmode=verify-ca&password=***",
                None,
            ),
            (
                "postgres://h/db?sslmode=requierd",
                "postgres://h/db?sslmode=verify-full",
                "postgres://h/db?sslmode=verify-full",
                None,
            ),
        ];
        for (text, url, shown, password) in cases {
            let parsed = parse(text).unwrap_or_else(|wrong| panic!("{text} {}", wrong.why));
            assert_eq!(parsed.url.expose(), url);
            assert_eq!(parsed.shown, shown);
            assert_eq!(parsed.password.as_ref().map(|p| p.expose().as_str()), password);
        }
    }

    #[test]
    fn what_no_driver_could_connect_to_is_refused_without_quoting_it() {
        for text in [
            "postgres:h/db",
            "postgres://",
            "postgres://u:hunter2@/db",
            "postgres://u:hunter2@h:0/db",
            "postgres://u:hunter2@h:port/db",
            "postgres://u:hunter2@a,,b/db",
            "postgres://u:hunter2/x@h/db",
            "postgres://u:hunter2@x@h/db",
            "postgres://u:hunter2?x@h/db",
            "postgres://u:hunter2%zz@h/db",
            "postgres://u:hunter2 x@h/db",
        ] {
            let Err(wrong) = parse(text) else { panic!("{text} was taken") };
            assert!(!wrong.why.contains("hunter2"), "{}", wrong.why);
        }
    }

    #[test]
    fn parameters_that_are_wrong_are_told_and_safe() {
        for (query, count, pgbouncer) in [
            ("pgbouncer=true", 0, true),
            ("pgbouncer=0", 0, false),
            ("pgbouncer=ture", 1, true),
            ("sslmod=require", 1, false),
            ("schema=public&sslmode=on", 2, false),
        ] {
            let parsed = parse(&format!("postgres://h/db?{query}")).ok().unwrap();
            assert_eq!((parsed.remarks.len(), parsed.pgbouncer), (count, pgbouncer), "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[\\PC@:/?&=%\\[\\],]{0,80}") {
            let _ = parse(&format!("postgres://{text}"));
        }
    }
}
