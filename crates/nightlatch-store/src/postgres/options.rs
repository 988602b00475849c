//! What is needed to reach a `PostgreSQL`: the URL and the limits beside it.
//!
//! The driver knows neither `verify-full` nor `sslrootcert` nor `pgbouncer`, and takes what it is
//! told without saying what it means for the promises. So the URL is read here, and whatever is
//! not understood is refused by name: an option that is silently ignored is found in an outage.

use std::path::PathBuf;
use std::time::Duration;

use nightlatch_core::Secret;
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};

use super::schema::Schema;
use super::tls::{self, Authorities, TlsDemand};
use crate::certificate::CertificateExpiry;

/// How to reach the record and what may be used of it.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port,host2:port2/database?sslmode=verify-full`.
    pub url: Secret<String>,
    /// The password, if the URL has none; else it wins over the one there.
    pub password: Option<Secret<String>>,
    /// The schema that holds the tables.
    pub schema: String,
    /// Whether a pool that changes the connection with each transaction stands in between
    /// (`PgBouncer`), as `pgbouncer=true` in the URL says too: then nothing is left behind in a
    /// connection, and the limits below are to be set on the role.
    pub pgbouncer: bool,
    /// The most connections of this process for statements. Beside them are one that listens to the
    /// feed, one that looks at it, and six that are kept ready once several are in use.
    pub connections_max: usize,
    /// The most calls that wait for a connection; more are refused at once.
    pub waiting_max: usize,
    /// How long one attempt at one host may take, until it is ready for statements: four answers. The
    /// other hosts of a URL with several do not wait longer than two seconds for it.
    pub connect_timeout: Duration,
    /// How long a statement waits for a lock. Over a second, or the server's own search for
    /// deadlocks (`deadlock_timeout`) would never come to its end.
    pub lock_timeout: Duration,
    /// When the server ends a statement whose client it has not missed yet. The client's own
    /// deadline cancels earlier.
    pub statement_timeout: Duration,
}

impl PostgresOptions {
    /// The defaults for a URL.
    #[must_use]
    pub fn new(url: Secret<String>) -> Self {
        Self {
            url,
            password: None,
            schema: Schema::DEFAULT.to_owned(),
            pgbouncer: false,
            connections_max: 16,
            waiting_max: 512,
            connect_timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_millis(1500),
            statement_timeout: Duration::from_secs(5),
        }
    }
}

/// Why the record cannot be opened with these options. Never holds a secret.
#[derive(Debug, Error)]
pub enum PostgresOptionsError {
    /// The URL has another form.
    #[error(
        "the database URL reads postgres://USER:PASSWORD@HOST:PORT/DATABASE, with @ : / ? # and % in the password percent-encoded: {0}"
    )]
    Url(&'static str),
    /// A parameter that means nothing here.
    #[error("the database URL has a parameter `{0}` that is not supported")]
    UnknownParameter(String),
    /// A parameter with a value that means nothing here.
    #[error("the parameter `{parameter}` of the database URL must be {expected}")]
    BadValue {
        /// Which parameter.
        parameter: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The schema's name would have to be quoted everywhere.
    #[error(
        "a schema name has 1 to 63 characters a-z, 0-9 and _, begins with no digit and not with pg_"
    )]
    Schema,
    /// The file of `sslrootcert` cannot be used.
    #[error("the certificates in {} cannot be used", path.display())]
    RootCertificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Options that were understood.
pub(super) struct Target {
    /// One configuration for each host, in the order of the URL.
    pub(super) hosts: Vec<Config>,
    pub(super) tls: rustls::ClientConfig,
    pub(super) demand: TlsDemand,
    /// Whether the server has to show whose it is.
    pub(super) is_proven: bool,
    /// What TLS is shown.
    pub(super) certificate: CertificateExpiry,
    /// How long one attempt at one of them may take, until it is ready for statements.
    pub(super) attempt_limit: Duration,
    /// Whether each process begins with another host.
    pub(super) begins_anywhere: bool,
    /// Behind a pool that changes the connection with each transaction: nothing may be left
    /// behind in one.
    pub(super) is_pooled: bool,
}

