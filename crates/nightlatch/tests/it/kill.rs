//! kill -9 at random instants under load: what was acknowledged stays.
//!
//! The judge is what the clients were told: a login that was answered is valid afterwards, a
//! logout that was answered stays one. What had no answer may have happened or not.

use std::time::Duration;

use nightlatch_testkit::chance::{self, Chance};
use nightlatch_testkit::client::{Client, Lost};
use nightlatch_testkit::hyper::Method;
use nightlatch_testkit::server::NightlatchServer;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::person::{PASSWORD, Person, SESSION};
use crate::record::{Record, launch, on_each_record};

on_each_record!(nothing_acknowledged_is_lost_or_undone_by_kills_under_load);

/// Kills on each record.
const KILLS: usize = 50;

/// People at once.
const WORKERS: usize = 8;

/// The least load under which a kill counts.
const OPERATIONS_A_SECOND_MIN: f64 = 50.0;

/// The earliest and the latest instant of a kill after the load began, in milliseconds.
const KILL_AFTER_MS: (u64, u64) = (80, 520);

/// How long a server that is ready may take to know a session.
const KNOW_LIMIT: Duration = Duration::from_secs(10);

/// What we were told of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// The login was acknowledged.
    LoggedIn,
    /// A logout was asked for, and there was no answer.
    Unknown,
    /// The logout was acknowledged, or the session was seen to be gone after one.
    LoggedOut,
}

struct Session {
    token: String,
    csrf: String,
    told: Told,
}

/// One person with many browsers.
struct Worker {
    name: String,
    client: Client,
    chance: Chance,
    sessions: Vec<Session>,
    done: u64,
    /// Requests that a kill cut off.
    cut: u64,
}

impl Worker {
    /// Works until the server is gone.
    async fn work(mut self) -> Self {
        loop {
            let result = match self.chance.below(20) {
                0..5 => self.log_in().await,
                5..7 => self.log_out().await,
                _ => self.check().await,
            };
            match result {
                Ok(()) => self.done += 1,
                Err(Lost::NotConnected) => return self,
                Err(_) => {
                    self.cut += 1;
                    return self;
                }
            }
        }
    }

    async fn log_in(&mut self) -> Result<(), Lost> {
        let body = json!({ "username": self.name, "password": PASSWORD });
        let request = self.client.request(Method::POST, "/api/v1/auth/login").without_cookies();
        let answer = request.json(&body).try_send().await?;
        assert!(is_known(answer.status, 200), "{}", answer.text());
        if answer.status == 200 {
            let token = answer.set_cookie(SESSION).expect("a login sets the cookie").value;
            let csrf = answer.json()["csrf_token"].as_str().expect("a token").to_owned();
            self.sessions.push(Session { token, csrf, told: Told::LoggedIn });
        }
        Ok(())
    }

    async fn log_out(&mut self) -> Result<(), Lost> {
        let Some(at) = self.any(Told::LoggedIn) else { return self.log_in().await };
        let session = &mut self.sessions[at];
        session.told = Told::Unknown;
        let request = self.client.request(Method::POST, "/api/v1/auth/logout").without_cookies();
        let request = request.header("cookie", format!("{SESSION}={}", session.token));
        let answer = request.header("x-csrf-token", &session.csrf).try_send().await?;
        assert!(is_known(answer.status, 200), "{}", answer.text());
        if answer.status == 200 {
            session.told = Told::LoggedOut;
        }
        Ok(())
    }

    async fn check(&mut self) -> Result<(), Lost> {
        let wanted = if self.chance.below(4) == 0 { Told::LoggedOut } else { Told::LoggedIn };
        let Some(at) = self.any(wanted) else { return self.log_in().await };
        let status = self.status_of(at).await?;
        let expected = if wanted == Told::LoggedIn { 200 } else { 401 };
        assert!(is_known(status, expected), "{wanted:?}, and the check says {status}");
        Ok(())
    }

