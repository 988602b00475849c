//! The private set-up: two servers on one record, Redis where there is one, all of it in a temporary
//! folder.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::node::Node;
use super::record::{FileLock, RecordRequest};
use super::redis::{PrivateRedis, RedisRequest};
use super::{Scene, SceneError, fresh_secret};
use crate::proxy::FaultProxy;

/// How many servers there are.
pub(crate) const NODES: usize = 2;

/// What the folder's name begins with.
const FOLDER: &str = "nightlatch-drill-";

/// What a private set-up is to be made of.
pub struct PrivateRequest {
    /// The program that the servers are.
    pub program: PathBuf,
    /// Their record.
    pub record: RecordRequest,
    /// Their Redis.
    pub redis: RedisRequest,
}

/// What was started. Dropped, all of it ends, and then its folder goes.
pub(crate) struct Private {
    pub(crate) nodes: Vec<Node>,
    pub(crate) redis: Option<PrivateRedis>,
    /// Of a record that is a file.
    file: Option<PathBuf>,
    has_given_redis: bool,
    /// Last: all have ended when their files go.
    _folder: TempDir,
}

impl Private {
    /// Whether the record is a file.
    pub(crate) const fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Locks the file of the record; nothing where it is none.
    pub(crate) fn lock_file(&self) -> Result<Option<FileLock>, SceneError> {
        self.file.as_deref().map(FileLock::take).transpose()
    }

    pub(super) fn in_words(&self) -> String {
        let record = if self.has_file() { "an SQLite file" } else { "the given PostgreSQL" };
        let redis = match (&self.redis, self.has_given_redis) {
            (Some(_), _) => "a Redis of their own",
            (None, true) => "the given Redis",
            (None, false) => "no Redis",
        };
        format!("a private set-up: {NODES} servers, {record}, {redis}")
    }
}

/// The port is chosen by the system.
fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(super) async fn make(request: PrivateRequest) -> Result<Scene, SceneError> {
    let folder = tempfile::Builder::new().prefix(FOLDER).tempdir().map_err(SceneError::Folder)?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700))
        .map_err(SceneError::Folder)?;
    let mut settings = always();
    let has_given_redis = matches!(request.redis, RedisRequest::Given { .. });
    let (private_redis, redis) = lay_redis(request.redis, folder.path(), &mut settings).await?;
    let (file, database) = lay_record(request.record, folder.path(), &mut settings).await?;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        nodes.push(Node::new(number, &request.program, settings.clone(), folder.path())?);
    }
    let mut private =
        Private { nodes, redis: private_redis, file, has_given_redis, _folder: folder };
    // One after the other: the first makes the record.
    for node in &mut private.nodes {
        node.start().await?;
    }
    let servers = private.nodes.iter().map(Node::server).collect();
    Ok(Scene { servers, redis, database, account: None, private: Some(private) })
}

type Settings = Vec<(String, String)>;

fn set(settings: &mut Settings, name: &str, value: impl Into<String>) {
    settings.push((name.to_owned(), value.into()));
}

/// The load is no attack, and no fault outlasts an access token.
fn always() -> Settings {
    let mut settings = Settings::new();
    for (name, value) in [
        ("ENVIRONMENT", "development"),
        ("REGISTRATION", "open"),
        ("DISABLE_THROTTLING", "on"),
        ("JWT_ACCESS_TTL", "3600"),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "warn"),
    ] {
        set(&mut settings, name, value);
    }
    set(&mut settings, "SESSION_SECRET_KEY", fresh_secret().expose().clone());
    settings
}

async fn lay_redis(
    request: RedisRequest,
    folder: &Path,
    settings: &mut Settings,
) -> Result<(Option<PrivateRedis>, Option<FaultProxy>), SceneError> {
    let (own, place, login, number) = match request {
        RedisRequest::None => return Ok((None, None)),
        RedisRequest::IfInstalled => {
            let Some(own) = PrivateRedis::launch(folder).await? else { return Ok((None, None)) };
            let (place, login) = (own.place(), format!(":{}@", own.password().expose()));
            (Some(own), place, login, 0)
        }
        RedisRequest::Given { place, user, password, database } => {
            let login = password.map(|password| format!("{user}:{}@", encoded(password.expose())));
            (None, place, login.unwrap_or_default(), database)
        }
    };
    let proxy = FaultProxy::start(any_port(), place).await?;
    let url = format!("redis://{login}{}/{number}", proxy.address());
    set(settings, "REDIS_URL", url);
    // So that nothing of it is taken for anybody else's, where the Redis is given.
    set(settings, "REDIS_KEY_PREFIX", format!("nightlatch-drill-{}:", std::process::id()));
    Ok((own, Some(proxy)))
}

async fn lay_record(
    request: RecordRequest,
    folder: &Path,
    settings: &mut Settings,
) -> Result<(Option<PathBuf>, Option<FaultProxy>), SceneError> {
    match request {
        RecordRequest::File => {
            let file = folder.join("record.db");
            set(settings, "DATABASE_URL", format!("sqlite://{}", file.display()));
            Ok((Some(file), None))
        }
        RecordRequest::Postgres { place, before, after, password, schema } => {
            let proxy = FaultProxy::start(any_port(), place).await?;
            let url = format!("{}{}{after}", before.expose(), proxy.address());
            set(settings, "DATABASE_URL", url);
            set(settings, "DATABASE_SCHEMA", schema);
            if let Some(password) = password {
                set(settings, "DATABASE_PASSWORD", password.expose().clone());
            }
            Ok((None, Some(proxy)))
        }
    }
}

/// A password as part of a URL.
fn encoded(password: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    password.bytes().map(byte).collect()
}
