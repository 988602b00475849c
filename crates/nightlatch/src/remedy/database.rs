//! The database, SQLite or PostgreSQL: what its classes come to.
//!
//! Without it nobody new can log in, so each of these is worth getting up for.

use nightlatch_core::FailureClass as Class;

use super::Remedy;

/// Of every class that a record can have.
pub(crate) const fn of_database(class: Class) -> Remedy {
    match class {
        Class::Unreachable => Remedy::of(
            "database-unreachable",
            "start PostgreSQL, or correct host and port in DATABASE_URL",
        ),
        Class::Dns => Remedy::of("database-dns", "correct the host name in DATABASE_URL"),
        Class::Timeout => Remedy::by_time("database-hangs"),
        Class::Slow => Remedy::by_time("database-slow"),
        Class::Closed => Remedy::by_time("database-closed"),
        Class::Busy => Remedy::by_time("database-busy"),
        Class::Loading => Remedy::by_time("database-starting"),
        Class::Locked => Remedy::of(
            "database-locked",
            "end what holds the database's lock, such as another program that writes or a migration: `fuser -v FILE` or pg_stat_activity shows it",
        ),
        class if class.is_of_tls() => of_tls(class),
        Class::AuthRequired => Remedy::of(
            "database-auth-required",
            "put the password into DATABASE_URL or DATABASE_PASSWORD: the server wants one",
        ),
        Class::AuthFailed => Remedy::of(
            "database-auth-failed",
            "correct user and password in DATABASE_URL or DATABASE_PASSWORD",
        ),
        Class::Forbidden => Remedy::of(
            "database-forbidden",
            "run as the user that the file and its folder belong to; in PostgreSQL give the role its rights with GRANT",
        ),
        _ => of_state(class),
    }
}

const fn of_tls(class: Class) -> Remedy {
    match class {
        Class::TlsUntrusted => Remedy::of(
            "database-tls-untrusted",
            "name the authority in DATABASE_URL: ?sslmode=verify-full&sslrootcert=/path/to/ca.pem",
        ),
        Class::TlsExpired => {
            Remedy::of("database-tls-expired", "renew the certificate of the database")
        }
        Class::TlsHostname => Remedy::of(
            "database-tls-hostname",
            "use the host name in DATABASE_URL that the certificate is for",
        ),
        Class::TlsNotSpoken => Remedy::of(
            "database-tls-not-spoken",
            "set TLS up in the server: ssl = on, ssl_cert_file, ssl_key_file",
        ),
        Class::TlsRequired => Remedy::of(
            "database-tls-required",
            "the server takes nobody without TLS: write ?sslmode=verify-full in DATABASE_URL",
        ),
        Class::TlsClientCert => Remedy::of(
            "database-tls-client-cert",
            "the server wants a client's certificate, and Nightlatch shows none: a pool in between can (server_tls_cert_file of PgBouncer)",
        ),
        _ => Remedy::of("database-tls-version", "let the server speak TLS 1.2 or 1.3"),
    }
}

const fn of_state(class: Class) -> Remedy {
    match class {
        Class::Readonly => Remedy::of(
            "database-readonly",
            "DATABASE_URL must lead to the primary; a file and its folder must be writable for the user that runs this",
        ),
        Class::TooManyConnections => Remedy::of(
            "database-too-many-connections",
            "raise max_connections or the role's limit, or put a pooler in between",
        ),
        Class::DiskFull => {
            Remedy::of("database-disk-full", "make room on the disk of the database")
        }
        Class::IoError => Remedy::of("database-io-error", "look at the disk: dmesg, SMART"),
        Class::Corrupt => Remedy::of(
            "database-corrupt",
            "stop, keep a copy of the files, and restore the latest good backup",
        ),
        Class::Missing => Remedy::of(
            "database-missing",
            "correct the name or path in DATABASE_URL, or name the server's settings with --env-file; `createdb`, or `nightlatch migrate` for a file, makes a new one",
        ),
        Class::Schema => Remedy::of(
            "database-schema",
            "run the release that this database was migrated by, or `nightlatch migrate`",
        ),
        Class::OutOfMemory => Remedy::of("database-memory-full", "give the database memory"),
        Class::FeedStalled => Remedy::of(
            "database-feed-stalled",
            "end the transaction that holds the feed back: pg_stat_activity, oldest xact_start",
        ),
        _ => Remedy::of(
            "database-protocol",
            "DATABASE_URL must lead to PostgreSQL: correct host and port",
        ),
    }
}
