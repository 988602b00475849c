//! What a node has counted since its start, and what waits in it.
//!
//! Read from where it is kept: a second copy of it could be wrong, and would cost every request something.

use std::fmt;
use std::sync::Arc;

use nightlatch_core::{Service, Timestamp};
use nightlatch_store::cached::{CachedRecord, EndCause, Found, Source};
use nightlatch_store::throttle::LocalThrottle;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;

use super::encode::{DEPENDENCY, counters, gauges, histograms, measures};
use crate::app::{Accelerator, OpenRecord};
use crate::auth_service::HttpAuthService;
use crate::hashing::PoolState;
use crate::health::AUTH_SERVICE;
use crate::http::traffic::Traffic;
use crate::jwt::Jwt;
use crate::status::Count;

const OUTCOME: &str = "outcome";

/// What is looked at once the node has come so far.
pub struct Watched {
    /// Copies of sessions.
    pub copies: Arc<CachedRecord>,
    /// The record itself.
    pub record: OpenRecord,
    /// Redis, if one is configured.
    pub accelerator: Option<Accelerator>,
    /// The service that logins are delegated to, if they are.
    pub auth_service: Option<Arc<HttpAuthService>>,
    /// Counts tries.
    pub throttle: Arc<LocalThrottle>,
    /// Tells how it is with the threads that hash passwords.
    pub hashing: Box<dyn Fn() -> PoolState + Send + Sync>,
    /// The use cases.
    pub service: Arc<Service>,
    /// Signs access tokens.
    pub jwt: Arc<Jwt>,
    /// Counts requests.
    pub traffic: Arc<Traffic>,
}

