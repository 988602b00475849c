//! A visit to a Redis that has time to find out what is wrong: for doctor, by the connector and the
//! classes of the server, so that both are of one opinion.
//!
//! Requests never come here. Everything has a limit of its own, and nothing is kept there.

mod needs;
mod state;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use nightlatch_core::FailureClass;
use redis::{Cmd, Value};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::connect::{Connection, Connector, Target};
use super::failure::classify;
use super::options::{RedisAddress, RedisOptions, RedisOptionsError};
use crate::{round_trips, tcp};

pub use self::needs::{Lack, Unmet};
pub use self::state::RedisState;
pub use super::failure::RedisCause;

/// How long one address may take to take us.
const REACH_LIMIT: Duration = Duration::from_secs(2);

/// How long all of a greeting may take, looks at what else is spoken there included.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// How long one answer may take.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// The most servers that are reached, of those that are configured.
const SERVERS_MAX: usize = 16;

/// Visits one Redis, or the first server of a Cluster.
pub struct RedisInspector {
    connector: Connector,
    options: RedisOptions,
    /// Messages that nobody has asked for end here.
    _pushed: mpsc::Receiver<Vec<u8>>,
}

/// Whether a host takes us, before anything is said.
#[derive(Clone, Debug)]
pub struct Reached {
    /// By name or address.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// To which address, and how long that took, or why not.
    pub outcome: Result<(IpAddr, Duration), FailureClass>,
}

/// Why a visit ended at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisRefusal {
    /// As health would name it.
    pub class: FailureClass,
    /// What is known besides.
    pub cause: Option<RedisCause>,
}

/// A visit: a connection that is logged in.
pub struct RedisVisit {
    connection: Connection,
    key_prefix: String,
}

impl RedisInspector {
    /// Goes nowhere yet.
    ///
    /// # Errors
    /// [`RedisOptionsError`] when it cannot even be tried.
    pub fn new(options: RedisOptions) -> Result<Self, RedisOptionsError> {
        let (push, pushed) = mpsc::channel(1);
        let connector = Connector::new(options.clone(), push)?;
        Ok(Self { connector, options, _pushed: pushed })
    }

    /// Which of the hosts that are configured take us: servers, or Sentinels. Empty: a socket of this
    /// machine.
    pub async fn reach(&self) -> Vec<Reached> {
        let mut calls = JoinSet::new();
        for (number, (host, port)) in self.hosts().into_iter().enumerate() {
            calls.spawn(async move { (number, reach(host, port).await) });
        }
        let mut reached = calls.join_all().await;
        reached.sort_by_key(|(number, _)| *number);
        reached.into_iter().map(|(_, reached)| reached).collect()
    }

    /// The server that Sentinels name, and whether it takes us, or why they name none. `None`: no Sentinel
    /// is asked.
    pub async fn primary(&self) -> Option<Result<Reached, FailureClass>> {
        match self.connector.primary().await? {
            Ok((host, port)) => Some(Ok(reach(host, port).await)),
            Err(class) => Some(Err(class)),
        }
    }

    /// Why a socket of this machine does not take us, if it is one that is configured.
    pub async fn socket_fault(&self) -> Option<io::ErrorKind> {
        let RedisAddress::Unix(path) = &self.options.address else { return None };
        match timeout(REACH_LIMIT, UnixStream::connect(path)).await {
            Ok(connected) => connected.err().map(|error| error.kind()),
            Err(_) => Some(io::ErrorKind::TimedOut),
        }
    }

    fn hosts(&self) -> Vec<(String, u16)> {
        match &self.options.address {
            RedisAddress::Tcp { host, port } => vec![(host.clone(), *port)],
            RedisAddress::Unix(_) => Vec::new(),
            RedisAddress::Sentinel { sentinels: hosts, .. } | RedisAddress::Cluster(hosts) => {
                hosts.iter().take(SERVERS_MAX).cloned().collect()
            }
        }
    }

    /// Connects, logs in, and hears one answer.
    ///
    /// # Errors
    /// [`RedisRefusal`], told as the server would tell it.
    pub async fn visit(&self) -> Result<RedisVisit, RedisRefusal> {
        let mut refusal = RedisRefusal { class: FailureClass::ClusterDown, cause: None };
        for target in self.targets() {
            let visit = timeout(CONNECT_LIMIT, self.visit_at(&target)).await;
            let timed_out = RedisRefusal { class: FailureClass::Timeout, cause: None };
            match visit.unwrap_or(Err(timed_out)) {
                Ok(visit) => return Ok(visit),
                Err(refused) => refusal = refused,
            }
        }
        Err(refusal)
    }

    fn targets(&self) -> Vec<Target> {
        match &self.options.address {
            RedisAddress::Cluster(_) => self.hosts().into_iter().map(Target::At).collect(),
            RedisAddress::Tcp { .. } | RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } => {
                vec![Target::Configured]
            }
        }
    }

    async fn visit_at(&self, target: &Target) -> Result<RedisVisit, RedisRefusal> {
        let connected = self.connector.connect(target).await;
        let connection = connected
            .map_err(|failed| RedisRefusal { class: failed.class, cause: failed.cause })?;
        let visit = RedisVisit { connection, key_prefix: self.options.key_prefix.clone() };
        // Who need not log in learns only now that he should have.
        match visit.ask(Cmd::new().arg("PING")).await {
            Ok(_) | Err(Answered { class: FailureClass::Forbidden, .. }) => Ok(visit),
            Err(Answered { class, cause, .. }) => Err(RedisRefusal { class, cause }),
        }
    }
}

async fn reach(host: String, port: u16) -> Reached {
    let began = Instant::now();
    let connected = timeout(REACH_LIMIT, tcp::connect(&host, port)).await;
    let connected = connected.unwrap_or(Err(FailureClass::Timeout));
    let outcome = connected.map(|(_, address)| (address, began.elapsed()));
    Reached { host, port, outcome }
}

/// An answer that is an error.
struct Answered {
    class: FailureClass,
    cause: Option<RedisCause>,
    lack: Lack,
}

impl RedisVisit {
    /// How long each of so many questions, or of those of 3 s, took that Redis answers without doing anything.
    ///
    /// # Errors
    /// The class of the first that was not answered.
    pub async fn round_trips(&self, count: usize) -> Result<Vec<Duration>, FailureClass> {
        let ping = async || match self.ask(Cmd::new().arg("PING")).await {
            // That it may not be asked took as long.
            Ok(_) | Err(Answered { class: FailureClass::Forbidden, .. }) => Ok(()),
            Err(answered) => Err(answered.class),
        };
        round_trips::measure(count, ping).await
    }

    async fn ask(&self, command: &Cmd) -> Result<Value, Answered> {
        let mut commands = self.connection.commands.clone();
        let answer = timeout(ASK_LIMIT, commands.send_packed_command(command)).await;
        let Ok(answer) = answer else {
            let class = FailureClass::Timeout;
            return Err(Answered { class, cause: None, lack: Lack::Command });
        };
        answer.and_then(Value::extract_error).map_err(|error| Answered {
            class: classify(&error),
            cause: RedisCause::of(&error),
            lack: Lack::of(&error),
        })
    }
}