/// What is read from the query part and not passed on to the driver.
#[derive(Default)]
struct OurParameters {
    sslmode: Option<TlsDemand>,
    sslrootcert: Option<Authorities>,
    pgbouncer: bool,
}

/// Parameters of which the driver means the same as everybody else.
const DRIVER_PARAMETERS: &[&str] = &[
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "application_name",
    "sslnegotiation",
    "channel_binding",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
];

/// Reads the options. Nothing is connected to; only a named certificate file is read.
pub(super) fn read(options: &PostgresOptions) -> Result<Target, PostgresOptionsError> {
    let url = options.url.expose();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(PostgresOptionsError::Url("it does not begin with postgres://"));
    }
    let (base, query) = split_query(url);
    let mut ours = OurParameters { pgbouncer: options.pgbouncer, ..OurParameters::default() };
    let mut passed_on = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if !ours.take(pair)? {
            passed_on.push(pair);
        }
    }
    let driver_url = Secret::new(format!("{base}?{}", passed_on.join("&")));
    // The driver's error is left out: it may quote what it could not read.
    let config: Config = driver_url
        .expose()
        .parse()
        .map_err(|_| PostgresOptionsError::Url("a part of it cannot be read"))?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(PostgresOptionsError::Url("it names no host"));
    }
    let demand = ours.sslmode.unwrap_or(TlsDemand::Prefer);
    let certificate = CertificateExpiry::default();
    let has_roots = matches!(ours.sslrootcert, Some(Authorities::File(_)));
    Ok(Target {
        hosts: hosts(&config, options, demand.ssl_mode(), ours.pgbouncer)?,
        tls: tls::client_config(demand, ours.sslrootcert, &certificate)?,
        certificate,
        demand,
        is_proven: match demand {
            TlsDemand::VerifyFull | TlsDemand::VerifyCa => true,
            TlsDemand::Require => has_roots,
            TlsDemand::Prefer | TlsDemand::Disable => false,
        },
        attempt_limit: connect_timeout(&config, options),
        begins_anywhere: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
        is_pooled: ours.pgbouncer,
    })
}

impl OurParameters {
    /// Takes a parameter of ours; `false`: it is the driver's.
    fn take(&mut self, pair: &str) -> Result<bool, PostgresOptionsError> {
        let (name, value) =
            pair.split_once('=').ok_or(PostgresOptionsError::Url("a parameter has no value"))?;
        match name {
            "sslmode" => self.sslmode = Some(TlsDemand::from_name(value)?),
            "sslrootcert" => {
                let name = percent_decode(value).ok_or(PostgresOptionsError::BadValue {
                    parameter: "sslrootcert",
                    expected: "system or a file name, percent-encoded",
                })?;
                self.sslrootcert = Some(Authorities::from_name(name));
            }
            "pgbouncer" => {
                let is_meant: bool = value.parse().map_err(|_| PostgresOptionsError::BadValue {
                    parameter: "pgbouncer",
                    expected: "true or false",
                })?;
                self.pgbouncer |= is_meant;
            }
            // A standby's rows may lack what was revoked: reads never go there.
            "target_session_attrs" if value == "read-write" => {}
            "target_session_attrs" => {
                return Err(PostgresOptionsError::BadValue {
                    parameter: "target_session_attrs",
                    expected: "read-write",
                });
            }
            name if DRIVER_PARAMETERS.contains(&name) => return Ok(false),
            // Only what looks like a name is repeated: a `?` in a password would end up here.
            name if name.chars().all(|c| c.is_ascii_lowercase() || c == '_') => {
                return Err(PostgresOptionsError::UnknownParameter(name.to_owned()));
            }
            _ => return Err(PostgresOptionsError::Url("a parameter has an odd name")),
        }
        Ok(true)
    }
}

