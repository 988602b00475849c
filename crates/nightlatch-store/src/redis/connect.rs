//! Making a connection, phase by phase, so that each failure is told apart: name, socket, TLS, and
//! Redis's own greeting with user and password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::FailureClass;
use redis::aio::MultiplexedConnection;
use redis::aio::SendError;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, ProtocolVersion, PushInfo, PushKind,
    RedisConnectionInfo, RedisError, Value,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::failure::{RedisCause, classify};
use super::intake::{Intake, Watched};
use super::options::{RedisAddress, RedisOptions, RedisOptionsError, RedisTls};
use super::sentinel::Sentinels;
use crate::certificate::CertificateExpiry;
use crate::tcp::{self, classify_io};

/// How many commands the connection's own queue holds: as many as may be under way, so that none
/// waits for a place in it.
pub(super) const PIPELINE_MAX: usize = 1024;

/// How long a handshake of TLS may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(1);

/// How long it is looked for what else the other side speaks.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

/// What a record of TLS begins with: the server's alert to somebody who speaks none.
const TLS_ALERT: u8 = 21;

/// Where a server listens.
pub(super) type HostAndPort = (String, u16);

/// Where a connection leads.
pub(super) enum Target {
    /// To what is configured; it may be that Sentinels have to tell where that is.
    Configured,
    /// To this server.
    At(HostAndPort),
}

impl Target {
    pub(super) const fn address(&self) -> Option<&HostAndPort> {
        match self {
            Self::Configured => None,
            Self::At(address) => Some(address),
        }
    }
}

/// Makes connections to one Redis, or to the servers of its Cluster.
pub(super) struct Connector {
    options: RedisOptions,
    /// What is asked of TLS; `None`: none is spoken.
    tls: Option<Arc<ClientConfig>>,
    /// What TLS is shown.
    pub(super) certificate: CertificateExpiry,
    /// Who says where the server is.
    sentinels: Option<Sentinels>,
    /// Where messages go that nobody has asked for.
    push: mpsc::Sender<Vec<u8>>,
}

/// A connection, and the task that drives it: it ends with the last who holds this.
pub(super) struct Connection {
    pub(super) commands: MultiplexedConnection,
    pub(super) intake: Intake,
    /// Where Sentinels or a Cluster said that it is.
    found_at: Option<HostAndPort>,
    /// Where its name led, if it has one.
    peer: Option<IpAddr>,
    _driver: JoinSet<()>,
}

impl Connector {
    pub(super) fn new(
        options: RedisOptions,
        push: mpsc::Sender<Vec<u8>>,
    ) -> Result<Self, RedisOptionsError> {
        let certificate = CertificateExpiry::default();
        let tls = options.client_config(&certificate)?;
        let sentinels = match &options.address {
            RedisAddress::Sentinel { sentinels, primary } => {
                let password = options.sentinel_password.clone();
                Some(Sentinels::new(sentinels.clone(), primary.clone(), password))
            }
            RedisAddress::Tcp { .. } | RedisAddress::Unix(_) | RedisAddress::Cluster(_) => None,
        };
        Ok(Self { options, tls, certificate, sentinels, push })
    }

    /// Connects and logs in. The caller ends what takes too long.
    pub(super) async fn connect(&self, to: &Target) -> Result<Connection, Unconnected> {
        let sentinels = match (to, &self.sentinels) {
            (Target::At(address), _) => return self.connect_to(Some(address.clone())).await,
            (Target::Configured, None) => return self.connect_to(None).await,
            (Target::Configured, Some(sentinels)) => sentinels,
        };
        let found_at = sentinels.find_primary().await?;
        let connection = self.connect_to(Some(found_at)).await?;
        // A Sentinel that knows less than the others names who was the primary.
        if connection.is_replica().await {
            return Err(FailureClass::Readonly.into());
        }
        Ok(connection)
    }

    /// What a server answers to these questions, over a connection of its own.
    pub(super) async fn ask_once(
        &self,
        address: &HostAndPort,
        questions: &Pipeline,
    ) -> Result<Vec<Value>, FailureClass> {
        let connection = self.connect_to(Some(address.clone())).await;
        let mut connection = connection.map_err(|unconnected| unconnected.class)?;
        let answers = connection.commands.send_packed_commands(questions, 0, questions.len()).await;
        answers.map_err(|error| classify(&error))
    }

