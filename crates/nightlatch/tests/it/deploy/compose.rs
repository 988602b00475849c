//! `deploy/compose/` as processes: two servers behind nginx, restarted under load.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nightlatch_testkit::authority::Authority;
use nightlatch_testkit::chance;
use nightlatch_testkit::curl::Curl;
use nightlatch_testkit::history::{Asked, Circumstances, Operation, judge_under};
use nightlatch_testkit::load::{Crowd, SteadyLoad};
use nightlatch_testkit::nginx::Nginx;
use nightlatch_testkit::postgres::PostgresServer;
use nightlatch_testkit::process::free_port;
use nightlatch_testkit::redis::RedisServer;
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::shipped::Shipped;
use nightlatch_testkit::wait::wait_until;
use serde_json::Value;
use tempfile::TempDir;

use crate::record::launch;

/// How long the load may take to be served so much.
const LIMIT: Duration = Duration::from_mins(1);

/// Requests of each kind that a span has at least, so that it says something.
const WRITES_MIN: usize = 25;
const CHECKS_MIN: usize = 80;

/// The origin that people open.
pub(crate) const ORIGIN: &str = "https://login.example.org";

/// What `openssl rand -hex 32` gives, thrice.
const SECRETS: [(&str, &str); 3] = [
    ("postgres_password", "3b1f60f4c8f94b0f8e0f1d2c5a69788796a5b4c3d2e1f00112233445566778899"),
    ("redis_password", "9f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211f0e1d2c3b4a596"),
    ("session_secret_key", "5c4f3e2d1b0a99887766554433221100ffeeddccbbaa998877665544332211aa"),
];

/// The compose file's services, without what is behind no process of ours.
pub(crate) struct Compose {
    pub(crate) nginx: Nginx,
    pub(crate) nodes: Vec<NightlatchServer>,
    beneath: Beneath,
}

/// What the servers stand on.
pub(crate) struct Beneath {
    pub(crate) database: String,
    authority: Authority,
    redis: RedisServer,
    secrets: TempDir,
    /// Last: the servers have ended when their record goes.
    pub(crate) postgres: PostgresServer,
}

impl Beneath {
    /// PostgreSQL with an empty database, and Redis, both with their passwords.
    pub(crate) fn launch() -> Self {
        let secrets = tempfile::tempdir().expect("the temporary folder takes a folder");
        for (name, secret) in SECRETS {
            fs::write(secrets.path().join(name), format!("{secret}\n")).expect("our folder");
        }
        let postgres = PostgresServer::launch();
        let database = postgres.create_database();
        postgres
            .sql(&database, &format!("CREATE ROLE nightlatch LOGIN PASSWORD '{}'", SECRETS[0].1));
        postgres.sql(&database, &format!("ALTER DATABASE {database} OWNER TO nightlatch"));
        let redis = RedisServer::launch_with(&[("requirepass", SECRETS[1].1)]);
        Self { database, authority: Authority::new(), redis, secrets, postgres }
    }

    /// A server of the compose file, with its environment; what names other containers names ports of
    /// 127.0.0.1.
    pub(crate) fn node(&self, service: &str, port: u16) -> Launch {
        let compose = Shipped::read("compose/compose.yaml").yaml().remove(0);
        let environment = compose["services"][service]["environment"].clone();
        let variables = environment.as_object().expect("it has one");
        variables.iter().fold(launch(), |launch, (name, value)| {
            let value = value.as_str().expect("text");
            launch.set(name, &self.here(name, value, port))
        })
    }

    /// Writes another value into the file of a secret.
    fn set_secret(&self, name: &str, value: &str) {
        let file = self.secrets.path().join(name);
        assert!(file.exists(), "{name} is a secret");
        fs::write(file, value).expect("our folder takes a file");
    }

    fn here(&self, name: &str, value: &str, port: u16) -> String {
        let change = |from: &str, to: &str| {
            assert!(value.contains(from), "{name} is {value}");
            value.replace(from, to)
        };
        match name {
            "PUBLIC_URL" => ORIGIN.to_owned(),
            "NIGHTLATCH_LISTEN" => change("0.0.0.0:8080", &format!("127.0.0.1:{port}")),
            "NIGHTLATCH_METRICS_LISTEN" => change("0.0.0.0:9464", "127.0.0.1:0"),
            "DATABASE_URL" => change(
                "@postgres:5432/nightlatch",
                &format!("@127.0.0.1:{}/{}", self.postgres.port(), self.database),
            ),
            "REDIS_HOST" => change("redis", "127.0.0.1"),
            "REDIS_PORT" => change("6379", &self.redis.port().to_string()),
            "TRUSTED_PROXIES" => change("172.28.11.10/32", "127.0.0.1/32"),
            _ if name.ends_with("_FILE") => {
                change("/run/secrets", &self.secrets.path().display().to_string())
            }
            _ => value.to_owned(),
        }
    }
}

