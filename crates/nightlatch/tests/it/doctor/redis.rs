//! `doctor redis` beside a real Redis in each state.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::cluster::RedisCluster;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::sentinel::{PRIMARY, Sentinel};
use nightlatch_testkit::wait::wait_until;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Verdict, doctor};
use crate::person::LIMIT;
use crate::record::launch;

/// Runs it on one URL.
fn of_url(url: &str) -> Verdict {
    doctor("redis", &format!("REDIS_URL={url}\n"))
}

/// Exactly this is wrong, and scripts are told.
fn assert_wrong(url: &str, ids: &[&str]) -> Verdict {
    let found = of_url(url);
    assert_eq!(found.wrong(), ids, "{url}: {:#?}", found.findings);
    let has_error = found.findings.iter().any(|finding| finding["level"] == "error");
    assert_eq!(found.code, Some(i32::from(has_error)), "{url}");
    found
}

#[test]
fn a_sound_redis_is_described_and_nothing_is_wrong() {
    let redis = RedisServer::launch_with(&[("requirepass", "sesame@1")]);
    let found = assert_wrong(&format!("redis://:sesame%401@127.0.0.1:{}/0", redis.port()), &[]);
    let answers = found.find("redis-answers");
    let why = answers["why"].as_str().expect("a text");
    for part in ["Redis ", "primary", " of 10000 clients", "100 round trips: median"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(answers["text"].as_str().is_some_and(|text| text.contains("≤")), "{answers}");
    let keys = redis_keys(&redis);
    assert_eq!(keys, 1, "what was tried goes away by itself, and nothing else was written");
}

/// As many as there are, all of which end.
fn redis_keys(redis: &RedisServer) -> usize {
    let ask = |words: &[&str]| {
        let words = [&["--no-auth-warning", "-a", "sesame@1"], words].concat();
        redis.ask(&words)
    };
    let names = ask(&["KEYS", "*"]);
    let names: Vec<&str> = names.lines().filter(|name| !name.is_empty()).collect();
    for name in &names {
        assert_ne!(ask(&["PTTL", name]), "-1", "{name} stays");
    }
    names.len()
}

#[test]
fn credentials_that_are_missing_wrong_or_of_nobody_are_told_apart() {
    let redis = RedisServer::launch_with(&[
        ("requirepass", "sesame"),
        ("user", "app on >sesame-2 ~* &* +@all"),
    ]);
    let port = redis.port();
    let found = assert_wrong(&format!("redis://127.0.0.1:{port}/0"), &["redis-auth-required"]);
    assert!(
        found.find("redis-auth-required")["why"].as_str().is_some_and(|why| why.contains("NOAUTH"))
    );
    let found =
        assert_wrong(&format!("redis://:sesame-no@127.0.0.1:{port}/0"), &["redis-auth-failed"]);
    let line = format!("REDIS_URL=redis://:PASSWORD@127.0.0.1:{port}/0");
    assert_eq!(found.find("redis-auth-failed")["fix"], line);
    let apart = format!("REDIS_HOST=127.0.0.1\nREDIS_PORT={port}\nREDIS_PASSWORD=sesame-no\n");
    let fix = doctor("redis", &apart).find("redis-auth-failed")["fix"].clone();
    assert_eq!(fix, "REDIS_PASSWORD=PASSWORD");
    // The user's name is missing.
    let found =
        assert_wrong(&format!("redis://:sesame-2@127.0.0.1:{port}/0"), &["redis-auth-failed"]);
    assert!(found.find("redis-auth-failed")["why"].as_str().is_some_and(|why| why.contains("ACL")));
    assert_wrong(&format!("redis://app:sesame-2@127.0.0.1:{port}/0"), &[]);
    for (text, how) in [
        (
            format!(
                "REDIS_URL=redis://127.0.0.1:{port}/0\nCELERY_BROKER_URL=redis://:sesame@127.0.0.1:{port}/1\n"
            ),
            "with the password of CELERY_BROKER_URL",
        ),
        (
            format!(
                "REDIS_URL=redis://:sesame-2@127.0.0.1:{port}\nREDIS_USERNAME=app\nREDIS_PASSWORD=sesame-2\n"
            ),
            "with the password of REDIS_PASSWORD",
        ),
        (format!("REDIS_URL=redis://app:sesame@127.0.0.1:{port}/0\n"), "without the user"),
        (format!("REDIS_URL=redis://:sesame%20@127.0.0.1:{port}/0\n"), "without the blanks"),
        (format!("REDIS_URL=redis://:%22sesame%22@127.0.0.1:{port}/0\n"), "without the quotes"),
    ] {
        let found = doctor("redis", &text);
        let works = found.findings.iter().any(|finding| {
            finding["why"].as_str().is_some_and(|why| why.contains(&format!("it works {how}")))
        });
        assert!(works, "{how}: {:#?}", found.findings);
    }
    let open = RedisServer::launch();
    assert_wrong(
        &format!("redis://:sesame@127.0.0.1:{}/0", open.port()),
        &["redis-password-not-needed"],
    );
}

#[test]
fn rights_that_a_user_lacks_are_named_with_the_command_that_gives_them() {
    let redis = RedisServer::launch_with(&[
        ("requirepass", "sesame"),
        ("user", "app on >sesame ~other:* &other:* +@all -eval"),
    ]);
    let url = format!("redis://app:sesame@127.0.0.1:{}/0", redis.port());
    let text = format!("SESSION_SECRET_KEY=0123456789abcdef0123456789abcdef\nREDIS_URL={url}\n");
    let found = doctor("redis", &text);
    assert_eq!(found.wrong(), ["redis-forbidden"], "{:#?}", found.findings);
    let fix = "ACL SETUSER USER '~nightlatch:*' '&nightlatch:*' +eval";
    assert_eq!(found.find("redis-forbidden")["fix"], fix);
    // Another application may do with less.
    assert_eq!(doctor("redis", &format!("REDIS_URL={url}\n")).wrong(), [""; 0]);
}

#[test]
fn tls_is_told_apart_in_all_its_ways() {
    let authority = Authority::new();
    let plain = RedisServer::launch();
    assert_wrong(&format!("rediss://127.0.0.1:{}/0", plain.port()), &["redis-tls-not-spoken"]);
    let server = |host, days| {
        RedisServer::launch_tls(&authority, (host, days), &[("tls-auth-clients", "no")])
    };
    let (ca, stranger) = (authority.path("ca.pem"), authority.path("stranger.pem"));
    let (ca, stranger) = (ca.display(), stranger.display());
    let sound = server("localhost", 2);
    let port = sound.port();
    assert_wrong(&format!("redis://localhost:{port}/0"), &["redis-tls-required"]);
    assert_wrong(&format!("rediss://localhost:{port}/0?ssl_ca_certs={ca}"), &[]);
    assert_wrong(
        &format!("rediss://localhost:{port}/0?ssl_ca_certs={stranger}"),
        &["redis-tls-untrusted"],
    );
    let other = server("other.test", 2);
    let url = format!("rediss://localhost:{}/0?ssl_ca_certs={ca}", other.port());
    assert_wrong(&url, &["redis-tls-hostname"]);
    let expired = server("localhost", -1);
    let url = format!("rediss://localhost:{}/0?ssl_ca_certs={ca}", expired.port());
    assert_wrong(&url, &["redis-tls-expired"]);
    let strict =
        RedisServer::launch_tls(&authority, ("localhost", 2), &[("tls-auth-clients", "yes")]);
    let url = format!("rediss://localhost:{}/0?ssl_ca_certs={ca}", strict.port());
    assert_wrong(&url, &["redis-tls-client-cert"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_somebody_else_and_silence_are_told_apart() {
    let found =
        assert_wrong(&format!("redis://127.0.0.1:{}/0", free_port()), &["redis-unreachable"]);
    assert_eq!(found.find("redis-unreachable")["name"], "REDIS_URL");
    assert_wrong("redis://nowhere.invalid:6379/0", &["redis-dns"]);
    let redis = RedisServer::launch();
    redis.pause();
    let url = |database: u32| format!("redis://127.0.0.1:{}/{database}", redis.port());
    let found = doctor("redis", &format!("REDIS_URL={}\nREDIS_CACHE_URL={}\n", url(0), url(1)));
    assert_eq!((found.wrong(), found.code), (vec!["redis-hangs"], Some(1)));
    let of = |name: &str| found.findings.iter().find(|finding| finding["name"] == name);
    let why =
        |name: &str| of(name).and_then(|finding| finding["why"].as_str()).expect("it is told");
    assert!(why("REDIS_URL").contains("takes the connection and then says nothing"));
    // One is waited for, and not each of its databases.
    assert_eq!(why("REDIS_CACHE_URL"), "leads to the server of REDIS_URL, which says nothing");
    redis.resume();
    let web = launch().ready().await;
    let url = format!("redis://127.0.0.1:{}/0", web.address().port());
    let found = assert_wrong(&url, &["redis-wrong-service"]);
    let why = found.find("redis-wrong-service")["why"].to_string();
    assert!(why.contains("a web server"), "{why}");
    let proxy = ChaosProxy::start(redis.port()).await;
    let denied = "-DENIED Redis is running in protected mode because protected mode is enabled\r\n";
    proxy.set(Fault::Says(denied)).await;
    let url = format!("redis://127.0.0.1:{}/0", proxy.port());
    assert_wrong(&url, &["redis-protected-mode"]);
}

/// That the Sentinels are there says little about whom they name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_gone_is_told_apart_from_its_sentinels() {
    let primary = RedisServer::launch();
    let sentinel = Sentinel::launch(&primary, None);
    let url = format!("redis+sentinel://127.0.0.1:{}/{PRIMARY}/0", sentinel.port());
    assert_wrong(&url, &[]);
    primary.kill_9();
    let why = assert_wrong(&url, &["redis-unreachable"]).find("redis-unreachable")["why"].clone();
    let place = format!("127.0.0.1:{}, the primary as its Sentinels say", primary.port());
    assert!(why.as_str().is_some_and(|why| why.contains(&place)), "{why}");
}

#[test]
fn a_socket_that_cannot_be_used_is_told_with_the_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("redis.sock");
    let url = format!("unix://{}", path.display());
    let why = || {
        let found = assert_wrong(&url, &["redis-socket"]);
        found.find("redis-socket")["why"].as_str().expect("a text").to_owned()
    };
    assert!(why().contains("is not there"), "{}", why());
    drop(UnixListener::bind(&path).expect("our folder takes a socket"));
    assert!(why().contains("nobody listens"), "{}", why());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_redis_suffers_from_is_named() {
    let redis = RedisServer::launch();
    let url = format!("redis://127.0.0.1:{}/0", redis.port());
    let found =
        assert_wrong(&format!("redis://127.0.0.1:{}/99", redis.port()), &["redis-database"]);
    assert!(found.findings.iter().any(|one| {
        one["why"].as_str().is_some_and(|why| why.contains("it works with database 0"))
    }));

    redis.tell(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert_wrong(&url, &["redis-memory-full"]);
    redis.tell(&["CONFIG", "SET", "maxmemory", "0"]);

    // Full, a queue would lose tasks; a cache is there to lose what it has.
    let of_queue = || doctor("redis", &format!("CELERY_BROKER_URL={url}\nREDIS_CACHE_URL={url}\n"));
    redis.tell(&["CONFIG", "SET", "maxmemory", "1gb"]);
    assert!(!of_queue().wrong().contains(&"redis-eviction"));
    redis.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let found = of_queue();
    assert_eq!(found.find("redis-eviction")["name"], "CELERY_BROKER_URL");
    assert_eq!(found.find("redis-persistence")["level"], "info");
    assert_wrong(&url, &[]);
    redis.tell(&["CONFIG", "SET", "maxmemory", "0"]);

    redis.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_wrong(&url, &["redis-noreplicas"]);
    redis.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);

    redis.tell(&["CONFIG", "SET", "save", "3600 1"]);
    fs::set_permissions(redis.folder(), fs::Permissions::from_mode(0o500)).expect("it is ours");
    let _ = redis.ask(&["BGSAVE"]);
    wait_until("it cannot save", LIMIT, async || {
        redis.ask(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err")
    })
    .await;
    assert_wrong(&url, &["redis-misconf"]);
    redis.tell(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    assert_eq!(assert_wrong(&url, &["redis-misconf"]).find("redis-misconf")["level"], "warn");
    fs::set_permissions(redis.folder(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    redis.tell(&["CONFIG", "SET", "save", ""]);
    redis.tell(&["CONFIG", "RESETSTAT"]);

    let mut held = TcpStream::connect(("127.0.0.1", redis.port())).await.expect("it is up");
    held.write_all(b"CONFIG SET maxclients 1\r\n").await.expect("it is up");
    wait_until("it takes no more", LIMIT, async || !redis.is_role("master")).await;
    assert_wrong(&url, &["redis-maxclients"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_loads_or_runs_a_script_is_waited_for() {
    let redis = RedisServer::launch();
    let url = format!("redis://127.0.0.1:{}/0", redis.port());
    redis.tell(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
    let mut looping = TcpStream::connect(("127.0.0.1", redis.port())).await.expect("it is up");
    looping.write_all(b"EVAL \"while true do end\" 0\r\n").await.expect("it is up");
    wait_until("it is busy", LIMIT, async || redis.ask(&["PING"]).starts_with("BUSY")).await;
    assert_wrong(&url, &["redis-busy"]);
    redis.tell(&["SCRIPT", "KILL"]);
    for words in [
        &["DEBUG", "POPULATE", "20000"][..],
        &["CONFIG", "SET", "key-load-delay", "1000"],
        &["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"],
    ] {
        redis.tell(words);
    }
    let mut loading = TcpStream::connect(("127.0.0.1", redis.port())).await.expect("it is up");
    loading.write_all(b"DEBUG RELOAD\r\n").await.expect("it is up");
    wait_until("it loads", LIMIT, async || redis.ask(&["PING"]).starts_with("LOADING")).await;
    let found = of_url(&url);
    assert_eq!(
        (found.wrong(), found.code),
        (vec!["redis-loading"], Some(0)),
        "{:#?}",
        found.findings
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_sentinels_and_clusters_are_told_apart() {
    let primary = RedisServer::launch();
    let replica = RedisServer::launch();
    let port = primary.port().to_string();
    replica.tell(&["REPLICAOF", "127.0.0.1", &port]);
    wait_until("it follows", LIMIT, async || {
        replica.ask(&["INFO", "replication"]).contains("master_link_status:up")
    })
    .await;
    let url = format!("redis://127.0.0.1:{}/0", replica.port());
    let found = assert_wrong(&url, &["redis-readonly"]);
    let fix = format!("REDIS_URL=redis://127.0.0.1:{port}/0");
    assert_eq!(found.find("redis-readonly")["fix"], *fix);
    let sentinel = Sentinel::launch(&primary, None);
    let found =
        assert_wrong(&format!("redis://127.0.0.1:{}", sentinel.port()), &["redis-is-sentinel"]);
    let fix = found.find("redis-is-sentinel")["fix"].to_string();
    assert!(fix.contains("redis+sentinel://") && fix.contains(PRIMARY), "{fix}");
    assert_wrong(&format!("redis://127.0.0.1:{}/1", sentinel.port()), &["redis-is-sentinel"]);
    assert_wrong(&format!("redis+sentinel://127.0.0.1:{}/{PRIMARY}/0", sentinel.port()), &[]);
    let url = format!("redis+sentinel://127.0.0.1:{}/nobody/0", sentinel.port());
    assert_wrong(&url, &["redis-masterdown"]);
    let guarded = Sentinel::launch(&primary, Some("sesame-of-sentinels"));
    for (query, said) in [("", "NOAUTH"), ("?sentinel_password=sesame", "WRONGPASS")] {
        let url = format!("redis+sentinel://127.0.0.1:{}/{PRIMARY}/0{query}", guarded.port());
        let found = assert_wrong(&url, &["redis-sentinel-auth"]);
        let why = found.find("redis-sentinel-auth")["why"].to_string();
        assert!(why.contains(said) && why.contains("sentinel_password="), "{why}");
    }
    drop(guarded);
    primary.kill_9();
    wait_until("it hears nothing", LIMIT, async || {
        replica.ask(&["INFO", "replication"]).contains("master_link_status:down")
    })
    .await;
    let url = format!("redis://127.0.0.1:{}/0", replica.port());
    assert!(of_url(&url).wrong().contains(&"redis-masterdown") || replica.is_role("master"));

    let cluster = RedisCluster::launch(3, false).await;
    assert_wrong(&cluster.url(), &[]);
    let one = cluster.primaries[0].port();
    assert_wrong(&format!("redis://127.0.0.1:{one}"), &["redis-is-cluster"]);
    assert_wrong(&format!("redis://127.0.0.1:{one}/1"), &["redis-is-cluster"]);
    let alone = RedisServer::launch();
    assert_wrong(&format!("redis+cluster://127.0.0.1:{}", alone.port()), &["redis-is-no-cluster"]);
}

#[test]
fn settings_apart_lead_to_a_redis_too() {
    let redis = RedisServer::launch_with(&[("requirepass", "sesame")]);
    let open = RedisServer::launch();
    let port = redis.port();
    let of = |text: &str| doctor("redis", text);
    let found = of(&format!("QUEUE_REDIS_HOST=127.0.0.1\nQUEUE_REDIS_PORT={port}\n"));
    assert_eq!(found.wrong(), ["redis-auth-required"], "{:#?}", found.findings);
    let finding = found.find("redis-auth-required");
    let line = "QUEUE_REDIS_PASSWORD=PASSWORD";
    assert_eq!((&finding["name"], &finding["fix"]), (&"QUEUE_REDIS_HOST".into(), &line.into()));
    let found = of(&format!(
        "QUEUE_REDIS_HOST=127.0.0.1\nQUEUE_REDIS_PORT={port}\nQUEUE_REDIS_PASSWORD=sesame\n"
    ));
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    // Laravel's word for none.
    let port = open.port();
    let found = of(&format!("REDIS_HOST=127.0.0.1\nREDIS_PORT={port}\nREDIS_PASSWORD=null\n"));
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    // What cannot be followed is told, not taken for nothing.
    let found = of("REDIS_HOST=redis://127.0.0.1\nREDIS_PASSWORD=<password>\n");
    let wrong = found.wrong();
    assert!(wrong.contains(&"redis-host") && wrong.contains(&"value-placeholder"), "{wrong:?}");
    of(&format!("REDIS_URI=redis://127.0.0.1:{port}\n")).find("redis-answers");
    let found = of("LOG_LEVEL=info\n");
    assert!(found.find("redis-none")["why"].as_str().is_some_and(|why| why.contains("REDIS_HOST")));
}

/// What is to be written is told even where it could not be tried.
#[test]
fn a_line_is_shown_for_what_only_its_owner_knows() {
    let authority = Authority::new();
    let redis = RedisServer::launch_with(&[("requirepass", "sesame")]);
    let line = |found: &Verdict, id: &str| found.find(id)["fix"].as_str().map(str::to_owned);
    let at = format!("127.0.0.1:{}/0", redis.port());
    let found = of_url(&format!("redis://{at}"));
    let told = line(&found, "redis-auth-required");
    assert_eq!(told.as_deref(), Some(&*format!("REDIS_URL=redis://:PASSWORD@{at}")));
    let tls = RedisServer::launch_tls(&authority, ("localhost", 2), &[("tls-auth-clients", "no")]);
    let at = format!("localhost:{}/0", tls.port());
    let told = line(&of_url(&format!("redis://{at}")), "redis-tls-required");
    assert_eq!(told.as_deref(), Some(&*format!("REDIS_URL=rediss://{at}")));
    let told = line(&of_url(&format!("rediss://{at}")), "redis-tls-untrusted");
    assert_eq!(told, Some(format!("REDIS_URL=rediss://{at}?ssl_ca_certs=/path/to/ca.pem")));
}
