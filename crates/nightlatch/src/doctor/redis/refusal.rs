//! Why a Redis cannot be used, in one sentence for each class.
//!
//! The class alone is for dashboards; a person wants to know who said so, and what to do about it.

use std::io;

use nightlatch_core::{FailureClass as Class, Secret};
use nightlatch_store::net::{OtherService, other_service};
use nightlatch_store::redis::RedisTls;
use nightlatch_store::redis::inspect::{Reached, RedisCause, RedisInspector, RedisRefusal};

use super::super::finding::Finding;
use super::super::shown::place;
use super::super::spread::milliseconds;
use super::server;
use super::subject::Subject;
use crate::config::ProblemLevel::{Error, Warn};
use crate::config::redis_url::RedisUrl;
use crate::remedy;

/// The sentence continues the name of the setting.
pub(super) async fn explain(
    subject: &Subject,
    inspector: &RedisInspector,
    reached: &[Reached],
    refused: RedisRefusal,
) -> Finding {
    let named = match inspector.primary().await {
        Some(Err(class @ (Class::AuthRequired | Class::AuthFailed))) => {
            return of_sentinels(class, &Evidence { reached, is_by_sentinels: false });
        }
        Some(Ok(primary)) => Some([primary]),
        Some(Err(_)) | None => None,
    };
    let is_by_sentinels = named.is_some();
    let reached = named.as_ref().map_or(reached, |named| &named[..]);
    let at = Evidence { reached, is_by_sentinels };
    if let Some(fault) = inspector.socket_fault().await {
        return of_socket(fault);
    }
    if let Some(cause) = refused.cause {
        return of_cause(subject, cause, &at);
    }
    let is_strange = matches!(refused.class, Class::Protocol | Class::Closed | Class::Timeout);
    if is_strange
        && at.is_connected()
        && let Some((host, port)) = server(&subject.config.address)
        && let Some(other) = other_service(host, port).await
        && other != OtherService::Redis
    {
        let why = format!("leads to {}, where {} answers and no Redis", at.place(), other.name());
        return Finding::new("redis-wrong-service", Error, why);
    }
    let level = if refused.class == Class::Loading { Warn } else { Error };
    let id = match refused.class {
        Class::Timeout if !at.is_connected() => "redis-no-answer",
        class => remedy::of_redis(class).finding,
    };
    Finding::new(id, level, sentence(refused.class, subject, &at))
}

/// The line to write where one of a class puts it right, though it is not known what is in it.
pub(super) fn line(subject: &Subject, class: Class) -> Option<String> {
    let url = &subject.url;
    match class {
        Class::AuthRequired if url.password.is_none() && url.username.is_none() => {
            let password = Some(Secret::new("PASSWORD".to_owned()));
            subject.line(&RedisUrl { password, ..url.clone() })
        }
        Class::AuthFailed => subject.password_line(),
        Class::TlsRequired => {
            let tls = Some(RedisTls { verifies: true, authorities: None, client: None });
            subject.line(&RedisUrl { tls, ..url.clone() })
        }
        Class::TlsUntrusted => {
            let line = subject.line(url).filter(|line| !line.contains("ssl_ca_certs="))?;
            let mark = if line.contains('?') { '&' } else { '?' };
            Some(format!("{line}{mark}ssl_ca_certs=/path/to/ca.pem"))
        }
        _ => None,
    }
}

/// They may have a password that is not the one of what they watch.
fn of_sentinels(class: Class, at: &Evidence<'_>) -> Finding {
    let said = match class {
        Class::AuthRequired => "want a password of their own (NOAUTH)",
        _ => "refuse the password that is given for them (WRONGPASS)",
    };
    let why = format!("leads to Sentinels ({}) that {said}: ?sentinel_password=", at.place());
    Finding::new("redis-sentinel-auth", Error, why)
}

/// A socket of this machine that does not take us.
fn of_socket(fault: io::ErrorKind) -> Finding {
    let what = match fault {
        io::ErrorKind::NotFound => {
            "is not there: Redis is not running, or has another `unixsocket`"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not use: see the modes of the socket (`unixsocketperm`) and of its folders"
        }
        io::ErrorKind::ConnectionRefused => "nobody listens at any more: Redis is not running",
        io::ErrorKind::TimedOut => "takes no more connections: the server hangs",
        _ => "cannot be used: is it a socket?",
    };
    let id = if fault == io::ErrorKind::TimedOut { "redis-hangs" } else { "redis-socket" };
    Finding::new(id, Error, format!("names a socket that {what}"))
}

/// What was seen on the way.
struct Evidence<'a> {
    reached: &'a [Reached],
    /// Whether Sentinels have named it.
    is_by_sentinels: bool,
}

impl Evidence<'_> {
    fn is_connected(&self) -> bool {
        self.reached.iter().any(|one| one.outcome.is_ok())
    }

    /// The server, with the address that its name led to.
    fn place(&self) -> String {
        let Some(one) = self.reached.first() else { return "the socket".to_owned() };
        let mut named = place(&one.host, one.port);
        if self.is_by_sentinels {
            named.push_str(", the primary as its Sentinels say,");
        }
        match &one.outcome {
            Ok((address, took)) if address.to_string() == one.host => {
                format!("{named} (connected in {})", milliseconds(*took))
            }
            Ok((address, took)) => {
                format!("{named} ({address}, connected in {})", milliseconds(*took))
            }
            Err(_) => named,
        }
    }
}

