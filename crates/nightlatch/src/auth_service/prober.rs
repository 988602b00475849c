//! Looks, beside the logins, whether the auth service is there.
//!
//! So health is known before the first login, and a service that is back is used again though nobody
//! dares to try. Whether it takes logins only a login tells.

use std::time::Duration;

use nightlatch_resilience::Backoff;
use tokio::time::sleep;

use super::HttpAuthService;
use super::answer;
use super::failure::Failure;
use super::request;

/// Between looks at a service that answers.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Between looks at one that does not.
const LOOK_AGAIN: Backoff =
    Backoff { base: Duration::from_millis(500), max: Duration::from_secs(4) };

pub(super) async fn run(service: &HttpAuthService) {
    let mut failures = 0;
    loop {
        let began = service.clock.boottime();
        let looked = look(service).await;
        if looked.is_ok() {
            failures = 0;
            service.gate.hear();
        } else {
            failures += 1;
        }
        let outcome = looked.map_err(|failure| failure.class());
        service.observer.looked(outcome, (began, service.clock.boottime()));
        sleep(wait(service, failures)).await;
    }
}

fn wait(service: &HttpAuthService, failures: u32) -> Duration {
    if failures == 0 {
        return LOOK_EVERY;
    }
    let most = LOOK_AGAIN.ceiling(failures);
    // Half of it at least: full jitter would look twice at once.
    most / 2 + Backoff { base: most / 2, max: most / 2 }.delay(0, service.entropy.bits())
}

async fn look(service: &HttpAuthService) -> Result<(), Failure> {
    let Some(connections) = &service.connections else { return Err(Failure::no_target()) };
    let Some(credentials) = &service.config.credentials else {
        return Err(Failure::no_credentials());
    };
    let question = request::question(&service.config, credentials)?;
    let mut connection = connections.fresh(service.config.connect_timeout).await?;
    let raw = connection.exchange(question, service.config.read_timeout).await?;
    connections.keep(connection);
    match answer::read_look(&raw) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
