//! One row from its beginning to its verdict: a server under steady load, a fault, its end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nightlatch_testkit::auth_service::FakeAuthService;
use nightlatch_testkit::chance::{self, Chance};
use nightlatch_testkit::client::Client;
use nightlatch_testkit::history::{Circumstances, CutOff, Operation};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::load::{Crowd, SteadyLoad};
use nightlatch_testkit::server::{Launch, NightlatchServer};
use nightlatch_testkit::wait::wait_until;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::guesser::Guesser;
use super::report::{Expected, Findings};
use super::watch::{Seen, Watch};
use crate::person::PASSWORD;
use crate::record::launch;

/// How long anything may take that ends a row if it does not come.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// Requests of each kind that a span of a row has at least, so that it says something.
const WRITES_MIN: usize = 12;
const CHECKS_MIN: usize = 40;

/// The load in a row that has none of its own: somebody who only looks whether all is well.
const ONLOOKER: &str = "onlooker";

/// Whose password is guessed.
const VICTIM: &str = "victim";

/// Whether spans are as long as they are told in the table of faults, or as short as can be.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the server")]
pub(crate) fn is_full() -> bool {
    std::env::var("NIGHTLATCH_FAULTS").is_ok_and(|value| value == "full")
}

/// `full` in a full run, else `short`.
pub(crate) fn full_or<T>(full: T, short: T) -> T {
    if is_full() { full } else { short }
}

/// A row that runs.
pub(crate) struct Drill {
    group: &'static str,
    fault: &'static str,
    /// The server that the fault is about.
    pub(crate) server: NightlatchServer,
    pub(crate) load: SteadyLoad,
    pub(crate) watch: Watch,
    /// Those beside it, on the same record.
    pub(crate) others: Vec<Other>,
    pub(crate) chance: Chance,
    pub(crate) remark: String,
    /// A span of which the record has lost what was written.
    pub(crate) lost_writes: Option<(Duration, Duration)>,
    /// Whether time goes on by more than access tokens live.
    pub(crate) slept: bool,
    /// Nodes that do not reach the record while the fault lasts; that of `server` is 0.
    pub(crate) cut_off: Vec<usize>,
    healthy: (Duration, Duration),
    faulty: (Duration, Duration),
    /// Of each server.
    lines_before: Vec<usize>,
    /// And how many of its guesses may be evaluated.
    guesser: Option<(Guesser, usize)>,
}

/// A server beside the one that the fault is about.
pub(crate) struct Other {
    pub(crate) server: NightlatchServer,
    pub(crate) watch: Watch,
}

/// How every row's server is set up: load is no attack, and no row outlasts an access token.
pub(crate) fn under_load() -> Launch {
    launch().set("DISABLE_THROTTLING", "true").set("JWT_ACCESS_TTL", "3600")
}

impl Drill {
    /// Starts a server and the usual load, and lets it run while all is well.
    pub(crate) async fn begin(group: &'static str, fault: &'static str, launch: Launch) -> Self {
        Self::begin_with(group, fault, launch, Crowd::STEADY).await
    }

    /// As [`Self::begin`], with another crowd.
    pub(crate) async fn begin_with(
        group: &'static str,
        fault: &'static str,
        launch: Launch,
        crowd: Crowd,
    ) -> Self {
        Self::begin_among(group, fault, vec![launch], crowd).await
    }

    /// As [`Self::begin_with`], with several servers on one record; the fault is about the first.
    pub(crate) async fn begin_among(
        group: &'static str,
        fault: &'static str,
        launches: Vec<Launch>,
        crowd: Crowd,
    ) -> Self {
        let mut drill = Self::set_up(group, fault, launches, (crowd, None)).await;
        drill.wait_until_well().await;
        drill.watch_healthy().await;
        drill
    }

    /// As [`Self::begin`], with people whose passwords this service keeps.
    pub(crate) async fn begin_delegated(
        group: &'static str,
        fault: &'static str,
        launch: Launch,
        service: &FakeAuthService,
    ) -> Self {
        let crowd = (Crowd::DELEGATED, Some(service));
        let mut drill = Self::set_up(group, fault, vec![launch], crowd).await;
        drill.wait_until_well().await;
        drill.watch_healthy().await;
        drill
    }

