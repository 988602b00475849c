//! Behind real proxies with the configuration that we ship, in front of a real application.

use nightlatch_testkit::client::{Answer, percent_encoded};
use nightlatch_testkit::curl::Curl;
use nightlatch_testkit::echo::EchoServer;
use nightlatch_testkit::gateway::{Gateway, Kind};
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::server::NightlatchServer;
use serde_json::json;

use super::{APP, LOGIN, Parted, STAFF, as_in_the_guide};
use crate::person::{PASSWORD, Person};

/// The session cookie of hosts that share a domain.
const SESSION: &str = "__Secure-nightlatch";

/// The names of the others.
const OTHERS: [&str; 3] =
    ["__Secure-nightlatch-pre", "__Secure-nightlatch-device", "__Secure-nightlatch-flash"];

/// Makes tests of functions that take a [`Kind`]: one for each proxy.
macro_rules! on_each_proxy {
    ($($name:ident),+ $(,)?) => {
        on_each_proxy!(@ nginx Nginx $($name)+);
        on_each_proxy!(@ caddy Caddy $($name)+);
        on_each_proxy!(@ haproxy HaProxy $($name)+);
    };
    (@ $module:ident $kind:ident $($name:ident)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    Box::pin(super::$name(nightlatch_testkit::gateway::Kind::$kind)).await;
                }
            )+
        }
    };
}

on_each_proxy!(
    a_person_is_led_to_the_login_and_back_and_known_by_name,
    a_stranger_reaches_nothing_and_a_program_is_told,
    nobody_is_who_they_say_they_are,
    who_is_not_in_the_group_is_told_so,
    an_application_gets_its_own_cookies_and_none_of_ours,
    each_line_that_keeps_a_session_from_the_application_is_needed,
    an_outage_is_no_logout_and_no_error_of_the_application,
    a_session_that_nobody_can_look_up_is_neither_refused_nor_let_in,
);

struct Stand {
    gateway: Gateway,
    application: EchoServer,
    server: NightlatchServer,
}

impl Stand {
    async fn of(kind: Kind) -> Self {
        Self::broken(kind, ("", "")).await
    }

    /// With other words in the proxy's files.
    async fn broken(kind: Kind, change: (&str, &str)) -> Self {
        // Chosen beforehand, so that it is the same after a stop.
        let address = format!("127.0.0.1:{}", free_port());
        let server = as_in_the_guide().set("NIGHTLATCH_LISTEN", &address).ready().await;
        let application = EchoServer::start().await;
        let ports = (server.address().port(), application.port());
        let gateway = Gateway::launch_broken(kind, ports, change);
        Self { gateway, application, server }
    }

    /// Somebody who has registered and is logged in, through the proxy.
    async fn logged_in(&self, name: &str, groups: &[&str]) -> Curl {
        let visitor = self.gateway.visitor();
        let body = json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        let url = format!("{LOGIN}/api/v1/auth/register");
        let answer = visitor.send(&url, &["--json", &body.to_string()]).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let _ = self.server.command(&[&["user", "set-groups", name], groups].concat());
        self.logged_in_again(name).await
    }

