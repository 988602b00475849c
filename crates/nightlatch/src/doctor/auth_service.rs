//! `doctor auth-service`: asks the auth service about a user who cannot exist, and says why logins cannot
//! be delegated to it, or how well they can.
//!
//! Nobody's credentials are sent but the service's own, to the host that is configured; name and password
//! are random, so that nobody is locked out.

mod attempt;
mod verdict;

use std::iter;
use std::time::Duration;

use nightlatch_core::{Clock as _, Entropy, HandedOn, Password, SystemClock, SystemEntropy};
use tokio::time::timeout;

use super::configured::{Configured, problems};
use super::finding::Finding;
use super::sources::Sources;
use crate::auth_service::inspect;
use crate::config::AuthServiceConfig;
use crate::config::ProblemLevel::{Error, Info, Warn};

/// The setting that says where it is.
const URL: &str = "AUTH_SERVICE_URL";

/// How long it is waited for, whatever is configured.
const LIMIT: Duration = Duration::from_secs(15);

/// How far clocks may differ.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(30);

/// Whether logins of a Nightlatch are delegated. Others have such a setting, too.
#[must_use]
pub fn is_auth_service_ours(sources: &Sources) -> bool {
    sources.is_ours() && sources.loaded.config.auth_service.is_some()
}

/// Asks it. `tell` hears what is being done.
pub async fn examine_auth_service(sources: &Sources, tell: &mut dyn FnMut(&str)) -> Vec<Finding> {
    let Some(config) = &sources.loaded.config.auth_service else {
        let why = "no auth service is configured: people log in by passwords that are kept here";
        return vec![Finding::new("auth-service-none", Info, why)];
    };
    let mut findings = problems(sources, &["AUTH_SERVICE_", "SERVICE_"]);
    let subject = Configured::of(sources, URL);
    if config.origin.is_none() {
        let why = "leads nowhere: logins that are delegated answer 503";
        let fix = format!("{URL}=https://auth.example.com");
        let finding = Finding::new("auth-service-url-unreadable", Error, why).fix(fix);
        findings.push(subject.told(finding));
        return findings;
    }
    if config.credentials.is_none() {
        let missing = findings.iter_mut().filter(|it| is_of_credentials(it));
        missing.for_each(|it| (it.id, it.level) = ("auth-service-credentials-missing", Error));
        return findings;
    }
    tell(&format!("{URL}: asking {} about a user who cannot exist", subject.shown()));
    let found = ask(sources, &subject, config).await;
    findings.extend(found.into_iter().map(|finding| subject.told(finding)));
    findings
}

/// The server is not asked without them.
fn is_of_credentials(finding: &Finding) -> bool {
    matches!(finding.name.as_deref(), Some("SERVICE_ID" | "SERVICE_SECRET"))
}

async fn ask(sources: &Sources, subject: &Configured, config: &AuthServiceConfig) -> Vec<Finding> {
    let asked = timeout(LIMIT, ask_about_nobody(config)).await;
    let Ok(seen) = asked else {
        let why = format!("answers so late that it was left after {} s", LIMIT.as_secs());
        return vec![Finding::new("auth-service-hangs", Error, why)];
    };
    let Some(seen) = seen else { return Vec::new() };
    let clock = seen.heard.as_ref().and_then(clocks);
    let finding = verdict::judge(subject, config, &seen).await;
    let search = attempt::search(sources, subject, config, &seen);
    let finding = match timeout(LIMIT, search).await.ok().flatten() {
        Some(found) => found.add_to(finding),
        None => finding,
    };
    iter::once(finding).chain(clock).collect()
}

/// One login of a user who cannot exist.
async fn ask_about_nobody(config: &AuthServiceConfig) -> Option<inspect::Examination> {
    let name = format!("nightlatch-doctor-{:016x}", SystemEntropy.bits());
    let typed = format!("{:016x}{:016x}", SystemEntropy.bits(), SystemEntropy.bits());
    let password = Password::try_new(typed).ok()?;
    let login = HandedOn { login: &name, password: &password, request_id: "nightlatch-doctor" };
    Some(inspect::examine(config, login, &SystemClock).await)
}

/// By the header of its answer, which counts whole seconds.
fn clocks(heard: &inspect::Heard) -> Option<Finding> {
    let micros = heard.date?.as_micros() - SystemClock.wall().as_micros();
    let differ = Duration::from_micros(micros.unsigned_abs());
    (differ > CLOCKS_DIFFER_MAX).then(|| {
        let (seconds, how) = (differ.as_secs(), if micros < 0 { "behind" } else { "ahead of" });
        let why = format!("leads to a service whose clock is {seconds} s {how} this machine's");
        Finding::new("auth-service-clock", Warn, why)
    })
}
