//! The audit log: what people and operators do to accounts is told, by whom and from where, and no
//! secret is in it.

use nightlatch_testkit::server::NightlatchServer;
use serde_json::{Value, json};

use crate::person::{LIMIT, PASSWORD, Person};
use crate::record::{Record, launch, on_each_record};

on_each_record!(
    what_people_and_operators_do_is_told_by_whom_and_from_where,
    entries_are_printed_as_they_come,
    a_failed_login_is_told_even_where_nothing_is_throttled,
);

const NEXT_PASSWORD: &str = "copper-lantern-meadow-58";

/// Entries of `nightlatch audit --json` with more arguments, oldest first.
fn audit(server: &NightlatchServer, args: &[&str]) -> Vec<Value> {
    let args = [&["audit", "--json", "--limit", "1000"], args].concat();
    let printed = server.command(&args);
    printed.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().expect("a text")).collect()
}

async fn what_people_and_operators_do_is_told_by_whom_and_from_where(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let mut alice = Person::logged_in(server, "alice").await;
    alice.try_password("wrong-guess-number-one").await;
    let mut nobody = Person::new(server, "walnut-ferry-harbour-93");
    nobody.try_password("wrong-guess-of-a-stranger").await;
    let mut phone = alice.on_another_device(server).await;
    let phone_session = phone.session_id().await;
    phone.log_out().await;
    alice.change_password(PASSWORD, NEXT_PASSWORD).await;
    let token = alice.token();
    alice.revoke("/api/v1/sessions?current=true").await;
    let _ = server.command(&["user", "set-groups", "alice", "staff"]);
    let _ = server.command(&["user", "disable", "alice"]);

    let told = audit(server, &["--user", "alice"]);
    let expected = [
        "user-created",
        "login",
        "login-failed",
        "login",
        "logout",
        "password-changed",
        "sessions-revoked",
        "groups-changed",
        "user-disabled",
    ];
    assert_eq!(actions(&told), expected);
    for entry in &told[..7] {
        assert_eq!((&entry["actor"], &entry["address"]), (&json!("user"), &json!("127.0.0.1")));
        assert!(entry["request_id"].as_str().is_some_and(|id| id.len() == 32), "{entry}");
    }
    assert_eq!(told[4]["session_id"], phone_session.as_str());
    assert_eq!(told[6]["count"], 1);
    assert_eq!(told[7]["detail"], "staff");
    for entry in &told[7..] {
        assert_eq!((&entry["actor"], &entry["address"]), (&json!("command"), &Value::Null));
        assert!(entry["actor_name"].as_str().is_some_and(|name| !name.is_empty()), "{entry}");
    }
    // The log has the request, too.
    let request = told[1]["request_id"].as_str().expect("a request");
    assert!(server.log().contains(request), "{request}");

    let failed = audit(server, &["--action", "login-failed"]);
    let whose: Vec<_> = failed.iter().map(|entry| &entry["username"]).collect();
    assert_eq!(whose, [&json!("alice"), &Value::Null], "a name that nobody has may be a password");
    let all = server.command(&["audit", "--json"]) + &server.command(&["audit"]);
    for secret in [PASSWORD, NEXT_PASSWORD, "wrong-guess", "walnut", token.as_str()] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }

    let _ = server.command(&["user", "delete", "alice", "--yes"]);
    let gone = audit(server, &["--user", "alice", "--since", "1h"]);
    assert_eq!(actions(&gone).last(), Some(&"user-deleted"), "who is gone is found by the name");
    assert_eq!(gone.len(), told.len() + 1);
    assert_eq!(audit(server, &["--until", "1h"]), [] as [Value; 0]);
}

async fn entries_are_printed_as_they_come(record: Record) {
    let stand = record.serve().await;
    let server = &stand.server;
    let of = ["--action", "user-created", "--action", "login"];
    let following =
        server.command_begun(&[["audit", "--follow"].as_slice(), &of, &["--json"]].concat());
    for name in ["alice", "bob"] {
        Person::logged_in(server, name).await;
        for action in ["user-created", "login"] {
            let is_told = |line: &str| {
                let entry: Value = serde_json::from_str(line).ok()?;
                (entry["action"] == action && entry["username"] == name).then_some(())
            };
            following.wait_for_log(LIMIT, is_told).expect("it is told while it happens");
        }
    }
    following.kill_9();
    let log = following.log();
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    let all = lines.len();
    lines.dedup();
    assert_eq!((all, lines.len()), (4, 4), "each once: {log}");
}

async fn a_failed_login_is_told_even_where_nothing_is_throttled(record: Record) {
    let stand = record.serve_with(launch().set("DISABLE_THROTTLING", "true")).await;
    let server = &stand.server;
    let mut alice = Person::registered(server, "alice").await;
    alice.try_password("wrong-guess-number-one").await;
    let told = audit(server, &["--action", "login-failed"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["username"], "alice");
}