    /// Compares what we were told with what the server that came back says.
    async fn judge(mut self) -> Self {
        for at in 0..self.sessions.len() {
            let status = self.known_status_of(at).await;
            let session = &mut self.sessions[at];
            match (session.told, status) {
                (Told::LoggedIn | Told::Unknown, 200) | (Told::LoggedOut, 401) => {}
                // Seen to be gone, it must stay gone.
                (Told::Unknown, 401) => session.told = Told::LoggedOut,
                (Told::LoggedIn, _) => panic!("an acknowledged login is lost: {status}"),
                (Told::LoggedOut, _) => panic!("an acknowledged logout is undone: {status}"),
                (Told::Unknown, _) => panic!("a session check says {status}"),
            }
        }
        self
    }

    /// The status as soon as the server knows it.
    async fn known_status_of(&mut self, at: usize) -> u16 {
        let end = Instant::now() + KNOW_LIMIT;
        loop {
            let status = self.status_of(at).await.expect("nobody kills it now");
            if status != 503 {
                return status;
            }
            assert!(Instant::now() < end, "a ready server does not know a session");
        }
    }

    async fn status_of(&mut self, at: usize) -> Result<u16, Lost> {
        let cookie = format!("{SESSION}={}", self.sessions[at].token);
        let request = self.client.request(Method::GET, "/api/v1/session").without_cookies();
        Ok(request.header("cookie", cookie).try_send().await?.status)
    }

    fn any(&mut self, told: Told) -> Option<usize> {
        let all: Vec<usize> =
            (0..self.sessions.len()).filter(|at| self.sessions[*at].told == told).collect();
        self.chance.pick(&all).copied()
    }
}

/// Either what is expected, or "cannot know", which promises nothing.
fn is_known(status: u16, expected: u16) -> bool {
    status == expected || status == 503
}

async fn workers(server: &NightlatchServer, chance: &mut Chance) -> Vec<Worker> {
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let person = Person::registered(server, &format!("worker{number}")).await;
        workers.push(Worker {
            name: person.username,
            client: person.client,
            chance: chance.split(),
            sessions: Vec::new(),
            done: 0,
            cut: 0,
        });
    }
    workers
}

#[expect(clippy::print_stdout, reason = "shown by the test harness with the test that failed")]
async fn nothing_acknowledged_is_lost_or_undone_by_kills_under_load(record: Record) {
    let mut chance = chance::from_environment(&format!("kills on {record:?}"));
    let mut stand = record.serve_with(launch().set("DISABLE_THROTTLING", "true")).await;
    let mut workers = workers(&stand.server, &mut chance).await;
    let mut loaded = Duration::ZERO;
    for _ in 0..KILLS {
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for worker in workers {
            tasks.spawn(worker.work());
        }
        let (earliest, latest) = KILL_AFTER_MS;
        sleep(Duration::from_millis(earliest + chance.below(latest - earliest))).await;
        loaded += begin.elapsed();
        stand.server.kill_9();
        workers = tasks.join_all().await;

        stand.server.start_again();
        stand.server.wait_until_ready().await;
        for worker in &mut workers {
            worker.client.move_to(stand.server.address());
        }
        let mut tasks = JoinSet::new();
        for worker in workers {
            tasks.spawn(worker.judge());
        }
        workers = tasks.join_all().await;
    }
    let done: u64 = workers.iter().map(|worker| worker.done).sum();
    let cut: u64 = workers.iter().map(|worker| worker.cut).sum();
    let rate = f64::from(u32::try_from(done).expect("few")) / loaded.as_secs_f64();
    println!("{record:?}: {done} operations, {rate:.0}/s, {cut} more were cut by {KILLS} kills");
    assert!(rate >= OPERATIONS_A_SECOND_MIN, "only {rate:.0} operations a second");
    assert!(cut >= KILLS as u64, "only {cut} operations were in flight at {KILLS} kills");
    let acknowledged = workers.iter().flat_map(|worker| &worker.sessions);
    let logouts = acknowledged.clone().filter(|session| session.told == Told::LoggedOut).count();
    let logins = acknowledged.count();
    assert!(logins >= 2 * KILLS && logouts >= KILLS, "{logins} logins and {logouts} logouts");
}
