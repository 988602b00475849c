//! `examples/django-rest`: an API that takes access tokens, by simplejwt.

use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::process::free_port;

use super::guide::{Guide, copied, start, type_in, with};
use crate::person::Person;
use crate::record::launch;
use crate::tokens::api_client::ApiClient;
use crate::tokens::clients::forged;

/// Asks a service on a port of 127.0.0.1 with a token.
pub(super) async fn ask(port: u16, path: &str, token: Option<&str>) -> Answer {
    let mut client = Client::new(([127, 0, 0, 1], port).into());
    let mut request = client.request(Method::GET, path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_takes_access_tokens_and_nothing_else() {
    let folder = copied("django-rest");
    let [keys, serve, asked] = &Guide::read("examples/django-rest/README.md").blocks("sh")[..]
    else {
        panic!("three blocks")
    };
    let (make, _serve) = keys.split_once('\n').expect("two lines");
    let _ = type_in(folder.path(), make);
    let key = std::fs::read_to_string(folder.path().join("jwt.pem")).expect("it was made");
    let mut server = launch().set("JWT_PRIVATE_KEY", &key).ready().await;
    Person::registered(&server, "alice").await;

    let port = free_port();
    let (address, origin) = (format!("127.0.0.1:{port}"), server.origin());
    let serve = with(serve, &[("127.0.0.1:8000", &address)]);
    let settings = [("NIGHTLATCH", &*origin)];
    let api = start(folder.path(), &serve, &settings, port);

    // As the README does it.
    let (log_in, me) = asked.split_once('\n').expect("two lines");
    let log_in = with(log_in, &[("http://127.0.0.1:8080", &origin)]);
    let pair: serde_json::Value =
        serde_json::from_str(&type_in(folder.path(), &log_in)).expect("a pair");
    let access = pair["access"].as_str().expect("a token");
    let me = with(me, &[("ACCESS", access), ("127.0.0.1:8000", &address)]);
    let told: serde_json::Value = serde_json::from_str(&type_in(folder.path(), &me)).expect("JSON");

    let client = ApiClient::logged_in(&server, "alice").await;
    assert_eq!(told["id"], client.claims()["sub"]);
    let tokens = [None, Some(forged(&client.access)), Some(client.refresh.clone())];
    for token in tokens {
        assert_eq!(ask(port, "/me/", token.as_deref()).await.status, 401, "{token:?}");
    }
    // Keys that it has are good enough; one that has none yet does not know.
    server.kill_9();
    assert_eq!(ask(port, "/me/", Some(&client.access)).await.status, 200);
    drop(api);
    let _again = start(folder.path(), &serve, &settings, port);
    let answer = ask(port, "/me/", Some(&client.access)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{answer:?}");
}
