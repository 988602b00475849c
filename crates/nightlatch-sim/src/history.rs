//! What happened, as those outside saw it: operations with their answers, what took effect in the
//! record when, and which troubles there were.
//!
//! The checkers judge this alone. Nothing in it comes from the inside of a node.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{SessionId, Timestamp, UserId};

use crate::clock::TrueTime;

/// A point in the history: true time, and an order among what happened at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) order: u64,
}

impl Moment {
    pub(crate) const fn is_before(self, other: Self) -> bool {
        self.order < other.order
    }
}

/// A machine that runs nodes, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) usize);

/// One life of a node, from its start to its death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life(pub(crate) usize);

/// One of the people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person(pub(crate) usize);

/// A session that somebody was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Given(pub(crate) usize);

/// A pair of tokens that somebody was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair(pub(crate) usize);

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpId(pub(crate) usize);

/// The n-th password that somebody has had; each is another text.
pub(crate) type PasswordNo = u32;

/// What is asked of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Login {
        person: Person,
        password: PasswordNo,
        earlier: Option<Given>,
    },
    LoginForTokens {
        person: Person,
        password: PasswordNo,
    },
    /// With the cookie, or the latest access token.
    Check {
        session: Given,
    },
    /// Of the access token of a pair.
    Verify {
        session: Given,
        pair: Pair,
    },
    /// Of the refresh token of a pair.
    Refresh {
        session: Given,
        pair: Pair,
    },
    Logout {
        session: Given,
    },
    /// One session of a person by its id.
    Revoke {
        session: Given,
    },
    RevokeOthers {
        kept: Given,
    },
    RevokeAll {
        person: Person,
    },
    RevokeEverything,
    ChangePassword {
        session: Given,
        old: PasswordNo,
        new: PasswordNo,
    },
    Disable {
        person: Person,
    },
    Enable {
        person: Person,
    },
    SetGroup {
        person: Person,
        group: u32,
    },
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Here is a session.
    LoggedIn(Given),
    /// The session is good, and its user is in this group.
    Accepted { group: u32 },
    /// The access token is good.
    Verified,
    /// Here is the next pair.
    Refreshed(Pair),
    /// The refresh token was exchanged before, and its session ends by that.
    Reused,
    /// It is good, and it is somebody else's.
    SomebodyElses,
    /// It is done, durably.
    Done,
    /// 401, or "there is no such session": it is known not to be good.
    Refused,
    /// The password is wrong or the user disabled.
    Denied,
    /// A logout that is not durable yet: refused here from now on.
    Pending,
    /// 503: not known.
    Unavailable,
}

/// An operation with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) action: Action,
    pub(crate) node: NodeId,
    pub(crate) life: Life,
    pub(crate) began: Moment,
    /// `None`: nobody ever heard of it again.
    pub(crate) ended: Option<(Moment, Outcome)>,
    /// When its last change took effect in the record.
    pub(crate) effect: Option<Moment>,
    /// The pair whose access token it came with.
    pub(crate) shown: Option<Pair>,
}

/// A session that somebody was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenSession {
    pub(crate) id: SessionId,
    pub(crate) person: Person,
    /// What its owner shows for it; `None`: an access token.
    pub(crate) cookie: Option<String>,
    pub(crate) expires_at: Timestamp,
    /// The login or password change that gave it.
    pub(crate) born: OpId,
}

/// A pair of tokens that somebody was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenPair {
    pub(crate) session: Given,
    pub(crate) access: String,
    pub(crate) access_expires_at: Timestamp,
    pub(crate) refresh: String,
    /// How many exchanges made it.
    pub(crate) step: u32,
}

/// What may trouble a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing gets through to the record.
    CutOff,
    /// Slow answers, but all of them in time for the feed to be followed.
    Slow,
    /// Answers that come too late, are lost, or are refusals.
    Impaired,
    /// Its machine is suspended.
    Suspended,
    /// It is dead.
    Dead,
}

/// A trouble from when to when; `None`: it has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Troubled {
    pub(crate) node: NodeId,
    pub(crate) trouble: Trouble,
    pub(crate) from: Duration,
    pub(crate) to: Option<Duration>,
}

/// The record went back: what took effect after `back_to` is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    pub(crate) back_to: Moment,
    pub(crate) at: Moment,
}

/// One life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lived {
    pub(crate) node: NodeId,
    pub(crate) from: Duration,
    pub(crate) to: Option<Duration>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) people: Vec<UserId>,
    pub(crate) ops: Vec<Op>,
    pub(crate) sessions: Vec<GivenSession>,
    pub(crate) pairs: Vec<GivenPair>,
    pub(crate) lives: Vec<Lived>,
    pub(crate) troubles: Vec<Troubled>,
    pub(crate) forks: Vec<Fork>,
    /// When old rows of the feed were swept.
    pub(crate) prunes: Vec<Duration>,
    /// The most looks at the feed that one node had under way at once.
    pub(crate) looks_at_once_max: usize,
    order: u64,
}