    /// As [`Self::begin_among`], with servers that have their fault from the start on.
    pub(crate) async fn begin_ill(
        group: &'static str,
        fault: &'static str,
        launches: Vec<Launch>,
    ) -> Self {
        let mut drill = Self::set_up(group, fault, launches, (Crowd::STEADY, None)).await;
        drill.wait_until_served().await;
        drill.watch_healthy().await;
        drill
    }

    async fn set_up(
        group: &'static str,
        fault: &'static str,
        launches: Vec<Launch>,
        (crowd, known_by): (Crowd, Option<&FakeAuthService>),
    ) -> Self {
        let mut servers = Vec::new();
        for launch in launches {
            servers.push(launch.ready().await);
        }
        let addresses: Vec<SocketAddr> = servers.iter().map(NightlatchServer::address).collect();
        let mut chance = chance::from_environment(fault);
        let load = SteadyLoad::start(&addresses, crowd, &mut chance, known_by).await;
        match known_by {
            Some(service) => service.knows_user(ONLOOKER, PASSWORD),
            None => load.register(ONLOOKER, PASSWORD).await,
        }
        let mut others = servers.into_iter().map(|server| {
            let watch = Watch::start(server.address());
            Other { server, watch }
        });
        let Other { server, watch } = others.next().expect("the fault is about one");
        let others = others.collect();
        let (healthy, faulty) = ((load.now(), load.now()), (Duration::ZERO, Duration::ZERO));
        let (remark, lost_writes, cut_off, lines_before) =
            (String::new(), None, Vec::new(), vec![]);
        Self {
            group,
            fault,
            server,
            load,
            watch,
            others,
            chance,
            remark,
            lost_writes,
            slept: false,
            cut_off,
            healthy,
            faulty,
            lines_before,
            guesser: None,
        }
    }

    /// What is usual, to compare with.
    async fn watch_healthy(&mut self) {
        self.healthy.0 = self.load.now();
        self.stay_under_load().await;
        self.healthy.1 = self.load.now();
    }

    /// From now on somebody guesses a password, on all servers in turn, of which at most so many may be
    /// evaluated.
    pub(crate) async fn guess_meanwhile(&mut self, most: usize) {
        self.load.register(VICTIM, PASSWORD).await;
        let addresses = self.nodes().map(|(server, _)| server.address()).collect();
        self.guesser = Some((Guesser::start(VICTIM, addresses), most));
    }

    /// The database file, where the server has made it by itself.
    pub(crate) fn database(&self) -> PathBuf {
        self.server.folder().join("nightlatch.db")
    }

    /// From now on the fault lasts.
    pub(crate) fn fault_begins(&mut self) {
        for (_, watch) in self.nodes() {
            watch.begin();
        }
        self.lines_before =
            self.nodes().map(|(server, _)| lines_about(&server.log()).len()).collect();
        self.faulty.0 = self.load.now();
    }

    /// Waits until enough has been asked and answered, whatever the answers are.
    pub(crate) async fn stay_under_load(&self) {
        let from = self.load.now();
        let is_check = Operation::is_check;
        wait_until("the load goes on", LIMIT, async || {
            self.load.count(from, is_check) >= CHECKS_MIN
                && self.load.count(from, |operation| !is_check(operation)) >= WRITES_MIN
        })
        .await;
    }

    /// Waits until so many writes that were sent since the fault began were told this status.
    pub(crate) async fn wait_for_writes(&self, status: u16, least: usize) {
        let is_so =
            |operation: &Operation| !operation.is_check() && operation.status() == Some(status);
        wait_until(&format!("writes are told {status}"), LIMIT, async || {
            self.load.count(self.faulty.0, is_so) >= least
        })
        .await;
    }

