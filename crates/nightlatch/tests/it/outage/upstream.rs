//! The auth service fails under load: logins are told how, and nobody who is logged in notices.

use std::collections::BTreeSet;
use std::time::Duration;

use nightlatch_testkit::auth_service::{Conduct, FakeAuthService, SERVICE_ID, SERVICE_SECRET};
use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::history::Asked;
use nightlatch_testkit::server::Launch;

use super::drill::{Drill, full_or, under_load};
use super::report::{Expected, Wanted};

const GROUP: &str = "Upstream auth service";

/// Logins are told what the row says; all else is served, and no check is refused.
const fn unnoticed(class: Option<&'static str>) -> Expected {
    Expected { writes: Wanted::Either, checks: Wanted::Served, class }
}

/// A server that delegates, with the short limits of its contract made shorter yet.
fn node(port: u16) -> Launch {
    under_load()
        .set("AUTH_SERVICE_URL", &format!("http://127.0.0.1:{port}"))
        .set("SERVICE_ID", SERVICE_ID)
        .set("SERVICE_SECRET", SERVICE_SECRET)
        .set("AUTH_SERVICE_READ_TIMEOUT", "1")
        .set("AUTH_SERVICE_CONNECT_TIMEOUT", "0.5")
}

/// Asserts what logins of a span were told: nothing but 200 and these codes.
fn assert_told(log: &[(u16, String)], codes: &[&str], fault: &str) {
    let told: BTreeSet<String> =
        log.iter().filter(|(status, _)| *status != 200).map(|(_, code)| code.clone()).collect();
    let allowed: BTreeSet<String> = codes.iter().map(|code| (*code).to_owned()).collect();
    assert!(told.is_subset(&allowed), "{fault}: logins were told {told:?}");
}

/// What logins were told since the fault began.
fn logins_of(drill: &Drill) -> Vec<(u16, String)> {
    drill.load.told(drill.began(), Asked::LogIn)
}

/// A way to fail: its name, what health may call it, what logins may be told.
type Row = (&'static str, &'static str, &'static [&'static str]);

/// A row in which the service itself fails.
async fn it_does((fault, class, codes): Row, conduct: Conduct) {
    let service = FakeAuthService::start().await;
    let mut drill = Drill::begin_delegated(GROUP, fault, node(service.port()), &service).await;
    drill.fault_begins();
    service.set(conduct);
    if class != "none" {
        drill.wait_for_class(class).await;
    }
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 2))).await;
    drill.stay_under_load().await;
    let told = logins_of(&drill);
    assert!(told.iter().any(|(status, _)| *status != 200), "{fault}: {told:?}");
    assert_told(&told, codes, fault);
    drill.remark = asked_in_all(&service);
    service.set(Conduct::Sound);
    drill.fault_ends(unnoticed(Some(class))).await;
}

/// A row in which the way to it fails.
async fn the_way((fault, class, codes): Row, how: Fault) {
    let service = FakeAuthService::start().await;
    let proxy = ChaosProxy::start(service.port()).await;
    let mut drill = Drill::begin_delegated(GROUP, fault, node(proxy.port()), &service).await;
    drill.fault_begins();
    proxy.set(how).await;
    drill.wait_for_class(class).await;
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 2))).await;
    drill.stay_under_load().await;
    assert_told(&logins_of(&drill), codes, fault);
    let before = service.logins().len();
    proxy.set(Fault::None).await;
    drill.remark = format!("{}; nothing crowds it when it is back", asked_in_all(&service));
    drill.fault_ends(unnoticed(Some(class))).await;
    assert!(service.logins().len() > before, "{fault}: it is asked again");
}

fn asked_in_all(service: &FakeAuthService) -> String {
    format!(
        "asked {} times in all, over {} connections",
        service.logins().len(),
        service.connections()
    )
}

const BAD: &[&str] = &["upstream_bad_response"];
const SILENT: &[&str] = &["upstream_read_timeout", "upstream_connect_timeout"];
const GONE: &[&str] = &["upstream_unreachable"];

/// One test for each row, named after it.
macro_rules! rows {
    ($by:ident: $($name:ident: $row:expr, $how:expr;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $by($row, $how).await;
            }
        )+
    };
}

rows! { the_way:
    a_service_that_refuses: ("refused", "unreachable", GONE), Fault::Refuse;
    a_service_that_resets: ("reset", "closed|unreachable", GONE), Fault::Reset;
    a_silent_way: ("silent", "timeout", SILENT), Fault::Silent;
    garbage_on_the_way: ("garbage", "protocol", BAD), Fault::Garbage;
    a_way_that_trickles: ("drip", "timeout", SILENT), Fault::Trickle(Duration::from_millis(50));
    a_late_way: ("2 s late", "timeout", SILENT),
        Fault::Late { there: Duration::from_secs(1), back: Duration::from_secs(1) };
}

fn answers(status: u16) -> Conduct {
    Conduct::answers(status, "{}")
}

rows! { it_does:
    a_service_that_closes: ("closed", "closed", GONE), Conduct::Closes;
    a_service_silent_after_headers: ("silent after headers", "timeout", SILENT),
        Conduct::SaysAndStops(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec());
    our_credentials_are_refused: ("403", "forbidden", &["upstream_service_credentials"]), answers(403);
    a_missing_endpoint: ("404", "missing", &["upstream_endpoint_missing"]), answers(404);
    a_service_that_throttles: ("429 with Retry-After", "none", &["upstream_throttled"]),
        Conduct::answers_with(429, &[("retry-after", "7")], "{}");
    a_service_that_fails: ("500", "protocol", &["upstream_error"]), answers(500);
    a_service_that_is_not_available: ("503", "busy", &["upstream_unavailable"]), answers(503);
    a_page_instead_of_an_answer: ("HTML", "protocol", BAD),
        Conduct::answers_with(200, &[("content-type", "text/html")], "<html>");
    half_an_answer: ("cut body", "closed", BAD), Conduct::Says(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{".to_vec());
    another_user: ("another user than asked", "none", BAD),
        Conduct::answers(200, r#"{"id":1,"username":"mallory"}"#);
    a_redirect: ("redirects", "protocol", BAD),
        Conduct::answers_with(302, &[("location", "/elsewhere")], "");
}

/// What fails every second time is tried again, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_second_time() {
    let service = FakeAuthService::start().await;
    let mut drill = Drill::begin_delegated(
        GROUP,
        "503 every second time",
        node(service.port()).set("AUTH_SERVICE_MAX_ATTEMPTS", "6"),
        &service,
    )
    .await;
    drill.fault_begins();
    // Few enough to be within what may be tried again.
    for _ in 0..8 {
        service.next(answers(503));
        service.next(Conduct::Sound);
    }
    drill.stay_under_load().await;
    let told = logins_of(&drill);
    assert!(told.iter().all(|(status, _)| *status == 200), "{told:?}");
    drill.remark = asked_in_all(&service);
    drill.fault_ends(unnoticed(Some("none|busy"))).await;
}
