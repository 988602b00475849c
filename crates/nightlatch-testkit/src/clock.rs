//! Another time than the machine's, for one process (libfaketime).
//!
//! Clocks cannot be set for a test without setting them for everybody. The library answers in their
//! place, so everything above the C library is the real thing, and a clock can be moved while its
//! process runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::told::ToldFolder;

/// Where the library leaves what it shares between processes, and does not tidy it up.
const LITTER: &str = "/dev/shm";

/// The file that says the time.
const CLOCK: &str = "clock";

/// The clock of one process, and of what it starts. It must live longer than they.
pub struct FakeClock {
    folder: ToldFolder,
    /// Whether the clocks that never step are moved too.
    moves_all: bool,
}

impl FakeClock {
    /// A wall clock that is right, until it is moved. A move is seen after a second at most.
    #[must_use]
    pub fn of_wall() -> Self {
        Self::start(false)
    }

    /// All clocks, for a suspended machine: they all have gone on when it wakes.
    #[must_use]
    pub fn of_all() -> Self {
        Self::start(true)
    }

    fn start(moves_all: bool) -> Self {
        remove_litter();
        let clock = Self { folder: ToldFolder::new("nightlatch-clock-"), moves_all };
        clock.say("+0");
        clock
    }

    /// From now on it is so many seconds ahead of the machine's, or behind.
    pub fn move_to(&self, seconds: i64) {
        self.say(&format!("{seconds:+}"));
    }

    /// From now on it runs faster by so much in a hundred.
    pub fn run_faster(&self, percent: u32) {
        self.say(&format!("+0 x{}.{:02}", 1 + percent / 100, percent % 100));
    }

    /// Words for `env`.
    pub(crate) fn environment(&self) -> Vec<String> {
        let library = library();
        let file = self.folder.path(CLOCK);
        vec![
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
            // Seconds between two looks at the file.
            "FAKETIME_CACHE_DURATION=1".to_owned(),
            format!("FAKETIME_DONT_FAKE_MONOTONIC={}", u8::from(!self.moves_all)),
        ]
    }

    fn say(&self, what: &str) {
        self.folder.say(CLOCK, what);
    }
}

impl Drop for FakeClock {
    fn drop(&mut self) {
        remove_litter();
    }
}

/// The variant for programs with threads.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("libfaketime is not installed: Debian package `faketime`")
}

/// Removes what ended processes have left. A later one with the same number could not start.
fn remove_litter() {
    for entry in fs::read_dir(LITTER).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let pid = name.strip_prefix("faketime_shm_").or(name.strip_prefix("sem.faketime_sem_"));
        if let Some(pid) = pid
            && !Path::new("/proc").join(pid).exists()
        {
            // Another test may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::postgres::PostgresServer;
    use crate::wait::wait_until;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_clock_of_a_database_is_moved_while_it_runs() {
        let clock = FakeClock::of_wall();
        clock.move_to(3600);
        let server = PostgresServer::launch_under(&clock, &[("fsync", "off")]);
        let machine = PostgresServer::launch_with(&[("fsync", "off")]);
        let (there, here) = (server.session("postgres").await, machine.session("postgres").await);
        for seconds in [3600, -3600, 86400] {
            clock.move_to(seconds);
            let ask = "SELECT extract(epoch FROM clock_timestamp())::bigint";
            wait_until("the clock is another", Duration::from_secs(10), async || {
                let ahead = there.number(ask).await - here.number(ask).await;
                (ahead - seconds).abs() <= 1
            })
            .await;
        }
    }
}