    /// Whether it leads to a Cluster.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.options.address, RedisAddress::Cluster(_))
    }

    /// The servers of the Cluster that are configured.
    pub(super) fn cluster_nodes(&self) -> &[HostAndPort] {
        match &self.options.address {
            RedisAddress::Cluster(nodes) => nodes,
            RedisAddress::Tcp { .. } | RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } => &[],
        }
    }

    /// Whether Sentinels say where it is.
    pub(super) const fn is_found_by_sentinels(&self) -> bool {
        self.sentinels.is_some()
    }

    /// Where Sentinels say that it is, if they are asked.
    pub(super) async fn primary(&self) -> Option<Result<HostAndPort, FailureClass>> {
        Some(self.sentinels.as_ref()?.find_primary().await)
    }

    /// Whether the primary is somewhere else by now, as far as a Sentinel answers.
    pub(super) async fn has_moved(&self, connection: &Connection) -> bool {
        let (Some(sentinels), Some(found_at)) = (&self.sentinels, &connection.found_at) else {
            return false;
        };
        sentinels.find_primary().await.is_ok_and(|primary| primary != *found_at)
    }

    /// Whether the name of its host leads elsewhere by now.
    pub(super) async fn leads_elsewhere(&self, connection: &Connection) -> bool {
        match (self.endpoint(connection.found_at.as_ref()), connection.peer) {
            (Some((host, port)), Some(peer)) => tcp::leads_elsewhere(host, port, peer).await,
            _ => false,
        }
    }

    async fn connect_to(&self, found_at: Option<HostAndPort>) -> Result<Connection, Unconnected> {
        let found_at = found_at.as_ref();
        let refusal = match self.greet(ProtocolVersion::RESP3, found_at).await {
            Ok(connection) => return Ok(connection),
            Err(refusal) => refusal,
        };
        let class = match (refusal, self.tls.is_some()) {
            // A server or a proxy from before Redis 6.
            (Refusal::Older, _) => match self.greet(ProtocolVersion::RESP2, found_at).await {
                Ok(connection) => return Ok(connection),
                Err(refusal) => {
                    let (class, cause) = (refusal.class(), refusal.cause());
                    return Err(Unconnected { class, cause, was_examined: true });
                }
            },
            // OpenSSL says nothing to somebody who speaks no TLS.
            (Refusal::Greeting(FailureClass::Closed, _), false) => {
                let speaks_tls = self.speaks_tls(found_at).await;
                if speaks_tls { FailureClass::TlsRequired } else { FailureClass::Closed }
            }
            // Redis waits for the end of a line when somebody speaks TLS to it.
            (Refusal::Stream(FailureClass::Timeout), true) => {
                let speaks_plainly = self.speaks_plainly(found_at).await;
                if speaks_plainly { FailureClass::TlsNotSpoken } else { FailureClass::Timeout }
            }
            (refusal, _) => {
                let (class, cause) = (refusal.class(), refusal.cause());
                return Err(Unconnected { class, cause, was_examined: false });
            }
        };
        Err(Unconnected { class, cause: None, was_examined: true })
    }

    /// Whether a server that has ended a connection without TLS takes one with it.
    async fn speaks_tls(&self, found_at: Option<&HostAndPort>) -> bool {
        let Some((host, port)) = self.endpoint(found_at) else { return false };
        let (Ok(config), Ok(name)) = (RedisTls::of_anybody(), server_name(host)) else {
            return false;
        };
        let Ok((tcp, _)) = tcp::connect(host, port).await else { return false };
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        match timeout(LOOK_LIMIT, shaken).await {
            Ok(Ok(_)) => true,
            // It wants more of us, but that is TLS.
            Ok(Err(error)) => classify_io(&error) == FailureClass::TlsClientCert,
            Err(_) => false,
        }
    }

    /// Whether a server that is silent in TLS answers without it.
    async fn speaks_plainly(&self, found_at: Option<&HostAndPort>) -> bool {
        let Some((host, port)) = self.endpoint(found_at) else { return false };
        let Ok((mut tcp, _)) = tcp::connect(host, port).await else { return false };
        let asking = async {
            tcp.write_all(b"PING\r\n").await?;
            tcp.read_u8().await
        };
        // PONG, or that it wants a password first.
        matches!(timeout(LOOK_LIMIT, asking).await, Ok(Ok(b'+' | b'-')))
    }

    async fn greet(
        &self,
        protocol: ProtocolVersion,
        found_at: Option<&HostAndPort>,
    ) -> Result<Connection, Refusal> {
        let (stream, peer) = self.stream(found_at).await.map_err(Refusal::Stream)?;
        let intake = Intake::default();
        let watched = Watched { stream, intake: intake.clone() };
        let mut config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE_MAX);
        if protocol == ProtocolVersion::RESP3 {
            config = config.set_push_sender(self.pushed(intake.clone()));
        }
        let login = self.login(protocol);
        let greeted = MultiplexedConnection::new_with_config(&login, watched, config).await;
        let (commands, driver) = greeted.map_err(|error| refusal(&error, &intake))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        Ok(Connection { commands, intake, found_at: found_at.cloned(), peer, _driver: tasks })
    }

    /// What becomes of a message that nobody has asked for.
    fn pushed(
        &self,
        intake: Intake,
    ) -> impl Fn(PushInfo) -> Result<(), SendError> + Send + Sync + 'static {
        let push = self.push.clone();
        move |PushInfo { kind, mut data }| {
            // By which the client says that there will be no more.
            if kind != PushKind::Disconnection {
                intake.begin();
            }
            if kind == PushKind::Message
                && let Some(Value::BulkString(message)) = data.pop()
            {
                // More than can be read are dropped: nobody may hold up the connection.
                let _ = push.try_send(message);
            }
            Ok(())
        }
    }

    fn login(&self, protocol: ProtocolVersion) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default()
            .set_protocol(protocol)
            .set_db(self.options.database.into())
            .set_skip_set_lib_name();
        if let Some(username) = &self.options.username {
            login = login.set_username(username.expose());
        }
        if let Some(password) = &self.options.password {
            login = login.set_password(password.expose());
        }
        login
    }

    /// The host and port to connect to, if it is not a socket of this machine.
    fn endpoint<'a>(&'a self, found_at: Option<&'a HostAndPort>) -> Option<(&'a str, u16)> {
        match (found_at, &self.options.address) {
            (Some((host, port)), _) | (None, RedisAddress::Tcp { host, port }) => {
                Some((host, *port))
            }
            (
                None,
                RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } | RedisAddress::Cluster(_),
            ) => None,
        }
    }

    async fn stream(
        &self,
        found_at: Option<&HostAndPort>,
    ) -> Result<(Box<dyn Stream>, Option<IpAddr>), FailureClass> {
        if let RedisAddress::Unix(path) = &self.options.address {
            let stream = UnixStream::connect(path).await.map_err(|error| classify_io(&error))?;
            return Ok((Box::new(stream), None));
        }
        let (host, port) = self.endpoint(found_at).ok_or(FailureClass::MasterDown)?;
        let (tcp, peer) = tcp::connect(host, port).await?;
        let Some(config) = &self.tls else { return Ok((Box::new(tcp), Some(peer))) };
        let connector = TlsConnector::from(Arc::clone(config));
        let name = server_name(host)?;
        let shaken = timeout(HANDSHAKE_LIMIT, connector.connect(name, tcp)).await;
        let secure = shaken.map_err(|_| FailureClass::Timeout)?;
        let secure = secure.map_err(|error| classify_io(&error))?;
        Ok((Box::new(secure), Some(peer)))
    }
}

