//! `examples/express`: a Node service that takes access tokens, by jose.

use nightlatch_testkit::process::free_port;

use super::guide::{Guide, copied, start, type_in, with};
use super::rest::ask;
use crate::person::Person;
use crate::record::launch;
use crate::tokens::api_client::ApiClient;
use crate::tokens::clients::forged;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_service_takes_access_tokens_and_nothing_else() {
    let folder = copied("express");
    let mut server = launch().ready().await;
    Person::registered(&server, "alice").await;
    let [serve, asked] = &Guide::read("examples/express/README.md").blocks("sh")[..] else {
        panic!("two blocks")
    };
    let port = free_port();
    let (number, origin) = (port.to_string(), server.origin());
    let serve = with(serve, &[("3000", &number)]);
    let settings = [("NIGHTLATCH", &*origin)];
    let service = start(folder.path(), &serve, &settings, port);

    // As the README does it.
    let (log_in, me) = asked.split_once('\n').expect("two lines");
    let log_in = with(log_in, &[("http://127.0.0.1:8080", &origin)]);
    let pair: serde_json::Value =
        serde_json::from_str(&type_in(folder.path(), &log_in)).expect("a pair");
    let access = pair["access"].as_str().expect("a token");
    let me = with(me, &[("ACCESS", access), ("3000", &number)]);
    let told: serde_json::Value = serde_json::from_str(&type_in(folder.path(), &me)).expect("JSON");

    let client = ApiClient::logged_in(&server, "alice").await;
    assert_eq!(told["sub"], client.claims()["sub"]);
    assert_eq!(ask(port, "/me", Some(&client.access)).await.json(), client.claims());
    let tokens = [None, Some(forged(&client.access)), Some(client.refresh.clone())];
    for token in tokens {
        assert_eq!(ask(port, "/me", token.as_deref()).await.status, 401, "{token:?}");
    }
    // Keys that it has are good enough; one that has none yet does not know.
    server.kill_9();
    assert_eq!(ask(port, "/me", Some(&client.access)).await.status, 200);
    drop(service);
    let _again = start(folder.path(), &serve, &settings, port);
    let answer = ask(port, "/me", Some(&client.access)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{answer:?}");
}