fn of_cause(subject: &Subject, cause: RedisCause, at: &Evidence<'_>) -> Finding {
    let place = at.place();
    let (id, why) = match cause {
        RedisCause::NoPasswordSet => {
            let why = "gives a password to a server that has none set: set `requirepass` there, or \
                       leave the password out if the server is nobody else's";
            ("redis-password-not-needed", why.to_owned())
        }
        RedisCause::ProtectedMode => {
            let why = format!(
                "is turned away by {place}: it is in protected mode, which takes nobody from another \
                 machine while no password is set (`requirepass`, then the password in the URL)"
            );
            ("redis-protected-mode", why)
        }
        RedisCause::NoSuchDatabase => {
            let number = subject.config.database;
            let why = format!("names database {number}, which {place} does not have");
            ("redis-database", why)
        }
        RedisCause::OneDatabase => {
            let why = format!("names a database, and {place} is a server of a Cluster: it has one");
            ("redis-is-cluster", why)
        }
    };
    Finding::new(id, Error, why)
}

fn sentence(class: Class, subject: &Subject, at: &Evidence<'_>) -> String {
    let place = at.place();
    match class {
        Class::Unreachable | Class::Dns | Class::Timeout | Class::Closed | Class::Protocol => {
            of_way(class, at, &place)
        }
        class if class.is_of_tls() => of_tls(class, &place),
        Class::AuthRequired | Class::AuthFailed | Class::Forbidden => {
            of_login(class, subject, &place)
        }
        _ => of_state(class, &place),
    }
}

fn of_way(class: Class, at: &Evidence<'_>, place: &str) -> String {
    match class {
        Class::Dns => {
            format!("names the host of {place}, which no name server here knows")
        }
        Class::Unreachable if at.reached.is_empty() => {
            "names a socket where nobody listens".to_owned()
        }
        Class::Unreachable => {
            format!(
                "leads to {place}, which refuses the connection: Redis is not running there, or \
                 listens on another port or address (`bind`)"
            )
        }
        Class::Timeout if at.is_connected() => {
            format!(
                "leads to {place}, which takes the connection and then says nothing: the server \
                 hangs, as in a long command, or is no Redis"
            )
        }
        Class::Timeout => {
            format!(
                "leads to {place}, from where nothing comes back within 2 s: a firewall drops it, or \
                 the machine is down"
            )
        }
        Class::Closed => {
            format!("leads to {place}, which ends the connection without a word")
        }
        _ => format!("leads to {place}, which answers something that is no Redis"),
    }
}

fn of_tls(class: Class, place: &str) -> String {
    let what = match class {
        Class::TlsUntrusted => {
            "shows a certificate of an authority that is not trusted here; name the \
                        authority's file with ?ssl_ca_certs=/path/to/ca.pem"
        }
        Class::TlsExpired => {
            "shows a certificate that has expired, or is not valid yet: renew it there, \
                        or set this machine's clock"
        }
        Class::TlsHostname => "shows a certificate for another name: write the name that it is for",
        Class::TlsNotSpoken => {
            "speaks no TLS there: set it up in the server (`tls-port`), or name its port \
                        for TLS; redis:// would send everything, the password too, in the clear"
        }
        Class::TlsRequired => "speaks only TLS: write rediss://",
        Class::TlsClientCert => {
            "wants a certificate of ours: ?ssl_certfile=/path/to/client.pem&\
                        ssl_keyfile=/path/to/client.key"
        }
        _ => "speaks no version of TLS from 1.2 on",
    };
    format!("leads to {place}, which {what}")
}

fn of_login(class: Class, subject: &Subject, place: &str) -> String {
    let has_password = subject.config.password.is_some();
    match class {
        Class::AuthRequired if has_password => {
            format!("is answered NOAUTH by {place} although it has a password")
        }
        Class::AuthRequired => {
            format!("has no password, and {place} wants one (NOAUTH)")
        }
        Class::AuthFailed if subject.config.username.is_none() => {
            format!(
                "has a password that {place} refuses (WRONGPASS): it is not the default user's. A \
                 user of an ACL needs its name before the password"
            )
        }
        Class::AuthFailed => {
            format!("has a user and password that {place} refuses (WRONGPASS)")
        }
        _ => {
            format!("logs in at {place} as a user who may not even do that (NOPERM)")
        }
    }
}

fn of_state(class: Class, place: &str) -> String {
    let what = match class {
        Class::Loading => "is still reading its data after a start: wait for it",
        Class::Readonly => "is a replica, which takes no writes",
        Class::OutOfMemory => "is at its limit of memory (OOM)",
        Class::Busy => "is busy with a script that does not end (SCRIPT KILL)",
        Class::Misconf => "cannot write its snapshot to the disk and takes no changes until it can",
        Class::MasterDown => "knows no primary now: it is down, or its name is another one",
        Class::NoReplicas => "has too few replicas (`min-replicas-to-write`) to take changes",
        Class::MaxClients => "takes no more clients (`maxclients`)",
        Class::ClusterDown => "is in a Cluster that is not whole",
        _ => "answers something that is no Redis",
    };
    format!("leads to {place}, which {what}")
}
