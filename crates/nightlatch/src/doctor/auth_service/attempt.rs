//! Corrections that are tried: the same host over TLS, and the same service at a path that is nearly the one
//! that is written.
//!
//! Over TLS it is asked without anybody's credentials: they go there once it is configured. Paths are tried
//! with them, at the same place.

use nightlatch_core::{AuthServiceFailure as Kind, Secret, Vouched};

use super::super::configured::Configured;
use super::super::finding::Finding;
use super::super::sources::Sources;
use super::ask_about_nobody;
use crate::auth_service::inspect::{self, Examination};
use crate::config::{AuthServiceConfig, Scheme, WebOrigin};

/// The setting of the path.
const PATH: &str = "AUTH_SERVICE_LOGIN_PATH";

/// The ports of the two schemes.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// What a web server answers that wants another scheme, beside where to go.
const WANTS_TLS: [u16; 3] = [400, 403, 426];

/// One that worked.
pub(super) struct Found {
    /// Ends "Tried: ..".
    how: String,
    fix: Option<String>,
    /// Where it may be written without asking, and what.
    correction: Option<(Configured, Secret<String>)>,
}

impl Found {
    /// What was seen of a service, with what puts it right.
    pub(super) fn add_to(self, finding: Finding) -> Finding {
        let why = format!("{}. Tried: {}", finding.why, self.how);
        let finding = Finding { why, fix: self.fix.or(finding.fix), ..finding };
        match self.correction {
            Some((at, value)) => at.told(Finding { correction: Some(value), ..finding }),
            None => finding,
        }
    }
}

/// The first correction that works.
pub(super) async fn search(
    sources: &Sources,
    subject: &Configured,
    config: &AuthServiceConfig,
    seen: &Examination,
) -> Option<Found> {
    let failure = seen.outcome.as_ref().err()?.failure;
    let status = seen.heard.as_ref().map(|heard| heard.status);
    let is_elsewhere = status.is_some_and(|status| (300..400).contains(&status));
    if status.is_none_or(|status| is_elsewhere || WANTS_TLS.contains(&status))
        && let Some(found) = over_tls(sources, subject, config).await
    {
        return Some(found);
    }
    if !is_elsewhere && failure != Kind::EndpointMissing {
        return None;
    }
    for slip in slips(sources, subject, config) {
        let config = AuthServiceConfig { login_path: slip.path.clone(), ..config.clone() };
        let seen = ask_about_nobody(&config).await?;
        if matches!(seen.outcome, Ok(Vouched::Refused)) {
            let how = format!("it takes logins at {}", slip.path);
            return Some(Found { how, fix: slip.fix, correction: slip.correction });
        }
    }
    None
}

/// At the same host and port; where no port is written, at the one of https.
async fn over_tls(
    sources: &Sources,
    subject: &Configured,
    config: &AuthServiceConfig,
) -> Option<Found> {
    let origin = config.origin.as_ref().filter(|origin| !origin.is_https())?;
    let port = if origin.port() == HTTP { HTTPS } else { origin.port() };
    let authority = format!("{}:{port}", origin.host());
    let secure = WebOrigin::from_authority(Scheme::Https, &authority).ok()?;
    let there = AuthServiceConfig { origin: Some(secure.clone()), ..config.clone() };
    if !inspect::answers(&there).await {
        return None;
    }
    let moved = |url: &str| {
        let (_, rest) = WebOrigin::split(url).ok()?;
        Some(format!("{secure}{rest}"))
    };
    let how = format!("{secure} answers, with a certificate that is trusted");
    let correction = subject.corrected(moved).map(|url| (Configured::of(sources, super::URL), url));
    Some(Found { how, fix: subject.line(moved), correction })
}

/// A path that is nearly the one that is written.
struct Slip {
    path: String,
    fix: Option<String>,
    correction: Option<(Configured, Secret<String>)>,
}

fn slips(sources: &Sources, subject: &Configured, config: &AuthServiceConfig) -> Vec<Slip> {
    let setting = Configured::of(sources, PATH);
    let own = setting.shown();
    let Some(base) = config.login_path.strip_suffix(own) else { return Vec::new() };
    let other = match own.strip_suffix('/') {
        Some(cut) => cut.to_owned(),
        None => format!("{own}/"),
    };
    let mut slips = Vec::new();
    if !other.is_empty() {
        slips.push(Slip {
            path: format!("{base}{other}"),
            fix: setting.line_of(&other),
            correction: setting
                .corrected(|_| Some(other.clone()))
                .map(|path| (Configured::of(sources, PATH), path)),
        });
    }
    // The path was written twice, or is the whole one.
    for shorter in [base.strip_suffix(own), Some("")].into_iter().flatten() {
        if shorter == base {
            continue;
        }
        let cut = |url: &str| {
            let (origin, _) = WebOrigin::split(url).ok()?;
            Some(format!("{origin}{shorter}"))
        };
        slips.push(Slip {
            path: format!("{shorter}{own}"),
            fix: subject.line(cut),
            correction: subject
                .corrected(cut)
                .map(|url| (Configured::of(sources, super::URL), url)),
        });
    }
    slips
}
