//! The process gets too little: descriptors, memory, processor time, a place to write to.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nightlatch_testkit::client::Client;
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::process::{ServerProcess, run};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::drill::{Drill, LIMIT, full_or, under_load};
use super::report::{Expected, Wanted};
use crate::person::PASSWORD;

const GROUP: &str = "Own process";

const UNHARMED: Expected = Expected { writes: Wanted::Served, checks: Wanted::Served, class: None };

/// Descriptors in all, and connections that are too many for them.
const DESCRIPTORS: &str = "--nofile=128:128";
const CONNECTIONS: usize = 160;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_told_so_and_the_others_served() {
    let launch = under_load().through(&["prlimit", DESCRIPTORS]);
    let mut drill = Drill::begin(GROUP, "more connections than descriptors", launch).await;
    drill.fault_begins();
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS {
        crowd.push(TcpStream::connect(drill.server.address()).await.expect("the kernel takes it"));
    }
    let mut told = String::new();
    let mut last = crowd.pop().expect("there are many");
    let read = timeout(LIMIT, last.read_to_string(&mut told)).await;
    read.expect("who is too many is told so").expect("an answer is text");
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    assert!(told.contains("retry-after: 1") && told.contains(r#""code":"overloaded""#), "{told}");
    drill.stay_under_load().await;
    drop(crowd);
    // Overload is answered early: whose connection ends meanwhile, as after a request that was
    // refused before its body was read, needs a new one and is one too many as well.
    drill.remark = format!(
        "{CONNECTIONS} on 128; who needs a new one meanwhile is told 503 `overloaded` at once and \
         when to come back, who has one is served"
    );
    drill
        .fault_ends(Expected { writes: Wanted::Either, checks: Wanted::Either, class: None })
        .await;
}

/// How many descriptors a process can have open without getting another one.
fn descriptors_in_use(pid: i32) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("the server runs");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    numbers.max().map_or(0, |highest| highest + 1)
}

fn limit_descriptors(pid: i32, limit: u64) {
    let (process, limit) = (format!("--pid={pid}"), format!("--nofile={limit}:1024"));
    run(Command::new("prlimit").args([process, limit]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_descriptors_serves_those_it_has() {
    let mut drill = Drill::begin(GROUP, "descriptors used up", under_load()).await;
    let pid = drill.server.pid();
    drill.fault_begins();
    limit_descriptors(pid, descriptors_in_use(pid));
    // Those that nobody can accept wait in the kernel.
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting
            .push(TcpStream::connect(drill.server.address()).await.expect("the kernel takes it"));
    }
    drill.stay_under_load().await;
    limit_descriptors(pid, 1024);
    drop(waiting);
    drill.fault_ends(UNHARMED).await;
}

/// Room for the server, its caches and the blocks of its hashing threads, and not much more.
const MEMORY: &str = "--data=402653184";
const LOGINS_AT_ONCE: usize = 64;

async fn log_in(mut client: Client, name: String) -> u16 {
    let body = json!({ "username": name, "password": PASSWORD });
    client.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_stays_within_a_limit_of_memory() {
    let launch = under_load().through(&["prlimit", MEMORY]);
    let mut drill = Drill::begin(GROUP, "memory limit, and a storm of logins", launch).await;
    drill.fault_begins();
    let mut storm = JoinSet::new();
    for _ in 0..LOGINS_AT_ONCE {
        storm.spawn(log_in(drill.server.client(), "onlooker".to_owned()));
    }
    for status in storm.join_all().await {
        assert!([200, 503].contains(&status), "{status}");
    }
    drill.stay_under_load().await;
    drill
        .fault_ends(Expected { writes: Wanted::Either, checks: Wanted::Served, class: None })
        .await;
}

/// Programs that keep every core busy for as long as they live.
fn keep_cores_busy() -> Vec<ServerProcess> {
    let cores = std::thread::available_parallelism().expect("a machine has cores").get();
    let programs = (0..cores).map(|_| {
        let mut command = Command::new("setpriv");
        command.args(["--", "sh", "-c", "while :; do :; done"]);
        ServerProcess::spawn(command)
    });
    programs.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_cores_stop_nobody() {
    let mut drill = Drill::begin(GROUP, "all cores busy", under_load()).await;
    drill.fault_begins();
    let others = keep_cores_busy();
    drill.wait_since_beginning(Duration::from_secs(full_or(30, 4))).await;
    drill.stay_under_load().await;
    for other in &others {
        other.kill_9();
    }
    // Hashing gives way to everybody, and nobody gives way: what starves has to be rescued.
    drill.fault_ends(UNHARMED).await;
}

/// What is built when it is first needed is built while the cores are busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_on_busy_cores_lets_people_in() {
    let others = keep_cores_busy();
    let server = under_load().ready().await;
    let body = json!({ "username": "first", "password": PASSWORD });
    let answer = server.client().post_json("/api/v1/auth/register", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    for other in &others {
        other.kill_9();
    }
}

/// A root file system that nobody can write to, and one folder that is a disk of its own.
const ON_A_READ_ONLY_ROOT: &str = r#"here=$(pwd) && mount --bind "$here" "$here" && cd "$here" &&
    mount -o remount,bind,ro / && ! touch /tmp/is-writable && exec "$@""#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_root_stops_nobody_where_the_database_is_elsewhere() {
    let launch =
        under_load().through(&["unshare", "--mount", "sh", "-c", ON_A_READ_ONLY_ROOT, "sh"]);
    let mut drill = Drill::begin(GROUP, "read-only root, the database elsewhere", launch).await;
    drill.fault_begins();
    drill.stay_under_load().await;
    drill.fault_ends(UNHARMED).await;
}
