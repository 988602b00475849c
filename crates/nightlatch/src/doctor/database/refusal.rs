//! Why a PostgreSQL cannot be used, in one sentence for each class.
//!
//! Servers say it in words for their own log; here it is what the person who wrote the URL can do.

use nightlatch_core::FailureClass as Class;
use nightlatch_store::net::{OtherService, other_service};
use nightlatch_store::postgres::inspect::{
    PostgresCause as Cause, PostgresHost, PostgresInspector, TlsDemand,
};

use super::super::configured::Configured;
use super::super::finding::Finding;
use super::super::near;
use super::super::shown::place;
use super::postgres::Failed;
use super::rights::identifier;
use super::url;
use crate::config::ProblemLevel::{Error, Warn};
use crate::config::postgres_url::is_role;
use crate::remedy::of_database;

/// A host that cannot be used.
pub(super) struct Met {
    pub(super) host: PostgresHost,
    pub(super) number: usize,
    pub(super) failed: Failed,
    /// Where the database is not there: the one that is probably meant.
    pub(super) near: Option<String>,
}

impl Met {
    /// With what can be found out beside why.
    pub(super) async fn of(
        inspector: &PostgresInspector,
        (number, host): (usize, PostgresHost),
        failed: Failed,
    ) -> Self {
        let near = match failed {
            Failed::Refused(refused) if refused.cause == Some(Cause::NoSuchDatabase) => {
                near_database(inspector, number).await
            }
            Failed::Refused(_) | Failed::Unreached(_) => None,
        };
        Self { host, number, failed, near }
    }
}

async fn near_database(inspector: &PostgresInspector, number: usize) -> Option<String> {
    let databases = inspector.databases(number).await?;
    let near = near::only_slip(inspector.database()?, databases.iter().map(String::as_str));
    near.map(str::to_owned)
}

/// The sentence continues the name of the setting.
pub(super) async fn explain(inspector: &PostgresInspector, met: &Met) -> Finding {
    let place = place_of(&met.host);
    let refused = match met.failed {
        Failed::Unreached(class) => return unreached(class, &place),
        Failed::Refused(refused) => refused,
    };
    let is_strange = matches!(
        refused.class,
        Class::Protocol | Class::Closed | Class::Timeout | Class::TlsNotSpoken
    );
    if is_strange
        && refused.cause.is_none()
        && !met.host.is_socket
        && let Some(other) = other_service(&met.host.name, met.host.port).await
        && other != OtherService::Postgres
    {
        let why = format!("leads to {place}, where {} answers and no PostgreSQL", other.name());
        return Finding::new("database-wrong-service", Error, why);
    }
    if refused.class == Class::Readonly {
        return read_only(inspector, met, &place).await;
    }
    of_cause(inspector, met, &place).unwrap_or_else(|| of_class(refused.class, &place))
}

/// The line to write where one of a class puts it right, though it is not known what is in it.
pub(super) fn line(subject: &Configured, met: &Met) -> Option<String> {
    let Failed::Refused(refused) = met.failed else { return None };
    subject.line(|url| match refused.class {
        Class::AuthRequired => url::with_password(url, "PASSWORD"),
        Class::AuthFailed => url::password(url).map(|_| url.to_owned()),
        Class::TlsRequired => Some(url::with_parameter(url, "sslmode", "verify-full")),
        Class::TlsUntrusted => Some(url::with_parameter(url, "sslrootcert", "/path/to/ca.pem")),
        _ => None,
    })
}

/// The host and port, where they may be shown.
pub(super) fn place_of(host: &PostgresHost) -> String {
    if host.is_socket {
        format!("the socket in {}", host.name)
    } else {
        place(&host.name, host.port)
    }
}

fn unreached(class: Class, place: &str) -> Finding {
    let (id, why) = match class {
        Class::Dns => {
            ("database-dns", format!("names the host of {place}, which no name server here knows"))
        }
        Class::Timeout => {
            let why = format!(
                "leads to {place}, from where nothing comes back within 2 s: a firewall drops it, or \
                 the machine is down"
            );
            ("database-no-answer", why)
        }
        _ => {
            let why = format!(
                "leads to {place}, which refuses the connection: PostgreSQL is not running there, or \
                 listens on another port or address (`listen_addresses`)"
            );
            ("database-unreachable", why)
        }
    };
    Finding::new(id, Error, why)
}

/// A standby is told from a primary that is asked to take no changes.
async fn read_only(inspector: &PostgresInspector, met: &Met, place: &str) -> Finding {
    let visit = inspector.visit_to_read(met.number).await.ok();
    let state = match &visit {
        Some(visit) => visit.state().await.ok(),
        None => None,
    };
    let Some(state) = state.filter(|state| !state.is_standby) else {
        let why = format!(
            "leads to {place}, a standby, which takes no changes: name the primary, or all hosts \
             (postgres://USER@A,B/NAME), of which the one that takes changes is used"
        );
        return Finding::new("database-standby", Error, why);
    };
    let role = identifier(&state.role);
    let why = format!(
        "leads to {place}, where transactions of {role} begin read-only \
         (`default_transaction_read_only`), as of the role, the database or the server"
    );
    let set = format!("ALTER ROLE {role} SET default_transaction_read_only = off;");
    Finding::new("database-readonly", Error, why).run(set)
}

