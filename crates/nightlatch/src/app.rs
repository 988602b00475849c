//! The wiring: the one file that names the concrete record, hasher and throttle.
//!
//! Everywhere else stands a port, so what is beneath can be exchanged, and left out of a test.

mod accelerator;
mod inspection;
mod past;
mod transfer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use nightlatch_core::coherence::CoherenceLimits;
use nightlatch_core::service::ThrottleLimits;
use nightlatch_core::{
    AccessTokens, Announcer, AuthService, Clock, Deadline, Entropy, Keys, MasterKeys, NodeId,
    Policy, Ports, Record, RecordClock, Service, StoreError, SystemClock, SystemEntropy,
    ThrottleScope, Timestamp,
};
use nightlatch_store::cached::CachedRecord;
use nightlatch_store::intercepted::InterceptedRecord;
use nightlatch_store::postgres::{PostgresOptions, PostgresRecord};
use nightlatch_store::sqlite::{BackupError, SqliteRecord};
use nightlatch_store::throttle::LocalThrottle;

use crate::auth_service::{AuthServiceObserver, HttpAuthService};
use crate::config::{Config, Database, PostgresDatabase, Registration, key_file, secrets};
use crate::hashing::HashPool;
use crate::jwt::{Jwt, KeptKeys, KeySource, Parties};
use crate::metrics::Calls;

pub use accelerator::{Accelerator, inspector};
pub use inspection::{postgres_inspector, sqlite_inspector};

/// Counters that a node holds at once: about 130 MB when an attacker fills them all.
const THROTTLE_KEYS_MAX: usize = 500_000;

/// Copies of sessions that a node holds at once: some 200,000 of them.
const COPIES_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The record with its own way of ending.
#[derive(Clone)]
pub enum OpenRecord {
    /// A file of this machine.
    Sqlite(Arc<SqliteRecord>),
    /// A server.
    Postgres(Arc<PostgresRecord>),
}

/// What stands beneath the use cases.
#[derive(Clone)]
pub struct Base {
    /// Record time.
    pub clock: Arc<RecordClock>,
    /// Secret bytes.
    pub entropy: Arc<dyn Entropy>,
    /// The truth.
    pub record: OpenRecord,
}

/// What a server has and a command does not need.
pub struct Beside {
    /// The record as it is, or with copies in front.
    pub record: Arc<dyn Record>,
    /// The way to the other nodes, if there is one.
    pub announcer: Arc<dyn Announcer>,
    /// Writes access tokens and reads them.
    pub access_tokens: Arc<dyn AccessTokens>,
    /// Vouches for users who have no password here.
    pub auth_service: Option<Arc<dyn AuthService>>,
}

/// A node without its HTTP layer: what the server and the command line work with.
pub struct Node {
    /// What stands beneath.
    pub base: Base,
    /// Hashes passwords.
    pub hasher: Arc<HashPool>,
    /// Counts tries.
    pub throttle: Arc<LocalThrottle>,
    /// The use cases.
    pub service: Arc<Service>,
}

impl OpenRecord {
    /// The record behind its port.
    #[must_use]
    pub fn port(&self) -> Arc<dyn Record> {
        match self {
            Self::Sqlite(record) => Arc::<SqliteRecord>::clone(record),
            Self::Postgres(record) => Arc::<PostgresRecord>::clone(record),
        }
    }

    /// Whether calls are told at once that it is away, or silent.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        match self {
            // A file is asked each time.
            Self::Sqlite(_) => false,
            Self::Postgres(record) => record.is_refusing(),
        }
    }

    /// Until when the certificate is good that it showed last.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<Timestamp> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(record) => record.certificate_expiry().get(),
        }
    }

    /// Copies the record into the new file `to` while others read and write.
    ///
    /// # Errors
    /// Why there is no copy. The record's own as they are; nothing is left at `to`.
    pub async fn backup(&self, to: &Path, deadline: Deadline) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(record) => match record.backup(to, deadline).await {
                Ok(()) => Ok(()),
                Err(BackupError::Record(error)) => Err(error.into()),
                Err(error) => Err(error).with_context(|| format!("copying to {}", to.display())),
            },
            Self::Postgres(_) => bail!(
                "this copies SQLite files, and the database is PostgreSQL: use its own tool, \
                 `pg_dump --format=custom --file={} URL`",
                to.display()
            ),
        }
    }
}

