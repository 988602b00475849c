//! What to try when Redis or the auth service fails, in one line.
//!
//! The class is for dashboards; whoever reads the log wants to know which line to change.

use nightlatch_core::FailureClass;

/// What to change; `None`: time, or whoever runs it, has to mend it.
pub(super) const fn of_redis(class: FailureClass) -> Option<&'static str> {
    match class {
        FailureClass::Unreachable => {
            Some("start Redis, or correct host and port in REDIS_URL; remove REDIS_URL to do without")
        }
        FailureClass::Dns => Some("correct the host name in REDIS_URL"),
        FailureClass::Protocol => Some("REDIS_URL must lead to Redis or Valkey: correct host and port"),
        FailureClass::TlsUntrusted => {
            Some("name the authority in REDIS_URL: rediss://..?ssl_ca_certs=/path/to/ca.pem")
        }
        FailureClass::TlsExpired => Some("renew the certificate of Redis"),
        FailureClass::TlsHostname => {
            Some("use the host name in REDIS_URL that the certificate of Redis is for")
        }
        FailureClass::TlsNotSpoken => Some("Redis speaks no TLS there: begin REDIS_URL with redis://"),
        FailureClass::TlsRequired => Some("Redis speaks TLS there: begin REDIS_URL with rediss://"),
        FailureClass::TlsClientCert => Some(
            "name a client certificate in REDIS_URL: rediss://..?ssl_certfile=/path/to/cert.pem&ssl_keyfile=/path/to/key.pem",
        ),
        FailureClass::TlsVersion => Some("let Redis speak TLS 1.2 or 1.3: tls-protocols"),
        FailureClass::AuthRequired => {
            Some("put the password into REDIS_URL: redis://:PASSWORD@host:6379/0")
        }
        FailureClass::AuthFailed => Some("correct user and password in REDIS_URL: redis://USER:PASSWORD@host"),
        FailureClass::Forbidden => Some(
            "give the user of REDIS_URL its rights: ACL SETUSER nightlatch on '>PASSWORD' '~nightlatch:*' '&nightlatch:*' +@all",
        ),
        FailureClass::Readonly => Some(
            "REDIS_URL leads to a replica: name the primary, or let Sentinels do it: redis+sentinel://..",
        ),
        FailureClass::MasterDown => {
            Some("REDIS_URL leads to a replica without its primary, or to a name that Sentinels do not know")
        }
        FailureClass::ClusterDown => Some(
            "begin REDIS_URL with redis+cluster:// for a Cluster and with redis:// for a single server; else see CLUSTER INFO",
        ),
        FailureClass::OutOfMemory => Some("give Redis memory, or let it evict: maxmemory, maxmemory-policy"),
        FailureClass::Misconf => Some("let Redis save: see its log, its folder and its disk"),
        FailureClass::NoReplicas => Some("bring its replicas back, or lower min-replicas-to-write"),
        FailureClass::MaxClients => Some("raise maxclients of Redis"),
        FailureClass::Timeout
        | FailureClass::Slow
        | FailureClass::Closed
        | FailureClass::Loading
        | FailureClass::Busy
        // Not of Redis.
        | FailureClass::TooManyConnections
        | FailureClass::Locked
        | FailureClass::DiskFull
        | FailureClass::IoError
        | FailureClass::Corrupt
        | FailureClass::Missing
        | FailureClass::Schema
        | FailureClass::FeedStalled
        // A class that this release does not know.
        | _ => None,
    }
}

/// The same for the auth service.
pub(super) const fn of_auth_service(class: FailureClass) -> Option<&'static str> {
    match class {
        FailureClass::Unreachable => {
            Some("start the auth service, or correct host and port in AUTH_SERVICE_URL")
        }
        FailureClass::Dns => Some("correct the host name in AUTH_SERVICE_URL"),
        FailureClass::Protocol => Some(
            "see its log; AUTH_SERVICE_URL and AUTH_SERVICE_LOGIN_PATH must lead to an endpoint that answers in JSON (docs/delegated-login.md)",
        ),
        FailureClass::TlsUntrusted => {
            Some("name its authority: AUTH_SERVICE_CA_FILE=/path/to/ca.pem")
        }
        FailureClass::TlsExpired => Some("renew the certificate of the auth service"),
        FailureClass::TlsHostname => {
            Some("use the host name in AUTH_SERVICE_URL that its certificate is for")
        }
        FailureClass::TlsNotSpoken => {
            Some("it speaks no TLS there: begin AUTH_SERVICE_URL with http://, or correct the port")
        }
        FailureClass::AuthRequired => Some("set SERVICE_ID and SERVICE_SECRET"),
        FailureClass::AuthFailed | FailureClass::Forbidden => {
            Some("correct SERVICE_ID and SERVICE_SECRET: the auth service does not take them")
        }
        FailureClass::Missing => {
            Some("correct AUTH_SERVICE_LOGIN_PATH: the auth service takes no logins there")
        }
        _ => None,
    }
}
