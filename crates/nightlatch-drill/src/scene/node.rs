//! A server of the private set-up: this very program, as a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::SceneError;
use crate::child::Child;
use crate::client::{Client, Server};
use crate::look::is_ready;
use crate::port;
use crate::until::until;

/// How long a start may take: the first one makes the record.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a stop in order may take.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// What its files are called.
const NAMES: &str = "server";

/// A server, running or not.
pub(crate) struct Node {
    number: usize,
    address: SocketAddr,
    program: PathBuf,
    settings: Vec<(String, String)>,
    folder: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// Not started yet.
    pub(super) fn new(
        number: usize,
        program: &Path,
        settings: Vec<(String, String)>,
        folder: &Path,
    ) -> Result<Self, SceneError> {
        let folder = folder.join(format!("{NAMES}-{}", number + 1));
        // Of its own, so that it finds no settings of anybody.
        fs::create_dir(&folder).map_err(SceneError::Folder)?;
        let port = port::free().map_err(SceneError::Folder)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Self { number, address, program: program.to_owned(), settings, folder, child: None })
    }

    pub(crate) fn server(&self) -> Server {
        self.address.into()
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(&mut self) -> Result<(), SceneError> {
        let mut command = Command::new(&self.program);
        command.arg("serve").env_clear().current_dir(&self.folder);
        command.env("NIGHTLATCH_LISTEN", self.address.to_string());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let started = Child::start(command, &self.folder.join("log"));
        let mut child = started.map_err(|error| SceneError::Program("nightlatch", error))?;
        let mut client = Client::new(self.server(), START_LIMIT);
        let mut has_ended = false;
        let served = until(START_LIMIT, async || {
            has_ended = child.has_ended();
            has_ended || is_ready(&mut client).await
        });
        if served.await.is_err() || has_ended {
            let name = format!("server {}", self.number + 1);
            return Err(SceneError::NotReady(name, child.last_words()));
        }
        self.child = Some(child);
        Ok(())
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.child = None;
    }

    /// Stops it in order.
    pub(crate) async fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            child.stop(STOP_LIMIT).await;
        }
    }

    /// Stops it where it is.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            child.signal(signal);
        }
    }
}
