//! How often the service is asked, and what happens when it comes back.

use std::sync::Arc;
use std::time::Duration;

use nightlatch_testkit::auth_service::Conduct;
use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::resolver::{FakeResolver, Name};
use nightlatch_testkit::wait::wait_until;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{delegating_to, knowing_alice, log_in, log_in_as};
use crate::person::{LIMIT, PASSWORD};

/// So many in a row without an answer, and the others are told at once.
const OPENS_AFTER: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_worth_another_attempt_gets_one_and_nothing_else_does() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url()).ready().await;
    let answers = |status| Conduct::answers(status, "{}");
    for (what, first, then, status, asked) in [
        ("503", answers(503), Conduct::Sound, 200, 2),
        ("502", answers(502), Conduct::Sound, 200, 2),
        ("504", answers(504), Conduct::Sound, 200, 2),
        ("closed", Conduct::Closes, Conduct::Sound, 200, 2),
        ("twice", answers(503), answers(503), 200, 3),
        ("500", answers(500), Conduct::Sound, 502, 1),
        ("429", answers(429), Conduct::Sound, 503, 1),
        ("403", answers(403), Conduct::Sound, 502, 1),
        ("garbage", Conduct::Says(b"nonsense\r\n\r\n".to_vec()), Conduct::Sound, 502, 1),
        (
            "cut",
            Conduct::Says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()),
            Conduct::Sound,
            502,
            1,
        ),
    ] {
        let before = service.logins().len();
        service.next(first);
        if asked > 1 {
            service.next(then);
        }
        let mut client = server.client();
        let answer = log_in_as(&mut client, "alice", PASSWORD).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(service.logins().len() - before, asked, "{what}");
        // Whatever was saved up.
        assert_eq!(log_in(&server).await.status, 200, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_is_one_session_however_often_it_is_asked() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url()).ready().await;
    for _ in 0..2 {
        service.next(Conduct::answers(503, "{}"));
    }
    let mut client = server.client();
    assert_eq!(log_in_as(&mut client, "alice", PASSWORD).await.status, 200);
    assert_eq!(service.logins().len(), 3);
    let sessions = client.get("/api/v1/sessions").await.json();
    assert_eq!(sessions["sessions"].as_array().expect("a list").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_to_wait_is_honoured_within_the_deadline_and_passed_on_beyond() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url()).ready().await;
    let wait = |status, seconds| Conduct::answers_with(status, &[("retry-after", seconds)], "{}");
    service.next(wait(503, "1"));
    let began = Instant::now();
    assert_eq!(log_in(&server).await.status, 200);
    assert!(began.elapsed() >= Duration::from_secs(1));
    for (conduct, code) in
        [(wait(503, "60"), "upstream_unavailable"), (wait(429, "60"), "upstream_throttled")]
    {
        service.next(conduct);
        let answer = log_in(&server).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, code));
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
}

