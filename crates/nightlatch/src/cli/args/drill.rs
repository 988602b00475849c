//! What `nightlatch drill` takes.
//!
//! No password is among it: of users it is asked for, or read from a file, and that of the database is
//! configured.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use nightlatch_drill::fault::Fault;
use nightlatch_drill::proxy::Place;
use thiserror::Error;

/// Arguments of `nightlatch drill`.
#[derive(Clone, Debug, Args)]
pub struct DrillArgs {
    /// Show this fault alone; may be given several times
    #[arg(long, value_name = "NAME", value_parser = fault)]
    pub fault: Vec<&'static Fault>,
    /// Print the faults and what people must see of each, and do nothing
    #[arg(long)]
    pub list: bool,
    /// How long each fault lasts, in seconds
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(2..=600))]
    pub seconds: u32,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the report, with pictures, into this file
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// What the private set-up is made of
    #[command(flatten)]
    pub private: PrivateArgs,
    /// Which system is taken instead
    #[command(flatten)]
    pub staging: StagingArgs,
}

/// What the private set-up is made of.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Private set-up")]
pub struct PrivateArgs {
    /// Use this Redis instead of one of the drill's own, through a proxy: `redis://[USER@]HOST[:PORT][/NUMBER]`
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    pub redis_url: Option<RedisAt>,
    /// Read its password from this file
    #[arg(long, value_name = "FILE", requires = "redis_url")]
    pub redis_password_file: Option<PathBuf>,
    /// Go without Redis, though `redis-server` is installed
    #[arg(long, conflicts_with_all = ["redis_url", "url"])]
    pub no_redis: bool,
    /// Use this PostgreSQL instead of an SQLite file, through a proxy; it must hold no record
    ///
    /// The drill makes the schema `nightlatch_drill` in it, and leaves it there. The password is
    /// `DATABASE_PASSWORD`, never part of this URL.
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    pub database_url: Option<String>,
}

/// Which system is taken instead of a private set-up.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Staging system")]
pub struct StagingArgs {
    /// Take this staging system; its servers are not killed or stopped
    #[arg(long, value_name = "URL", requires = "user")]
    pub url: Option<String>,
    /// Whose sessions make up the load: asks for the password, or reads one line of stdin
    #[arg(long, value_name = "NAME", requires = "url")]
    pub user: Option<String>,
    /// Read the user's password from this file
    #[arg(long, value_name = "FILE", requires = "url")]
    pub password_file: Option<PathBuf>,
    /// Stand between it and its Redis: it must be configured to reach LISTEN
    #[arg(long, value_name = "LISTEN=HOST:PORT", requires = "url")]
    pub redis_proxy: Option<ProxyArg>,
    /// Stand between it and its database: it must be configured to reach LISTEN
    #[arg(long, value_name = "LISTEN=HOST:PORT", requires = "url")]
    pub database_proxy: Option<ProxyArg>,
    /// Do not ask whether it is production
    #[arg(long, requires = "url")]
    pub i_know_this_is_not_production: bool,
}

/// Why an argument makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArgError {
    /// No such fault.
    #[error("there is no such fault; `nightlatch drill --list` names them")]
    Fault,
    /// No host and port.
    #[error("write HOST:PORT, such as cache.example:6379")]
    Place,
    /// No address to listen on.
    #[error("write LISTEN=HOST:PORT, such as 127.0.0.1:7000=cache.example:6379")]
    Proxy,
    /// Not a URL of Redis that a drill can stand before.
    #[error("write redis://HOST:PORT; a drill stands before one server, and in clear text")]
    Redis,
    /// A secret in a list that others can read.
    #[error("leave the password out, others can read it here: --redis-password-file FILE")]
    Password,
}

fn fault(name: &str) -> Result<&'static Fault, ArgError> {
    Fault::named(name).ok_or(ArgError::Fault)
}

/// A server: `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceAt(pub Place);

impl FromStr for PlaceAt {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let (host, port) = text.rsplit_once(':').ok_or(ArgError::Place)?;
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = inner.unwrap_or(host);
        let is_host = !host.is_empty() && (inner.is_some() || !host.contains(':'));
        let is_plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(ArgError::Place)?;
        if !is_host || !is_plain {
            return Err(ArgError::Place);
        }
        Ok(Self(Place { host: host.to_owned(), port }))
    }
}

/// A proxy and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyArg {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it leads.
    pub target: Place,
}

impl FromStr for ProxyArg {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let (listen, target) = text.split_once('=').ok_or(ArgError::Proxy)?;
        let listen = listen.parse().map_err(|_| ArgError::Proxy)?;
        let PlaceAt(target) = target.parse().map_err(|_| ArgError::Proxy)?;
        Ok(Self { listen, target })
    }
}

/// A Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAt {
    /// Where.
    pub place: Place,
    /// The user's name; empty: the default one.
    pub user: String,
    /// The number of the database.
    pub database: u32,
}

impl FromStr for RedisAt {
    type Err = ArgError;

    fn from_str(text: &str) -> Result<Self, ArgError> {
        let rest = text.strip_prefix("redis://").ok_or(ArgError::Redis)?;
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        if user.contains(':') {
            return Err(ArgError::Password);
        }
        let (place, number) = rest.split_once('/').unwrap_or((rest, ""));
        let number = if number.is_empty() { "0" } else { number };
        let database = number.parse().map_err(|_| ArgError::Redis)?;
        let has_port = !place.ends_with(']') && place.contains(':');
        let place = if has_port { place.to_owned() } else { format!("{place}:6379") };
        let PlaceAt(place) = place.parse().map_err(|_| ArgError::Redis)?;
        Ok(Self { place, user: user.to_owned(), database })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_exactly() {
        let place = |host: &str, port| Place { host: host.to_owned(), port };
        for (text, read) in [
            ("cache:6379", Ok(place("cache", 6379))),
            ("[::1]:1", Ok(place("::1", 1))),
            ("cache", Err(ArgError::Place)),
            ("::1:6379", Err(ArgError::Place)),
            (":6379", Err(ArgError::Place)),
            ("cache:0", Err(ArgError::Place)),
            ("a b:1", Err(ArgError::Place)),
        ] {
            assert_eq!(text.parse::<PlaceAt>().map(|it| it.0), read, "{text}");
        }
        let proxy: ProxyArg = "[::]:7000=cache:6379".parse().unwrap();
        assert_eq!((proxy.listen.port(), proxy.target), (7000, place("cache", 6379)));
        assert_eq!("cache:6379".parse::<ProxyArg>(), Err(ArgError::Proxy));
    }

    #[test]
    fn a_redis_is_read_without_its_password() {
        let redis = |text: &str| text.parse::<RedisAt>();
        let here = redis("redis://127.0.0.1").unwrap();
        assert_eq!((here.place.port, here.user.as_str(), here.database), (6379, "", 0));
        let there = redis("redis://app@cache:7000/3").unwrap();
        assert_eq!((there.place.port, there.user.as_str(), there.database), (7000, "app", 3));
        assert_eq!(redis("redis://:p@cache"), Err(ArgError::Password));
        assert_eq!(redis("rediss://cache"), Err(ArgError::Redis));
        assert_eq!(redis("redis://cache/x"), Err(ArgError::Redis));
    }
}
