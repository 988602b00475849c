//! Redis as the records' accelerator: real servers, real failures.

mod cluster;
mod counters;
mod news;
mod sentinel;

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightlatch_core::{
    AsOf, Client, Epoch, FailureClass, FoundSession, Generation, Groups, History, MasterKeys,
    Position, RecordClock, SealingKeys, Secret, Session, SessionId, SystemClock, SystemEntropy,
    TokenHash, User, UserId, Username,
};
use nightlatch_store::cached::{Announcement, SharedCopies as _};
use nightlatch_store::redis::{
    CallObserver, ClientCertificate, LinkObserver, Observation, RedisAddress, RedisCopies,
    RedisLink, RedisNews, RedisOptions, RedisTls,
};
use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);
const DEADLINE: Duration = Duration::from_millis(100);

/// What the keeper said last.
#[derive(Default)]
struct Heard {
    outcome: Mutex<Option<Result<(), FailureClass>>>,
    looks: AtomicUsize,
    listens: Mutex<Option<Result<(), FailureClass>>>,
}

impl LinkObserver for Heard {
    fn observed(&self, seen: Observation) {
        *self.outcome.lock().expect("nobody panics with it") = Some(seen.outcome);
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    fn listens(&self, outcome: Result<(), FailureClass>) {
        *self.listens.lock().expect("nobody panics with it") = Some(outcome);
    }
}

impl CallObserver for Heard {
    fn answered(&self, _took: Duration) {}

    fn failed(&self, _class: FailureClass, _took: Duration) {}
}

/// A link that is kept, and its copies that are written.
struct Kept {
    link: Arc<RedisLink>,
    copies: Arc<RedisCopies>,
    news: Arc<RedisNews>,
    heard: Arc<Heard>,
    told: Arc<Mutex<Vec<Announcement>>>,
    _tasks: JoinSet<()>,
}

impl Kept {
    fn new(options: RedisOptions) -> Self {
        let clock = Arc::new(RecordClock::new(Arc::new(SystemClock)));
        let (heard, told) = (Arc::new(Heard::default()), Arc::default());
        let link = RedisLink::new(
            options,
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            Arc::clone(&heard) as _,
        );
        let link = Arc::new(link.expect("it can be tried"));
        let copies = Arc::new(RedisCopies::new(Arc::clone(&link), clock, &keys("secret")));
        let news = Arc::new(RedisNews::new(Arc::clone(&link), &keys("secret")));
        let mut tasks = JoinSet::new();
        let sent = Arc::clone(&news);
        tasks.spawn(async move { sent.send().await });
        let (listening, telling) = (Arc::clone(&news), Arc::clone(&told));
        tasks.spawn(async move { listening.listen(|said| note(&telling, said)).await });
        let (kept, observer) = (Arc::clone(&link), Arc::clone(&heard));
        tasks.spawn(async move { kept.keep(observer).await });
        let written = Arc::clone(&copies);
        tasks.spawn(async move { written.write().await });
        Self { link, copies, news, heard, told, _tasks: tasks }
    }

    fn last_heard(&self) -> Option<Result<(), FailureClass>> {
        *self.heard.outcome.lock().expect("nobody panics with it")
    }

    async fn hears(&self, outcome: Result<(), FailureClass>) {
        let what = format!("{outcome:?}");
        wait_until(&what, LIMIT, async || self.last_heard() == Some(outcome)).await;
    }

    async fn finds(&self, token: TokenHash, history: History) -> Option<FoundSession> {
        let copy = self.copies.find(token, history, DEADLINE).await;
        copy.map(|copy| FoundSession::clone(&copy.found))
    }