/// As shipped, but for what a crowd of a hundred requests a second needs that comes from one address.
pub(crate) fn for_a_crowd(launch: Launch) -> Launch {
    let launch = launch.set("DISABLE_THROTTLING", "true").set("REGISTRATION", "open");
    launch.set("JWT_ACCESS_TTL", "3600")
}

impl Compose {
    /// Starts all of it.
    pub(crate) async fn up() -> Self {
        Self::up_on(Beneath::launch()).await
    }

    /// Starts servers and nginx on what there is.
    pub(crate) async fn up_on(beneath: Beneath) -> Self {
        let ports = [free_port(), free_port()];
        let mut nodes = Vec::new();
        for (service, port) in [("nightlatch-1", ports[0]), ("nightlatch-2", ports[1])] {
            nodes.push(for_a_crowd(beneath.node(service, port)).ready().await);
        }
        let nginx = nginx(ports, &beneath.authority);
        Self { nginx, nodes, beneath }
    }

    pub(crate) fn beneath(&self) -> &Beneath {
        &self.beneath
    }

    /// A crowd that goes through nginx.
    pub(crate) async fn load(&self) -> SteadyLoad {
        let mut chance = chance::from_environment("deploy");
        let address = ([127, 0, 0, 1], self.nginx.port()).into();
        SteadyLoad::start(&[address], Crowd::STEADY, &mut chance, None).await
    }

    /// Stops one in order, and starts it again when the other has served alone for a while.
    pub(crate) async fn restart(&mut self, number: usize, load: &SteadyLoad) {
        let node = &mut self.nodes[number];
        let exit = tokio::task::block_in_place(|| node.terminate());
        assert_eq!(exit, Some(0), "a stop is no failure");
        stay_under_load(load).await;
        let node = &mut self.nodes[number];
        tokio::task::block_in_place(|| node.start_again());
        node.wait_until_ready().await;
        stay_under_load(load).await;
    }
}

/// The shipped nginx in front of two ports. It speaks TLS on 443 as shipped; what comes without goes to the
/// same `server { }`.
fn nginx(nodes: [u16; 2], authority: &Authority) -> Nginx {
    let (certificate, key) = authority.issue("login.example.org", 2);
    let tls = free_port();
    let site = Shipped::read("compose/nginx.conf");
    Nginx::serving(
        |place| {
            site.with(&[
                ("172.28.11.11:8080", format!("127.0.0.1:{}", nodes[0])),
                ("172.28.11.12:8080", format!("127.0.0.1:{}", nodes[1])),
                ("listen 80;", format!("listen 127.0.0.1:{};", free_port())),
                (
                    "listen 443 ssl;",
                    format!("listen 127.0.0.1:{tls} ssl; listen 127.0.0.1:{};", place.port),
                ),
                ("/etc/nginx/tls", place.root.clone()),
            ])
        },
        &[("cert.pem", &certificate), ("key.pem", &key), ("tls-port", &tls.to_string())],
    )
}

/// Waits until enough has been asked and answered.
pub(crate) async fn stay_under_load(load: &SteadyLoad) {
    let from = load.now();
    wait_until("the load goes on", LIMIT, async || {
        load.count(from, Operation::is_check) >= CHECKS_MIN
            && load.count(from, |operation| !operation.is_check()) >= WRITES_MIN
    })
    .await;
}

/// Nobody was told that it does not work, nobody was logged out, nobody was let in after a logout.
#[track_caller]
pub(crate) fn assert_nothing_failed(log: &[Operation]) {
    // 401 and 403 are answers to who was logged out, or does not know the password: judged below.
    let worked = |operation: &&Operation| matches!(operation.status(), Some(200 | 401 | 403));
    let failed: Vec<_> = log.iter().filter(|operation| !worked(operation)).collect();
    assert!(failed.is_empty(), "{} of {} requests failed: {failed:#?}", failed.len(), log.len());
    let behind_proxy = Circumstances { behind_proxy: true, ..Circumstances::default() };
    let judgement = judge_under(log, &behind_proxy);
    assert!(judgement.is_clean(), "{judgement:#?}");
}

