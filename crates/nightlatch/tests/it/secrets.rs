//! Nothing secret is ever logged, and nothing that people send can forge a line.

mod everywhere;

use nightlatch_testkit::client::raw;
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;
use serde_json::{Value, json};

use crate::person::{PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

on_each_record!(nothing_secret_is_printed_in_a_busy_run);

const SESSION_SECRET: &str = "aV3xW8pLq1Zs6TnYc4Rk9HbM2gUe7JdF";
const CSRF_SECRET: &str = "oP5mXw2NzB8vKt3QyL6hSj9RfC4dGa7E";
const NEXT_PASSWORD: &str = "copper-lantern-meadow-58";
const WEAK_PASSWORD: &str = "kestrel";

/// What people type into the wrong field.
const PASSWORD_AS_NAME: &str = "walnut-ferry-harbour-93";

/// Does a bit of everything and returns all that must not be found afterwards.
pub(crate) async fn busy_run(server: &NightlatchServer) -> Vec<String> {
    let mut secrets: Vec<String> =
        [PASSWORD, NEXT_PASSWORD, WEAK_PASSWORD, PASSWORD_AS_NAME, SESSION_SECRET, CSRF_SECRET]
            .map(str::to_owned)
            .into();
    let mut person = Person::logged_in(server, "quiet").await;
    let mut other = person.on_another_device(server).await;
    for guess in ["wrong-guess-number-one", "wrong-guess-number-two"] {
        person.try_password(guess).await;
        secrets.push(guess.to_owned());
    }
    let mut stranger = Person::new(server, PASSWORD_AS_NAME);
    stranger.try_password("wrong-guess-of-a-stranger").await;
    secrets.push("wrong-guess-of-a-stranger".to_owned());
    secrets.extend([person.csrf.clone(), other.csrf.clone()]);
    secrets.extend(person.client.cookies().values().cloned());
    secrets.extend(other.client.cookies().values().cloned());

    let register = "/api/v1/auth/register";
    for body in [
        json!({ "username": "quiet", "password": PASSWORD }),
        json!({ "username": "silent", "password": WEAK_PASSWORD }),
        json!({ "username": "a b", "email": "x", "password": PASSWORD }),
        json!({ "username": "silent", "password": [PASSWORD] }),
    ] {
        person.client.post_json(register, &body).await;
    }
    let broken = format!(r#"{{"username":"quiet","password":"{PASSWORD}""#);
    for path in ["/api/v1/auth/login", register, "/api/v1/auth/password"] {
        let request = person.client.request(Method::POST, path);
        request.body("application/json", broken.clone()).send().await;
        let path = format!("{path}?password={PASSWORD}");
        person.client.get(&path).await;
    }
    let token = person.token();
    person.client.get(&format!("/nowhere/{token}?csrf={}", person.csrf)).await;
    let header = format!("GET /{PASSWORD} HTTP/1.1\r\nx-{PASSWORD} : {token}\r\n\r\n");
    raw(server.address(), header.as_bytes()).await;

    person.change_password("wrong-current-password", NEXT_PASSWORD).await;
    person.change_password(PASSWORD, NEXT_PASSWORD).await;
    secrets.push("wrong-current-password".to_owned());
    secrets.push(person.csrf.clone());
    secrets.extend(person.client.cookies().values().cloned());
    person.revoke("/api/v1/sessions").await;
    other.session().await;
    secrets.extend(by_pages(server).await);
    assert_eq!(person.log_out().await.status, 200);
    secrets
}

/// A login and a logout by forms; the secrets in it.
async fn by_pages(server: &NightlatchServer) -> Vec<String> {
    let mut client = server.client();
    let token_of = |page: &str| {
        let (_, rest) = page.split_once("name=\"csrf_token\" value=\"").expect("a form");
        rest.split_once('"').expect("a value").0.to_owned()
    };
    let form = token_of(&client.get("/auth/login").await.text());
    for password in ["wrong-guess-by-form", NEXT_PASSWORD] {
        let fields = [("csrf_token", form.as_str()), ("username", "quiet"), ("password", password)];
        client.post_form("/auth/login", &fields).await;
    }
    let page = client.get("/auth/profile").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let session = token_of(&page.text());
    let mut secrets: Vec<String> = client.cookies().values().cloned().collect();
    client.post_form("/auth/logout", &[("csrf_token", &session)]).await;
    secrets.extend([form, session, "wrong-guess-by-form".to_owned()]);
    secrets
}

async fn nothing_secret_is_printed_in_a_busy_run(record: Record) {
    for format in ["json", "text"] {
        let launch = launch()
            .set("LOG_LEVEL", "trace")
            .set("LOG_FORMAT", format)
            .set("SESSION_SECRET_KEY", SESSION_SECRET)
            .set("CSRF_SECRET_KEY", CSRF_SECRET)
            .set("DISABLE_THROTTLING", "true");
        let mut stand = record.serve_with(launch).await;
        let mut secrets = busy_run(&stand.server).await;
        if let Some((postgres, _)) = &stand.postgres {
            let url = postgres.url("");
            assert!(url.contains(nightlatch_testkit::postgres::PASSWORD), "{url}");
            secrets.push(nightlatch_testkit::postgres::PASSWORD.to_owned());
        }
        let audit = stand.server.command(&["audit", "--json", "--limit", "1000"])
            + &stand.server.command(&["audit", "--limit", "1000"]);
        assert!(audit.lines().count() > 10, "it was a busy run:\n{audit}");
        assert_eq!(stand.server.terminate(), Some(0));
        let log = stand.server.log();
        assert!(log.lines().count() > 20, "it was a busy run:\n{log}");
        for secret in secrets {
            assert!(secret.len() >= 6, "too short to be told from other words: {secret:?}");
            assert!(!log.contains(&secret), "{format}: {secret:?} was printed:\n{log}");
            assert!(!audit.contains(&secret), "{secret:?} is in the audit log:\n{audit}");
        }
    }
}

#[tokio::test]
async fn what_people_send_forges_no_line() {
    let server = launch().set("LOG_LEVEL", "trace").ready().await;
    let forgery = "x\n{\"level\":\"INFO\",\"event\":\"forged\"}\r\n\u{1b}[2K\u{2028}forged";
    let mut client = server.client();
    for body in [
        json!({ "username": forgery, "password": PASSWORD }),
        json!({ "email": forgery, "password": forgery }),
        json!({ "username": "alice", "name": forgery, "password": PASSWORD }),
        json!({ forgery: forgery }),
    ] {
        client.post_json("/api/v1/auth/login", &body).await;
        client.post_json("/api/v1/auth/register", &body).await;
    }
    let fields = [("username", forgery), ("next", forgery), ("csrf_token", forgery)];
    client.post_form("/auth/login", &fields).await;
    let encoded = nightlatch_testkit::client::percent_encoded(forgery);
    for path in [format!("/{encoded}"), format!("/auth/login?next={encoded}")] {
        client.get(&path).await;
    }
    for name in ["user-agent", "x-request-id", "x-forwarded-for", "origin", "referer"] {
        for value in ["{\"event\":\"forged\"}", "a\tb event=forged"] {
            let request = client.request(Method::POST, "/api/v1/auth/login");
            let request = request.header(name, value);
            request.json(&json!({ "username": "a", "password": "b" })).send().await;
        }
    }
    let log = server.log();
    for line in log.lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("forged: {line}"));
        assert_ne!(parsed["event"], "forged", "{line}");
        assert!(parsed["level"].is_string() && parsed["timestamp"].is_string(), "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains('\u{2028}'), "{line}");
    }
}
