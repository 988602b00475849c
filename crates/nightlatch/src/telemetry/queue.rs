//! The bounded queue between those who log and the one thread that writes.
//!
//! Whoever logs takes a lock that nobody holds across a write, and goes on. When the queue is
//! full, or the write fails, the line is dropped and counted; the count is written as a line of
//! its own as soon as writing works again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightlatch_core::{Clock, SystemClock, Timestamp};
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// The log of this process.
#[derive(Clone)]
pub struct LogHandle(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
    /// Dropped since the last line that said so.
    unreported: u64,
    dropped_total: u64,
}

/// What waits at most: some ten thousand lines.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// More than the largest request that is let in.
const LINE_BYTES_MAX: usize = 128 * 1024;

impl LogHandle {
    /// Starts the thread that writes to `sink`.
    pub(super) fn start(sink: Box<dyn Write + Send>, format: LogFormat) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = LineWriter { queue: queue.clone(), sink, format, is_midline: false };
        // Detached on purpose: a thread that hangs in a write cannot be waited for.
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(Self(queue))
    }

    /// Waits until everything is written, at most `bound`; whether it was.
    #[must_use]
    pub fn flush(&self, bound: Duration) -> bool {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        let waited = self.0.emptied.wait_timeout_while(self.0.lock(), bound, is_busy);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !timeout.timed_out()
    }

    /// How many lines were dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped_total
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if line.len() > LINE_BYTES_MAX || state.bytes + line.len() > QUEUE_BYTES_MAX {
            state.count_dropped();
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        self.filled.notify_one();
    }

    /// The next line; waits for one.
    fn pop(&self) -> Vec<u8> {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                return line;
            }
            state.is_writing = false;
            self.emptied.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn count_dropped(&mut self) {
        self.unreported += 1;
        self.dropped_total += 1;
    }
}

/// One write is one line: the layer formats a whole event before it writes.
impl Write for &LogHandle {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogHandle {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

struct LineWriter {
    queue: Arc<Queue>,
    sink: Box<dyn Write + Send>,
    format: LogFormat,
    /// A write failed in the middle of a line.
    is_midline: bool,
}

impl LineWriter {
    fn run(mut self) {
        loop {
            let line = self.queue.pop();
            if self.write(&line).is_err() {
                self.queue.lock().count_dropped();
                continue;
            }
            self.report_dropped();
        }
    }

    fn report_dropped(&mut self) {
        let unreported = std::mem::take(&mut self.queue.lock().unreported);
        if unreported == 0 {
            return;
        }
        let line = dropped_line(self.format, unreported, SystemClock.wall());
        if self.write(line.as_bytes()).is_err() {
            self.queue.lock().unreported += unreported;
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_midline {
            self.sink.write_all(b"\n")?;
            self.is_midline = false;
        }
        let mut rest = line;
        // Bounded by the line: each round writes at least a byte or fails.
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    self.is_midline = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn dropped_line(format: LogFormat, count: u64, now: Timestamp) -> String {
    const MESSAGE: &str = "log lines were dropped, because the log could not be written";
    match format {
        LogFormat::Text => {
            format!("{now}  WARN {}: {MESSAGE} log.dropped={count}\n", module_path!())
        }
        LogFormat::Json => {
            let line = serde_json::json!({
                "timestamp": now.to_rfc3339(),
                "level": "WARN",
                "message": MESSAGE,
                "log.dropped": count,
                "target": module_path!(),
            });
            format!("{line}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// A sink whose every write waits for its answer, and tells what it took.
    struct Scripted {
        answers: Receiver<io::Result<usize>>,
        written: SyncSender<String>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let answer = self.answers.recv().unwrap_or(Ok(usize::MAX));
            let count = answer?.min(bytes.len());
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            self.written.send(text).unwrap();
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn scripted() -> (LogHandle, SyncSender<io::Result<usize>>, Receiver<String>) {
        let (answer, answers) = sync_channel(16);
        let (written, lines) = sync_channel(100_000);
        let sink = Box::new(Scripted { answers, written });
        (LogHandle::start(sink, LogFormat::Text).unwrap(), answer, lines)
    }

    #[test]
    fn a_blocked_reader_costs_lines_that_are_counted_and_nobody_waits() {
        let (handle, answer, lines) = scripted();
        let line = format!("{}\n", "x".repeat(1023));
        let fitting = QUEUE_BYTES_MAX / line.len();
        for _ in 0..fitting + 100 {
            handle.0.push(line.as_bytes());
        }
        assert!(!handle.flush(Duration::from_millis(1)), "the sink is blocked");
        let dropped = handle.dropped();
        // One line may be in the writer's hands.
        assert!(dropped == 99 || dropped == 100, "{dropped}");
        drop(answer);
        assert!(handle.flush(LONG));
        let lines: Vec<_> = lines.try_iter().collect();
        let reports: Vec<_> = lines.iter().filter(|l| l.contains("were dropped")).collect();
        assert_eq!(reports.len(), 1);
        assert!(reports[0].ends_with(&format!("log.dropped={dropped}\n")), "{}", reports[0]);
        assert_eq!(lines.len() as u64, (fitting + 100) as u64 - dropped + 1);
    }

    #[test]
    fn a_full_disk_costs_lines_and_the_next_one_starts_afresh() {
        let (handle, answer, lines) = scripted();
        for line in ["first\n", "second\n", "third\n"] {
            handle.0.push(line.as_bytes());
        }
        let full = || Err(io::ErrorKind::StorageFull.into());
        for result in [full(), Ok(3), full(), Ok(1)] {
            answer.send(result).unwrap();
        }
        drop(answer);
        assert!(handle.flush(LONG));
        let text: String = lines.try_iter().collect();
        assert!(text.starts_with("sec\nthird\n"), "{text}");
        assert!(text.ends_with("log.dropped=2\n"), "{text}");
        assert_eq!(handle.dropped(), 2);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_told_in_json_too() {
        let (handle, answer, _lines) = scripted();
        handle.0.push(&vec![b'x'; LINE_BYTES_MAX + 1]);
        assert_eq!(handle.dropped(), 1);
        drop(answer);
        let line = dropped_line(LogFormat::Json, 1, Timestamp::EPOCH);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["log.dropped"], 1);
    }
}