fn of_cause(inspector: &PostgresInspector, met: &Met, place: &str) -> Option<Finding> {
    let Failed::Refused(refused) = met.failed else { return None };
    // A password may stand where the user belongs.
    let role = identifier(inspector.user().filter(|user| is_role(user)).unwrap_or("USER"));
    let database = identifier(inspector.database().unwrap_or("NAME"));
    let finding = |id, why: String| Finding::new(id, Error, why);
    Some(match refused.cause? {
        Cause::NoSuchDatabase => {
            let is_meant = match &met.near {
                Some(near) => format!("; {} is there, and may be meant", identifier(near)),
                None => ": is it misspelt, or not made yet?".to_owned(),
            };
            let why =
                format!("names the database {database}, which {place} does not have{is_meant}");
            finding("database-missing", why)
                .run(format!("CREATE DATABASE {database} OWNER {role};"))
        }
        Cause::NoSuchRole => {
            let why = format!("names the role {role}, which {place} does not have");
            finding("database-no-role", why).run(format!("CREATE ROLE {role} LOGIN;"))
        }
        Cause::NoLogin => {
            let why = format!("names the role {role}, which may not log in at {place}");
            finding("database-no-role", why).run(format!("ALTER ROLE {role} LOGIN;"))
        }
        // Where TLS was not tried, the server may ask for nothing but that.
        Cause::NoAccessRule
            if refused.class == Class::TlsRequired && inspector.demand() == TlsDemand::Disable =>
        {
            return None;
        }
        Cause::NoAccessRule => {
            let why = format!(
                "is turned away by {place}: no line of its pg_hba.conf lets {role} into {database} \
                 from here"
            );
            finding("database-no-access-rule", why)
                .fix(format!("hostssl {database} {role} ADDRESS_OF_THIS_MACHINE/32 scram-sha-256"))
        }
        Cause::RoleLimit => {
            let why = format!("logs in as {role}, who has as many connections as the role may");
            finding("database-too-many-connections", why)
                .run(format!("ALTER ROLE {role} CONNECTION LIMIT -1;"))
        }
        Cause::DatabaseLimit => {
            let why = format!("names {database}, which has as many connections as it may");
            finding("database-too-many-connections", why)
                .run(format!("ALTER DATABASE {database} CONNECTION LIMIT -1;"))
        }
        Cause::Pool => {
            let why = format!(
                "leads to a pool at {place} (PgBouncer) that takes no settings with a connection: say \
                 that it is there"
            );
            finding("database-pool-undeclared", why)
        }
    })
}

fn of_class(class: Class, place: &str) -> Finding {
    let what = match class {
        Class::Timeout => "takes the connection and then says nothing: the server hangs",
        Class::Closed => "ends the connection without a word",
        Class::Unreachable => "does not reach its server: a pool whose PostgreSQL is away",
        Class::TlsUntrusted => {
            "shows a certificate of an authority that is not trusted here; name the authority's file \
             with ?sslrootcert=/path/to/ca.pem"
        }
        Class::TlsExpired => {
            "shows a certificate that has expired, or is not valid yet: renew it there, or set this \
             machine's clock"
        }
        Class::TlsHostname => "shows a certificate for another name: write the name that it is for",
        Class::TlsNotSpoken => {
            "speaks no TLS: set it up in the server (`ssl = on`); sslmode=disable would send \
             everything in the clear"
        }
        Class::TlsRequired => "speaks only TLS: take sslmode=disable out of the URL",
        Class::TlsClientCert => "wants a certificate of ours, which Nightlatch does not show",
        Class::TlsVersion => "speaks no version of TLS from 1.2 on",
        Class::AuthRequired => "wants a password, and there is none: DATABASE_PASSWORD is not set",
        Class::AuthFailed => {
            "refuses the user and password: the password is wrong, or nobody is called so (the \
             server does not say which)"
        }
        Class::Forbidden => "does not let this user into the database (CONNECT)",
        Class::Loading => "is starting, stopping or recovering: wait for it",
        Class::TooManyConnections => {
            "has as many connections as it may (`max_connections`): end some, raise it, or put a \
             pool in front"
        }
        Class::OutOfMemory => "has no memory left",
        Class::DiskFull => "has no room on its disk",
        _ => "answers something that is no PostgreSQL, or one that fails",
    };
    let level = if class == Class::Loading { Warn } else { Error };
    Finding::new(of_database(class).finding, level, format!("leads to {place}, which {what}"))
}
