//! Records over real servers, and what the tests ask of both.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::{
    Actor, AddressPrefix, Client, Clock, CreateUser, Deadline, Entropy, FoundSession, Generation,
    Groups, NewSession, NewUser, PasswordHash, Session, SessionEnd, SessionId, SessionStore,
    StoreError, SystemClock, SystemEntropy, Timestamp, TokenHash, User, UserId, UserStore,
    Username,
};
use nightlatch_core::{FeedStore, RecordStore, Secret};
use nightlatch_store::postgres::{PostgresOptions, PostgresRecord};
use nightlatch_testkit::postgres::PostgresServer;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

/// Long enough for a slow server on a busy machine, short enough for a hang to be seen.
pub(crate) const CALL_SPAN: Duration = Duration::from_secs(10);

pub(crate) fn options(url: &str) -> PostgresOptions {
    PostgresOptions::new(Secret::new(url.to_owned()))
}

pub(crate) fn open(options: &PostgresOptions) -> PostgresRecord {
    PostgresRecord::open(options, Arc::new(SystemClock), Arc::new(SystemEntropy))
        .expect("the options are sound")
}

pub(crate) fn within(span: Duration) -> Deadline {
    Deadline::within(&SystemClock, span)
}

pub(crate) fn soon() -> Deadline {
    within(CALL_SPAN)
}

pub(crate) fn now() -> Timestamp {
    SystemClock.wall()
}

pub(crate) fn prefix() -> AddressPrefix {
    AddressPrefix::of(IpAddr::from([192, 0, 2, 1]))
}

/// A record in a database of its own, brought up to date.
pub(crate) struct Fixture {
    pub(crate) server: Arc<PostgresServer>,
    pub(crate) database: String,
    pub(crate) record: PostgresRecord,
}

impl Fixture {
    /// On the server that tests share.
    pub(crate) async fn shared() -> Self {
        Self::on(PostgresServer::shared()).await
    }

    /// On a server that the test may do anything to.
    pub(crate) async fn alone() -> Self {
        Self::on(Arc::new(PostgresServer::launch())).await
    }

    pub(crate) async fn on(server: Arc<PostgresServer>) -> Self {
        let database = server.create_database();
        let record = open(&options(&server.url(&database)));
        record.migrate(soon()).await.expect("migrating works");
        Self { server, database, record }
    }

    /// Another node on the same database.
    pub(crate) fn node(&self) -> PostgresRecord {
        open(&self.options())
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        options(&self.server.url(&self.database))
    }

    pub(crate) async fn client(&self) -> RawClient {
        RawClient::connect(&self.server.url(&self.database)).await
    }
}

/// A client beside the record, to hold locks and to look.
pub(crate) struct RawClient {
    pub(crate) client: tokio_postgres::Client,
    _connection: JoinSet<()>,
}

impl RawClient {
    pub(crate) async fn connect(url: &str) -> Self {
        let (client, connection) =
            tokio_postgres::connect(url, NoTls).await.expect("the server is there");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It ends with the server or with the test.
            let _ = connection.await;
        });
        Self { client, _connection: tasks }
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.expect(sql);
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.expect(sql).get(0)
    }

    /// Asks until the answer is `wanted`, but not for ever.
    pub(crate) async fn until(&self, sql: &str, wanted: i64) {
        let asking = async { while self.number(sql).await != wanted {} };
        let in_time = tokio::time::timeout(CALL_SPAN, asking).await;
        assert!(in_time.is_ok(), "never {wanted}: {sql}");
    }
}

/// How many statements of records wait for a lock in this database.
pub(crate) const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'nightlatch'
      AND wait_event_type = 'Lock'";

pub(crate) async fn create_user(record: &PostgresRecord, name: &str) -> User {
    let user = NewUser {
        id: UserId::fresh(&SystemEntropy, now()),
        username: Username::try_new(name).expect("a good name"),
        email: None,
        email_verified: false,
        name: String::new(),
        groups: Groups::default(),
        hash: Some(PasswordHash::from_stored("$2b$12$first".to_owned())),
        subject: None,
        enabled: true,
        created_at: now(),
    };
    match record.create_user(user, Actor::node(), soon()).await.expect("creating works") {
        CreateUser::Created(user) => user,
        CreateUser::UsernameTaken | CreateUser::EmailTaken | CreateUser::SubjectTaken => {
            panic!("{name} is taken")
        }
    }
}

pub(crate) fn session_of(user: &User) -> NewSession {
    new_session(user.id, user.generation)
}

pub(crate) fn new_session(user_id: UserId, generation: Generation) -> NewSession {
    let mut token = [0; 32];
    SystemEntropy.fill(&mut token);
    NewSession {
        session: Session {
            id: SessionId::fresh(&SystemEntropy, now()),
            user_id,
            created_at: now(),
            last_seen_at: now(),
            expires_at: now().after(Duration::from_hours(1)),
            remember: false,
            client: Client {
                address: IpAddr::from([192, 0, 2, 1]),
                user_agent: "Firefox on Linux".to_owned(),
            },
        },
        token: TokenHash::from_bytes(token),
        generation,
        replaces: None,
        refresh: None,
    }
}

pub(crate) async fn login(record: &PostgresRecord, user: &User) -> (SessionId, TokenHash) {
    let new = session_of(user);
    let (id, token) = (new.session.id, new.token);
    let created = record
        .create_session(new, prefix(), Actor::node(), soon())
        .await
        .expect("logging in works");
    created.expect("the generation stands");
    (id, token)
}

/// Asks until the record answers: while it was away it was left alone for growing spans.
pub(crate) async fn until_it_answers(record: &PostgresRecord) {
    let asking = async { while record.probe(soon()).await.is_err() {} };
    let in_time = tokio::time::timeout(CALL_SPAN, asking).await;
    assert!(in_time.is_ok(), "the record never answers");
}

pub(crate) async fn find(record: &PostgresRecord, token: TokenHash) -> Option<FoundSession> {
    let found = record.find_session(token, soon()).await.expect("the record answers");
    found.map(Arc::unwrap_or_clone)
}

pub(crate) async fn end(record: &PostgresRecord, which: SessionEnd) -> Result<u64, StoreError> {
    Ok(record.end_sessions(which, now(), Actor::node(), soon()).await?.value)
}