    /// The same of each server by itself: what one is told says nothing of another.
    pub(crate) async fn wait_for_writes_everywhere(&self, status: u16, least: usize) {
        for node in 0..=self.others.len() {
            let is_so = |operation: &Operation| {
                operation.node == node
                    && !operation.is_check()
                    && operation.status() == Some(status)
            };
            wait_until(&format!("writes of node {node} are told {status}"), LIMIT, async || {
                self.load.count(self.faulty.0, is_so) >= least
            })
            .await;
        }
    }

    /// Waits until so many checks that were sent since the fault began were told this status.
    pub(crate) async fn wait_for_checks(&self, status: u16, least: usize) {
        let is_so =
            |operation: &Operation| operation.is_check() && operation.status() == Some(status);
        wait_until(&format!("checks are told {status}"), LIMIT, async || {
            self.load.count(self.faulty.0, is_so) >= least
        })
        .await;
    }

    /// The moment in the log at which the fault began.
    pub(crate) fn began(&self) -> Duration {
        self.faulty.0
    }

    /// Waits until health names this class, or one of several with `|` between.
    pub(crate) async fn wait_for_class(&self, class: &str) {
        wait_until(&format!("health says {class}"), LIMIT, async || {
            class.split('|').any(|class| self.watch.seen().class == class)
        })
        .await;
    }

    /// Waits until health of every node names this class, or one of these.
    pub(crate) async fn wait_for_class_everywhere(&self, class: &str) {
        wait_until(&format!("health says {class} on every node"), LIMIT, async || {
            let mut nodes = self.nodes();
            nodes.all(|(_, watch)| class.split('|').any(|class| watch.seen().class == class))
        })
        .await;
    }

    /// Waits until health of every node names this class, and then so long under load.
    pub(crate) async fn stay_ill(&self, class: &str, span: Duration) {
        self.wait_for_class_everywhere(class).await;
        self.wait_from_now(span).await;
        self.stay_under_load().await;
    }

    /// Waits until health of every node has named this class, or one of these, each at its time.
    pub(crate) async fn wait_until_told_everywhere(&self, class: &str) {
        wait_until(&format!("health has said {class} on every node"), LIMIT, async || {
            let mut nodes = self.nodes();
            nodes.all(|(_, watch)| {
                let classes = watch.seen().classes;
                class.split('|').any(|class| classes.contains(class))
            })
        })
        .await;
    }

    /// Waits until health says this of the whole, and names this class.
    pub(crate) async fn wait_for_health(&self, word: &str, class: &str) {
        wait_until(&format!("health is {word}: {class}"), LIMIT, async || {
            let seen = self.watch.seen();
            (seen.word.as_str(), seen.class.as_str()) == (word, class)
        })
        .await;
    }

    /// Waits until a span has passed since the fault began.
    pub(crate) async fn wait_since_beginning(&self, span: Duration) {
        wait_until("time passes", span + LIMIT, async || self.load.now() >= self.faulty.0 + span)
            .await;
    }

    /// Waits until a span has passed that is part of the fault.
    pub(crate) async fn wait_from_now(&self, span: Duration) {
        let until = self.load.now() + span;
        wait_until("time passes", span + LIMIT, async || self.load.now() >= until).await;
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        self.server.kill_9();
    }

    /// Starts it again, and lets everybody know where.
    pub(crate) fn start_again(&mut self) {
        self.server.start_again();
        self.load.move_to(0, self.server.address());
        self.watch.move_to(self.server.address());
    }

    /// Stops it in order and starts it again.
    pub(crate) async fn restart(&mut self) {
        assert_eq!(self.server.terminate(), Some(0), "a stop is no failure");
        self.start_again();
        self.server.wait_until_ready().await;
    }

    /// Stops another server in order and starts it again; the fault's own is number 0.
    pub(crate) fn restart_other(&mut self, number: usize) {
        let other = &mut self.others[number - 1];
        assert_eq!(other.server.terminate(), Some(0), "a stop is no failure");
        other.server.start_again();
        self.load.move_to(number, other.server.address());
        other.watch.move_to(other.server.address());
    }

    /// The fault has ended: waits until all is well, and gives the verdict.
    pub(crate) async fn fault_ends(self, expected: Expected) {
        self.fault_ends_among(expected, expected).await;
    }