impl History {
    /// Where another one parts from it.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<String> {
        let mut ops = self.ops.iter().zip(&other.ops).enumerate();
        if let Some((number, (here, there))) = ops.find(|(_, (here, there))| here != there) {
            return Some(format!("operation {number}\n{here:?}\n{there:?}"));
        }
        let mut sessions = self.sessions.iter().zip(&other.sessions).enumerate();
        if let Some((number, _)) = sessions.find(|(_, (here, there))| here != there) {
            return Some(format!("session {number}"));
        }
        let mut pairs = self.pairs.iter().zip(&other.pairs).enumerate();
        if let Some((number, _)) = pairs.find(|(_, (here, there))| here != there) {
            return Some(format!("pair {number}"));
        }
        (self != other).then(|| "length, troubles or forks".to_owned())
    }

    /// The newest pair of a session; `None`: it has a cookie.
    pub(crate) fn latest_pair(&self, session: Given) -> Option<Pair> {
        let pairs = self.pairs.iter().enumerate().filter(|(_, pair)| pair.session == session);
        pairs.max_by_key(|(_, pair)| pair.step).map(|(number, _)| Pair(number))
    }
}

/// Writes the history while it happens.
pub(crate) struct Recorder {
    time: TrueTime,
    history: Mutex<History>,
}

impl Recorder {
    pub(crate) fn begin(time: TrueTime) -> Self {
        Self { time, history: Mutex::default() }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written so far.
    pub(crate) fn take(&self) -> History {
        std::mem::take(&mut self.history())
    }

    /// Now, after everything before.
    pub(crate) fn moment(&self) -> Moment {
        Self::next_moment(&mut self.history(), self.time)
    }

    pub(crate) fn begins(&self, action: Action, node: NodeId, life: Life) -> OpId {
        let mut history = self.history();
        let began = Self::next_moment(&mut history, self.time);
        history.ops.push(Op { action, node, life, began, ended: None, effect: None, shown: None });
        OpId(history.ops.len() - 1)
    }

    pub(crate) fn ends(&self, op: OpId, outcome: Outcome) {
        let mut history = self.history();
        let ended = Self::next_moment(&mut history, self.time);
        history.ops[op.0].ended = Some((ended, outcome));
    }

    /// A change of an operation has taken effect in the record.
    pub(crate) fn takes_effect(&self, op: OpId) {
        let mut history = self.history();
        let moment = Self::next_moment(&mut history, self.time);
        history.ops[op.0].effect = Some(moment);
    }

    /// An operation comes with the access token of a pair.
    pub(crate) fn shows(&self, op: OpId, pair: Pair) {
        self.history().ops[op.0].shown = Some(pair);
    }

    pub(crate) fn gives_pair(&self, pair: GivenPair) -> Pair {
        let mut history = self.history();
        history.pairs.push(pair);
        Pair(history.pairs.len() - 1)
    }

    pub(crate) fn gives(&self, session: GivenSession) -> Given {
        let mut history = self.history();
        history.sessions.push(session);
        Given(history.sessions.len() - 1)
    }

    pub(crate) fn forks(&self, back_to: Moment) {
        let mut history = self.history();
        let at = Self::next_moment(&mut history, self.time);
        history.forks.push(Fork { back_to, at });
    }

    pub(crate) fn prunes(&self) {
        let at = self.time.now();
        self.history().prunes.push(at);
    }

    pub(crate) fn is_born(&self, node: NodeId) -> Life {
        let from = self.time.now();
        let mut history = self.history();
        history.lives.push(Lived { node, from, to: None });
        Life(history.lives.len() - 1)
    }

    pub(crate) fn dies(&self, life: Life) {
        let to = self.time.now();
        self.history().lives[life.0].to = Some(to);
    }

    pub(crate) fn trouble_begins(&self, node: NodeId, trouble: Trouble) {
        let from = self.time.now();
        self.history().troubles.push(Troubled { node, trouble, from, to: None });
    }

    /// Whatever trouble of this kind the node has ends.
    pub(crate) fn trouble_ends(&self, node: NodeId, trouble: Trouble) {
        let now = self.time.now();
        for troubled in &mut self.history().troubles {
            if troubled.node == node && troubled.trouble == trouble {
                troubled.to.get_or_insert(now);
            }
        }
    }

    fn next_moment(history: &mut History, time: TrueTime) -> Moment {
        history.order += 1;
        Moment { at: time.now(), order: history.order }
    }
}
