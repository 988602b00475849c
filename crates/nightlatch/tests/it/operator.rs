//! The operators' page: who gets in, what is done there, and that all of it is in the audit log.

use nightlatch_testkit::browser::{Browser, Scripts};
use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::server::NightlatchServer;
use nightlatch_testkit::wait::wait_until;
use serde_json::Value;

use crate::person::{LIMIT, PASSWORD, Person, SESSION};
use crate::record::{Record, launch, on_each_record};

on_each_record!(
    an_operator_ends_sessions_disables_and_enables_and_the_audit_log_tells_it,
    who_leaves_the_group_or_is_disabled_is_out,
);

/// The cookie of an operator's login.
const COOKIE: &str = "nightlatch-operator";

/// An operator in front of their page.
struct Operator {
    client: Client,
    page: String,
}

impl Operator {
    /// A user who may become one, and the page before the login.
    async fn new(server: &NightlatchServer, username: &str) -> Self {
        Person::registered(server, username).await;
        let _ = server.command(&["user", "set-groups", username, "operators"]);
        Self::at(server.client()).await
    }

    async fn at(client: Client) -> Self {
        let mut operator = Self { client, page: String::new() };
        operator.open("/operator/login").await;
        operator
    }

    async fn logged_in(server: &NightlatchServer, username: &str) -> Self {
        let mut operator = Self::new(server, username).await;
        let answer = operator.log_in(username, PASSWORD).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/operator")));
        operator
    }

    async fn log_in(&mut self, username: &str, password: &str) -> Answer {
        self.post("/operator/login", &[("username", username), ("password", password)]).await
    }

    async fn open(&mut self, path: &str) -> Answer {
        let answer = self.client.get(path).await;
        self.page = answer.text();
        answer
    }

    /// Opens the page of a user, whose name is looked for.
    async fn find(&mut self, username: &str) -> String {
        let answer = self.open(&format!("/operator?user={username}")).await;
        let path = answer.header("location").expect("it leads to the user").to_owned();
        assert_eq!(self.open(&path).await.status, 200, "{}", self.page);
        path
    }

    /// Sends a form with the token of the page that is shown.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let (_, rest) =
            self.page.split_once("name=\"csrf_token\" value=\"").expect("the page has a form");
        let token = rest.split_once('"').expect("it is quoted").0.to_owned();
        let fields = [&[("csrf_token", token.as_str())], fields].concat();
        self.client.post_form(path, &fields).await
    }

    /// Does something to the user whose page is shown, and looks at the page again.
    async fn act(&mut self, path: &str, field: (&str, &str), told: &str) {
        let answer = self.post(path, &[field]).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(path)));
        self.open(path).await;
        assert!(self.page.contains(told), "{told}: {}", self.page);
    }
}