/// Splits off the query part where the driver would: after the credentials.
fn split_query(url: &str) -> (&str, &str) {
    let after_credentials = url.find('@').map_or(0, |at| at + 1);
    match url[after_credentials..].find('?') {
        Some(at) => {
            let at = after_credentials + at;
            (&url[..at], &url[at + 1..])
        }
        None => (url, ""),
    }
}

/// One configuration a host: each attempt is limited by itself, so that a host that hangs does
/// not keep us from the next.
fn hosts(
    config: &Config,
    options: &PostgresOptions,
    ssl_mode: SslMode,
    is_pooled: bool,
) -> Result<Vec<Config>, PostgresOptionsError> {
    let (names, addresses, ports) =
        (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = names.len().max(addresses.len());
    let addresses_fit = names.is_empty() || addresses.is_empty() || addresses.len() == count;
    if !addresses_fit || (ports.len() > 1 && ports.len() != count) {
        return Err(PostgresOptionsError::Url("hosts, addresses and ports differ in number"));
    }
    let one = |index: usize| {
        let mut host = with_limits(config, options, is_pooled);
        host.ssl_mode(ssl_mode);
        match names.get(index) {
            Some(Host::Tcp(name)) => host.host(name.as_str()),
            Some(Host::Unix(path)) => host.host_path(path),
            None => &mut host,
        };
        if let Some(address) = addresses.get(index) {
            host.hostaddr(*address);
        }
        host.port(ports.get(index).or(ports.first()).copied().unwrap_or(5432));
        host
    };
    Ok((0..count).map(one).collect())
}

fn with_limits(config: &Config, options: &PostgresOptions, is_pooled: bool) -> Config {
    let mut host = Config::new();
    if let Some(user) = config.get_user() {
        host.user(user);
    }
    match (&options.password, config.get_password()) {
        (Some(password), _) => host.password(password.expose()),
        (None, Some(password)) => host.password(password),
        (None, None) => &mut host,
    };
    if let Some(database) = config.get_dbname() {
        host.dbname(database);
    }
    host.application_name(config.get_application_name().unwrap_or("nightlatch"))
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .connect_timeout(connect_timeout(config, options))
        .tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(TCP_USER_TIMEOUT))
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle().min(KEEPALIVES_IDLE))
        .keepalives_interval(config.get_keepalives_interval().unwrap_or(KEEPALIVES_INTERVAL))
        .keepalives_retries(config.get_keepalives_retries().unwrap_or(KEEPALIVES_RETRIES));
    let theirs = config.get_options().unwrap_or_default();
    // Behind a pool ours would hold for whoever gets the connection next.
    if !is_pooled {
        host.options(format!("{theirs} {}", our_settings(options)));
    } else if !theirs.is_empty() {
        host.options(theirs);
    }
    host
}

/// A connection whose other side is gone is noticed after about as long as the longest request.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
const KEEPALIVES_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVES_RETRIES: u32 = 3;

/// How long one attempt at one host may take.
fn connect_timeout(config: &Config, options: &PostgresOptions) -> Duration {
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    let ours = if hosts > 1 { AMONG_SEVERAL_MAX } else { Duration::MAX };
    config.get_connect_timeout().copied().unwrap_or(options.connect_timeout.min(ours))
}

/// How long one attempt may take while other hosts wait.
const AMONG_SEVERAL_MAX: Duration = Duration::from_secs(2);

