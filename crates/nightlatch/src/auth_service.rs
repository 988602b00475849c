//! Delegated login: asks the auth service whose a name and a password are, and bears whatever it does.
//!
//! A login costs one request there and waits for nobody but it: no look whether it is well comes first.
//! What failed is classified once, in `failure.rs`; how often it is asked is decided here alone.

mod answer;
mod failure;
mod gate;
pub mod inspect;
mod prober;
mod request;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::Request;
use http_body_util::Full;
use nightlatch_core::{
    AuthService, AuthServiceError, BoxFuture, Clock, Deadline, Entropy, FailureClass, HandedOn,
    Standing, Subject, Timestamp, Vouched,
};
use nightlatch_resilience::Backoff;

use crate::config::AuthServiceConfig;
use crate::metrics::Calls;
use crate::outbound::{Connections, RawAnswer};
use failure::Failure;
pub use gate::Retries;
use gate::{Gate, Passed};
use request::LoginRequest;

/// Between two attempts of one login.
const BETWEEN_ATTEMPTS: Backoff =
    Backoff { base: Duration::from_millis(100), max: Duration::from_secs(1) };

/// What an attempt needs at least, so that it says something.
const ATTEMPT_MIN: Duration = Duration::from_millis(300);

/// Hears how the service is.
pub trait AuthServiceObserver: Send + Sync {
    /// A call that began at the first boot time has ended at the second: well, or with the class of what
    /// concerns everybody.
    fn asked(&self, outcome: Result<(), FailureClass>, span: (Duration, Duration));

    /// The same of a look beside the logins.
    fn looked(&self, outcome: Result<(), FailureClass>, span: (Duration, Duration));
}

/// The auth service over HTTP.
pub struct HttpAuthService {
    config: AuthServiceConfig,
    connections: Option<Connections>,
    gate: Gate,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn AuthServiceObserver>,
    calls: Arc<Calls>,
}

impl HttpAuthService {
    /// Nothing is asked yet. A certificate authority that is of no use is told with every login.
    #[must_use]
    pub fn new(
        config: AuthServiceConfig,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        (observer, calls): (Arc<dyn AuthServiceObserver>, Arc<Calls>),
    ) -> Self {
        let connections = config.origin.clone().map(|origin| {
            Connections::new(origin, config.ca_file.as_deref(), config.connect_timeout)
        });
        Self { config, connections, gate: Gate::new(), clock, entropy, observer, calls }
    }

