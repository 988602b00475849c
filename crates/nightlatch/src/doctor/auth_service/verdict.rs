//! What an auth service has answered to a user who cannot exist, in one sentence for each way.
//!
//! The server tells logins apart; here it is what the operator of either side can change.

use std::time::Duration;

use nightlatch_core::{AuthServiceError, AuthServiceFailure as Kind, FailureClass, Vouched};
use nightlatch_store::net::{self, OtherService, other_service};
use tokio::time::timeout;

use super::super::configured::Configured;
use super::super::finding::Finding;
use super::super::shown::masked;
use super::super::spread::milliseconds;
use crate::auth_service::inspect::{Examination, Heard};
use crate::config::ProblemLevel::{Error, Info, Warn};
use crate::config::{AuthServiceConfig, WebOrigin};
use crate::remedy::of_auth_service;

/// How long it may take to take a connection.
const REACH_LIMIT: Duration = Duration::from_secs(2);

/// The sentence continues the name of the setting.
pub(super) async fn judge(
    subject: &Configured,
    config: &AuthServiceConfig,
    seen: &Examination,
) -> Finding {
    match (&seen.outcome, &seen.heard) {
        (Ok(Vouched::Refused), Some(heard)) => well(config, seen, heard),
        (Ok(_), _) => {
            let why = "leads to a service that lets in a user who cannot exist, with a random password: \
                       whoever asks is let in";
            Finding::new("auth-service-takes-anybody", Error, why)
        }
        (Err(error), Some(heard)) => of_answer(subject, config, error, heard),
        (Err(error), None) => of_way(config, seen, error).await,
    }
}

fn well(config: &AuthServiceConfig, seen: &Examination, heard: &Heard) -> Finding {
    let connected = seen.connected_in.unwrap_or_default();
    let times = format!(
        "connected in {}, answered in {}",
        milliseconds(connected),
        milliseconds(heard.took)
    );
    let is_late = connected > config.connect_timeout / 2 || heard.took > config.read_timeout / 2;
    if is_late {
        let why = format!(
            "leads to a service that takes over half of the time that it has: {times}, of {} and {}",
            milliseconds(config.connect_timeout),
            milliseconds(config.read_timeout)
        );
        return Finding::new("auth-service-slow", Warn, why);
    }
    let why = format!("leads to a service that refuses who cannot exist: {times}");
    Finding::new("auth-service-answers", Info, why)
}

/// There was no whole answer.
async fn of_way(
    config: &AuthServiceConfig,
    seen: &Examination,
    error: &AuthServiceError,
) -> Finding {
    if let Some(finding) = of_other(config, seen, error).await {
        return finding;
    }
    let id = match error.failure {
        Kind::ConnectTimeout => "auth-service-no-answer",
        Kind::ReadTimeout => "auth-service-hangs",
        _ => of_auth_service(error.class).finding,
    };
    let why = match error.failure {
        Kind::ConnectTimeout => {
            "leads to where no connection is made in time (AUTH_SERVICE_CONNECT_TIMEOUT): a firewall \
             drops it, or the machine is down"
                .to_owned()
        }
        Kind::ReadTimeout => {
            "leads to a service that takes the connection and gives no whole answer in time \
             (AUTH_SERVICE_READ_TIMEOUT)"
                .to_owned()
        }
        Kind::Unreachable if seen.connected_in.is_none() => {
            "leads to where the connection is refused: the service is not running there, or listens \
             on another port"
                .to_owned()
        }
        Kind::Tls => format!("leads to a service with which no TLS comes about ({})", error.class),
        _ => format!("leads to a service that cannot be asked: {}", error.detail),
    };
    finding(id, why, error)
}

/// Somebody else is there, or nobody who speaks TLS. Not every server answers a greeting that it does not know.
async fn of_other(
    config: &AuthServiceConfig,
    seen: &Examination,
    error: &AuthServiceError,
) -> Option<Finding> {
    let origin = config.origin.as_ref()?;
    let is_silent = error.failure == Kind::ConnectTimeout && origin.is_https();
    let is_silent = is_silent && takes_connections(origin).await;
    let is_plain = seen.connected_in.is_some() && !origin.is_https();
    if !is_plain && !is_silent && error.class != FailureClass::TlsNotSpoken {
        return None;
    }
    let finding = |id, why: String| Some(Finding::new(id, Error, why));
    match other_service(bare_host(origin), origin.port()).await {
        Some(OtherService::Http) if is_silent => {
            let why = "leads to a web server that speaks no TLS at this port".to_owned();
            finding("auth-service-tls-not-spoken", why)
        }
        Some(OtherService::Http) => None,
        Some(other) => {
            let why = format!("leads to a port where {} answers and no auth service", other.name());
            finding("auth-service-wrong-service", why)
        }
        None if is_silent => {
            let why = "leads to a port that takes the connection and leaves the TLS handshake \
                       unanswered: it hangs, or speaks no TLS there";
            finding("auth-service-hangs", why.to_owned())
        }
        None => None,
    }
}