/// What holds in each of our sessions, whatever server, database and role say: a login is
/// acknowledged when it is on the disk.
fn our_settings(options: &PostgresOptions) -> String {
    format!(
        "-c statement_timeout={} -c lock_timeout={} \
         -c idle_in_transaction_session_timeout=5000 -c synchronous_commit=on",
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis()
    )
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_url(url: &str) -> Result<Target, PostgresOptionsError> {
        read(&PostgresOptions::new(Secret::new(url.to_owned())))
    }

    fn refusal(url: &str) -> String {
        match read_url(url) {
            Ok(_) => panic!("{url} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_host_gets_a_configuration_of_its_own() {
        let target = read_url("postgres://u:p@a:1,b:2,[::1]:3/d?target_session_attrs=read-write")
            .expect("a URL");
        let seen: Vec<_> = target
            .hosts
            .iter()
            .map(|host| (host.get_hosts().to_vec(), host.get_ports().to_vec()))
            .collect();
        let tcp = |name: &str| vec![Host::Tcp(name.to_owned())];
        assert_eq!(seen, [(tcp("a"), vec![1]), (tcp("b"), vec![2]), (tcp("::1"), vec![3])]);
        for host in &target.hosts {
            assert_eq!(host.get_password(), Some(b"p".as_slice()));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert!(host.get_options().is_some_and(|o| o.contains("statement_timeout=5000")));
        }
    }

    #[test]
    fn a_transaction_pool_gets_no_options() {
        let target = read_url("postgres://u@h/d?pgbouncer=true").expect("a URL");
        assert!(target.is_pooled);
        assert_eq!(target.hosts[0].get_options(), None);
        let mut options = PostgresOptions::new(Secret::new("postgres://u@h/d".to_owned()));
        options.pgbouncer = true;
        assert!(read(&options).expect("a URL").is_pooled);
    }

    #[test]
    fn our_settings_stand_after_those_of_the_url() {
        let url = "postgres://u@h/d?options=-c%20synchronous_commit%3Doff&connect_timeout=7";
        let target = read_url(url).expect("a URL");
        let settings = target.hosts[0].get_options().expect("there are some");
        let (theirs, ours) = settings.split_once("off").expect("theirs are kept");
        assert!(theirs.starts_with("-c synchronous_commit="));
        assert!(ours.ends_with("synchronous_commit=on"), "the later one holds");
        assert_eq!(target.attempt_limit, Duration::from_secs(7));
    }

    #[test]
    fn the_separate_password_wins() {
        let mut options = PostgresOptions::new(Secret::new("postgres://u:old@h/d".to_owned()));
        options.password = Some(Secret::new("new".to_owned()));
        let target = read(&options).expect("a URL");
        assert_eq!(target.hosts[0].get_password(), Some(b"new".as_slice()));
        assert!(!format!("{options:?}").contains("old"));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name_and_without_the_password() {
        for (url, told) in [
            ("mysql://u:hunter2@h/d", "postgres://"),
            ("postgres://u:hunter2@/d", "no host"),
            ("postgres://u:hunter2@h/d?sslcert=x", "`sslcert`"),
            ("postgres://u:hunter2@h/d?sslmode=on", "`sslmode`"),
            ("postgres://u:hunter2@h/d?sslmode=verify-ca&sslrootcert=system", "`sslrootcert`"),
            ("postgres://u:hunter2@h/d?sslmode=verify-ca", "`sslrootcert`"),
            ("postgres://u:hunter2@h/d?pgbouncer=yes", "`pgbouncer`"),
            ("postgres://u:hunter2@h/d?target_session_attrs=any", "`target_session_attrs`"),
            ("postgres://u:hunter2@h/d?sslrootcert=/nowhere/ca.pem&sslmode=require", "/nowhere"),
            ("postgres://u:hunter2@h:port/d", "cannot be read"),
            ("postgres://u:@h?hunter2@h/d", "no value"),
            ("postgres://u:@h?Hunter2=@h/d", "odd name"),
            ("postgres://u:hunter2@a,b/d?hostaddr=127.0.0.1", "differ in number"),
        ] {
            let refused = refusal(url);
            assert!(refused.contains(told), "{url}: {refused}");
            assert!(!refused.to_lowercase().contains("hunter2"), "{url}: {refused}");
        }
    }
}
