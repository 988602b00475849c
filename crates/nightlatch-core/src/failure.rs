//! How a dependency failed, classified once where the failure enters.
//!
//! Health, metrics, logs and answers have to call it by one name, and nobody behind that place may have to
//! read a driver's text to know what happened.

use std::fmt;

/// The class of a dependency's failure, as health, metrics, logs and `doctor` name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// Refused, or no route.
    Unreachable,
    /// The host name could not be resolved.
    Dns,
    /// No answer in time.
    Timeout,
    /// Answers, but later than it should.
    Slow,
    /// The connection ended in the middle.
    Closed,
    /// What came back is not the protocol.
    Protocol,
    /// The certificate's issuer is not trusted.
    TlsUntrusted,
    /// The certificate has expired or is not valid yet.
    TlsExpired,
    /// The certificate is for another host.
    TlsHostname,
    /// We speak TLS, the other side does not.
    TlsNotSpoken,
    /// The other side demands TLS, we do not speak it.
    TlsRequired,
    /// The other side demands a client certificate.
    TlsClientCert,
    /// No common TLS version.
    TlsVersion,
    /// Credentials are demanded and none are configured.
    AuthRequired,
    /// The credentials were refused.
    AuthFailed,
    /// The credentials lack a right.
    Forbidden,
    /// It takes no writes.
    Readonly,
    /// It is starting and loading its data.
    Loading,
    /// It has no memory left.
    OutOfMemory,
    /// It is busy with something else.
    Busy,
    /// It cannot save what it holds, and takes no changes meanwhile.
    Misconf,
    /// It has lost its primary, and does not answer meanwhile.
    MasterDown,
    /// It has too few replicas, and takes no changes meanwhile.
    NoReplicas,
    /// It takes no more clients.
    MaxClients,
    /// A part of the cluster is not served, or served elsewhere.
    ClusterDown,
    /// It takes no more connections.
    TooManyConnections,
    /// A lock is held by somebody else.
    Locked,
    /// No space left.
    DiskFull,
    /// Reading or writing failed beneath it.
    IoError,
    /// Its data are damaged.
    Corrupt,
    /// The file or database is not there, or no longer the one we opened.
    Missing,
    /// Its schema is not one that this release can use.
    Schema,
    /// Its revocation feed could not be followed for too long.
    FeedStalled,
}

impl FailureClass {
    /// All of them, in their order.
    pub const ALL: [Self; 33] = [
        Self::Unreachable,
        Self::Dns,
        Self::Timeout,
        Self::Slow,
        Self::Closed,
        Self::Protocol,
        Self::TlsUntrusted,
        Self::TlsExpired,
        Self::TlsHostname,
        Self::TlsNotSpoken,
        Self::TlsRequired,
        Self::TlsClientCert,
        Self::TlsVersion,
        Self::AuthRequired,
        Self::AuthFailed,
        Self::Forbidden,
        Self::Readonly,
        Self::Loading,
        Self::OutOfMemory,
        Self::Busy,
        Self::Misconf,
        Self::MasterDown,
        Self::NoReplicas,
        Self::MaxClients,
        Self::ClusterDown,
        Self::TooManyConnections,
        Self::Locked,
        Self::DiskFull,
        Self::IoError,
        Self::Corrupt,
        Self::Missing,
        Self::Schema,
        Self::FeedStalled,
    ];

    /// Whether the two ends do not agree on TLS.
    #[must_use]
    pub const fn is_of_tls(self) -> bool {
        matches!(
            self,
            Self::TlsUntrusted
                | Self::TlsExpired
                | Self::TlsHostname
                | Self::TlsNotSpoken
                | Self::TlsRequired
                | Self::TlsClientCert
                | Self::TlsVersion
        )
    }

    /// The name in health, metrics, logs and `doctor`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Dns => "dns",
            Self::Timeout => "timeout",
            Self::Slow => "slow",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::TlsUntrusted => "tls_untrusted",
            Self::TlsExpired => "tls_expired",
            Self::TlsHostname => "tls_hostname",
            Self::TlsNotSpoken => "tls_not_spoken",
            Self::TlsRequired => "tls_required",
            Self::TlsClientCert => "tls_client_cert",
            Self::TlsVersion => "tls_version",
            Self::AuthRequired => "auth_required",
            Self::AuthFailed => "auth_failed",
            Self::Forbidden => "forbidden",
            Self::Readonly => "readonly",
            Self::Loading => "loading",
            Self::OutOfMemory => "out_of_memory",
            Self::Busy => "busy",
            Self::Misconf => "misconf",
            Self::MasterDown => "masterdown",
            Self::NoReplicas => "noreplicas",
            Self::MaxClients => "maxclients",
            Self::ClusterDown => "cluster_down",
            Self::TooManyConnections => "too_many_connections",
            Self::Locked => "locked",
            Self::DiskFull => "disk_full",
            Self::IoError => "io_error",
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Schema => "schema",
            Self::FeedStalled => "feed_stalled",
        }
    }

    /// Whether an answer of this class says that nobody is served, so that a breaker opens. Other
    /// answers concern one statement, or some of them.
    #[must_use]
    pub const fn counts_against_breaker(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Dns
            | Self::TlsUntrusted
            | Self::TlsExpired
            | Self::TlsHostname
            | Self::TlsNotSpoken
            | Self::TlsRequired
            | Self::TlsClientCert
            | Self::TlsVersion
            | Self::AuthRequired
            | Self::AuthFailed
            | Self::Loading
            | Self::MasterDown
            | Self::MaxClients
            | Self::ClusterDown
            | Self::TooManyConnections => true,
            Self::Timeout
            | Self::Slow
            | Self::Closed
            | Self::Protocol
            | Self::Forbidden
            | Self::Readonly
            | Self::OutOfMemory
            | Self::Busy
            | Self::Misconf
            | Self::NoReplicas
            | Self::Locked
            | Self::DiskFull
            | Self::IoError
            | Self::Corrupt
            | Self::Missing
            | Self::Schema
            | Self::FeedStalled => false,
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_their_order() {
        assert!((0..).zip(FailureClass::ALL).all(|(index, class)| class as usize == index));
        assert_eq!(FailureClass::FeedStalled as usize + 1, FailureClass::ALL.len());
    }
}
