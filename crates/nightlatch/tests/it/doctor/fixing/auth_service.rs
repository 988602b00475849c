//! `doctor auth-service --fix`: the same host over TLS, and paths that are written twice or with a slash.

use nightlatch_testkit::auth_service::{FakeAuthService, SERVICE_ID, SERVICE_SECRET};
use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::nginx::Nginx;

use super::fixed;

fn text(url: &str, more: &str) -> String {
    format!(
        "AUTH_SERVICE_URL={url}\nSERVICE_ID={SERVICE_ID}\nSERVICE_SECRET={SERVICE_SECRET}\n{more}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_becomes_https_where_that_answers_and_is_trusted() {
    let service = FakeAuthService::start().await;
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost", 2);
    let nginx = Nginx::in_front_of(service.port(), &certificate, &key);
    let url = |scheme: &str| format!("{scheme}://localhost:{}", nginx.port());
    let ca = |name: &str| format!("AUTH_SERVICE_CA_FILE={}\n", authority.path(name).display());
    let before = text(&url("http"), &ca("stranger.pem"));
    assert_eq!(fixed("auth-service", &before).0, before);
    assert_eq!(service.logins().len(), 0, "nobody's credentials went there");
    let (written, found) = fixed("auth-service", &text(&url("http"), &ca("ca.pem")));
    assert_eq!(written, text(&url("https"), &ca("ca.pem")), "{:#?}", found.findings);
    assert_eq!((found.wrong(), found.code), (vec![], Some(0)), "{:#?}", found.findings);
    assert_eq!(service.logins().len(), 1, "only once it is configured");
    // It is never taken away.
    let plain = Nginx::caching_for_everybody(service.port());
    let plain = text(&format!("https://localhost:{}", plain.port()), "");
    let (written, found) = fixed("auth-service", &plain);
    assert_eq!(written, plain);
    found.find("auth-service-tls-not-spoken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_written_twice_or_with_a_slash_is_put_right() {
    let service = FakeAuthService::start().await;
    let url = service.url();
    let sound = text(&url, "");
    for before in [text(&format!("{url}/auth/login"), ""), text(&format!("{url}/auth"), "")] {
        let (written, found) = fixed("auth-service", &before);
        assert_eq!(written, sound, "{:#?}", found.findings);
        assert_eq!((found.wrong(), found.code), (vec![], Some(0)));
    }
    let of_path = |path: &str| text(&url, &format!("AUTH_SERVICE_LOGIN_PATH={path}\n"));
    assert_eq!(fixed("auth-service", &of_path("/auth/login/")).0, of_path("/auth/login"));
    let (written, found) = fixed("auth-service", &of_path("/login"));
    assert_eq!(written, of_path("/login"), "nobody guesses");
    found.find("auth-service-endpoint");
}