    /// Whether logins are told at once that it is away.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.gate.is_shut()
    }

    /// Until when the certificate is good that it showed last.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<Timestamp> {
        self.connections.as_ref()?.certificate_expiry()
    }

    /// What became of those who wanted to ask again, since the start.
    #[must_use]
    pub fn retries(&self) -> Retries {
        self.gate.retries()
    }

    /// Looks beside the logins whether it is back, or still there; the caller ends it by dropping it.
    pub async fn watch(self: Arc<Self>) {
        prober::run(&self).await;
    }

    async fn ask(
        &self,
        login: HandedOn<'_>,
        deadline: Deadline,
    ) -> Result<Vouched, AuthServiceError> {
        let deadline = deadline.at_most(&*self.clock, self.config.deadline);
        let mut attempts = 0;
        let asked = self.ask_until_answered(login, deadline, &mut attempts).await;
        asked.map_err(|failure| failure.into_error(attempts, self.config.credentials.is_some()))
    }

    async fn ask_until_answered(
        &self,
        login: HandedOn<'_>,
        deadline: Deadline,
        attempts: &mut u32,
    ) -> Result<Vouched, Failure> {
        let Some(connections) = &self.connections else { return Err(Failure::no_target()) };
        let Some(credentials) = &self.config.credentials else {
            self.observe(Err(&Failure::no_credentials()), self.clock.boottime());
            return Err(Failure::no_credentials());
        };
        let request = LoginRequest::new(&self.config, credentials, login)?;
        let _place = self.gate.place(deadline.remaining(&*self.clock)).await?;
        loop {
            let pass = self.admit()?;
            *attempts += 1;
            let began = self.clock.boottime();
            let call = self.calls.asking();
            let to_http = || {
                let mut request = request.to_http();
                if let Some(call) = &call {
                    call.accompany(request.headers_mut());
                }
                request
            };
            let exchanged = self.exchange(connections, to_http, deadline).await;
            let answer = exchanged.and_then(|raw| answer::read(&raw, &self.config, login.login));
            self.count(began, &answer);
            if let Some(call) = call {
                call.end(answer.as_ref().map(drop).map_err(Failure::class));
            }
            self.observe(answer.as_ref().map(drop), began);
            self.settle(pass, answer.as_ref().map(drop));
            let failure = match answer {
                Ok(vouched) => return Ok(vouched),
                Err(failure) => failure,
            };
            let Some(wait) = self.before_next(&failure, *attempts, deadline) else {
                return Err(failure);
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Once and for nobody who waits: what fails is asked again in the next round.
    async fn ask_about(&self, subject: &Subject, deadline: Deadline) -> Result<Standing, Failure> {
        let Some(connections) = &self.connections else { return Err(Failure::no_target()) };
        let Some(credentials) = &self.config.credentials else {
            return Err(Failure::no_credentials());
        };
        let deadline = deadline.at_most(&*self.clock, self.config.deadline);
        // What becomes of questions opens and closes nothing for logins: they go elsewhere there.
        if self.gate.is_shut() {
            return Err(Failure::known_to_be_away());
        }
        let request = request::about(&self.config, credentials, subject)?;
        let began = self.clock.boottime();
        let exchanged = self.exchange(connections, || request.clone(), deadline).await;
        let answer = exchanged.and_then(|raw| answer::read_standing(&raw, &self.config, subject));
        self.count(began, &answer);
        answer
    }

    fn count<T>(&self, began: Duration, answer: &Result<T, Failure>) {
        let took = self.clock.boottime().saturating_sub(began);
        self.calls.asked(took, answer.as_ref().map(drop).map_err(Failure::class));
    }

    async fn exchange(
        &self,
        connections: &Connections,
        request: impl Fn() -> Request<Full<Bytes>>,
        deadline: Deadline,
    ) -> Result<RawAnswer, Failure> {
        let left = || deadline.remaining(&*self.clock);
        let hurried = |failure: Failure, had: Duration, wanted: Duration| {
            // What our own deadline has cut says nothing of the service.
            let is_cut = had < wanted.min(self.config.deadline) / 2;
            if is_cut { failure.too_late() } else { failure }
        };
        let had = left();
        let connected = connections.get(had).await;
        let mut connection =
            connected.map_err(|why| hurried(why.into(), had, self.config.connect_timeout))?;
        loop {
            let limit = self.config.read_timeout.min(left());
            let answer = connection.exchange(request(), limit).await;
            let answer = answer.map_err(|why| hurried(why.into(), limit, self.config.read_timeout));
            // One that was kept may have been closed by the other side meanwhile: that is no attempt.
            match answer {
                Err(failure) if connection.was_kept() && failure.is_closed_unanswered() => {
                    connection = connections.fresh(left()).await?;
                }
                Ok(answer) => {
                    connections.keep(connection);
                    return Ok(answer);
                }
                Err(failure) => {
                    if connection.was_kept() && connection.was_swallowed() {
                        connections.forget();
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// When to ask again; `None`: not at all.
    fn before_next(
        &self,
        failure: &Failure,
        attempts: u32,
        deadline: Deadline,
    ) -> Option<Duration> {
        if attempts >= self.config.max_attempts || !failure.may_be_retried() {
            return None;
        }
        let jitter = BETWEEN_ATTEMPTS.delay(attempts - 1, self.entropy.bits());
        let wait = jitter.max(failure.retry_after().unwrap_or_default());
        let fits = wait + ATTEMPT_MIN < deadline.remaining(&*self.clock);
        (fits && self.gate.may_retry()).then_some(wait)
    }

    fn admit(&self) -> Result<Passed<'_>, Failure> {
        self.gate.admit(&*self.clock)
    }

    fn settle(&self, pass: Passed<'_>, outcome: Result<(), &Failure>) {
        pass.settle(outcome, self.clock.boottime(), self.entropy.bits());
    }

    fn observe(&self, outcome: Result<(), &Failure>, began: Duration) {
        let told = match outcome {
            Ok(()) => Ok(()),
            Err(failure) if failure.concerns_everybody() => Err(failure.class()),
            Err(_) => return,
        };
        self.observer.asked(told, (began, self.clock.boottime()));
    }
}

impl AuthService for HttpAuthService {
    fn vouch<'a>(
        &'a self,
        login: HandedOn<'a>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vouched, AuthServiceError>> {
        Box::pin(self.ask(login, deadline))
    }

    fn standing<'a>(
        &'a self,
        subject: &'a Subject,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Standing, AuthServiceError>> {
        Box::pin(async move {
            let asked = self.ask_about(subject, deadline).await;
            asked.map_err(|failure| failure.into_error(1, self.config.credentials.is_some()))
        })
    }
}
