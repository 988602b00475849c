//! Redis: what its classes come to. Logins go on meanwhile.
//!
//! Nothing here gives up TLS or a password: who cannot have both is told how to get them.

use nightlatch_core::FailureClass as Class;

use super::Remedy;

/// Of the classes that are of Redis; the others are told as an answer that is none of Redis.
pub(crate) const fn of_redis(class: Class) -> Remedy {
    match class {
        Class::Unreachable => Remedy::of(
            "redis-unreachable",
            "start Redis, or correct host and port in REDIS_URL; remove REDIS_URL to do without",
        ),
        Class::Dns => Remedy::of("redis-dns", "correct the host name in REDIS_URL"),
        Class::Timeout => Remedy::by_time("redis-hangs"),
        Class::Slow => Remedy::by_time("redis-slow"),
        Class::Closed => Remedy::by_time("redis-closed"),
        class if class.is_of_tls() => of_tls(class),
        Class::AuthRequired => Remedy::of(
            "redis-auth-required",
            "put the password into REDIS_URL: redis://:PASSWORD@host:6379/0",
        ),
        Class::AuthFailed => Remedy::of(
            "redis-auth-failed",
            "correct user and password in REDIS_URL: redis://USER:PASSWORD@host",
        ),
        Class::Forbidden => Remedy::of(
            "redis-forbidden",
            "give the user of REDIS_URL its rights: ACL SETUSER nightlatch on '>PASSWORD' '~nightlatch:*' '&nightlatch:*' +@all",
        ),
        _ => of_state(class),
    }
}

const fn of_tls(class: Class) -> Remedy {
    match class {
        Class::TlsUntrusted => Remedy::of(
            "redis-tls-untrusted",
            "name the authority in REDIS_URL: rediss://..?ssl_ca_certs=/path/to/ca.pem",
        ),
        Class::TlsExpired => Remedy::of("redis-tls-expired", "renew the certificate of Redis"),
        Class::TlsHostname => Remedy::of(
            "redis-tls-hostname",
            "use the host name in REDIS_URL that the certificate of Redis is for",
        ),
        Class::TlsNotSpoken => Remedy::of(
            "redis-tls-not-spoken",
            "set TLS up in Redis (tls-port), or name its port for TLS in REDIS_URL",
        ),
        Class::TlsRequired => Remedy::of(
            "redis-tls-required",
            "Redis speaks TLS there: begin REDIS_URL with rediss://",
        ),
        Class::TlsClientCert => Remedy::of(
            "redis-tls-client-cert",
            "name a client certificate in REDIS_URL: rediss://..?ssl_certfile=/path/to/cert.pem&ssl_keyfile=/path/to/key.pem",
        ),
        _ => Remedy::of("redis-tls-version", "let Redis speak TLS 1.2 or 1.3: tls-protocols"),
    }
}

const fn of_state(class: Class) -> Remedy {
    match class {
        Class::Readonly => Remedy::of(
            "redis-readonly",
            "REDIS_URL leads to a replica: name the primary, or let Sentinels do it: redis+sentinel://..",
        ),
        Class::Loading => Remedy::by_time("redis-loading"),
        Class::Busy => Remedy::by_time("redis-busy"),
        Class::MasterDown => Remedy::of(
            "redis-masterdown",
            "REDIS_URL leads to a replica without its primary, or to a name that Sentinels do not know",
        ),
        Class::ClusterDown => Remedy::of(
            "redis-cluster-down",
            "begin REDIS_URL with redis+cluster:// for a Cluster and with redis:// for a single server; else see CLUSTER INFO",
        ),
        Class::OutOfMemory => Remedy::of(
            "redis-memory-full",
            "give Redis memory, or let it evict: maxmemory, maxmemory-policy",
        ),
        Class::Misconf => {
            Remedy::of("redis-misconf", "let Redis save: see its log, its folder and its disk")
        }
        Class::NoReplicas => Remedy::of(
            "redis-noreplicas",
            "bring its replicas back: as many as min-replicas-to-write",
        ),
        Class::MaxClients => Remedy::of("redis-maxclients", "raise maxclients of Redis"),
        _ => Remedy::of(
            "redis-protocol",
            "REDIS_URL must lead to Redis or Valkey: correct host and port",
        ),
    }
}
