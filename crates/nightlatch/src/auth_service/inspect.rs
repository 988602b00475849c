//! One login that has time to find out what is wrong: for doctor, by the connection, the request and the
//! reading of the server, so that both are of one opinion.
//!
//! Nobody is let in by it: whoever asks names a user who cannot exist.

use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, DATE, LOCATION};
use nightlatch_core::{AuthServiceError, Clock, HandedOn, Timestamp, Vouched};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::answer;
use super::failure::Failure;
use super::request::{self, LoginRequest};
use crate::config::AuthServiceConfig;
use crate::outbound::{Connections, RawAnswer};

/// What was seen.
#[derive(Debug)]
pub struct Examination {
    /// How long there was no connection for; `None`: there never was one.
    pub connected_in: Option<Duration>,
    /// The answer, if there was a whole one.
    pub heard: Option<Heard>,
    /// What the server makes of it.
    pub outcome: Result<Vouched, AuthServiceError>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// How long it took.
    pub took: Duration,
    /// The status.
    pub status: u16,
    /// Whether it is a page for people.
    pub is_page: bool,
    /// Where it would have us go.
    pub location: Option<String>,
    /// What time it is there.
    pub date: Option<Timestamp>,
}

/// Asks once. The caller sets a limit of its own, should those of the configuration be long.
pub async fn examine(
    config: &AuthServiceConfig,
    login: HandedOn<'_>,
    clock: &dyn Clock,
) -> Examination {
    let mut seen = (None, None);
    let outcome = ask(config, login, clock, &mut seen).await;
    let outcome = outcome.map_err(|failure| failure.into_error(1, config.credentials.is_some()));
    let (connected_in, heard) = seen;
    Examination { connected_in, heard, outcome }
}

/// Whether anybody answers where logins go, who is asked without credentials and about nobody.
pub async fn answers(config: &AuthServiceConfig) -> bool {
    let Some(origin) = config.origin.clone() else { return false };
    let Ok(request) = request::anonymous(config, &origin) else { return false };
    let connections = Connections::new(origin, config.ca_file.as_deref(), config.connect_timeout);
    let Ok(mut connection) = connections.fresh(config.connect_timeout).await else { return false };
    let answer = connection.exchange(request, config.read_timeout).await;
    answer.is_ok_and(|raw| !raw.status.is_server_error())
}

async fn ask(
    config: &AuthServiceConfig,
    login: HandedOn<'_>,
    clock: &dyn Clock,
    (connected_in, heard): &mut (Option<Duration>, Option<Heard>),
) -> Result<Vouched, Failure> {
    let origin = config.origin.clone().ok_or_else(Failure::no_target)?;
    let credentials = config.credentials.as_ref().ok_or_else(Failure::no_credentials)?;
    let request = LoginRequest::new(config, credentials, login)?;
    let connections = Connections::new(origin, config.ca_file.as_deref(), config.connect_timeout);
    let began = clock.boottime();
    let mut connection = connections.fresh(config.connect_timeout).await?;
    let connected = clock.boottime();
    *connected_in = Some(connected.saturating_sub(began));
    let raw = connection.exchange(request.to_http(), config.read_timeout).await?;
    *heard = Some(Heard::of(&raw, clock.boottime().saturating_sub(connected)));
    answer::read(&raw, config, login.login)
}

impl Heard {
    fn of(raw: &RawAnswer, took: Duration) -> Self {
        let text = |name| text(&raw.headers, name);
        Self {
            took,
            status: raw.status.as_u16(),
            is_page: text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")),
            location: text(LOCATION).map(str::to_owned),
            date: text(DATE).and_then(time_of),
        }
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// As RFC 9110, 5.6.7 has it; its older forms are sent by nobody.
fn time_of(date: &str) -> Option<Timestamp> {
    let seconds = OffsetDateTime::parse(date, &Rfc2822).ok()?.unix_timestamp();
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_it_is_sent() {
        let read = time_of("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read, Some(Timestamp::from_micros(784_111_777_000_000)));
        assert_eq!(time_of("yesterday"), None);
    }
}
