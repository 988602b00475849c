//! Finding the primary of a name by Sentinels.
//!
//! A Sentinel may be gone, or know less than the others, so they are asked in turn, and whoever they
//! name has to say of itself that it is a primary:
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nightlatch_core::{FailureClass, Secret};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ProtocolVersion, RedisConnectionInfo, Value};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connect::HostAndPort;
use super::failure::classify;
use crate::tcp;

/// How long one Sentinel may take to be reached and to answer.
const ASK_LIMIT: Duration = Duration::from_millis(500);

/// Those who know where the primary of a name is.
pub(super) struct Sentinels {
    known: Vec<HostAndPort>,
    primary: String,
    password: Option<Secret<String>>,
    /// Who is asked first: the next one each time, since one may know less.
    turn: AtomicUsize,
}

impl Sentinels {
    pub(super) fn new(
        known: Vec<HostAndPort>,
        primary: String,
        password: Option<Secret<String>>,
    ) -> Self {
        Self { known, primary, password, turn: AtomicUsize::new(0) }
    }

    /// Where the primary is, as the first who answers says.
    pub(super) async fn find_primary(&self) -> Result<HostAndPort, FailureClass> {
        let mut failure = FailureClass::Unreachable;
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for number in 0..self.known.len() {
            let sentinel = &self.known[(first.wrapping_add(number)) % self.known.len()];
            match timeout(ASK_LIMIT, self.ask(sentinel)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(class)) => failure = class,
                Err(_) => failure = FailureClass::Timeout,
            }
        }
        Err(failure)
    }

    async fn ask(&self, (host, port): &HostAndPort) -> Result<HostAndPort, FailureClass> {
        let (tcp, _) = tcp::connect(host, *port).await?;
        let mut login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        if let Some(password) = &self.password {
            login = login.set_password(password.expose());
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let greeted = MultiplexedConnection::new_with_config(&login, tcp, config).await;
        let (mut commands, driver) = greeted.map_err(|error| classify(&error))?;
        // Ends with this call.
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let mut question = Cmd::new();
        question.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.primary);
        let answer = commands.send_packed_command(&question).await;
        let answer = answer.and_then(Value::extract_error).map_err(|error| classify(&error))?;
        match answer {
            // It knows nobody of this name.
            Value::Nil => Err(FailureClass::MasterDown),
            other => host_and_port(&other).ok_or(FailureClass::Protocol),
        }
    }
}

fn host_and_port(answer: &Value) -> Option<HostAndPort> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(host), Value::BulkString(port)] = parts.as_slice() else { return None };
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some((String::from_utf8(host.clone()).ok()?, port))
}
