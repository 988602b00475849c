//! One connection through the proxy: two ways, each a reader and a writer with a queue between.
//!
//! The queue keeps the moment at which a chunk came, so that what is late is late by the same span,
//! however much else is on its way.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::statements::Statements;
use super::{Control, Fault, Shared};

/// Chunks on their way; the sender waits when there are more.
const CHUNKS_MAX: usize = 64;

const CHUNK_BYTES_MAX: usize = 16 * 1024;

/// What is neither a type nor a length nor a text, wherever it is looked at.
const GARBAGE: [u8; 64] = [0xff; 64];

/// The connection is to be reset.
struct Cut;

/// What the two ways of a connection share.
struct Connection<'c> {
    number: u64,
    shared: &'c Shared,
    statements: Mutex<Statements>,
    /// The next answer is lost.
    loses: AtomicBool,
}

/// A chunk, and when it came.
type Chunk = (Instant, Vec<u8>);

/// What the way back has to do next.
enum Next {
    Chunk(Chunk),
    End,
    HalfClose,
}

/// Serves one client until it, the server or a fault ends the connection.
pub(super) async fn run(
    mut client: TcpStream,
    number: u64,
    control: watch::Receiver<Control>,
    shared: Arc<Shared>,
) {
    let ended = serve(&mut client, number, control, &shared).await;
    if ended.is_err() {
        let _ = client.set_zero_linger();
    }
    drop(client);
    shared.live.fetch_sub(1, Ordering::SeqCst);
}

async fn serve(
    client: &mut TcpStream,
    number: u64,
    control: watch::Receiver<Control>,
    shared: &Shared,
) -> Result<(), Cut> {
    let connection =
        Connection { number, shared, statements: Mutex::default(), loses: AtomicBool::new(false) };
    let cuts = control.borrow().cuts;
    let is_cut = |control: &Control| {
        matches!(control.fault, Fault::Refuse | Fault::Reset) || control.cuts != cuts
    };
    let mut watched = control.clone();
    tokio::select! {
        biased;
        _ = watched.wait_for(is_cut) => Err(Cut),
        ended = connection.carry(client, control) => ended,
    }
}

impl Connection<'_> {
    async fn carry(
        &self,
        client: &mut TcpStream,
        mut control: watch::Receiver<Control>,
    ) -> Result<(), Cut> {
        // A server is not reached by a network that lets nothing through.
        self.until_heard(&mut control).await?;
        let target = self.shared.lock_target().clone();
        let connecting = TcpStream::connect((target.host.as_str(), target.port));
        let mut server = connecting.await.map_err(|_| Cut)?;
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ended = {
            let (client_in, client_out) = client.split();
            let (server_in, server_out) = server.split();
            let (to_server, from_client) = mpsc::channel(CHUNKS_MAX);
            let (to_client, from_server) = mpsc::channel(CHUNKS_MAX);
            tokio::try_join!(
                read(client_in, to_server),
                read(server_in, to_client),
                self.write_there(from_client, server_out, control.clone()),
                self.write_back(from_server, client_out, control),
            )
        };
        if ended.is_err() {
            let _ = server.set_zero_linger();
        }
        ended.map(|_| ())
    }

    async fn write_there(
        &self,
        mut chunks: mpsc::Receiver<Chunk>,
        mut server: WriteHalf<'_>,
        mut control: watch::Receiver<Control>,
    ) -> Result<(), Cut> {
        while let Some((came, chunk)) = chunks.recv().await {
            self.until_heard(&mut control).await?;
            let fault = control.borrow().fault;
            if let Fault::Late { there, .. } = fault {
                sleep_until(came + there).await;
            }
            self.note_statements(&chunk);
            // Its last statement may be one that is not heard.
            self.until_heard(&mut control).await?;
            match fault {
                Fault::Trickle(every) => trickle(&chunk, &mut server, every).await?,
                Fault::Replaces(text, other) => {
                    let replaced = replaced(&chunk, text, other);
                    server.write_all(&replaced).await.map_err(|_| Cut)?;
                }
                _ => server.write_all(&chunk).await.map_err(|_| Cut)?,
            }
        }
        server.shutdown().await.map_err(|_| Cut)
    }

    async fn write_back(
        &self,
        mut chunks: mpsc::Receiver<Chunk>,
        mut client: WriteHalf<'_>,
        mut control: watch::Receiver<Control>,
    ) -> Result<(), Cut> {
        let mut half_closing = control.clone();
        let mut is_shut = false;
        loop {
            let next = tokio::select! {
                biased;
                () = until_half_closed(&mut half_closing), if !is_shut => Next::HalfClose,
                chunk = chunks.recv() => chunk.map_or(Next::End, Next::Chunk),
            };
            let (came, chunk) = match next {
                Next::Chunk(chunk) => chunk,
                Next::End => break,
                Next::HalfClose => {
                    is_shut = true;
                    client.shutdown().await.map_err(|_| Cut)?;
                    continue;
                }
            };
            self.until_heard(&mut control).await?;
            if self.loses.load(Ordering::SeqCst) {
                self.shared.lock_losing().lost += 1;
                return Err(Cut);
            }
            if is_shut {
                continue;
            }
            let fault = control.borrow().fault;
            write_answer(fault, came, &chunk, &mut client).await?;
        }
        if is_shut { Ok(()) } else { client.shutdown().await.map_err(|_| Cut) }
    }

    /// Waits until this connection is not silent.
    async fn until_heard(&self, control: &mut watch::Receiver<Control>) -> Result<(), Cut> {
        let heard = control.wait_for(|control| !self.is_silent(control)).await;
        heard.map(|_| ()).map_err(|_| Cut)
    }

    fn is_silent(&self, control: &Control) -> bool {
        match control.fault {
            Fault::Silent => true,
            Fault::SilentNew => self.number >= control.first_new,
            Fault::SilentLive => self.number < control.first_new,
            Fault::SilentAfter(text) => self.lock_statements().has_said(text),
            Fault::None
            | Fault::Refuse
            | Fault::Reset
            | Fault::Late { .. }
            | Fault::Jitter(_)
            | Fault::Trickle(_)
            | Fault::CutAfter(_)
            | Fault::Garbage
            | Fault::Says(_)
            | Fault::SaysFirst(_)
            | Fault::Replaces(..)
            | Fault::HalfClose => false,
        }
    }

    fn note_statements(&self, chunk: &[u8]) {
        let executed = self.lock_statements().take(chunk);
        let mut losing = self.shared.lock_losing();
        if losing.left > 0 && executed.iter().any(|text| text.contains(losing.statement)) {
            losing.left -= 1;
            self.loses.store(true, Ordering::SeqCst);
        }
    }

    fn lock_statements(&self) -> MutexGuard<'_, Statements> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads until the end. A connection that fails is cut on its other side too.