/// By what name the certificate of a host must be.
fn server_name(host: &str) -> Result<ServerName<'static>, FailureClass> {
    ServerName::try_from(host.to_owned()).map_err(|_| FailureClass::TlsHostname)
}

impl Connection {
    /// Whether it leads to a server that follows another. One that does not say may be a primary.
    async fn is_replica(&self) -> bool {
        let asking = Cmd::new().arg("ROLE").to_owned();
        let mut commands = self.commands.clone();
        let Ok(Value::Array(role)) = commands.send_packed_command(&asking).await else {
            return false;
        };
        matches!(role.first(), Some(Value::BulkString(role)) if role != b"master")
    }
}

/// Why there is no connection.
pub(super) struct Unconnected {
    pub(super) class: FailureClass,
    pub(super) cause: Option<RedisCause>,
    /// Whether it took another connection to find out.
    pub(super) was_examined: bool,
}

impl From<FailureClass> for Unconnected {
    fn from(class: FailureClass) -> Self {
        Self { class, cause: None, was_examined: false }
    }
}

/// What one connection came to.
#[derive(Clone, Copy)]
enum Refusal {
    /// Before Redis was heard.
    Stream(FailureClass),
    /// By what it answered to the greeting.
    Greeting(FailureClass, Option<RedisCause>),
    /// It does not know the greeting.
    Older,
}

impl Refusal {
    const fn class(self) -> FailureClass {
        match self {
            Self::Stream(class) | Self::Greeting(class, _) => class,
            Self::Older => FailureClass::Protocol,
        }
    }

    const fn cause(self) -> Option<RedisCause> {
        match self {
            Self::Greeting(_, cause) => cause,
            Self::Stream(_) | Self::Older => None,
        }
    }
}

fn refusal(error: &RedisError, intake: &Intake) -> Refusal {
    if intake.first_byte() == TLS_ALERT {
        return Refusal::Greeting(FailureClass::TlsRequired, None);
    }
    let detail = error.detail().unwrap_or_default();
    let is_older = match (error.kind(), error.code()) {
        (ErrorKind::RESP3NotSupported, _) | (_, Some("NOPROTO")) => true,
        (_, Some("ERR")) => detail.contains("unknown command"),
        _ => false,
    };
    if is_older {
        Refusal::Older
    } else {
        Refusal::Greeting(classify(error), RedisCause::of(error))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