impl Base {
    /// Opens the record of the configuration. It need not answer yet.
    ///
    /// # Errors
    /// What is wrong with the configuration of the record; never that it is away.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let record = match &config.database {
            Database::Sqlite { path } => {
                let record = SqliteRecord::open(path, Arc::clone(&clock), Arc::clone(&entropy));
                OpenRecord::Sqlite(Arc::new(record.context("DATABASE_URL")?))
            }
            Database::Postgres(database) => {
                let options = postgres_options(database);
                let record =
                    PostgresRecord::open(&options, Arc::clone(&clock), Arc::clone(&entropy));
                OpenRecord::Postgres(Arc::new(record.context("DATABASE_URL")?))
            }
        };
        Ok(Self { clock: Arc::new(RecordClock::new(clock)), entropy, record })
    }

    /// A deadline from now.
    #[must_use]
    pub fn within(&self, span: Duration) -> Deadline {
        Deadline::within(self.clock.clock(), span)
    }

    /// Takes over the record's clock: whatever this machine's own says, sessions are dated and
    /// judged in the record's time.
    ///
    /// # Errors
    /// The record's.
    pub async fn follow_clock(&self, deadline: Deadline) -> Result<(), StoreError> {
        let asked = self.clock.clock().boottime();
        let probe = self.record.port().probe(deadline).await?;
        let answered = self.clock.clock().boottime();
        self.clock.observe(probe.now, asked, answered);
        Ok(())
    }

    /// The keys, if they can be had without asking the record.
    ///
    /// # Errors
    /// The key file beside the database cannot be read or written.
    pub fn local_keys(&self, config: &Config) -> anyhow::Result<Option<Keys>> {
        if let Some(session) = &config.secrets.session {
            return Ok(Some(derive(session, config)));
        }
        let Database::Sqlite { path } = &config.database else {
            return Ok(None);
        };
        let kept = key_file::keep_beside(path, &*self.entropy)?;
        let file = kept.path.display();
        if kept.is_new {
            tracing::info!(event = "config.secret_generated", file = %file);
        }
        if kept.is_exposed {
            tracing::warn!(event = "config.secret_exposed", file = %file, fix = "chmod 600");
        }
        Ok(Some(derive(&kept.keys, config)))
    }

    /// The keys that nodes share by the record, made by whichever asks first.
    ///
    /// # Errors
    /// The record's.
    pub async fn shared_keys(&self, config: &Config, deadline: Deadline) -> anyhow::Result<Keys> {
        let fresh = secrets::fresh(&*self.entropy).expose().as_bytes().to_vec();
        let record = self.record.port();
        let kept = record.shared_secret(secrets::SHARED_SECRET_NAME, fresh, deadline).await?;
        let session = secrets::kept_keys(&kept)?;
        Ok(derive(&session, config))
    }

    /// The record with copies of its sessions in front, for a server, and its calls measured. Somebody
    /// must follow the feed.
    #[must_use]
    pub fn with_copies(&self, config: &Config, calls: Arc<Calls>) -> Arc<CachedRecord> {
        let limits = CoherenceLimits::new(config.limits.max_staleness);
        let record = Arc::new(InterceptedRecord::new(self.record.port(), calls));
        let clock = Arc::clone(&self.clock);
        let entropy = Arc::clone(&self.entropy);
        Arc::new(CachedRecord::new(record, clock, entropy, (limits, COPIES_BYTES_MAX)))
    }

    /// What writes and reads access tokens.
    #[must_use]
    pub fn access_tokens(&self, config: &Config, keys: &Keys, record: Arc<dyn Record>) -> Arc<Jwt> {
        let tokens = &config.tokens;
        let parties = Parties { issuer: tokens.issuer.clone(), audience: tokens.audience.clone() };
        let source = if let Some(keys) = &tokens.keys {
            KeySource::Configured(keys.clone())
        } else {
            KeySource::Kept(self.kept_keys(config, keys, record))
        };
        Arc::new(Jwt::new(parties, source))
    }

    /// The service that logins are delegated to, if they are.
    #[must_use]
    pub fn auth_service(
        &self,
        config: &Config,
        observers: (Arc<dyn AuthServiceObserver>, Arc<Calls>),
    ) -> Option<Arc<HttpAuthService>> {
        let config = config.auth_service.clone()?;
        let by = (Arc::new(SystemClock) as Arc<dyn Clock>, Arc::clone(&self.entropy));
        Some(Arc::new(HttpAuthService::new(config, by, observers)))
    }

    /// The keys of access tokens that the record keeps.
    #[must_use]
    pub fn kept_keys(&self, config: &Config, keys: &Keys, record: Arc<dyn Record>) -> KeptKeys {
        let by = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        KeptKeys::new(record, by, &keys.signing, config.tokens.access_ttl)
    }

    /// Joins everything beneath the HTTP layer.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn assemble(self, config: &Config, keys: Keys, beside: Beside) -> anyhow::Result<Node> {
        let Beside { record, announcer, access_tokens, auth_service } = beside;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let pool = HashPool::start(None, clock, Arc::clone(&self.entropy));
        let hasher = Arc::new(pool.context("starting the threads that hash passwords")?);
        let id = NodeId::fresh(&*self.entropy, self.clock.now());
        let throttle = Arc::new(LocalThrottle::new(
            Arc::clone(&record) as _,
            id,
            Arc::clone(&self.clock),
            THROTTLE_KEYS_MAX,
        ));
        let ports = Ports {
            record,
            hasher: Arc::clone(&hasher) as _,
            auth_service,
            assessor: Arc::clone(&hasher) as _,
            throttle: Arc::clone(&throttle) as _,
            announcer,
            access_tokens,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            node: id,
        };
        let service = Arc::new(Service::new(ports, keys, policy(config)));
        Ok(Node { base: self, hasher, throttle, service })
    }
}

