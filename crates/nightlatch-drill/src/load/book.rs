//! What all workers share: where the server is, which sessions there are, the log.
//!
//! One book, so that anybody can ask about anybody's session: what one ended, another must find ended. Its
//! pages are counted, and a log with a hole is none.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::LoadError;
use crate::chance::Chance;
use crate::client::Server;
use crate::history::{Asked, Operation, Outcome, SessionNumber};

/// The most sessions that are asked about at the end.
const SESSIONS_MAX: usize = 20_000;

/// The most requests that are remembered: some ten minutes of load.
const OPERATIONS_MAX: usize = 500_000;

/// What a session is used with.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) number: SessionNumber,
    pub(super) username: String,
    pub(super) shown: Shown,
    /// Somebody has begun to end it.
    pub(super) is_ending: bool,
}

/// What is shown for a session.
#[derive(Clone)]
pub(super) enum Shown {
    /// `name=value`, and the token against forged requests.
    Cookie {
        cookie: String,
        csrf: String,
    },
    AccessToken(String),
}

impl Shown {
    /// The access token; empty where it is a cookie.
    pub(super) fn access_token(&self) -> &str {
        match self {
            Self::AccessToken(token) => token,
            Self::Cookie { .. } => "",
        }
    }
}

pub(super) struct Book {
    began: Instant,
    stopped: AtomicBool,
    resting: AtomicBool,
    /// Workers that are about to ask, or wait for an answer.
    busy: AtomicUsize,
    /// There was more than can be remembered.
    is_full: AtomicBool,
    pages: Mutex<Pages>,
}

/// Where a server is, and which start of it that is.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) server: Server,
    pub(super) start: u32,
    /// A load balancer would ask another.
    is_passed_over: bool,
}

struct Pages {
    nodes: Vec<Node>,
    sessions: Vec<Known>,
    log: Vec<Operation>,
}

impl Book {
    pub(super) fn new(servers: &[Server]) -> Self {
        let node =
            |server: &Server| Node { server: server.clone(), start: 1, is_passed_over: false };
        let nodes = servers.iter().map(node).collect();
        let pages = Pages { nodes, sessions: Vec::new(), log: Vec::new() };
        Self {
            began: Instant::now(),
            stopped: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
            pages: Mutex::new(pages),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn move_to(&self, node: usize, server: Server) {
        let node = &mut self.lock().nodes[node];
        node.start += 1;
        node.server = server;
    }

    pub(super) fn pass_over(&self, node: usize, is_passed_over: bool) {
        self.lock().nodes[node].is_passed_over = is_passed_over;
    }

    pub(super) fn rest(&self, is_resting: bool) {
        self.resting.store(is_resting, Ordering::SeqCst);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.busy.load(Ordering::SeqCst) == 0
    }

    /// Whether somebody may ask now; who may tells [`Self::has_asked`] afterwards.
    pub(super) fn may_ask(&self) -> bool {
        // In this order: whoever has seen `is_quiet` since it rests is never joined by another.
        self.busy.fetch_add(1, Ordering::SeqCst);
        let may = !self.resting.load(Ordering::SeqCst);
        if !may {
            self.has_asked();
        }
        may
    }

    pub(super) fn has_asked(&self) {
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn nodes(&self) -> Vec<Server> {
        self.lock().nodes.iter().map(|node| node.server.clone()).collect()
    }

    /// Where a server is now, and which start of it that is.
    pub(super) fn node(&self, node: usize) -> (Server, u32) {
        let node = &self.lock().nodes[node];
        (node.server.clone(), node.start)
    }

    /// The servers that may be asked.
    pub(super) fn open_nodes(&self) -> Vec<usize> {
        let pages = self.lock();
        (0..pages.nodes.len()).filter(|node| !pages.nodes[*node].is_passed_over).collect()
    }

    /// Notes a new session.
    pub(super) fn add(&self, username: &str, shown: Shown) -> Option<Known> {
        let mut pages = self.lock();
        let number = pages.sessions.len();
        if number >= SESSIONS_MAX {
            self.overflow();
            return None;
        }
        let username = username.to_owned();
        let known = Known { number, username, shown, is_ending: false };
        pages.sessions.push(known.clone());
        Some(known)
    }

    /// A session has another access token from now on.
    pub(super) fn renew(&self, number: SessionNumber, access: String) -> Known {
        let known = &mut self.lock().sessions[number];
        known.shown = Shown::AccessToken(access);
        known.clone()
    }

    /// Any session.
    pub(super) fn any(&self, chance: &mut Chance) -> Option<Known> {
        chance.pick(&self.lock().sessions).cloned()
    }

    /// A session of this user that nobody has begun to end; it is noted as ending.
    pub(super) fn take_to_end(&self, username: &str, chance: &mut Chance) -> Option<Known> {
        let mut pages = self.lock();
        let live: Vec<usize> = (0..pages.sessions.len())
            .filter(|at| {
                let session = &pages.sessions[*at];
                !session.is_ending && session.username == username
            })
            .collect();
        let session = &mut pages.sessions[chance.pick(&live).copied()?];
        session.is_ending = true;
        Some(session.clone())
    }

    pub(super) fn sessions(&self) -> Vec<Known> {
        self.lock().sessions.clone()
    }

    pub(super) fn write(&self, operation: Operation) {
        let mut pages = self.lock();
        if pages.log.len() >= OPERATIONS_MAX {
            return self.overflow();
        }
        pages.log.push(operation);
    }

    /// A log with a hole would be judged wrongly: there is none any more.
    fn overflow(&self) {
        self.is_full.store(true, Ordering::SeqCst);
        self.stop();
    }

    pub(super) fn count(&self, wanted: impl Fn(&Operation) -> bool) -> usize {
        self.lock().log.iter().filter(|operation| wanted(operation)).count()
    }

    pub(super) fn told(&self, from: Duration, asked: Asked) -> Vec<(u16, String)> {
        let pages = self.lock();
        let asked = pages.log.iter().filter(|it| it.began >= from && it.asked == asked);
        let told = asked.filter_map(|operation| match &operation.outcome {
            Outcome::Answered(told) => Some((told.status, told.code.clone())),
            Outcome::Lost => None,
        });
        told.collect()
    }

    pub(super) fn read_on(&self, from: usize, mut look: impl FnMut(&Operation)) -> usize {
        let pages = self.lock();
        pages.log.iter().skip(from).for_each(&mut look);
        pages.log.len()
    }

    pub(super) fn take_log(&self) -> Result<Vec<Operation>, LoadError> {
        let log = std::mem::take(&mut self.lock().log);
        if self.is_full.load(Ordering::SeqCst) { Err(LoadError::TooMuch) } else { Ok(log) }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