    /// Keeps a copy until it is there.
    async fn keeps(&self, token: TokenHash, found: &Arc<FoundSession>) {
        let clock = RecordClock::new(Arc::new(SystemClock));
        wait_until("a copy is kept", LIMIT, async || {
            self.copies.keep(token, found, clock.now());
            self.finds(token, found.history).await.is_some()
        })
        .await;
    }
}

fn note(told: &Mutex<Vec<Announcement>>, said: Announcement) {
    told.lock().expect("nobody panics with it").push(said);
}

fn options(port: u16) -> RedisOptions {
    RedisOptions {
        address: RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port },
        username: None,
        password: None,
        sentinel_password: None,
        database: 0,
        tls: None,
        deadline: DEADLINE,
        key_prefix: "nightlatch:".to_owned(),
    }
}

fn keys(secret: &str) -> SealingKeys {
    let masters = MasterKeys::try_new(vec![Secret::new(secret.as_bytes().to_vec())]);
    SealingKeys::derive(&masters.expect("one secret"), "copy")
}

const fn history() -> History {
    History { record: Uuid::from_u128(1), epoch: Epoch(2) }
}

fn token(number: u8) -> TokenHash {
    TokenHash::from_bytes([number; 32])
}

fn session(number: u128) -> Arc<FoundSession> {
    let now = RecordClock::new(Arc::new(SystemClock)).now();
    let user = User {
        id: UserId::from_uuid(Uuid::from_u128(7)),
        username: Username::try_existing("alice").expect("a name"),
        email: None,
        email_verified: false,
        name: String::new(),
        groups: Groups::default(),
        generation: Generation(1),
        enabled: true,
        created_at: now,
    };
    let session = Session {
        id: SessionId::from_uuid(Uuid::from_u128(number)),
        user_id: user.id,
        created_at: now,
        last_seen_at: now,
        expires_at: now.after(Duration::from_hours(1)),
        remember: false,
        client: Client { address: IpAddr::from([127, 0, 0, 1]), user_agent: String::new() },
    };
    let as_of = AsOf { position: Position(3), row_id: 4 };
    Arc::new(FoundSession::new(session, user, as_of, history()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_found_by_its_token_in_its_history_and_nowhere_else() {
    let redis = RedisServer::launch();
    let (kept, found) = (Kept::new(options(redis.port())), session(1));
    kept.hears(Ok(())).await;
    kept.keeps(token(1), &found).await;
    assert_eq!(kept.finds(token(1), history()).await, Some(FoundSession::clone(&found)));
    assert_eq!(kept.finds(token(2), history()).await, None);
    let forked = History { epoch: Epoch(3), ..history() };
    assert_eq!(kept.finds(token(1), forked).await, None, "another epoch");
    let staging = History { record: Uuid::from_u128(2), ..history() };
    assert_eq!(kept.finds(token(1), staging).await, None, "another record");
    assert!(kept.link.is_connected(), "a miss is no reason to give a connection up");
    // Written in order: nothing of the first is on its way any more.
    kept.keeps(token(3), &found).await;
    redis.tell(&["FLUSHALL"]);
    assert_eq!(kept.finds(token(1), history()).await, None, "flushed");
    let old = RecordClock::new(Arc::new(SystemClock)).now().before(Duration::from_mins(11));
    kept.copies.keep(token(1), &found, old);
    kept.keeps(token(2), &found).await;
    assert_eq!(kept.finds(token(1), history()).await, None, "too old to be kept");
    assert!(kept.link.is_connected(), "nor is that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_under_another_name_opens_nothing_and_costs_the_connection() {
    let redis = RedisServer::launch();
    let kept = Kept::new(options(redis.port()));
    kept.hears(Ok(())).await;
    kept.keeps(token(1), &session(1)).await;
    let names = redis.ask(&["--raw", "KEYS", "nightlatch:s:*"]);
    let other = format!("nightlatch:s:{}", "02".repeat(16));
    redis.tell(&["COPY", &names, &other]);
    assert_eq!(kept.finds(token(2), history()).await, None);
    wait_until("it is given up", LIMIT, async || !kept.link.is_connected()).await;
    kept.hears(Err(FailureClass::Protocol)).await;
    kept.hears(Ok(())).await;
    assert!(kept.finds(token(1), history()).await.is_some(), "connected again");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_not_being_there_has_its_class() {
    let redis = RedisServer::launch_with(&[("requirepass", "secret")]);
    let plain = RedisServer::launch();
    let with_password = |password: &str| RedisOptions {
        password: Some(Secret::new(password.to_owned())),
        ..options(redis.port())
    };
    let tls = RedisTls { verifies: true, authorities: None, client: None };
    let unknown = RedisAddress::Tcp { host: "x".repeat(64), port: 6379 };
    for (what, options, outcome) in [
        ("the password", with_password("secret"), Ok(())),
        ("no password", options(redis.port()), Err(FailureClass::AuthRequired)),
        ("a wrong one", with_password("wrong"), Err(FailureClass::AuthFailed)),
        ("nobody there", options(free_port()), Err(FailureClass::Unreachable)),
        ("no such name", RedisOptions { address: unknown, ..options(0) }, Err(FailureClass::Dns)),
        (
            "TLS to a plain port",
            RedisOptions { tls: Some(tls), ..options(plain.port()) },
            Err(FailureClass::TlsNotSpoken),
        ),
        (
            "no such database",
            RedisOptions { database: 99, ..options(plain.port()) },
            Err(FailureClass::Protocol),
        ),
        (
            "no such socket",
            RedisOptions {
                address: RedisAddress::Unix("/nowhere/redis.sock".into()),
                ..options(0)
            },
            Err(FailureClass::Unreachable),
        ),
    ] {
        let kept = Kept::new(options);
        wait_until(what, LIMIT, async || kept.last_heard() == Some(outcome)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_and_another_database_will_do() {
    let redis = RedisServer::launch_with(&[("unixsocket", "redis.sock")]);
    let address = RedisAddress::Unix(redis.folder().join("redis.sock"));
    let kept = Kept::new(RedisOptions { address, database: 5, ..options(0) });
    kept.hears(Ok(())).await;
    kept.keeps(token(1), &session(1)).await;
    let names = redis.ask(&["--raw", "-n", "5", "KEYS", "nightlatch:s:*"]);
    assert_eq!(names.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_waits_for_a_hung_server_and_nobody_after_them() {
    let redis = RedisServer::launch();
    let proxy = ChaosProxy::start(redis.port()).await;
    let kept = Kept::new(options(proxy.port()));
    kept.hears(Ok(())).await;
    kept.keeps(token(1), &session(1)).await;
    proxy.set(Fault::Silent).await;
    let mut waited = 0;
    wait_until("it is given up", LIMIT, async || {
        let asked = Instant::now();
        assert_eq!(kept.finds(token(1), history()).await, None);
        waited += u32::from(asked.elapsed() >= DEADLINE);
        !kept.link.is_connected()
    })
    .await;
    assert!(waited <= 1, "{waited} have waited for it");
    let asked = Instant::now();
    assert_eq!(kept.finds(token(1), history()).await, None);
    assert!(asked.elapsed() < DEADLINE, "it is known that nobody answers");
    proxy.set(Fault::None).await;
    wait_until("it is used again", LIMIT, async || kept.finds(token(1), history()).await.is_some())
        .await;
}

/// Once one has waited in vain, nobody does until it is heard again: nor does the same one twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_does_not_wait_for_a_server_that_has_just_fallen_silent() {
    let redis = RedisServer::launch();
    let proxy = ChaosProxy::start(redis.port()).await;
    let kept = Arc::new(Kept::new(options(proxy.port())));
    kept.hears(Ok(())).await;
    kept.keeps(token(1), &session(1)).await;
    proxy.set(Fault::Silent).await;
    assert_eq!(kept.finds(token(1), history()).await, None);
    assert!(kept.link.is_connected(), "one silence is no reason to give it up");
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        let kept = Arc::clone(&kept);
        crowd.spawn(async move {
            let asked = Instant::now();
            assert_eq!(kept.finds(token(1), history()).await, None);
            asked.elapsed() >= DEADLINE
        });
    }
    let waited = crowd.join_all().await.into_iter().filter(|waited| *waited).count();
    assert_eq!(waited, 0);
    proxy.set(Fault::None).await;
    wait_until("it is heard again", LIMIT, async || {
        kept.finds(token(1), history()).await.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_no_changes_is_not_used_until_it_does() {
    let redis = RedisServer::launch();
    let kept = Kept::new(options(redis.port()));
    kept.hears(Ok(())).await;
    for (words, undone, class) in [
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"], "out_of_memory"),
        (
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
            "noreplicas",
        ),
    ] {
        redis.tell(&words);
        wait_until(class, LIMIT, async || {
            kept.last_heard().and_then(Result::err).is_some_and(|heard| heard.as_str() == class)
        })
        .await;
        assert!(!kept.link.is_connected());
        redis.tell(&undone);
        kept.hears(Ok(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_it_is_believed_who_should_be() {
    let authority = Authority::new();
    let open = [("tls-auth-clients", "no")];
    let localhost = RedisServer::launch_tls(&authority, ("localhost", 2), &open);
    let other = RedisServer::launch_tls(&authority, ("other.test", 2), &open);
    let expired = RedisServer::launch_tls(&authority, ("localhost", -1), &open);
    let strict = RedisServer::launch_tls(&authority, ("localhost", 2), &[]);
    let (certificate, key) = authority.issue("client.test", 2);
    let client = ClientCertificate {
        certificate: authority.put("client.pem", &certificate),
        key: authority.put("client.key", &key),
    };
    let tls =
        |ca: &str| RedisTls { verifies: true, authorities: Some(authority.path(ca)), client: None };
    let unverified = RedisTls { verifies: false, authorities: None, client: None };
    let with_client = RedisTls { client: Some(client), ..tls("ca.pem") };
    for (what, server, tls, outcome) in [
        ("our authority", &localhost, Some(tls("ca.pem")), Ok(())),
        ("a stranger", &localhost, Some(tls("stranger.pem")), Err(FailureClass::TlsUntrusted)),
        ("another name", &other, Some(tls("ca.pem")), Err(FailureClass::TlsHostname)),
        ("anybody", &other, Some(unverified), Ok(())),
        ("expired", &expired, Some(tls("ca.pem")), Err(FailureClass::TlsExpired)),
        ("no certificate of ours", &strict, Some(tls("ca.pem")), Err(FailureClass::TlsClientCert)),
        ("a certificate of ours", &strict, Some(with_client), Ok(())),
        ("no TLS spoken", &localhost, None, Err(FailureClass::TlsRequired)),
    ] {
        let address = RedisAddress::Tcp { host: "localhost".to_owned(), port: server.port() };
        let kept = Kept::new(RedisOptions { address, tls, ..options(0) });
        wait_until(what, LIMIT, async || kept.last_heard() == Some(outcome)).await;
    }
}

/// It takes two connections to find out that the password is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_from_before_redis_6_is_connected_to_no_more_than_twice_in_a_second() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = server.local_addr().expect("it has one").port();
    let password = Some(Secret::new("wrong".to_owned()));
    let kept = Kept::new(RedisOptions { password, ..options(port) });
    let mut began = None;
    let seconds = 4;
    for _ in 0..=2 * seconds {
        let (mut connection, _) = server.accept().await.expect("somebody connects");
        began.get_or_insert_with(Instant::now);
        let mut asked = [0; 256];
        let count = connection.read(&mut asked).await.expect("it is asked");
        let greets = asked[..count].windows(5).any(|word| word == b"HELLO");
        let answer: &[u8] =
            if greets { b"-ERR unknown command `HELLO`\r\n" } else { b"-ERR invalid password\r\n" };
        connection.write_all(answer).await.expect("it is heard");
    }
    let took = began.expect("somebody has connected").elapsed();
    assert!(took >= Duration::from_secs(seconds), "{took:?}");
    kept.hears(Err(FailureClass::AuthFailed)).await;
}
