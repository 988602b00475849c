//! News of the feed, as the server tells it: LISTEN, on a connection of its own.
//!
//! Only faster than polling: nothing rests on it, so whatever goes wrong with it is tried again
//! without a word, and not while the record is away: that is found out by those who need it.

use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightlatch_core::{Clock, Deadline};
use nightlatch_resilience::Backoff;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::call::{Call, Effect, Server};
use super::options::Target;

/// Migration 0002 notifies this channel.
const CHANNEL: &str = "nightlatch_feed";

const LISTEN: &str = "LISTEN nightlatch_feed";

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(250), max: Duration::from_secs(5) };

/// How often it is seen that a silent connection still leads to somebody.
const CHECK_EVERY: Duration = Duration::from_secs(15);

/// How long LISTEN and such a check may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Wakes whoever follows the feed.
pub(super) struct Listener {
    /// `None`: nobody would tell.
    source: Option<Arc<Source>>,
    /// Ends with the record.
    task: Mutex<JoinSet<()>>,
}

/// How to reach a server that can be listened to.
pub(super) struct Way {
    /// The URL's hosts, of which only one that takes writes is good.
    hosts: Vec<Config>,
    tls: MakeRustlsConnect,
    attempt_limit: Duration,
}

impl Way {
    /// `None` behind a pool, which gives a connection to another client after each transaction.
    pub(super) fn to(target: &Target) -> Option<Self> {
        (!target.is_pooled).then(|| Self {
            hosts: target.hosts.clone(),
            tls: MakeRustlsConnect::new(target.tls.clone()),
            attempt_limit: target.attempt_limit,
        })
    }
}

struct Source {
    way: Way,
    server: Arc<Server>,
    clock: Arc<dyn Clock>,
    moved: Notify,
}

impl Listener {
    /// Connects to nothing yet.
    pub(super) fn new(way: Option<Way>, server: &Arc<Server>, clock: Arc<dyn Clock>) -> Self {
        let source = way.map(|way| {
            let (server, clock) = (Arc::clone(server), clock);
            Arc::new(Source { way, server, clock, moved: Notify::new() })
        });
        Self { source, task: Mutex::default() }
    }

    /// Waits until the feed may have moved since the last call.
    pub(super) async fn changed(&self) {
        let Some(source) = &self.source else { return pending().await };
        self.keep_listening(source);
        source.moved.notified().await;
    }

    fn keep_listening(&self, source: &Arc<Source>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // It ends only with a runtime.
        while task.try_join_next().is_some() {}
        if task.is_empty() {
            task.spawn(listen(Arc::clone(source)));
        }
    }
}

async fn listen(source: Arc<Source>) {
    let mut attempt = 0_u32;
    loop {
        let mut lasted = Duration::ZERO;
        if source.is_there().await {
            let began = Instant::now();
            source.follow_first_host().await;
            lasted = began.elapsed();
        }
        // A server that lets us in only to drop us is not asked any more often.
        attempt = if lasted > BACKOFF.max { 0 } else { attempt.saturating_add(1) };
        sleep(BACKOFF.delay(attempt, source.server.entropy.bits())).await;
    }
}

impl Source {
    /// Asks as everybody does, by a connection of the pool: while the record is known to be away
    /// that costs nothing, and nobody connects one more time.
    async fn is_there(&self) -> bool {
        let doing = "seeing whether the record can be listened to";
        let call = Call { doing, effect: Effect::Read, sql: "SELECT 1", params: &[] };
        let deadline = Deadline::within(&*self.clock, ANSWER_LIMIT);
        self.server.rows(call, deadline).await.is_ok()
    }

    /// Follows the first host that takes writes, until its connection ends.
    async fn follow_first_host(&self) {
        for host in &self.way.hosts {
            let connecting =
                timeout(self.way.attempt_limit, host.connect(self.way.tls.clone())).await;
            if let Ok(Ok((client, connection))) = connecting {
                return self.follow(client, connection).await;
            }
        }
    }

    async fn follow<S, T>(&self, client: Client, connection: Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let ended: Result<(), Error> = tokio::select! {
            () = self.ask(&client) => Ok(()),
            ended = self.hear(connection) => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the connection that listens to the feed ended");
        }
    }

    /// Asks for the news, and sees from time to time that somebody is there. Ends when not.
    async fn ask(&self, client: &Client) {
        let listening = client.batch_execute(LISTEN);
        if !matches!(timeout(ANSWER_LIMIT, listening).await, Ok(Ok(()))) {
            return;
        }
        // What happened before, nobody has told us.
        self.moved.notify_one();
        loop {
            sleep(CHECK_EVERY).await;
            if !matches!(timeout(ANSWER_LIMIT, client.check_connection()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    async fn hear<S, T>(&self, mut connection: Connection<S, T>) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            // Other schemas of the database tell theirs in the same channel.
            if let AsyncMessage::Notification(news) = message?
                && news.channel() == CHANNEL
                && news.payload() == self.server.schema.name()
            {
                // Wakes that nobody has heard yet are one.
                self.moved.notify_one();
            }
        }
        Ok(())
    }
}