/// A kept connection that the other side has closed meanwhile is no failure of a login.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_closed_meanwhile_is_no_attempt() {
    let service = knowing_alice().await;
    let proxy = ChaosProxy::start(service.port()).await;
    let server = delegating_to(&format!("http://127.0.0.1:{}", proxy.port()))
        .set("AUTH_SERVICE_MAX_ATTEMPTS", "1")
        .ready()
        .await;
    for _ in 0..10 {
        assert_eq!(log_in(&server).await.status, 200);
        proxy.cut();
    }
    let before = service.connections();
    for _ in 0..10 {
        assert_eq!(log_in(&server).await.status, 200);
    }
    assert!(service.connections() <= before + 2, "connections are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_away_nobody_waits_for_it_and_its_return_is_noticed() {
    let service = knowing_alice().await;
    let proxy = ChaosProxy::start(service.port()).await;
    let server = delegating_to(&format!("http://127.0.0.1:{}", proxy.port()))
        .set("AUTH_SERVICE_READ_TIMEOUT", "0.5")
        .set("AUTH_SERVICE_MAX_ATTEMPTS", "1")
        .ready()
        .await;
    assert_eq!(log_in(&server).await.status, 200);
    proxy.set(Fault::Silent).await;
    for _ in 0..OPENS_AFTER {
        assert_eq!(log_in(&server).await.code(), "upstream_read_timeout");
    }
    // From now on most are told what is known, at once.
    let asked_before = service.logins().len();
    let mut at_once = 0;
    for _ in 0..20 {
        let began = Instant::now();
        let answer = log_in(&server).await;
        assert_eq!((answer.status, answer.code()), (504, "upstream_read_timeout".to_owned()));
        at_once += usize::from(began.elapsed() < Duration::from_millis(400));
    }
    assert!(at_once >= 12, "{at_once} of 20 were told at once");
    let health = server.client().get("/health").await.json();
    assert_eq!(health["auth_service"], "error: timeout");
    assert_eq!(health["status"], "degraded");

    // All at once when it is back: nobody crowds it.
    let mut crowd = JoinSet::new();
    proxy.set(Fault::None).await;
    wait_until("it is used again", LIMIT, async || log_in(&server).await.status == 200).await;
    let before = service.logins().len();
    assert!(before - asked_before < 40, "few looks: {}", before - asked_before);
    for _ in 0..50 {
        let mut client = server.client();
        crowd.spawn(async move { log_in_as(&mut client, "alice", PASSWORD).await.status });
    }
    assert!(crowd.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(service.logins().len() - before, 50, "each is asked once");
    assert_eq!(server.client().get("/health").await.json()["auth_service"], "connected");
}

/// A NAT has forgotten the kept connections, and says so to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_swallow_everything_cost_one_login() {
    let service = knowing_alice().await;
    let proxy = ChaosProxy::start(service.port()).await;
    let server = delegating_to(&format!("http://127.0.0.1:{}", proxy.port()))
        .set("AUTH_SERVICE_READ_TIMEOUT", "0.5")
        .ready()
        .await;
    let mut crowd = JoinSet::new();
    service.set(Conduct::Late(Duration::from_millis(100)));
    for _ in 0..8 {
        let mut client = server.client();
        crowd.spawn(async move { log_in_as(&mut client, "alice", PASSWORD).await.status });
    }
    assert!(crowd.join_all().await.iter().all(|status| *status == 200));
    service.set(Conduct::Sound);
    proxy.set(Fault::SilentLive).await;
    assert_eq!(log_in(&server).await.code(), "upstream_read_timeout");
    for _ in 0..8 {
        assert_eq!(log_in(&server).await.status, 200);
    }
}

/// All attempts, at the limits as they come: the caller is told within the deadline of a login.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_holds_over_all_attempts() {
    let service = knowing_alice().await;
    let proxy = ChaosProxy::start(service.port()).await;
    let server = delegating_to(&format!("http://127.0.0.1:{}", proxy.port())).ready().await;
    for fault in [Fault::Silent, Fault::Trickle(Duration::from_millis(300))] {
        proxy.set(fault).await;
        let began = Instant::now();
        let answer = log_in(&server).await;
        assert_eq!(answer.status, 504, "{fault:?}: {}", answer.text());
        assert!(began.elapsed() < Duration::from_millis(5500), "{fault:?}: {:?}", began.elapsed());
    }
}

/// Wrong passwords count here, whatever the service says to them; what it did not look at does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_count_however_the_service_says_no() {
    for (conduct, is_counted) in [
        (Conduct::Sound, true),
        (Conduct::answers(422, "{}"), true),
        (Conduct::answers(503, "{}"), false),
        (Conduct::answers(429, "{}"), false),
    ] {
        let service = knowing_alice().await;
        let server = delegating_to(&service.url())
            .set("DISABLE_THROTTLING", "false")
            .set("AUTH_SERVICE_MAX_ATTEMPTS", "1")
            .ready()
            .await;
        service.set(conduct.clone());
        for _ in 0..5 {
            assert_ne!(log_in_as(&mut server.client(), "alice", "wrong").await.status, 200);
        }
        service.set(Conduct::Sound);
        let told = log_in_as(&mut server.client(), "alice", PASSWORD).await;
        let is_throttled = told.code() == "throttled";
        assert_eq!(is_throttled, is_counted, "{conduct:?}: {}", told.text());
    }
}

