//! The pages over HTTP: where they lead, and what stands around them.

use nightlatch_testkit::client::{Answer, Client, percent_encoded};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;

use crate::person::{PASSWORD, Person};
use crate::record::launch;

/// The token in the form of a page.
fn token_of(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"csrf_token\" value=\"").expect("a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

/// Logs in by the form that was opened with `next`.
async fn log_in(client: &mut Client, username: &str, next: &str) -> Answer {
    let page = client.get(&format!("/auth/login?next={}", percent_encoded(next))).await;
    let token = token_of(&page);
    let fields =
        [("csrf_token", &*token), ("username", username), ("password", PASSWORD), ("next", next)];
    client.post_form("/auth/login", &fields).await
}

#[tokio::test]
async fn a_login_leads_only_to_ourselves_or_to_a_named_host() {
    let launch = launch().set("REDIRECT_HOSTS", "https://wiki.example,https://b.example:8443");
    let launch = launch.set("LOGIN_REDIRECT_URL", "/auth/sessions");
    let server = launch.set("DISABLE_THROTTLING", "true").ready().await;
    Person::registered(&server, "link").await;
    let own = format!("{}/auth/profile?x=1", server.origin());
    let elsewhere = "/auth/sessions";
    for (next, target) in [
        ("/auth/profile", "/auth/profile"),
        ("/auth/profile?a=b&c=d#e", "/auth/profile?a=b&c=d#e"),
        ("/anything/else", "/anything/else"),
        (own.as_str(), own.as_str()),
        ("https://wiki.example/page?x=y", "https://wiki.example/page?x=y"),
        ("https://b.example:8443/", "https://b.example:8443/"),
        ("https://b.example/", elsewhere),
        ("http://wiki.example/", elsewhere),
        ("https://wiki.example.evil.example/", elsewhere),
        ("https://wiki.example@evil.example/", elsewhere),
        ("https://evil.example/?https://wiki.example/", elsewhere),
        ("//evil.example/", elsewhere),
        ("///evil.example/", elsewhere),
        ("/\\evil.example/", elsewhere),
        ("\\\\evil.example/", elsewhere),
        ("/\t/evil.example/", elsewhere),
        ("\n//evil.example/", elsewhere),
        ("/a\r\nset-cookie: x=y", elsewhere),
        (" //evil.example/", elsewhere),
        ("javascript:alert(1)", elsewhere),
        ("data:text/html,x", elsewhere),
        ("evil.example", elsewhere),
        ("", elsewhere),
    ] {
        let answer = log_in(&mut server.client(), "link", next).await;
        assert_eq!(answer.status, 303, "{next:?}");
        assert_eq!(answer.header("location"), Some(target), "{next:?}");
    }
}

#[tokio::test]
async fn a_refused_target_is_not_even_kept_in_the_form() {
    let server = launch().ready().await;
    for path in ["/auth/login", "/auth/register"] {
        let page = server.client().get(&format!("{path}?next=//evil.example/")).await;
        assert_eq!(page.status, 200);
        assert!(!page.text().contains("evil.example"), "{}", page.text());
        let page = server.client().get(&format!("{path}?next=%22%3E%3Cscript%3Ex")).await;
        assert!(!page.text().contains("<script>x"), "{}", page.text());
    }
}

/// Pages of every kind: doors, rooms and problems.
async fn pages(server: &NightlatchServer) -> Vec<Answer> {
    let mut person = Person::logged_in(server, "view").await;
    let mut answers = Vec::new();
    for path in ["/auth/profile", "/auth/sessions"] {
        answers.push(person.client.get(path).await);
    }
    let mut stranger = server.client();
    for path in ["/auth/login", "/auth/register", "/auth/nowhere"] {
        answers.push(stranger.get(path).await);
    }
    let followed = stranger.request(Method::GET, "/nowhere");
    answers.push(followed.header("accept", "text/html,application/xhtml+xml").send().await);
    answers.push(stranger.post_form("/auth/login", &[("username", "a")]).await);
    answers.push(stranger.request(Method::PUT, "/auth/login").send().await);
    answers
}

#[tokio::test]
async fn every_page_is_small_strict_and_kept_by_nobody() {
    for (launch, tls) in [(launch(), None), (launch().in_production(), Some("max-age=31536000"))] {
        let server = launch.ready().await;
        for page in pages(&server).await {
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            assert_eq!(page.header("cache-control"), Some("no-store"));
            assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(page.header("referrer-policy"), Some("same-origin"));
            assert_eq!(page.header("cross-origin-opener-policy"), Some("same-origin"));
            assert_eq!(page.header("strict-transport-security"), tls);
            let policy = page.header("content-security-policy").unwrap_or_default();
            for part in [
                "default-src 'none'",
                "object-src 'none'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
                "form-action 'self'",
            ] {
                assert!(policy.contains(part), "{policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            let text = page.text();
            assert!(text.len() < 20_000, "{} bytes", text.len());
            for inline in ["<script>", "<style", " style=", " onclick=", "javascript:"] {
                assert!(!text.contains(inline), "{inline}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn static_files_may_be_kept() {
    let server = launch().ready().await;
    let page = server.client().get("/auth/login").await.text();
    let mut links = 0;
    for (_, rest) in page.match_indices("\"/static/").map(|(at, _)| page.split_at(at + 1)) {
        let path = rest.split_once('"').expect("a closed attribute").0;
        let file = server.client().get(path).await;
        assert_eq!(file.status, 200, "{path}");
        let kept = file.header("cache-control").unwrap_or_default();
        assert!(kept.contains("max-age"), "{path}: {kept}");
        assert!(file.cookies().is_empty(), "{path}");
        links += 1;
    }
    assert!(links >= 3, "{page}");
    assert_eq!(server.client().get("/static/../Cargo.toml").await.status, 404);
}

#[tokio::test]
async fn forms_need_the_token_of_their_own_browser() {
    let server = launch().ready().await;
    let mut person = Person::logged_in(&server, "forms").await;
    let mut here = server.client();
    let mut there = server.client();
    let (mine, foreign) =
        (token_of(&here.get("/auth/login").await), token_of(&there.get("/auth/login").await));
    let login = |token: String| {
        [("csrf_token", token), ("username", "forms".into()), ("password", PASSWORD.into())]
    };
    for token in [String::new(), "x".into(), foreign, person.csrf.clone()] {
        let fields = login(token);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let answer = here.post_form("/auth/login", &fields).await;
        assert_eq!(answer.status, 403);
        assert!(answer.set_cookie("nightlatch").is_none());
    }
    for (origin, status) in [("null", 403), ("https://evil.example", 403), ("", 403)] {
        let fields = login(mine.clone());
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let request = here.request(Method::POST, "/auth/login").header("origin", origin);
        assert_eq!(request.form(&fields).send().await.status, status, "{origin}");
    }
    let fields = login(mine.clone());
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(here.post_form("/auth/login", &fields).await.status, 303);

    // The rooms' forms take the session's token, and not the door's.
    let form = [("csrf_token", mine.as_str()), ("end", "everywhere")];
    for path in ["/auth/logout", "/auth/sessions", "/auth/profile"] {
        assert_eq!(person.client.post_form(path, &form).await.status, 403, "{path}");
    }
    assert_eq!(person.session().await.status, 200);
    let csrf = person.csrf.clone();
    let answer = person.client.post_form("/auth/logout", &[("csrf_token", &csrf)]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/auth/login")));
    assert_eq!(person.session().await.status, 401);
}

#[tokio::test]
async fn what_people_chose_is_shown_as_text() {
    let server = launch().ready().await;
    let name = "<img src=x onerror=alert(1)>&\"'";
    let body = serde_json::json!({ "username": "plain", "name": name, "password": PASSWORD });
    let mut person = Person::new(&server, "plain");
    assert_eq!(person.client.post_json("/api/v1/auth/register", &body).await.status, 201);
    person.log_in().await;
    let page = person.client.get("/auth/profile").await.text();
    assert!(!page.contains("<img src=x") && page.contains("&#60;img src=x"), "{page}");
}