/// Whether it is there, whatever is spoken.
async fn takes_connections(origin: &WebOrigin) -> bool {
    let host = bare_host(origin);
    let reached = timeout(REACH_LIMIT, net::connect(host, origin.port(), REACH_LIMIT)).await;
    reached.is_ok_and(|reached| reached.is_ok())
}

/// Without the brackets of an address.
fn bare_host(origin: &WebOrigin) -> &str {
    origin.host().trim_start_matches('[').trim_end_matches(']')
}

/// There was one, and no login could rest on it.
fn of_answer(
    subject: &Configured,
    config: &AuthServiceConfig,
    error: &AuthServiceError,
    heard: &Heard,
) -> Finding {
    let status = heard.status;
    let path = &config.login_path;
    if (300..400).contains(&status) {
        return redirect(subject, heard);
    }
    let (id, why) = match (status, error.failure) {
        (_, Kind::ServiceCredentials) => {
            let why = format!(
                "leads to a service that does not take SERVICE_ID and SERVICE_SECRET ({status}): they \
                 are others there, or were renewed"
            );
            ("auth-service-credentials", why)
        }
        (_, Kind::EndpointMissing) => {
            let why = format!("leads to a service that takes no logins at {path} ({status})");
            ("auth-service-endpoint", why)
        }
        (_, Kind::Throttled) => {
            let why = format!("leads to a service that is asked too often ({status})");
            return Finding::new("auth-service-busy", Warn, why);
        }
        (_, Kind::Unavailable) => {
            ("auth-service-busy", "leads to a service that cannot serve now (503)".to_owned())
        }
        (_, Kind::Error) => {
            let why = format!("leads to a service that fails ({status}), or a gateway before it");
            ("auth-service-fails", why)
        }
        _ if heard.is_page => {
            let why = format!("leads to a page for people at {path} ({status}), not to a service");
            ("auth-service-page", why)
        }
        (400 | 422, _) => {
            let why = format!(
                "leads to a service that does not understand the question ({status}): it may read the \
                 name from another member than {}",
                config.username_field
            );
            let finding = Finding::new("auth-service-field", Error, why);
            return finding.fix("AUTH_SERVICE_FIELD_USERNAME=email");
        }
        (200..=299, _) if error.detail.contains("holds none of") => {
            let why = format!(
                "leads to a service that answers {status} to a user who cannot exist, and {}: {status} \
                 has to mean that somebody is let in",
                error.detail
            );
            ("auth-service-no-subject", why)
        }
        _ => {
            let why = format!("leads to a service whose answer cannot be used: {}", error.detail);
            (of_auth_service(error.class).finding, why)
        }
    };
    finding(id, why, error)
}

fn finding(id: &'static str, why: String, error: &AuthServiceError) -> Finding {
    let remedy = of_auth_service(error.class);
    let why = match remedy.fix.filter(|_| remedy.finding == id) {
        Some(fix) => format!("{why}; {fix}"),
        None => why,
    };
    let finding = Finding::new(id, Error, why);
    match error.class {
        FailureClass::TlsUntrusted => finding.fix("AUTH_SERVICE_CA_FILE=/path/to/ca.pem"),
        _ => finding,
    }
}

/// Not followed: the password would go wherever somebody in between says.
fn redirect(subject: &Configured, heard: &Heard) -> Finding {
    let to = heard.location.as_deref().and_then(masked_origin);
    let where_to = to.as_deref().map_or(String::new(), |to| format!(" to {to}"));
    let why = format!(
        "leads to a service that sends us elsewhere ({}{where_to}), where passwords do not follow",
        heard.status
    );
    let finding = Finding::new("auth-service-redirects", Error, why);
    // The same host over TLS is what it most often wants.
    let secure = subject.shown().strip_prefix("http://").map(|rest| format!("https://{rest}"));
    let is_upgrade = to.is_some_and(|to| to.starts_with("https://"));
    match secure.filter(|_| is_upgrade).and_then(|url| subject.line_of(&url)) {
        Some(line) => finding.fix(line),
        None => finding,
    }
}

/// Scheme, host and port; the rest may hold anything.
fn masked_origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    masked(&format!("{scheme}://{authority}"))
}
