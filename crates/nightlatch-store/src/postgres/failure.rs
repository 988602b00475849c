//! What an error of the driver or the server means, classified once, here.
//!
//! The driver does not say of which kind its errors are; their causes do. Texts are compared only
//! where nothing else tells two cases apart.

use std::error::Error as _;
use std::io;

use nightlatch_core::{FailureClass, Outcome, StoreError, StoreErrorKind};
use nightlatch_resilience::CallEnd;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::tls;

/// Whether the server may have got what would change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing that changes anything.
    Nothing,
    /// A statement that changes something.
    Write,
}

/// What is told to calls that a breaker does not let through: kind and class of the failure that
/// opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    kind: StoreErrorKind,
    class: FailureClass,
}

impl Cause {
    /// No answer within a call's deadline.
    pub(super) const SILENCE: Self =
        Self { kind: StoreErrorKind::Deadline, class: FailureClass::Timeout };

    /// Whether nobody is there, or not yet again.
    pub(super) const fn is_absence(self) -> bool {
        matches!(
            self.class,
            FailureClass::Unreachable | FailureClass::Closed | FailureClass::Loading
        )
    }

    const fn away(class: FailureClass) -> Self {
        Self { kind: StoreErrorKind::Unavailable, class }
    }
}

/// Why there is no connection.
pub(super) enum ConnectError {
    /// It is known that none can be made: none was tried.
    KnownAway(Cause),
    /// The driver's, of the last host that gave one.
    Driver(Error),
    /// Each host hung for as long as it may.
    Silent,
}

impl ConnectError {
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::KnownAway(cause) => *cause,
            Self::Driver(error) => Cause::away(classify(error)),
            Self::Silent => Cause::away(FailureClass::Timeout),
        }
    }
}

/// How often a call waits whose connections have ended under it. Then nobody is met any more, or it
/// is no restart.
const UNHEARD_WAITS_MAX: u32 = 3;

/// An error with what the pool has to know of it.
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// Nothing happened and the same may well succeed at once.
    pub(super) may_repeat: bool,
    /// How often it is worth waiting for a server that may be restarting.
    pub(super) waits_max: u32,
    /// The connection will not get better.
    pub(super) spoils_connection: bool,
    /// What it says of a server that we are connected to.
    pub(super) shows: CallEnd<Cause>,
}

impl Failure {
    /// An error of a statement.
    pub(super) fn of_statement(error: Error, sent: Sent, doing: &'static str) -> Self {
        let class = classify(&error);
        let outcome = outcome(&error, sent);
        let undone = error.code().is_some_and(is_undone_by_others);
        let unheard = class == FailureClass::Closed && outcome == Outcome::NotApplied;
        Self {
            may_repeat: undone || unheard,
            // A server that lets in and ends each connection is not asked again and again.
            waits_max: if unheard { UNHEARD_WAITS_MAX } else { 0 },
            shows: shown_by(error.as_db_error(), class),
            spoils_connection: error.as_db_error().is_none_or(spoils_connection),
            error: StoreError::new(StoreErrorKind::Unavailable, class, outcome, doing)
                .with_source(error),
        }
    }

    /// An error before there was a connection.
    pub(super) fn of_connecting(error: ConnectError, doing: &'static str) -> Self {
        let mut failure = Self::of_breaker(error.cause(), doing);
        if let ConnectError::Driver(error) = error {
            failure.error = failure.error.with_source(error);
        }
        failure
    }

    /// A breaker let nothing through.
    pub(super) fn of_breaker(cause: Cause, doing: &'static str) -> Self {
        let error = StoreError::new(cause.kind, cause.class, Outcome::NotApplied, doing);
        let waits_max = if cause.is_absence() { u32::MAX } else { 0 };
        let shows = CallEnd::Nothing;
        Self { error, may_repeat: false, waits_max, spoils_connection: true, shows }
    }

    /// Our own queue is full.
    pub(super) fn of_full_queue(doing: &'static str) -> Self {
        let (kind, class) = (StoreErrorKind::Overloaded, FailureClass::Busy);
        let error = StoreError::new(kind, class, Outcome::NotApplied, doing);
        let (may_repeat, waits_max, spoils_connection) = (false, 0, false);
        Self { error, may_repeat, waits_max, spoils_connection, shows: CallEnd::Nothing }
    }

    /// Our own deadline, before there was a connection.
    pub(super) fn of_waiting(doing: &'static str) -> Self {
        Self { shows: CallEnd::Nothing, ..Self::of_deadline(Sent::Nothing, doing) }
    }

    /// Our own deadline, with a statement on its way.
    pub(super) fn of_deadline(sent: Sent, doing: &'static str) -> Self {
        let outcome = match sent {
            Sent::Nothing => Outcome::NotApplied,
            Sent::Write => Outcome::Unknown,
        };
        let error =
            StoreError::new(StoreErrorKind::Deadline, FailureClass::Timeout, outcome, doing);
        let shows = CallEnd::Silent(Cause::SILENCE);
        Self { error, may_repeat: false, waits_max: 0, spoils_connection: true, shows }
    }
}

/// What an error of a statement says of the server. That a connection has ended says nothing: the
/// next one may be made at once, and if none can be, it is connecting that fails. Behind a pool the
/// answers of this kind are the pool's, and tell what is the matter with the server.
fn shown_by(answer: Option<&DbError>, class: FailureClass) -> CallEnd<Cause> {
    match answer {
        Some(_) if class.counts_against_breaker() => CallEnd::Failed(Cause::away(class)),
        Some(_) => CallEnd::Answered,
        None => CallEnd::Nothing,
    }
}