impl Watched {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_sessions(encoder)?;
        self.encode_feed(encoder)?;
        self.encode_traffic(encoder)?;
        self.encode_throttle(encoder)?;
        self.encode_hashing(encoder)?;
        self.encode_calls(encoder)
    }

    /// Session checks by where the answer came from, and logins by whose doing it was.
    pub(super) fn counts(&self) -> (Vec<Count>, Vec<Count>) {
        let lookups: Vec<_> = self.copies.tallies().lookups().collect();
        let of_source = |source| {
            let of_it = lookups.iter().filter(|(known, ..)| *known == source);
            (source_name(source), of_it.map(|(.., count)| *count).sum())
        };
        (Source::ALL.map(of_source).into(), self.traffic.logins_by_blame().into())
    }

    fn encode_sessions(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let tallies = self.copies.tallies();
        let lookups = tallies.lookups().map(|(source, found, count)| {
            ([("source", source_name(source)), (OUTCOME, found_name(found))], count)
        });
        counters(
            encoder,
            "session_lookups",
            "Sessions that were asked for, by where the answer came from and what it was",
            lookups,
        )?;
        let checks = self.traffic.session_checks();
        counters(
            encoder,
            "session_checks",
            "Session checks, by what they were told",
            checks.map(|(outcome, count)| ([(OUTCOME, outcome)], count)),
        )?;
        counters(encoder, "sessions_started", "Sessions begun here", [([], tallies.begun())])?;
        counters(
            encoder,
            "sessions_ended",
            "Sessions ended here before their time, by why",
            tallies.ends().map(|(cause, count)| ([("cause", cause_name(cause))], count)),
        )?;
        let pending = self.service.pending_ends();
        let help = "Logouts that wait for the database";
        gauges(encoder, "logouts_pending", help, [([], pending)])
    }

    fn encode_feed(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let copies = self.copies.copies_state();
        let help = "Copies of sessions in memory";
        gauges(encoder, "session_copies", help, [([], copies.count)])?;
        let help = "Up to which row of the feed it is known here which sessions have ended";
        let through = copies.through.map(|through| ([], through.0));
        gauges(encoder, "feed_position", help, through)?;
        let live = self.service.live_nodes();
        gauges(encoder, "nodes_live", "Servers that share the database", [([], live)])?;
        let signs_since = self.jwt.signs_since(self.service.now());
        measures(
            encoder,
            ("signing_key_start_timestamp", Some(&Unit::Seconds)),
            "When the key began to sign that signs access tokens now, since 1970",
            signs_since.map(|since| ([], seconds_of(since))),
        )?;
        let certificates = self.certificates().map(|(dependency, expiry)| {
            expiry.map(|expiry| ([(DEPENDENCY, dependency)], seconds_of(expiry)))
        });
        measures(
            encoder,
            ("certificate_expiry_timestamp", Some(&Unit::Seconds)),
            "When the certificate expires that was shown last, since 1970",
            certificates.into_iter().flatten(),
        )
    }

    fn encode_traffic(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let answers = self.traffic.answers().map(|(endpoint, status, count)| {
            ([("endpoint", endpoint.as_str()), ("status", status)], count)
        });
        counters(encoder, "http_requests", "Requests that were answered", answers)?;
        let logins = self.traffic.logins();
        counters(
            encoder,
            "logins",
            "Logins, for cookies and for tokens, by what became of them",
            logins.map(|(outcome, count)| ([(OUTCOME, outcome)], count)),
        )?;
        let help = "How long logins took that succeeded";
        histograms(encoder, "login_duration", help, [([], self.traffic.login_spans().read())])?;
        counters(
            encoder,
            "token_refreshes",
            "Refresh tokens that were presented, by what became of them",
            self.traffic.refreshes().map(|(outcome, count)| ([(OUTCOME, outcome)], count)),
        )
    }

    fn encode_throttle(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let tries = self.throttle.tallies();
        let throttled = tries.throttled.iter().map(|(_, count)| count).sum();
        let outcomes =
            [("admitted", tries.admitted), ("throttled", throttled), ("busy", tries.busy)];
        counters(
            encoder,
            "throttle_tries",
            "Guessable requests, by whether throttles let them through",
            outcomes.map(|(outcome, count)| ([(OUTCOME, outcome)], count)),
        )?;
        counters(
            encoder,
            "throttle_refusals",
            "Guessable requests that were refused, by which rule",
            tries.throttled.map(|(scope, count)| ([("rule", scope.as_str())], count)),
        )?;
        gauges(
            encoder,
            "throttle_together",
            "1 while all servers count tries together in Redis, 0 while each lets its share through",
            [([], i64::from(self.throttle.counts_together()))],
        )
    }

    fn encode_hashing(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let state = (self.hashing)();
        let help = "Passwords that wait for a thread to hash them";
        gauges(encoder, "hash_queue_jobs", help, [([], state.waiting)])?;
        let help = "Threads that hash passwords";
        gauges(encoder, "hash_threads", help, [([], state.threads)])?;
        let help = "Threads that are hashing a password";
        gauges(encoder, "hash_threads_busy", help, [([], state.busy)])?;
        let help = "Passwords that could not be hashed in time";
        counters(encoder, "hash_refusals", help, [([], state.refused)])?;
        let help = "How long passwords waited for a thread to hash them";
        histograms(encoder, "hash_wait", help, [([], state.waits.read())])
    }

    fn encode_calls(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauges(
            encoder,
            "breaker_state",
            "1 while calls are told at once that it is away, 0 while they are let through",
            self.breakers()
                .map(|(dependency, is_open)| ([(DEPENDENCY, dependency)], i64::from(is_open))),
        )?;
        let Some(auth_service) = &self.auth_service else { return Ok(()) };
        let retries = auth_service.retries();
        let made = [("made", retries.made), ("over_budget", retries.refused)];
        counters(
            encoder,
            "retries",
            "Calls that failed and were worth another, by whether there was one",
            made.map(|(outcome, count)| ([(DEPENDENCY, AUTH_SERVICE), (OUTCOME, outcome)], count)),
        )?;
        let left = f64::from(retries.left_hundredths) / 100.0;
        let help = "How many calls may be tried again at this moment";
        gauges(encoder, "retry_budget", help, [([(DEPENDENCY, AUTH_SERVICE)], left)])
    }

    fn certificates(&self) -> [(&'static str, Option<Timestamp>); 3] {
        let redis = self.accelerator.as_ref().and_then(Accelerator::certificate_expiry);
        let auth_service = self.auth_service.as_ref().and_then(|it| it.certificate_expiry());
        let database = self.record.certificate_expiry();
        [("database", database), ("redis", redis), (AUTH_SERVICE, auth_service)]
    }

    fn breakers(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let redis = self.accelerator.as_ref().map(|redis| ("redis", !redis.is_connected()));
        let auth_service =
            self.auth_service.as_ref().map(|service| (AUTH_SERVICE, service.is_refusing()));
        [("database", self.record.is_refusing())].into_iter().chain(redis).chain(auth_service)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a double holds such times to the microsecond")]
fn seconds_of(time: Timestamp) -> f64 {
    time.as_micros() as f64 / 1e6
}

const fn source_name(source: Source) -> &'static str {
    match source {
        Source::Memory => "memory",
        Source::Shared => "redis",
        Source::Record => "database",
        Source::Carried => "access_token",
    }
}

const fn found_name(found: Found) -> &'static str {
    match found {
        Found::Session => "session",
        Found::None => "none",
        Found::Unknown => "unknown",
    }
}

const fn cause_name(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Logout => "logout",
        EndCause::Revoked => "revoked",
        EndCause::OthersRevoked => "others_revoked",
        EndCause::AllRevoked => "all_revoked",
        EndCause::Replaced => "replaced",
        EndCause::PasswordChange => "password_change",
        EndCause::Reuse => "reuse",
    }
}