/// A gateway in front fails for a moment, and nobody logs in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_unsays_what_a_look_has_found() {
    let service = knowing_alice().await;
    service.set(Conduct::answers(502, "{}"));
    let server = delegating_to(&service.url()).ready().await;
    let mut client = server.client();
    let mut shown = async || client.get("/health").await.json()["auth_service"].clone();
    wait_until("it is seen", LIMIT, async || shown().await == "error: protocol").await;
    service.set(Conduct::Sound);
    wait_until("it is seen to be back", LIMIT, async || shown().await == "connected").await;
    assert!(service.logins().is_empty());
}

/// Without a login too: whoever runs it sees whether it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_knows_it_before_anybody_logs_in() {
    let service = knowing_alice().await;
    let proxy = ChaosProxy::start(service.port()).await;
    let server = delegating_to(&format!("http://127.0.0.1:{}", proxy.port())).ready().await;
    let mut client = server.client();
    let mut shown = async || client.get("/health").await.json()["auth_service"].clone();
    wait_until("it is known", LIMIT, async || shown().await == "connected").await;
    assert!(service.logins().is_empty());
}

/// Retries of many do not multiply what a service has to bear that fails for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_are_a_part_of_the_traffic() {
    let service = knowing_alice().await;
    let server = delegating_to(&service.url()).ready().await;
    // Every fifth is heard, so that the breaker stays closed.
    for number in 0..200 {
        let heard = number % 4 == 3;
        service.next(if heard { Conduct::Sound } else { Conduct::answers(503, "{}") });
    }
    let mut logins = 0;
    while service.logins().len() < 200 {
        log_in(&server).await;
        logins += 1;
    }
    let retries = service.logins().len() - logins;
    assert!(retries <= 10 + logins / 5 + 2, "{retries} retries for {logins} logins");
}

/// More logins at once than it is to be asked: 64 ask, 256 wait for a place, the rest is told at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_let_through_in_parts() {
    let service = knowing_alice().await;
    let server = Arc::new(delegating_to(&service.url()).ready().await);
    let mut known = server.client();
    assert_eq!(log_in_as(&mut known, "alice", PASSWORD).await.status, 200);
    service.set(Conduct::Late(Duration::from_secs(2)));
    let mut crowd = JoinSet::new();
    for _ in 0..400 {
        let server = Arc::clone(&server);
        crowd.spawn(async move { log_in(&server).await });
    }
    wait_until("it is busy", LIMIT, async || service.busiest() >= 64).await;
    assert_eq!(known.get("/api/v1/session").await.status, 200, "checks do not wait for it");
    let (mut let_in, mut sent_away) = (0, 0);
    for answer in crowd.join_all().await {
        match (answer.status, answer.header("retry-after")) {
            (200, _) => let_in += 1,
            (503, Some(_)) if answer.code() == "login_busy" => sent_away += 1,
            other => panic!("{other:?}: {}", answer.text()),
        }
    }
    assert_eq!(service.busiest(), 64);
    assert!(let_in >= 64 && sent_away >= 80, "{let_in} in, {sent_away} away");
    service.set(Conduct::Sound);
    assert_eq!(log_in(&server).await.status, 200);
}

/// Look-ups that are never answered hold a few threads; nobody waits longer than for a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_says_nothing_holds_nobody_up() {
    let service = knowing_alice().await;
    let resolver = FakeResolver::start();
    resolver.say("auth.test", Name::Silence);
    let url = format!("http://auth.test:{}", service.port());
    let server = Arc::new(delegating_to(&url).resolving_by(&resolver).ready().await);
    let mut crowd = JoinSet::new();
    let began = Instant::now();
    for _ in 0..40 {
        let server = Arc::clone(&server);
        crowd.spawn(async move { log_in(&server).await });
    }
    for answer in crowd.join_all().await {
        let told = (answer.status, answer.code());
        let is_known = [(504, "upstream_connect_timeout"), (503, "upstream_dns")]
            .iter()
            .any(|(status, code)| told == (*status, (*code).to_owned()));
        assert!(is_known, "{told:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    resolver.say("auth.test", Name::LeadsTo("127.0.0.1"));
    wait_until("its name is found", LIMIT, async || log_in(&server).await.status == 200).await;
}