/// Something in the record that makes no sense.
pub(super) fn corrupt(
    doing: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    // Only reads meet it: a write is checked by the server.
    let (kind, class) = (StoreErrorKind::Corrupt, FailureClass::Corrupt);
    StoreError::new(kind, class, Outcome::NotApplied, doing).with_source(source)
}

/// Whether a write may have happened. A server that answers with an error has rolled back; one
/// that ends the connection (FATAL) may have committed just before.
fn outcome(error: &Error, sent: Sent) -> Outcome {
    let answer = error.as_db_error().and_then(DbError::parsed_severity);
    match (sent, answer) {
        (Sent::Nothing, _) | (Sent::Write, Some(Severity::Error)) => Outcome::NotApplied,
        // No answer, a last one, or one that is no error and cannot be.
        (
            Sent::Write,
            None
            | Some(
                Severity::Fatal
                | Severity::Panic
                | Severity::Warning
                | Severity::Notice
                | Severity::Debug
                | Severity::Info
                | Severity::Log,
            ),
        ) => Outcome::Unknown,
    }
}

/// Whoever was in the way may be gone: other statements, or an operator who cancelled this one. Our
/// own deadline is over when it cancels one, and so is any request's when `statement_timeout` does.
fn is_undone_by_others(code: &SqlState) -> bool {
    let undone = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::QUERY_CANCELED,
        // Of two who take a name at once the second finds it taken, once the first has committed.
        SqlState::UNIQUE_VIOLATION,
    ];
    undone.contains(code)
}

/// After a fail-over the old connections lead to a server that takes no writes, and a plan or
/// prepared statement that the server no longer has does not come back.
fn spoils_connection(error: &DbError) -> bool {
    let fatal = matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    let lasting = [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    fatal || lasting.contains(error.code())
}

/// The class of an error of the driver or the server.
pub(super) fn classify(error: &Error) -> FailureClass {
    if let Some(answer) = error.as_db_error() {
        return classify_answer(answer);
    }
    if error.is_closed() {
        return FailureClass::Closed;
    }
    let Some(cause) = error.source() else { return FailureClass::Protocol };
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return classify_io(io, error.to_string() == "error connecting to server");
    }
    match cause.to_string().as_str() {
        "server does not support TLS" => FailureClass::TlsNotSpoken,
        "password missing" => FailureClass::AuthRequired,
        _ if error.to_string() == "authentication error" => FailureClass::AuthFailed,
        _ => FailureClass::Protocol,
    }
}

fn classify_io(error: &io::Error, is_connecting: bool) -> FailureClass {
    if let Some(refusal) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::classify(refusal);
    }
    match error.kind() {
        io::ErrorKind::TimedOut => FailureClass::Timeout,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => FailureClass::Closed,
        // The driver's words for a host that `target_session_attrs` rules out.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => FailureClass::Readonly,
        // Half a message, or what cannot be one.
        io::ErrorKind::InvalidData | io::ErrorKind::Other => FailureClass::Protocol,
        io::ErrorKind::InvalidInput if !is_connecting => FailureClass::Protocol,
        // Connecting fails with a number from the system; looking up a name does not.
        _ if is_connecting && error.raw_os_error().is_none() => FailureClass::Dns,
        _ if is_connecting => FailureClass::Unreachable,
        _ => FailureClass::Closed,
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify_answer(answer: &DbError) -> FailureClass {
    match answer.code().code() {
        "28000" => classify_refusal(answer.message()),
        "28P01" => FailureClass::AuthFailed,
        "42501" => FailureClass::Forbidden,
        "25006" => FailureClass::Readonly,
        "57P03" => FailureClass::Loading,
        "53200" => FailureClass::OutOfMemory,
        "53300" => FailureClass::TooManyConnections,
        "55P03" => FailureClass::Locked,
        "53100" => FailureClass::DiskFull,
        "58030" | "58P01" | "58P02" => FailureClass::IoError,
        "3D000" | "57P04" => FailureClass::Missing,
        // A table, column, function or schema that is not there, or is another.
        "42P01" | "42703" | "42883" | "3F000" | "42804" | "0A000" => FailureClass::Schema,
        "40001" | "40P01" | "53000" | "53400" => FailureClass::Busy,
        "57014" => FailureClass::Timeout,
        "57P01" | "57P02" | "57P05" | "25P03" => FailureClass::Closed,
        "XX001" | "XX002" => FailureClass::Corrupt,
        // PgBouncer's word for a server that it does not reach.
        "08P01" if answer.message().contains("connect") => FailureClass::Unreachable,
        code if code.starts_with("08") && code != "08P01" => FailureClass::Closed,
        _ => FailureClass::Protocol,
    }
}

/// `pg_hba.conf` has one code for all its refusals; its English texts, which are what servers log
/// in most places, tell them apart.
fn classify_refusal(message: &str) -> FailureClass {
    if message.contains("no encryption") || message.contains("SSL off") {
        return FailureClass::TlsRequired;
    }
    if message.contains("client certificate") {
        return FailureClass::TlsClientCert;
    }
    FailureClass::AuthFailed
}