/// How many requests a server has answered in all of its starts that have ended.
fn served(node: &NightlatchServer) -> u64 {
    let log = node.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ends = lines.filter(|line| line["event"] == "server.served");
    ends.filter_map(|line| line["requests"].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_are_restarted_one_after_the_other_and_no_request_fails() {
    let mut stand = Compose::up().await;
    let load = stand.load().await;
    stay_under_load(&load).await;
    for number in [0, 1, 0] {
        stand.restart(number, &load).await;
    }
    assert_nothing_failed(&load.finish().await);
    for node in &stand.nodes {
        assert!(served(node) > 100, "nginx has asked both: {}", served(node));
    }
}

// As docs/operating.md says, up to the step that has to wait for the longest session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_sessions_is_rotated_and_nobody_is_logged_out() {
    let (old, new) =
        (SECRETS[2].1, "0f1e2d3c4b5a69788796a5b4c3d2e1f0ffeeddccbbaa99887766554433221100");
    let mut stand = Compose::up().await;
    let load = stand.load().await;
    stay_under_load(&load).await;
    for list in [format!("{old},{new}"), format!("{new},{old}")] {
        stand.beneath.set_secret("session_secret_key", &list);
        for number in [0, 1] {
            stand.restart(number, &load).await;
        }
    }
    assert_nothing_failed(&load.finish().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_costs_at_most_what_it_was_answering() {
    let mut stand = Compose::up().await;
    let load = stand.load().await;
    stay_under_load(&load).await;
    let killed = load.now();
    stand.nodes[0].kill_9();
    stay_under_load(&load).await;
    let over = load.now();
    stand.nodes[0].start_again();
    stand.nodes[0].wait_until_ready().await;
    stay_under_load(&load).await;
    let log = load.finish().await;
    // What may have taken effect is not sent again: told 503, with cookies left alone.
    let (hit, others): (Vec<_>, Vec<_>) = log.into_iter().partition(|operation| {
        operation.began <= over && operation.ended >= killed && operation.status() == Some(503)
    });
    // A GET is asked again of the other; a POST is not, whatever it asks, a token's check neither.
    let are_posts = hit.iter().all(|operation| operation.asked != Asked::Check);
    assert!(are_posts, "session checks go to the other: {hit:?}");
    let all: Vec<_> = hit.into_iter().chain(others.clone()).collect();
    let behind_proxy = Circumstances { behind_proxy: true, ..Circumstances::default() };
    let judgement = judge_under(&all, &behind_proxy);
    assert!(judgement.is_clean(), "{judgement:#?}");
    let is_503 = |operation: &&Operation| operation.status() == Some(503);
    assert_eq!(others.iter().filter(is_503).count(), 0, "then nothing fails any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_come_in_over_tls_and_are_known_by_their_own_address() {
    let stand = Compose::up().await;
    let port = fs::read_to_string(stand.nginx.folder().join("tls-port")).expect("it was written");
    let port = port.parse().expect("a port");
    let visitor = Curl::new(port, stand.beneath.authority.path("ca.pem"));
    let body = r#"{"username": "alice", "password": "violet-anchor-parade-47"}"#;
    for (path, status) in [("register", 201), ("login", 200)] {
        let url = format!("{ORIGIN}/api/v1/auth/{path}");
        // Who claims another address is not believed.
        let claim = ["--header", "X-Forwarded-For: 203.0.113.9", "--json", body];
        let answer = visitor.send(&url, &claim).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let session = visitor.visit(&format!("{ORIGIN}/api/v1/session")).await;
    assert_eq!(session.status, 200, "{session:?}");
    assert_eq!(session.json()["session"]["address"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_nobody_answers_nginx_says_so_and_when_to_come_back() {
    let mut stand = Compose::up().await;
    for node in &mut stand.nodes {
        node.kill_9();
    }
    let mut client =
        nightlatch_testkit::client::Client::new(([127, 0, 0, 1], stand.nginx.port()).into());
    let answer = client.get("/api/v1/session").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.cookies().is_empty(), "{answer:?}");
}

/// A file of the compose folder.
pub(crate) fn shipped(name: &str) -> Shipped {
    Shipped::read(&Path::new("compose").join(name).display().to_string())
}

#[test]
fn the_compose_file_agrees_with_nginx_and_with_itself() {
    let compose = shipped("compose.yaml").yaml().remove(0);
    let nginx = shipped("nginx.conf");
    let services = compose["services"].as_object().expect("services");
    let mut upstreams = 0;
    for (name, service) in services {
        let address = service["networks"]["inside"]["ipv4_address"].as_str();
        if name.starts_with("nightlatch") {
            let upstream = format!("server {}:8080 ", address.expect("a fixed one"));
            assert!(nginx.text().contains(&upstream), "{upstream}");
            upstreams += 1;
            let trusted = service["environment"]["TRUSTED_PROXIES"].as_str().expect("one");
            let proxy = &services["proxy"]["networks"]["inside"]["ipv4_address"];
            assert_eq!(Some(trusted), proxy.as_str().map(|ip| format!("{ip}/32")).as_deref());
        }
        let used = service["secrets"].as_array().into_iter().flatten();
        for secret in used.filter_map(Value::as_str) {
            assert!(compose["secrets"][secret]["file"].is_string(), "{name}: {secret}");
        }
        let wanted = service["depends_on"].as_object().into_iter().flatten();
        for (other, how) in wanted {
            assert!(services.contains_key(other), "{name} waits for {other}");
            let is_checked = services[other]["healthcheck"]["test"].is_array();
            assert!(how["condition"] != "service_healthy" || is_checked, "{name}: {other}");
        }
    }
    assert_eq!(nginx.text().matches("max_fails=1").count(), upstreams);
}
