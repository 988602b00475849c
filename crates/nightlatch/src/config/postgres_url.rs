//! Checks a PostgreSQL URL: `postgres://[user[:password]@]host[:port][,host[:port]..][/name][?..]`.
//!
//! The driver parses it again when it connects. This comes first because the driver's message
//! could quote the password, because a misspelt `sslmode` must verify, and because a parameter
//! that means nothing is no reason to serve nobody.

use nightlatch_core::Secret;

use super::percent::{is_percent_encoded, percent_decoded};
use super::reader::excerpt;
use super::setting::Form;
use super::value::{self, Wrong};

/// What the URL says.
pub(crate) struct PostgresUrl {
    /// For the driver.
    pub(super) url: Secret<String>,
    /// For people: no password, no parameter that might be one.
    pub(crate) shown: String,
    pub(super) password: Option<Secret<String>>,
    pub(super) root_certificate: Option<String>,
    pub(super) pgbouncer: bool,
    /// What was left out or taken otherwise.
    pub(crate) remarks: Vec<Wrong>,
}

/// Parses the URL.
pub(crate) fn parse(text: &str) -> Result<PostgresUrl, Wrong> {
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
        .id(UNENCODED)
        .better(EXAMPLE));
    }
    let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) =
        user_info.split_once(':').map_or((user_info, None), |(user, pass)| (user, Some(pass)));
    let parts = [user, password.unwrap_or_default(), hosts, name, query];
    if !parts.into_iter().all(is_percent_encoded) {
        let why = "holds a % that begins no code such as %25, which is how a % is written";
        return Err(Wrong::new(why).id(UNENCODED).better(EXAMPLE));
    }
    check_hosts(hosts, query)?;
    let parameters = Parameters::parse(query);
    let shown_user = match password {
        Some(_) => format!("{user}:***"),
        None if user.is_empty() || is_role(user) => user.to_owned(),
        // A password may stand where the user belongs.
        None => "***".to_owned(),
    };
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

/// Whether a text looks like the name of a role, and not like a password.
pub(crate) fn is_role(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    begins_well && text.len() <= ROLE_BYTES_MAX && text.chars().all(is_plain) && digits <= 3
}

/// Longer ones are made by programs, as passwords are.
const ROLE_BYTES_MAX: usize = 32;

/// The finding of a URL that ends, or means something else, within its password.
const UNENCODED: &str = "database-password-unencoded";

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
    ssl_mode: Option<&'static str>,
    root_certificate: Option<String>,
    pgbouncer: bool,
    remarks: Vec<Wrong>,
}