async fn read(mut from: ReadHalf<'_>, to: mpsc::Sender<Chunk>) -> Result<(), Cut> {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    loop {
        let count = from.read(&mut buffer).await.map_err(|_| Cut)?;
        if count == 0 {
            return Ok(());
        }
        let chunk = (Instant::now(), buffer[..count].to_vec());
        to.send(chunk).await.map_err(|_| Cut)?;
    }
}

async fn until_half_closed(control: &mut watch::Receiver<Control>) {
    // An error is the proxy's end, which ends this too.
    let _ = control.wait_for(|control| control.fault == Fault::HalfClose).await;
}

async fn write_answer(
    fault: Fault,
    came: Instant,
    chunk: &[u8],
    client: &mut WriteHalf<'_>,
) -> Result<(), Cut> {
    match fault {
        Fault::Late { back, .. } => sleep_until(came + back).await,
        Fault::Jitter(most) => sleep_until(came + part_of(most)).await,
        Fault::Trickle(every) => return trickle(chunk, client, every).await,
        Fault::Garbage => return client.write_all(&GARBAGE).await.map_err(|_| Cut),
        Fault::Says(text) => return client.write_all(text.as_bytes()).await.map_err(|_| Cut),
        Fault::Replaces(text, other) => {
            let replaced = replaced(chunk, text, other);
            return client.write_all(&replaced).await.map_err(|_| Cut);
        }
        Fault::SaysFirst(text) => client.write_all(text.as_bytes()).await.map_err(|_| Cut)?,
        Fault::CutAfter(bytes) => {
            let kept = &chunk[..bytes.min(chunk.len())];
            client.write_all(kept).await.map_err(|_| Cut)?;
            return Err(Cut);
        }
        Fault::None
        | Fault::Refuse
        | Fault::Reset
        | Fault::Silent
        | Fault::SilentNew
        | Fault::SilentLive
        | Fault::SilentAfter(_)
        | Fault::HalfClose => {}
    }
    client.write_all(chunk).await.map_err(|_| Cut)
}

/// As long as it was: lengths that stand before it stay true.
fn replaced(chunk: &[u8], text: &str, other: &str) -> Vec<u8> {
    debug_assert_eq!(text.len(), other.len(), "a text takes the place of one as long");
    let mut bytes = chunk.to_vec();
    let mut at = 0;
    while let Some(part) = bytes.get_mut(at..at + text.len()) {
        if part == text.as_bytes() && text.len() == other.len() {
            part.copy_from_slice(other.as_bytes());
        }
        at += 1;
    }
    bytes
}

/// Some of a span, as chance has it.
fn part_of(most: Duration) -> Duration {
    // Its keys are random.
    let random = RandomState::new().hash_one(());
    most.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX))
}

async fn trickle(chunk: &[u8], to: &mut WriteHalf<'_>, every: Duration) -> Result<(), Cut> {
    for byte in chunk {
        to.write_all(std::slice::from_ref(byte)).await.map_err(|_| Cut)?;
        sleep(every).await;
    }
    Ok(())
}