async fn an_operator_ends_sessions_disables_and_enables_and_the_audit_log_tells_it(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let mut olga = Operator::logged_in(server, "olga").await;
    let mut alice = Person::logged_in(server, "alice").await;
    let mut phone = alice.on_another_device(server).await;
    let mut tablet = alice.on_another_device(server).await;

    let path = olga.find("alice").await;
    let (of_alice, of_phone) = (alice.session_id().await, phone.session_id().await);
    for part in [of_alice.as_str(), &of_phone, ">Enabled<", "Login", "127.0.0.1"] {
        assert!(olga.page.contains(part), "{part}: {}", olga.page);
    }
    olga.act(&path, ("end", &of_phone), "That device is logged out.").await;
    assert_eq!(phone.session().await.status, 401, "the session that was ended");
    assert_eq!(tablet.session().await.status, 200, "another one");
    olga.act(&path, ("end", &of_phone), "That device was already logged out.").await;
    olga.act(&path, ("end", "everywhere"), "This user is logged out on every device.").await;
    assert_eq!((alice.session().await.status, tablet.session().await.status), (401, 401));
    assert!(olga.page.contains("Logged in nowhere"), "{}", olga.page);

    alice.log_in().await;
    olga.act(&path, ("account", "disable"), "This user is disabled").await;
    assert_eq!(alice.session().await.status, 401);
    assert_eq!(alice.try_password(PASSWORD).await.code(), "invalid_credentials");
    assert!(olga.page.contains(">Disabled<"), "{}", olga.page);
    olga.act(&path, ("account", "enable"), "This user may log in again.").await;
    alice.log_in().await;

    let printed = server.command(&["audit", "--json", "--user", "alice", "--limit", "1000"]);
    let told: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    let by_olga: Vec<_> = told.iter().filter(|entry| entry["actor"] == "operator").collect();
    let actions: Vec<_> =
        by_olga.iter().map(|entry| entry["action"].as_str().expect("a text")).collect();
    assert_eq!(
        actions,
        ["session-revoked", "sessions-revoked", "user-disabled", "user-enabled"],
        "{printed}"
    );
    let log = server.log();
    for entry in by_olga {
        assert_eq!(
            (&entry["actor_name"], &entry["address"]),
            (&"olga".into(), &"127.0.0.1".into())
        );
        let request = entry["request_id"].as_str().expect("a request");
        assert!(log.contains(request), "the log has the request, too: {entry}");
    }
    assert!(olga.page.contains("by <bdi>operator olga</bdi>"), "{}", olga.page);

    let cookie = olga.client.cookie(COOKIE).expect("she is logged in").to_owned();
    let answer = olga.post("/operator/logout", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/operator/login")));
    olga.client.set_cookie(COOKIE, &cookie);
    assert_eq!(olga.open(&path).await.status, 303, "the session of the cookie has ended");
}

async fn who_leaves_the_group_or_is_disabled_is_out(record: Record) {
    let stand = record.serve().await;
    for command in [&["user", "set-groups", "olga"][..], &["user", "disable", "otto"]] {
        let name = if command.contains(&"olga") { "olga" } else { "otto" };
        let mut operator = Operator::logged_in(&stand.server, name).await;
        assert_eq!(operator.open("/operator").await.status, 200, "{}", operator.page);
        let _ = stand.server.command(command);
        wait_until("the operator is out", LIMIT, async || {
            operator.open("/operator").await.header("location").is_some_and(is_login)
        })
        .await;
    }
}

fn is_login(location: &str) -> bool {
    location.starts_with("/operator/login?")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_its_own_login_of_an_operator_opens_it() {
    let server = launch().ready().await;
    let olga = Operator::logged_in(&server, "olga").await;
    let own = olga.client.cookie(COOKIE).expect("she is logged in").to_owned();
    let (token, tag) = own.split_once('.').expect("a token and its tag");

    let mut as_user = Person::new(&server, "olga");
    as_user.log_in().await;
    let of_user = as_user.token();
    for cookie in [&of_user, &format!("{of_user}.{tag}"), token, &format!("{own}x"), ""] {
        let mut client = server.client();
        client.set_cookie(COOKIE, cookie);
        client.set_cookie(SESSION, &of_user);
        for path in ["/operator", "/operator?user=olga", "/operator/users/1"] {
            let answer = client.get(path).await;
            assert_eq!(answer.status, 303, "{path} {cookie}");
            assert!(answer.header("location").is_some_and(is_login), "{path} {cookie}");
        }
    }

    let mut alice = Person::logged_in(&server, "alice").await;
    let mut as_operator = Operator::at(server.client()).await;
    let answer = as_operator.log_in("alice", PASSWORD).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("in none of the groups"), "{}", answer.text());
    assert!(as_operator.client.cookie(COOKIE).is_none());
    assert_eq!(alice.devices().await.len(), 1, "no session began");
    let answer = as_operator.log_in("alice", "wrong-guess-number-one").await;
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_other_pages_and_forms_that_say_nothing_are_refused() {
    let server = launch().ready().await;
    let mut olga = Operator::logged_in(&server, "olga").await;
    let mut alice = Person::logged_in(&server, "alice").await;
    let path = olga.find("alice").await;
    let end = ("end", "everywhere");

    let forged = [("csrf_token", alice.csrf.as_str()), end];
    assert_eq!(olga.client.post_form(&path, &forged).await.status, 403, "somebody else's token");
    assert_eq!(olga.client.post_form(&path, &[end]).await.status, 403, "no token");
    let page = olga.page.clone();
    let (_, rest) = page.split_once("name=\"csrf_token\" value=\"").expect("a form");
    let token = rest.split_once('"').expect("it is quoted").0;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let request = olga.client.request(Method::POST, &path).header("origin", origin);
        let answer = request.form(&[("csrf_token", token), end]).send().await;
        assert_eq!(answer.status, 403, "{origin}");
    }
    for fields in [
        &[][..],
        &[("end", "nobody")],
        &[("account", "delete")],
        &[("end", "everywhere"), ("account", "disable")],
    ] {
        assert_eq!(olga.post(&path, fields).await.status, 400, "{fields:?}");
    }
    assert_eq!(alice.session().await.status, 200, "nothing has happened");

    let nobody = "/operator/users/01890000-0000-7000-8000-000000000000";
    for path in [nobody, "/operator/users/1", "/operator/none"] {
        assert_eq!(olga.open(path).await.status, 404, "{path}");
    }
    assert_eq!(olga.post_to(nobody).await, 404);
    assert_eq!(olga.client.request(Method::DELETE, &path).send().await.status, 405);
}

impl Operator {
    /// Disables whoever is at a path.
    async fn post_to(&mut self, path: &str) -> u16 {
        self.find("olga").await;
        self.post(path, &[("account", "disable")]).await.status
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_found_by_name_e_mail_id_and_the_beginning_of_a_name() {
    let server = launch().ready().await;
    let add = ["user", "add", "Bertrand", "--email", "b.russell@example.org", "--no-password"];
    let _ = server.command(&add);
    let _ = server.command(&["user", "add", "bertha", "--no-password"]);
    let _ = server.command(&["user", "add", "<b>bold", "--no-password"]);
    let mut olga = Operator::logged_in(&server, "olga").await;
    let path = olga.find("bertrand").await;
    assert_eq!(olga.find("B.Russell@example.org").await, path);
    let (_, id) = path.rsplit_once('/').expect("it ends in the id");
    assert_eq!(olga.find(id).await, path);

    assert_eq!(olga.open("/operator?user=BERT").await.status, 200);
    for name in ["Bertrand", "bertha"] {
        assert!(olga.page.contains(&format!("<bdi>{name}</bdi></a>")), "{name}: {}", olga.page);
    }
    for nobody in ["bertrandt", "%25", "%00", "a%20b", "nobody@example.org"] {
        assert_eq!(olga.open(&format!("/operator?user={nobody}")).await.status, 200, "{nobody}");
        assert!(olga.page.contains("Nobody has this name"), "{nobody}: {}", olga.page);
    }
    assert_eq!(olga.open("/operator?user=%3Cb%3E").await.status, 200);
    assert!(!olga.page.contains("<b>bold"), "names are no markup: {}", olga.page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_served_beside_the_metrics_and_nowhere_else() {
    let own = format!("127.0.0.1:{}", free_port());
    let server = launch().in_production().set("NIGHTLATCH_METRICS_LISTEN", &own);
    let server = server.set("TRUSTED_PROXIES", "127.0.0.1").ready().await;
    assert_eq!(server.client().get("/operator").await.status, 404);
    Person::registered(&server, "olga").await;
    let _ = server.command(&["user", "set-groups", "olga", "operators"]);

    let there = || Client::new(own.parse().expect("an address"));
    let mut olga = Operator::at(there()).await;
    let answer = olga.log_in("olga", PASSWORD).await;
    let cookie = answer.set_cookie(COOKIE).expect("she is logged in");
    assert_eq!(
        cookie.attributes,
        ["HttpOnly", "Max-Age=3600", "Path=/operator", "SameSite=Strict", "Secure"]
    );
    assert_eq!(olga.open("/operator").await.status, 200, "{}", olga.page);
    assert_eq!(olga.client.get("/api/v1/session").await.status, 404);

    // What a proxy says of its client.
    let mut from_afar = there().with_header("x-forwarded-proto", "http");
    let page = from_afar.get("/operator/login").await.text();
    assert!(page.contains("Nothing is typed here") && !page.contains("password\""), "{page}");
    let mut by_tls = there().with_header("x-forwarded-proto", "https");
    assert!(by_tls.get("/operator/login").await.text().contains("type=\"password\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_it_says_so() {
    let own = format!("127.0.0.1:{}", free_port());
    let away = launch().set("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    let beside = away.set("NIGHTLATCH_METRICS_LISTEN", &own).start();
    let mut client = Client::new(own.parse().expect("an address"));
    for path in ["/operator", "/operator/login", "/operator/users/1"] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.header("retry-after").is_some());
        assert!(answer.text().contains("We cannot look that up just now"), "{}", answer.text());
    }
    drop(beside);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_does_everything_in_a_browser() {
    // As behind a tunnel: cookies are sent over HTTPS alone, but for one's own machine.
    let own = format!("127.0.0.1:{}", free_port());
    let server = launch().in_production().set("NIGHTLATCH_METRICS_LISTEN", &own).ready().await;
    let mut alice = Person::logged_in(&server, "alice").await;
    Person::registered(&server, "olga").await;
    let _ = server.command(&["user", "set-groups", "olga", "operators"]);
    let browser = Browser::launch(Scripts::Off).await;
    let shows = async |wanted: &str| {
        let text = browser.text().await;
        assert!(text.contains(wanted), "{wanted:?} is not on the page:\n{text}");
    };

    browser.open(&format!("http://{own}/operator")).await;
    shows("Please log in to see this page.").await;
    browser.fill("username", "olga").await;
    browser.fill("password", "wrong-guess-number-one").await;
    browser.press("main form", "Log in").await;
    shows("The name or the password is wrong.").await;
    browser.fill("password", PASSWORD).await;
    browser.press("main form", "Log in").await;
    assert_eq!(browser.path().await, "/operator");
    shows("You are logged in.").await;

    browser.fill("user", "alice").await;
    browser.press("main form", "Find").await;
    shows("alice").await;
    browser.press(".devices", "Log out").await;
    shows("That device is logged out.").await;
    assert_eq!(alice.session().await.status, 401);
    browser.find(".ends summary").await.click().await.expect("it opens");
    browser.press(".ends", "Disable alice").await;
    shows("This user is disabled").await;
    assert_eq!(alice.try_password(PASSWORD).await.status, 401);
    browser.press(".ends", "Enable alice").await;
    shows("This user may log in again.").await;
    alice.log_in().await;
    shows("by operator olga").await;
    browser.press("header", "Log out").await;
    shows("You are logged out.").await;
    browser.open(&format!("http://{own}/operator")).await;
    assert_eq!(browser.path().await, "/operator/login");
    browser.close().await;
}