fn postgres_options(database: &PostgresDatabase) -> PostgresOptions {
    let mut options = PostgresOptions::new(database.url.clone());
    options.password.clone_from(&database.password);
    options.schema.clone_from(&database.schema);
    options
}

fn derive(session: &MasterKeys, config: &Config) -> Keys {
    Keys::derive(session, config.secrets.csrf.as_ref().unwrap_or(session))
}

fn policy(config: &Config) -> Policy {
    Policy {
        session_age: config.session.age,
        remember_age: config.session.remember_age,
        idle_timeout: config.session.idle_timeout,
        access_age: config.tokens.access_ttl,
        refresh_age: config.tokens.refresh_ttl,
        refresh_grace: config.tokens.refresh_grace,
        // Who is unknown here is known there, or nobody.
        registration_open: config.registration == Registration::Open
            && config.auth_service.is_none(),
        max_staleness: config.limits.max_staleness,
        throttles: (!config.throttle.disabled).then_some(limits(config)),
    }
}

fn limits(config: &Config) -> ThrottleLimits {
    let throttle = &config.throttle;
    ThrottleLimits {
        login: throttle.login,
        address: throttle.address,
        account: throttle.account,
        register: throttle.register,
    }
}

/// The limit of each kind of counter, for failures from before this start.
#[must_use]
pub fn limits_by_scope(config: &Config) -> Vec<(ThrottleScope, nightlatch_core::Limit)> {
    let limits = limits(config);
    vec![
        (ThrottleScope::Login, limits.login),
        (ThrottleScope::Device, limits.login),
        (ThrottleScope::Address, limits.address),
        (ThrottleScope::Account, limits.account),
        (ThrottleScope::Register, limits.register),
    ]
}
