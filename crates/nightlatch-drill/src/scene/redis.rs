//! The Redis of the private set-up: one of its own with a password, or one that is given.
//!
//! A given one is never told anything but what servers tell it: others may keep their data there.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nightlatch_core::Secret;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{SceneError, fresh_secret};
use crate::child::Child;
use crate::port;
use crate::proxy::Place;
use crate::until::until;

/// The program, and its Debian package.
const PROGRAM: &str = "redis-server";

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long one command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(2);

/// Which Redis the servers have.
#[derive(Clone, Debug)]
pub enum RedisRequest {
    /// One of the drill's own, where the program is installed.
    IfInstalled,
    /// None.
    None,
    /// One that is there.
    Given {
        /// Where.
        place: Place,
        /// The user's name, where it has one.
        user: String,
        /// The password, where it wants one.
        password: Option<Secret<String>>,
        /// The number of the database.
        database: u32,
    },
}

/// A Redis of the drill's own.
pub(crate) struct PrivateRedis {
    port: u16,
    password: Secret<String>,
    folder: PathBuf,
    child: Option<Child>,
}

impl PrivateRedis {
    /// Starts one; `None` where the program is not installed.
    pub(super) async fn launch(folder: &Path) -> Result<Option<Self>, SceneError> {
        match Command::new(PROGRAM).arg("--version").output() {
            Ok(told) if told.status.success() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SceneError::Program(PROGRAM, error)),
        }
        let port = port::free().map_err(SceneError::Folder)?;
        let folder = folder.join("redis");
        fs::create_dir(&folder).map_err(SceneError::Folder)?;
        let mut redis = Self { port, password: fresh_secret(), folder, child: None };
        redis.write_settings().map_err(SceneError::Folder)?;
        redis.start().await?;
        Ok(Some(redis))
    }

    pub(super) fn place(&self) -> Place {
        Place::here(self.port)
    }

    pub(super) const fn password(&self) -> &Secret<String> {
        &self.password
    }

    /// Starts it and waits until it answers.
    pub(crate) async fn start(&mut self) -> Result<(), SceneError> {
        let mut command = Command::new(PROGRAM);
        command.arg(self.settings()).current_dir(&self.folder);
        let started = Child::start(command, &self.folder.join("log"));
        let mut child = started.map_err(|error| SceneError::Program(PROGRAM, error))?;
        let mut has_ended = false;
        let answers = until(START_LIMIT, async || {
            has_ended = child.has_ended();
            has_ended || self.tell("PING").await.is_ok()
        });
        if answers.await.is_err() || has_ended {
            return Err(SceneError::NotReady("the private Redis".to_owned(), child.last_words()));
        }
        self.child = Some(child);
        Ok(())
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.child = None;
    }

    /// Tells it a command without arguments.
    pub(crate) async fn tell(&self, command: &'static str) -> Result<(), SceneError> {
        let talking = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let words = format!("AUTH {}\r\n{command}\r\n", self.password.expose());
            stream.write_all(words.as_bytes()).await?;
            // "+OK" to the password, and a line that begins with a plus to the command.
            let mut lines = BufReader::new(stream).lines();
            let mut is_fine = true;
            for _ in 0..2 {
                is_fine &= lines.next_line().await?.is_some_and(|line| line.starts_with('+'));
            }
            Ok::<_, io::Error>(is_fine)
        };
        match timeout(COMMAND_LIMIT, talking).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(SceneError::Redis(command)),
        }
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("redis.conf")
    }

    /// The password is in a file that nobody else may read, and never in an argument.
    fn write_settings(&self) -> io::Result<()> {
        let mut file = File::create_new(self.settings())?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        let (port, password) = (self.port, self.password.expose());
        write!(
            file,
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave \"\"\nappendonly no\n"
        )
    }
}
