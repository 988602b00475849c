//! The log: one line an event, on stderr, as text for people or JSON for machines.
//!
//! A log must not be able to hurt what it describes. So a request only ever puts a line into a
//! bounded queue, and one thread writes: a reader that stalls or a disk that is full costs lines,
//! which are counted, and nothing else. And no input can forge a line: control characters are
//! escaped, line breaks first of all.

mod escape;
mod queue;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use thiserror::Error;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

pub(crate) use escape::is_dangerous;
pub use queue::LogHandle;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Why there is no log.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// Standard error cannot be had.
    #[error("the log cannot be opened")]
    Open(#[source] io::Error),
    /// Something else is in its place.
    #[error("a log is installed already")]
    Installed,
}

/// Starts the log of this process, panics included.
///
/// # Errors
/// [`TelemetryError`] when standard error is closed, or on a second call.
pub fn install(config: LogConfig) -> Result<LogHandle, TelemetryError> {
    // A handle of its own: the lock of `std::io::stderr` would make others wait for a stalled
    // reader behind our writing thread.
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(TelemetryError::Open)?;
    let handle = LogHandle::start(Box::new(File::from(stderr)), config.format)
        .map_err(TelemetryError::Open)?;
    tracing::subscriber::set_global_default(subscriber(config, handle.clone()))
        .map_err(|_| TelemetryError::Installed)?;
    log_panics();
    Ok(handle)
}

/// What turns events into lines.
fn subscriber(config: LogConfig, handle: LogHandle) -> impl Subscriber + Send + Sync {
    let level = level_filter(config.level);
    let filter = Targets::new()
        // Libraries log what goes over the wire at their lower levels, passwords included.
        .with_default(level.min(LevelFilter::WARN))
        .with_target("nightlatch", level)
        // It warns of each dead connection; health tells the outage once.
        .with_target("deadpool", LevelFilter::ERROR);
    let lines = fmt::layer().with_writer(handle).with_ansi(false).log_internal_errors(false);
    match config.format {
        LogFormat::Text => Registry::default()
            .with(lines.fmt_fields(escape::EscapedFields).with_filter(filter.clone()).boxed()),
        LogFormat::Json => Registry::default().with(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_filter(filter)
                .boxed(),
        ),
    }
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// The standard hook writes to stderr itself, and would hang with a reader that stalls.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        tracing::error!(panic.message = message, panic.location = location, "a bug: code panicked");
    }));
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: LogLevel, log: impl FnOnce()) -> String {
        let output = Output::default();
        let handle = LogHandle::start(Box::new(output.clone()), format).unwrap();
        let subscriber = subscriber(LogConfig { level, format }, handle.clone());
        tracing::subscriber::with_default(subscriber, log);
        assert!(handle.flush(Duration::from_secs(10)));
        String::from_utf8(output.0.lock().unwrap().clone()).unwrap()
    }

    fn log_everywhere(input: &str) {
        let span = tracing::info_span!("request", path = input, agent = tracing::field::Empty);
        let _entered = span.enter();
        span.record("agent", tracing::field::display(input));
        tracing::info!(user = input, shown = %input, debugged = ?input, "login of {input}");
    }

    #[test]
    fn text_lines_are_readable() {
        let text = logged(LogFormat::Text, LogLevel::Info, || log_everywhere("alice"));
        let expected = "INFO request{path=\"alice\" agent=alice}: nightlatch::telemetry::tests: \
                        login of alice user=\"alice\" shown=alice debugged=\"alice\"\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn json_lines_are_objects_with_their_fields_at_the_top() {
        let text = logged(LogFormat::Json, LogLevel::Info, || log_everywhere("a\n\u{1b}b"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["user"], "a\n\u{1b}b");
        assert_eq!(line["message"], "login of a\n\u{1b}b");
        assert_eq!(line["span"]["name"], "request");
    }

    #[test]
    fn libraries_never_say_more_than_warnings() {
        let text = logged(LogFormat::Text, LogLevel::Trace, || {
            tracing::trace!("ours");
            tracing::info!(target: "tokio_postgres::query", "parameters");
            tracing::warn!(target: "hyper", "theirs");
        });
        assert!(text.contains("ours") && text.contains("theirs"), "{text}");
        assert!(!text.contains("parameters"), "{text}");
    }

    proptest! {
        #[test]
        fn no_input_forges_a_line(input in "(?s).{0,60}") {
            let text = logged(LogFormat::Text, LogLevel::Info, || log_everywhere(&input));
            let line = text.strip_suffix('\n').unwrap();
            prop_assert!(!line.chars().any(is_dangerous), "{:?}", line);
            let json = logged(LogFormat::Json, LogLevel::Info, || log_everywhere(&input));
            let line = json.strip_suffix('\n').unwrap();
            prop_assert!(!line.chars().any(|c| c < ' '), "{:?}", line);
            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok());
        }
    }
}
