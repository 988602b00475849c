//! `examples/axum`: somebody else's application, whose sessions are kept by `nightlatch-store`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nightlatch_testkit::chaos_proxy::{ChaosProxy, Fault};
use nightlatch_testkit::client::{Answer, Client};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::process::{ServerProcess, free_port, run};
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::wait::wait_until;

use super::guide::{Guide, copied, start, type_in, with};
use crate::person::LIMIT;

/// The time in which an end on one node binds all others.
const S: Duration = Duration::from_secs(2);

const SECRET: &str = "a-secret-of-32-characters-or-more";

/// How the README starts it, before the arguments.
const COMMAND: &str = "cargo run -p nightlatch-store --all-features --example axum --";

/// The program, built with the features of everything else here: with those of the README alone its
/// dependencies would be compiled once more.
fn program() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        build.args(["build", "--workspace", "--all-features", "--locked", "--example", "axum"]);
        let _ = run(&mut build);
        let here = std::env::current_exe().expect("this program has a path");
        let target = here.parent().and_then(|deps| deps.parent()).expect("target/debug/deps");
        target.join("examples/axum")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_holds_what_it_promises() {
    let folder = copied("axum");
    let blocks = Guide::read("examples/axum/README.md").blocks("sh");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let program = program().display().to_string();
    let serve = with(&blocks[0], &[(COMMAND, &program), ("127.0.0.1:3000", &address)]);
    let _node = start(folder.path(), &serve, &[], port);
    let mut seen = 0;
    for line in blocks[1].lines() {
        let (command, expected) = line.split_once('#').unwrap_or((line, ""));
        let command = with(command, &[("127.0.0.1:3000", &address), ("curl", "curl -s")]);
        let told = type_in(folder.path(), &command);
        assert!(told.contains(expected.trim()), "{command}: {told}");
        seen += usize::from(!expected.is_empty());
    }
    assert_eq!(seen, 3);
    assert!(folder.path().join("sessions.db").exists());
}

/// A node of the application.
struct Node {
    port: u16,
    _process: ServerProcess,
}

impl Node {
    fn start(database: &str, redis: u16) -> Self {
        let folder = std::env::temp_dir();
        let port = free_port();
        let redis = format!("127.0.0.1:{redis}");
        let words = [&format!("127.0.0.1:{port}"), database, &redis, SECRET];
        let serve = format!("{} {}", program().display(), words.join(" "));
        Self { port, _process: start(&folder, &serve, &[], port) }
    }

    async fn ask(&self, method: Method, path: &str, cookie: &str) -> Answer {
        let mut client = Client::new(([127, 0, 0, 1], self.port).into());
        client.request(method, path).header("cookie", format!("id={cookie}")).send().await
    }

    /// Whose session it is, as this node knows.
    async fn name(&self, cookie: &str) -> String {
        let answer = self.ask(Method::GET, "/", cookie).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().split(':').next().expect("one part at least").to_owned()
    }

    /// Waits until it knows whose session it is. Until then the answer is 503; never that it is nobody's.
    async fn knows_again(&self, cookie: &str, name: &str) {
        wait_until("the node knows", LIMIT, async || {
            let answer = self.ask(Method::GET, "/", cookie).await;
            let is_known = answer.status == 200;
            assert!(is_known || answer.status == 503, "{answer:?}");
            assert!(!is_known || answer.text().starts_with(&format!("{name}:")), "{answer:?}");
            is_known
        })
        .await;
    }

    async fn log_in(&self, name: &str) -> String {
        let answer = self.ask(Method::POST, &format!("/login/{name}"), "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.set_cookie("id").expect("a session").value
    }

    async fn log_out(&self, cookie: &str) {
        assert_eq!(self.ask(Method::POST, "/logout", cookie).await.status, 200);
        assert_eq!(self.name(cookie).await, "nobody", "at once where it was said");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_redis_does_a_logout_on_one_node_binds_the_other() {
    let (postgres, redis) = (PostgresServer::shared(), RedisServer::launch());
    let database = postgres.url(&postgres.create_database());
    let nodes = [Node::start(&database, redis.port()), Node::start(&database, redis.port())];
    for state in ["well", "hanging", "gone", "back and empty"] {
        match state {
            "hanging" => redis.pause(),
            "gone" => {
                redis.resume();
                redis.kill_9();
            }
            "back and empty" => redis.start(),
            _ => {}
        }
        for (here, there) in [(0, 1), (1, 0)] {
            let (here, there) = (&nodes[here], &nodes[there]);
            let cookie = here.log_in("alice").await;
            for node in [there, here, there] {
                assert_eq!(node.name(&cookie).await, "alice", "{state}");
            }
            here.log_out(&cookie).await;
            wait_until(&format!("the other node knows, Redis {state}"), S, async || {
                there.name(&cookie).await == "nobody"
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_database_says_503_and_signs_nobody_out() {
    let (postgres, redis) = (PostgresServer::shared(), RedisServer::launch());
    let way = ChaosProxy::start(postgres.port()).await;
    let direct = postgres.url(&postgres.create_database());
    let port = |port: u16| format!(":{port}/");
    let through = direct.replace(&port(postgres.port()), &port(way.port()));
    let (here, there) = (Node::start(&through, redis.port()), Node::start(&direct, redis.port()));
    let (stays, goes) = (here.log_in("alice").await, here.log_in("bob").await);
    for fault in [Fault::Refuse, Fault::Silent] {
        way.set(fault).await;
        // Each request of the counter saves: nothing can be acknowledged.
        wait_until("nothing is acknowledged", LIMIT, async || {
            let answer = here.ask(Method::GET, "/", &stays).await;
            let is_unavailable = answer.status == 503;
            if is_unavailable {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                assert!(answer.cookies().is_empty(), "the cookie stays: {answer:?}");
            }
            is_unavailable
        })
        .await;
        // The database may hold the row for a node that fell silent in the middle of saving it.
        there.knows_again(&stays, "alice").await;
        way.set(Fault::None).await;
        here.knows_again(&stays, "alice").await;
    }
    way.set(Fault::Refuse).await;
    there.log_out(&goes).await;
    way.set(Fault::None).await;
    wait_until("what ended meanwhile has ended here", LIMIT, async || {
        let answer = here.ask(Method::GET, "/", &goes).await;
        answer.status == 200 && answer.text().starts_with("nobody")
    })
    .await;
    here.knows_again(&stays, "alice").await;
}