    /// The same person with another jar.
    async fn logged_in_again(&self, name: &str) -> Curl {
        let visitor = self.gateway.visitor();
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        let answer = visitor.send(&format!("{LOGIN}/api/v1/auth/login"), &["--json", &body]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        visitor
    }
}

/// What the application has got of a header; each of its lines.
fn got(answer: &Answer, name: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let headers = answer.json()["headers"].clone();
    let lines = headers.as_array().expect("a list").iter();
    let lines = lines.filter(|line| line[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
    lines.map(|line| line[1].as_str().expect("text").to_owned()).collect()
}

/// What an application may take for the identity: in whatever spelling, if it says anything.
fn identity(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let headers = answer.json()["headers"].clone();
    let lines = headers.as_array().expect("a list").iter().map(|line| {
        let name = line[0].as_str().expect("text").to_ascii_lowercase();
        let read_as = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        (read_as, line[1].as_str().expect("text").to_owned())
    });
    let tells = |name: &str| name.starts_with("remote-") || name == "x-session-id";
    let mut told: Vec<_> = lines.filter(|(name, value)| tells(name) && !value.is_empty()).collect();
    told.sort();
    told
}

/// Neither an application's error nor "no", and when to come back.
#[track_caller]
fn assert_unknown(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
    assert!(wait.is_some_and(|wait| wait >= 1), "{answer:?}");
    assert_eq!(answer.header("location"), None, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert!(answer.cookies().is_empty(), "{answer:?}");
}

/// The value of a hidden field.
fn field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect("it is there");
    rest.split('"').next().expect("it ends").replace("&amp;", "&").replace("&#38;", "&")
}

async fn a_person_is_led_to_the_login_and_back_and_known_by_name(kind: Kind) {
    let stand = Stand::of(kind).await;
    drop(stand.logged_in("alice", &["staff", "night shift"]).await);
    let alice = stand.gateway.visitor();
    let wanted = format!("{APP}/reports?year=2026&groups=none&q=a%26b");
    let answer = alice.visit(&wanted).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    let login = answer.header("location").expect("somewhere").to_owned();
    assert_eq!(login, format!("{LOGIN}/auth/login?next={}", percent_encoded(&wanted)));
    assert_eq!(stand.application.requests(), 0);

    let page = alice.visit(&login).await;
    assert_eq!(page.status, 200, "{page:?}");
    let (csrf, next) = (field(&page.text(), "csrf_token"), field(&page.text(), "next"));
    let fields =
        [("csrf_token", &*csrf), ("next", &next), ("username", "alice"), ("password", PASSWORD)];
    let form = nightlatch_testkit::client::form(&fields);
    let answer = alice.send(&format!("{LOGIN}/auth/login"), &["--data", &form]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(&*wanted)), "{answer:?}");

    let answer = alice.visit(&wanted).await;
    let told = identity(&answer);
    let told: Vec<_> = told.iter().map(|(name, value)| (&**name, &**value)).collect();
    let [groups, user, (session, _)] = told[..] else { panic!("{told:?}") };
    assert_eq!(groups, ("remote-groups", "night shift,staff"));
    assert_eq!(user, ("remote-user", "alice"));
    assert_eq!(session, "x-session-id");
    assert_eq!(answer.json()["path"], "/reports?year=2026&groups=none&q=a%26b");
    assert_eq!(got(&answer, "host"), ["app.example.org"]);

    let answer = alice.send(&format!("{APP}/save"), &["--data", "text=as it is"]).await;
    assert_eq!(answer.json()["method"], "POST");
    assert_eq!(answer.json()["body"], "text=as it is");
    for status in [401, 403, 404, 500, 503] {
        // The application's own.
        let answer = alice.visit(&format!("{APP}/status/{status}")).await;
        assert_eq!((answer.status, answer.header("location")), (status, None));
        assert_eq!(answer.json()["method"], "GET");
    }
    let _ = stand.server.command(&["user", "verify-email", "alice"]);
    let alice = stand.logged_in_again("alice").await;
    let answer = alice.visit(APP).await;
    assert_eq!(got(&answer, "remote-email"), ["alice@example.org"]);
}

async fn a_stranger_reaches_nothing_and_a_program_is_told(kind: Kind) {
    let stand = Stand::of(kind).await;
    let stranger = stand.gateway.visitor();
    for arguments in [
        &["--header", "Accept: application/json"][..],
        &["--request", "OPTIONS"],
        &["--data", "a=b"],
        &["--data", "a=b", "--header", "Accept: text/html"],
        &["--data", "a=b", "--header", "Accept: text/html", "--header", "X-Forwarded-Method: GET"],
        &["--request", "DELETE", "--header", "Accept: text/html"],
        &["--header", "Authorization: Basic YTpi"],
        &["--header", "Remote-User: root"],
        &["--cookie", "__Secure-nightlatch=x"],
    ] {
        for http in ["--http1.1", "--http2"] {
            let answer = stranger.send(&format!("{APP}/x"), &[arguments, &[http]].concat()).await;
            let answered = (answer.status, answer.header("location"));
            assert_eq!(answered, (401, None), "{arguments:?} {http}");
        }
    }
    // Nothing that a client writes leads elsewhere.
    for line in [
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Uri: //evil.example/",
        "X-Forwarded-Proto: javascript",
        "Host: app.example.org@evil.example",
        "Host: evil.example",
        "Connection: X-Forwarded-Host, X-Forwarded-Uri",
    ] {
        let accept = "Accept: text/html";
        let arguments = ["--http1.1", "--header", accept, "--header", line];
        let answer = stranger.send(&format!("{APP}/x"), &arguments).await;
        if let Some(location) = answer.header("location") {
            let (page, next) = location.split_once("?next=").unwrap_or((location, ""));
            assert_eq!(page, format!("{LOGIN}/auth/login"), "{line}");
            assert!(
                next.is_empty() || next == percent_encoded(&format!("{APP}/x")),
                "{line}: {next}"
            );
        }
    }
    assert_eq!(stand.application.requests(), 0);
}

async fn nobody_is_who_they_say_they_are(kind: Kind) {
    let stand = Stand::of(kind).await;
    let alice = stand.logged_in("alice", &[]).await;
    let expected = identity(&alice.visit(APP).await);
    assert_eq!(expected.len(), 2, "{expected:?}");
    assert_eq!(expected[0], ("remote-user".to_owned(), "alice".to_owned()));
    for line in [
        "Remote-User: root",
        "remote-user: root",
        "Remote_User: root",
        "REMOTE_USER: root",
        "Remote-Email: root@example.org",
        "Remote_Email: root@example.org",
        "Remote-Groups: admins",
        "Remote_Groups: admins",
        "Remote-Name: root",
        "X-Session-Id: 1",
        "X_Session_Id: 1",
        "X-Session_Id: 1",
    ] {
        for http in ["--http1.1", "--http2"] {
            let twice = ["--header", line, "--header", line, http];
            let answer = alice.send(APP, &twice).await;
            assert_eq!(identity(&answer), expected, "{line} {http}");
        }
    }
    for option in ["Remote-User", "remote-user, x-session-id", "close, Cookie", "X-Forwarded-For"] {
        let line = format!("Connection: {option}");
        let spoof = ["--http1.1", "--header", &line, "--header", "Remote-User: root"];
        let answer = alice.send(APP, &spoof).await;
        // Refused, or as if it had not been said.
        assert!(answer.status == 400 || identity(&answer) == expected, "{line}: {answer:?}");
    }
}

async fn who_is_not_in_the_group_is_told_so(kind: Kind) {
    let stand = Stand::of(kind).await;
    let alice = stand.logged_in("alice", &["guests"]).await;
    let bob = stand.logged_in("bob", &["staff"]).await;
    for path in ["/", "/?groups=guests", "/?groups=staff", "/x?a&groups=guests,staff"] {
        let url = format!("{STAFF}{path}");
        let answer = alice.visit(&url).await;
        assert_eq!((answer.status, answer.header("location")), (403, None), "{path}");
        let answer = alice.send(&url, &["--data", "a=b"]).await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(got(&bob.visit(&url).await, "remote-user"), ["bob"], "{path}");
        assert_eq!(alice.visit(&format!("{APP}{path}")).await.status, 200, "{path}");
    }
    let answer = stand.gateway.visitor().visit(STAFF).await;
    assert_eq!(answer.status, 302);
}

async fn an_application_gets_its_own_cookies_and_none_of_ours(kind: Kind) {
    let stand = Stand::of(kind).await;
    let alice = stand.logged_in("alice", &[]).await;
    let token = alice.cookie(SESSION).expect("alice is logged in");
    let ours = format!("{SESSION}={token}");
    let [pre, device, flash] = OTHERS.map(|name| format!("{name}={token}"));
    let many = format!("{device}; ").repeat(12);
    for (cookies, kept) in [
        (format!("a=1; {ours}; b=2"), Some("a=1; b=2")),
        (format!("{ours}; a=1"), Some("a=1")),
        (format!("a=1;{ours}"), Some("a=1")),
        (ours.clone(), Some("")),
        (
            format!("{pre}; a=1; {ours}; {device}; b={SESSION}; {flash}"),
            Some("a=1; b=__Secure-nightlatch"),
        ),
        (format!("{ours}; {ours}; a=1"), Some("a=1")),
        (format!("{SESSION} ={token}; a=1"), Some("a=1")),
        (
            format!("xnightlatch=1; {ours}; nightlatch.theme=2"),
            Some("xnightlatch=1; nightlatch.theme=2"),
        ),
        // More than there are: somebody plays, and a proxy may hand on fewer than it could.
        (format!("a=1; {many}{ours}"), None),
    ] {
        let stranger = stand.gateway.visitor();
        let answer = stranger.send(APP, &["--header", &format!("Cookie: {cookies}")]).await;
        assert_eq!(got(&answer, "remote-user"), ["alice"], "{cookies}");
        let handed_on = got(&answer, "cookie").join("; ");
        let handed_on = handed_on.trim_end_matches([';', ' ']);
        assert!(kept.is_none_or(|kept| handed_on == kept), "{cookies}: {handed_on}");
        assert!(!answer.text().contains(&token), "{cookies}: {}", answer.text());
    }
    let two = [
        "--http1.1",
        "--header",
        &format!("Cookie: a=1; {ours}"),
        "--header",
        &format!("Cookie: {device}; b=2"),
    ];
    let answer = stand.gateway.visitor().send(APP, &two).await;
    assert!(answer.status == 200 && !answer.text().contains(&token), "{answer:?}");

    let login = json!({ "username": "alice", "password": PASSWORD }).to_string();
    let tokens =
        alice.send(&format!("{LOGIN}/api/v1/auth/token"), &["--json", &login]).await.json();
    let access = tokens["access"].as_str().expect("a token");
    let bearer = format!("Authorization: Bearer {access}");
    let answer = stand.gateway.visitor().send(APP, &["--header", &bearer]).await;
    assert_eq!(got(&answer, "remote-user"), ["alice"]);
    assert!(!answer.text().contains(access), "{}", answer.text());
}

/// Lines of the shipped files that keep the cookie, and those that keep a token, and what they are without.
const fn guards(kind: Kind) -> [(&'static str, &'static str); 2] {
    match kind {
        Kind::Nginx => [
            ("$application_cookie;", "$http_cookie;"),
            (
                "$application_cookie;\n        proxy_set_header Authorization     \"\";",
                "$application_cookie;",
            ),
        ],
        Kind::Caddy => [
            ("request_header Cookie \"(^|;)", "request_header X-Cookie \"(^|;)"),
            ("request_header -Authorization", ""),
        ],
        Kind::HaProxy => [
            ("if not name:match(\"^nightlatch[a-z-]*$\") then", "if true then"),
            (" or read_as == \"authorization\" then", " then"),
        ],
    }
}

/// What the application sees of a cookie and of a token.
async fn leaked(stand: &Stand) -> [bool; 2] {
    let alice = stand.logged_in("alice", &[]).await;
    let cookie = alice.cookie(SESSION).expect("alice is logged in");
    let by_cookie = alice.visit(APP).await;
    assert_eq!(by_cookie.status, 200, "{by_cookie:?}");
    let login = json!({ "username": "alice", "password": PASSWORD }).to_string();
    let url = format!("{LOGIN}/api/v1/auth/token");
    let tokens = alice.send(&url, &["--json", &login]).await.json();
    let access = tokens["access"].as_str().expect("a token");
    let bearer = format!("Authorization: Bearer {access}");
    let by_token = stand.gateway.visitor().send(APP, &["--header", &bearer]).await;
    assert_eq!(by_token.status, 200, "{by_token:?}");
    [by_cookie.text().contains(&cookie), by_token.text().contains(access)]
}

async fn each_line_that_keeps_a_session_from_the_application_is_needed(kind: Kind) {
    assert_eq!(leaked(&Stand::of(kind).await).await, [false, false]);
    let [keeps_cookie, keeps_token] = guards(kind);
    assert_eq!(leaked(&Stand::broken(kind, keeps_cookie).await).await, [true, false]);
    assert_eq!(leaked(&Stand::broken(kind, keeps_token).await).await, [false, true]);
}

async fn an_outage_is_no_logout_and_no_error_of_the_application(kind: Kind) {
    let mut stand = Stand::of(kind).await;
    let alice = stand.logged_in("alice", &[]).await;
    let stranger = stand.gateway.visitor();
    assert_eq!(alice.visit(APP).await.status, 200);
    for is_silent in [true, false] {
        if is_silent {
            stand.server.pause();
        } else {
            stand.server.kill_9();
        }
        assert_unknown(&alice.visit(APP).await);
        assert_unknown(&stranger.send(APP, &["--data", "a=b"]).await);
        if !is_silent {
            assert_unknown(&alice.send(APP, &["--data", "a=b"]).await);
            assert_unknown(&stranger.visit(APP).await);
            assert_unknown(&stranger.send(APP, &[]).await);
        }
        if is_silent {
            stand.server.resume();
        } else {
            stand.server.start_again();
            stand.server.wait_until_ready().await;
        }
        assert_eq!(got(&alice.visit(APP).await, "remote-user"), ["alice"]);
    }
    assert_eq!(stand.application.requests(), 3);
}

async fn a_session_that_nobody_can_look_up_is_neither_refused_nor_let_in(kind: Kind) {
    let parted = Parted::serve(as_in_the_guide()).await;
    let application = EchoServer::start().await;
    let gateway = Gateway::launch(kind, parted.here.address().port(), application.port());
    let known = Person::logged_in(&parted.here, "alice").await;
    let unknown = known.on_another_device(&parted.there).await;
    let cookie = |person: &Person| {
        format!("{SESSION}={}", person.client.cookie(SESSION).expect("logged in"))
    };
    let visitor = gateway.visitor();
    parted.part().await;
    let cookies = cookie(&known);
    let answer = visitor.send(APP, &["--cookie", &cookies]).await;
    assert_eq!(got(&answer, "remote-user"), ["alice"]);
    let cookies = cookie(&unknown);
    for accept in ["Accept: text/html", "Accept: application/json"] {
        assert_unknown(&visitor.send(APP, &["--cookie", &cookies, "--header", accept]).await);
    }
    assert_unknown(&visitor.send(APP, &["--cookie", &cookies, "--data", "a=b"]).await);
    assert_eq!(application.requests(), 1);
}
