//! What an error of the client or an answer of the server means, classified once, here.
//!
//! By the code that begins the server's answer: the client's own kinds put many of them together.

use std::io;

use nightlatch_core::FailureClass;
use redis::{ErrorKind, RedisError};
use thiserror::Error;

use crate::tcp::classify_io;

/// Redis did not do what it was asked, or not in time. It never means "no".
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("redis: {class}")]
pub struct RedisFailure {
    /// How it failed.
    pub class: FailureClass,
    /// What that says of the connection.
    pub(super) shows: Shows,
}

/// What a failure says of the connection that it came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// Nothing: the command did not get so far.
    Nothing,
    /// It answers, if only with an error.
    Answered,
    /// It gave no answer in time.
    Silence,
    /// It will not get better: it has ended, or does not speak our language.
    Spoilt,
}

impl RedisFailure {
    /// There is no connection.
    pub(super) const fn of_absence(class: FailureClass) -> Self {
        Self { class, shows: Shows::Nothing }
    }

    /// As many commands as may be are under way.
    pub(super) const fn of_full_pipeline() -> Self {
        Self { class: FailureClass::Busy, shows: Shows::Nothing }
    }

    /// No answer in the time that was left, which was less than it may take.
    pub(super) const fn of_haste() -> Self {
        Self { class: FailureClass::Timeout, shows: Shows::Nothing }
    }

    /// No answer in time.
    pub(super) const fn of_silence() -> Self {
        Self { class: FailureClass::Timeout, shows: Shows::Silence }
    }

    pub(super) fn of_command(error: &RedisError) -> Self {
        let class = classify(error);
        let shows = match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => shown_by_answer(class),
            ErrorKind::Io if class == FailureClass::Timeout => Shows::Silence,
            ErrorKind::UnexpectedReturnType => Shows::Answered,
            // It was not even sent.
            ErrorKind::Client | ErrorKind::InvalidClientConfig => Shows::Nothing,
            _ => Shows::Spoilt,
        };
        Self { class, shows }
    }
}

/// A password that is wanted on a connection, or wrong, is wrong for all that follows on it.
const fn shown_by_answer(class: FailureClass) -> Shows {
    match class {
        FailureClass::AuthRequired | FailureClass::AuthFailed | FailureClass::MaxClients => {
            Shows::Spoilt
        }
        _ => Shows::Answered,
    }
}

/// What is known of a refusal besides its class. Doctor has a word for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisCause {
    /// A password was given to a server that has none.
    NoPasswordSet,
    /// It takes nobody from elsewhere while it has no password.
    ProtectedMode,
    /// It has fewer databases.
    NoSuchDatabase,
    /// It is a server of a Cluster, which has one database.
    OneDatabase,
}

impl RedisCause {
    pub(super) fn of(error: &RedisError) -> Option<Self> {
        let detail = error.detail().unwrap_or_default();
        match error.code()? {
            "DENIED" => Some(Self::ProtectedMode),
            // The second one until Redis 5.
            "ERR"
                if detail.contains("without any password configured")
                    || detail.contains("but no password is set") =>
            {
                Some(Self::NoPasswordSet)
            }
            "ERR" if detail.contains("DB index") => Some(Self::NoSuchDatabase),
            "ERR" if detail.contains("SELECT is not allowed") => Some(Self::OneDatabase),
            _ => None,
        }
    }
}

/// The class of an error of the client.
pub(super) fn classify(error: &RedisError) -> FailureClass {
    if let Some(code) = error.code() {
        return classify_answer(code, error.detail().unwrap_or_default());
    }
    let cause = std::error::Error::source(error).and_then(|cause| {
        let arc = cause.downcast_ref::<std::sync::Arc<dyn std::error::Error + Send + Sync>>();
        arc.map_or(cause.downcast_ref::<io::Error>(), |inner| inner.downcast_ref::<io::Error>())
    });
    match (error.kind(), cause) {
        (ErrorKind::AuthenticationFailed, _) => FailureClass::AuthFailed,
        (ErrorKind::Io, Some(cause)) => classify_io(cause),
        (ErrorKind::Io, None) if error.is_timeout() => FailureClass::Timeout,
        (ErrorKind::Io, None) => FailureClass::Closed,
        _ => FailureClass::Protocol,
    }
}

/// By the word that an error begins with: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
fn classify_answer(code: &str, detail: &str) -> FailureClass {
    match code {
        "NOAUTH" => FailureClass::AuthRequired,
        "WRONGPASS" => FailureClass::AuthFailed,
        // Protected mode: it takes nobody from elsewhere while it has no password.
        "NOPERM" | "DENIED" => FailureClass::Forbidden,
        "READONLY" => FailureClass::Readonly,
        "LOADING" => FailureClass::Loading,
        "OOM" => FailureClass::OutOfMemory,
        "BUSY" => FailureClass::Busy,
        "MISCONF" => FailureClass::Misconf,
        "MASTERDOWN" => FailureClass::MasterDown,
        "NOREPLICAS" => FailureClass::NoReplicas,
        "CLUSTERDOWN" | "MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" => FailureClass::ClusterDown,
        "ERR" if detail.contains("max number of clients") => FailureClass::MaxClients,
        "ERR" if detail.contains("AUTH") || detail.contains("password") => FailureClass::AuthFailed,
        "ERR" if detail.contains("operation not permitted") => FailureClass::AuthRequired,
        _ => FailureClass::Protocol,
    }
}
