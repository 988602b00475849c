//! A trace of system calls: nothing is answered before what it changed is synced.

use nightlatch_testkit::strace::Strace;
use serde_json::json;

use super::drill::under_load;
use crate::person::{PASSWORD, Person};

/// Logins and logouts that are looked at.
const ROUNDS: usize = 8;

/// What is told of a system call, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// The log of the database was written to.
    Written,
    /// What was written is on the disk.
    Synced,
    /// 200 was sent.
    Acknowledged,
}

/// The events of a trace, in their order.
fn events(trace: &[String]) -> Vec<Event> {
    // A call that others overtake is told in two lines.
    let mut syncing = std::collections::BTreeSet::new();
    let mut events = Vec::new();
    for line in trace {
        let thread = line.split_whitespace().next().unwrap_or_default();
        let is_sync = line.contains("fdatasync(") || line.contains("fsync(");
        if line.contains("pwrite64(") && line.contains("nightlatch.db-wal>") {
            events.push(Event::Written);
        } else if is_sync && line.contains("nightlatch.db-wal>") {
            if line.ends_with("= 0") {
                events.push(Event::Synced);
            } else if line.contains("<unfinished") {
                syncing.insert(thread.to_owned());
            }
        } else if line.contains("sync resumed>") && syncing.remove(thread) {
            assert!(line.ends_with("= 0"), "{line}");
            events.push(Event::Synced);
        } else if line.contains("HTTP/1.1 200 OK") {
            events.push(Event::Acknowledged);
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_before_it_is_synced() {
    let server = under_load().ready().await;
    let mut person = Person::registered(&server, "alice").await;
    // One request at a time: what is written between two answers belongs to the second.
    let strace =
        Strace::record(server.pid(), "fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg");
    let mut wanted = 0;
    for round in 0..ROUNDS {
        person.log_in().await;
        assert_eq!(person.log_out().await.status, 200);
        person.log_in().await;
        let (now, new) = if round % 2 == 0 {
            (PASSWORD, "copper-lantern-meadow-82")
        } else {
            ("copper-lantern-meadow-82", PASSWORD)
        };
        let changed = person.change_password(now, new).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        new.clone_into(&mut person.password);
        wanted += 4;
    }
    let trace = strace.end();
    let events = events(&trace);
    let mut acknowledged = 0;
    for (number, before) in events.split(|event| *event == Event::Acknowledged).enumerate() {
        if number == wanted {
            break;
        }
        acknowledged += 1;
        let written = before.iter().position(|event| *event == Event::Written);
        let synced = before.iter().rposition(|event| *event == Event::Synced);
        assert!(
            written.is_some_and(|written| synced.is_some_and(|synced| synced > written)),
            "answer {number} was sent after {before:?}:\n{}",
            trace.join("\n")
        );
    }
    assert_eq!(acknowledged, wanted, "{}", trace.join("\n"));
    let line = json!({
        "group": "SQLite",
        "fault": "answers before their fsync (trace of system calls)",
        "remark": format!("{wanted} logins, logouts and password changes, each after its sync"),
        "broken": [],
    });
    println!("FAULT {line}");
}
