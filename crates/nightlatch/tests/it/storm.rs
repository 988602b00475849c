//! Many logins at once: all succeed, whoever is told to wait after that wait, none lost or doubled.

use std::collections::BTreeSet;
use std::time::Duration;

use nightlatch_testkit::client::Client;
use nightlatch_testkit::server::NightlatchServer;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::person::{PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

on_each_record!(two_hundred_logins_of_one_user_all_succeed, two_hundred_users_log_in_at_once,);

const LOGINS: usize = 200;

/// How often a login may be told to wait before it counts as starved.
const WAITS_MAX: usize = 40;

/// Does something that costs a hash until it is done, waiting whenever it is told to.
async fn persist(client: &mut Client, path: &str, username: &str, done: u16) -> serde_json::Value {
    let body = json!({ "username": username, "password": PASSWORD });
    for _ in 0..WAITS_MAX {
        let answer = client.post_json(path, &body).await;
        if answer.status == done {
            return answer.json();
        }
        let code = answer.code();
        assert!(["login_busy", "throttled"].contains(&code.as_str()), "{answer:?}");
        let wait = answer.header("retry-after").expect("who is refused is told when to come back");
        // The server closes a connection that is idle for so long, perhaps at this very moment.
        client.hang_up();
        sleep(Duration::from_secs(wait.parse().expect("seconds"))).await;
    }
    panic!("{username} was told to wait {WAITS_MAX} times");
}

/// Logs in as each of `names` at once; the ids of the sessions, in the order of the names.
async fn log_in_all(server: &NightlatchServer, names: Vec<String>) -> Vec<(String, String)> {
    let mut logins = JoinSet::new();
    for name in names {
        let mut client = server.client();
        logins.spawn(async move {
            let answer = persist(&mut client, "/api/v1/auth/login", &name, 200).await;
            let id = answer["session"]["id"].as_str().expect("an id").to_owned();
            assert_eq!(client.get("/api/v1/session").await.status, 200, "none is lost");
            (name, id)
        });
    }
    logins.join_all().await
}

async fn two_hundred_logins_of_one_user_all_succeed(record: Record) {
    let stand = record.serve().await;
    let mut person = Person::registered(&stand.server, "crowd").await;
    let sessions = log_in_all(&stand.server, vec!["crowd".to_owned(); LOGINS - 1]).await;
    let mut acknowledged: BTreeSet<String> = sessions.into_iter().map(|(_, id)| id).collect();
    person.log_in().await;
    acknowledged.insert(person.session_id().await);
    assert_eq!(acknowledged.len(), LOGINS, "no two logins share a session");

    // The list shows the newest 200: a session that nobody was told of would push one out.
    let devices = person.devices().await;
    let listed: BTreeSet<String> =
        devices.iter().filter_map(|device| Some(device["id"].as_str()?.to_owned())).collect();
    assert_eq!(listed, acknowledged);
}

async fn two_hundred_users_log_in_at_once(record: Record) {
    let stand = record.serve_with(launch().set("THROTTLE_REGISTER", "1000/h")).await;
    let mut registrations = JoinSet::new();
    for number in 0..LOGINS {
        let mut client = stand.server.client();
        registrations.spawn(async move {
            let name = format!("user{number}");
            let answer = persist(&mut client, "/api/v1/auth/register", &name, 201).await;
            assert_eq!(answer["user"]["username"], name);
            name
        });
    }
    let names = registrations.join_all().await;
    let sessions = log_in_all(&stand.server, names).await;
    let ids: BTreeSet<&String> = sessions.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), LOGINS);

    // Doubled logins would show in the list of whoever has them.
    for name in ["user0", "user99", "user199"] {
        let mut person = Person::new(&stand.server, name);
        person.log_in().await;
        assert_eq!(person.devices().await.len(), 2, "{name}");
    }
}