    /// The fault will not end: gives the verdict.
    pub(crate) async fn fault_stays(mut self, expected: Expected) {
        self.faulty.1 = self.load.now();
        let seen = self.nodes().map(|(_, watch)| watch.seen()).collect();
        self.conclude((expected, expected), seen, Duration::ZERO).await;
    }

    /// The same where the servers beside are to do something else than the fault's own.
    pub(crate) async fn fault_ends_among(mut self, expected: Expected, of_others: Expected) {
        self.faulty.1 = self.load.now();
        let ended = Instant::now();
        let seen = self.nodes().map(|(_, watch)| watch.seen()).collect();
        self.wait_until_well().await;
        let recovered_after = ended.elapsed();
        self.conclude((expected, of_others), seen, recovered_after).await;
    }

    async fn conclude(
        self,
        (expected, of_others): (Expected, Expected),
        seen: Vec<Seen>,
        recovered_after: Duration,
    ) {
        let well_at = self.load.now();
        let lines: Vec<Vec<String>> = std::iter::zip(self.nodes(), &self.lines_before)
            .map(|((server, _), before)| lines_about(&server.log()).split_off(*before))
            .collect();
        self.stay_under_load().await;
        if let Some((guesser, most)) = &self.guesser {
            wait_until("a guess is refused", LIMIT, async || guesser.counts().1 > 0).await;
            let (evaluated, _) = guesser.counts();
            assert!(evaluated <= *most, "{evaluated} guesses were evaluated");
        }
        let has_died = self.nodes().any(|(server, _)| server.has_died());
        assert!(!has_died, "a server has ended by itself");
        let cut_off = self.cut_off.iter().map(|node| CutOff {
            node: *node,
            from: self.faulty.0,
            to: well_at,
        });
        let circumstances = Circumstances {
            cut_off: cut_off.collect(),
            lost_writes: self.lost_writes,
            slept: self.slept.then_some(self.faulty.0),
            behind_proxy: false,
        };
        let log = self.load.finish().await;
        let findings = Findings {
            group: self.group,
            fault: self.fault,
            log: &log,
            circumstances: &circumstances,
            healthy: self.healthy,
            faulty: self.faulty,
            seen: &seen,
            lines: &lines,
            recovered_after,
            remark: self.remark,
        };
        findings.conclude(expected, of_others);
    }

    fn nodes(&self) -> impl Iterator<Item = (&NightlatchServer, &Watch)> {
        let others = self.others.iter().map(|other| (&other.server, &other.watch));
        std::iter::once((&self.server, &self.watch)).chain(others)
    }

    async fn wait_until_well(&self) {
        self.wait_until_served().await;
        for (_, watch) in self.nodes() {
            wait_until("health knows it", LIMIT, async || {
                let seen = watch.seen();
                seen.class == "none" && seen.ready == 200
            })
            .await;
        }
    }

    async fn wait_until_served(&self) {
        for (server, _) in self.nodes() {
            let mut client = server.client();
            wait_until("all is well", LIMIT, async || is_well(&mut client).await).await;
        }
    }
}

/// Whether somebody can log in, and is known then.
async fn is_well(client: &mut Client) -> bool {
    let body = json!({ "username": ONLOOKER, "password": PASSWORD });
    let login = client.request(Method::POST, "/api/v1/auth/login").json(&body).try_send().await;
    if login.is_ok_and(|answer| answer.status == 200) {
        let check = client.request(Method::GET, "/api/v1/session").try_send().await;
        return check.is_ok_and(|answer| answer.status == 200);
    }
    false
}

/// The lines of a log that are about a fault: not requests, starts, stops and registrations.
fn lines_about(log: &str) -> Vec<String> {
    const OTHERS: [&str; 6] =
        ["http.", "server.", "config.", "user.", "record.migrated", "throttle.disabled"];
    let is_about = |line: &&str| {
        let parsed: Option<Value> = serde_json::from_str(line).ok();
        let event = parsed.as_ref().and_then(|line| line["event"].as_str()).unwrap_or_default();
        !OTHERS.iter().any(|other| event.starts_with(other))
    };
    log.lines().filter(is_about).map(str::to_owned).collect()
}