impl Parameters {
    fn parse(query: &str) -> Self {
        let mut parameters = Self::default();
        let mut is_system = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("sslmode", value) => parameters.take_ssl_mode(value),
                ("sslrootcert", "system") => is_system = true,
                ("sslrootcert", value) => parameters.root_certificate = Some(value.to_owned()),
                ("pgbouncer", value) => parameters.take_pgbouncer(value),
                (name, value) => parameters.take_other(name, value),
            }
        }
        parameters.settle_tls(is_system);
        parameters
    }

    fn take_ssl_mode(&mut self, value: &str) {
        self.ssl_mode = Some(value::word_of(value, SSL_MODES).unwrap_or_else(|wrong| {
            let why = format!("sslmode={} {}; taken as verify-full", excerpt(value), wrong.why);
            let better = wrong.better.unwrap_or_else(|| "verify-full".to_owned());
            self.remarks.push(Wrong::new(why).better(format!("postgres://..?sslmode={better}")));
            "verify-full"
        }));
    }

    /// Doubt means on: unnamed statements work with and without a pooler.
    fn take_pgbouncer(&mut self, value: &str) {
        self.pgbouncer = value::switch(value, Form::Switch).unwrap_or_else(|wrong| {
            let why = format!("pgbouncer={} {}; taken as true", excerpt(value), wrong.why);
            self.remarks.push(Wrong::new(why).better("postgres://..?pgbouncer=true"));
            true
        });
    }

    fn take_other(&mut self, name: &str, value: &str) {
        if name == "target_session_attrs" {
            if value != "read-write" {
                let why = "asks for another server than the primary, which alone is believed; \
                           target_session_attrs is left out";
                self.remarks.push(Wrong::new(why));
            }
            return;
        }
        if PASSED_ON.contains(&name) && !value.is_empty() {
            self.shown.push(format!("{name}=***"));
            self.for_driver.push(format!("{name}={value}"));
            return;
        }
        let near = PASSED_ON.iter().chain(OURS).find(|near| value::distance(near, name) <= 2);
        let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        let why =
            format!("has a parameter {} that means nothing{hint}; it is left out", excerpt(name));
        self.remarks.push(Wrong::new(why));
    }

    /// Writes what is ours in the words of the store, the stricter one where they differ.
    fn settle_tls(&mut self, is_system: bool) {
        let mode = match (self.ssl_mode, &self.root_certificate) {
            // As in libpq: the machine's own authorities certify anybody, so the name decides.
            _ if is_system => Some("verify-full"),
            (Some("verify-ca"), None) => {
                let why = "sslmode=verify-ca without sslrootcert believes anybody's certificate; \
                           taken as verify-full";
                let better = "postgres://..?sslmode=verify-ca&sslrootcert=/path/to/ca.pem";
                self.remarks.push(Wrong::new(why).better(better));
                Some("verify-full")
            }
            (Some("allow"), _) => Some("prefer"),
            (mode, _) => mode,
        };
        if is_system {
            self.root_certificate = None;
        }
        let root = self.root_certificate.as_ref().map(|file| format!("sslrootcert={file}"));
        let mode = mode.map(|mode| format!("sslmode={mode}"));
        let pooled = self.pgbouncer.then(|| "pgbouncer=true".to_owned());
        for pair in [mode, root, pooled].into_iter().flatten() {
            self.shown.push(pair.clone());
            self.for_driver.push(pair);
        }
        self.root_certificate = self.root_certificate.as_deref().map(percent_decoded);
    }
}

const SSL_MODES: Form =
    Form::Words(&["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]);

const OURS: &[&str] = &["sslmode", "sslrootcert", "pgbouncer", "target_session_attrs"];

/// What the store hands on to its driver. Time-outs are not among them: the store sets its own.
const PASSED_ON: &[&str] = &[
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "application_name",
    "sslnegotiation",
    "channel_binding",
];

fn as_query(pairs: &[String]) -> String {
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
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
            ("postgres://S3cr%2Ft@h", "postgres://S3cr%2Ft@h", "postgres://***@h", None),
            ("postgres://h7u8n9t2er@h", "postgres://h7u8n9t2er@h", "postgres://***@h", None),
            (
                "postgres:///db?host=/run/pg",
                "postgres:///db?host=/run/pg",
                "postgres:///db?host=***",
                None,
            ),
            (
                "postgres://h/db?pgbouncer=true&sslmode=REQUIRE&x=1&password=q",
                "postgres://h/db?password=q&sslmode=require&pgbouncer=true",
                "postgres://h/db?password=***&sslmode=require&pgbouncer=true",
                None,
            ),
            (
                "postgres://h/db?sslmode=requierd",
                "postgres://h/db?sslmode=verify-full",
                "postgres://h/db?sslmode=verify-full",
                None,
            ),
            (
                "postgres://h/db?sslmode=verify-ca&sslrootcert=/a%20b.pem",
                "postgres://h/db?sslmode=verify-ca&sslrootcert=/a%20b.pem",
                "postgres://h/db?sslmode=verify-ca&sslrootcert=/a%20b.pem",
                None,
            ),
            (
                "postgres://h/db?sslmode=require&sslrootcert=system&target_session_attrs=read-write",
                "postgres://h/db?sslmode=verify-full",
                "postgres://h/db?sslmode=verify-full",
                None,
            ),
            (
                "postgres://h/db?sslmode=allow&pgbouncer=off",
                "postgres://h/db?sslmode=prefer",
                "postgres://h/db?sslmode=prefer",
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
            ("sslmode=verify-ca", 1, false),
            ("target_session_attrs=any", 1, false),
            ("connect_timeout=3", 1, false),
            ("application_name", 1, false),
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
