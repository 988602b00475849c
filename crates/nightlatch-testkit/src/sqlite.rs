//! Another process at the server's database file: locks it, reads for long, damages it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// How long another process waits for the server's own locks.
const BUSY_LIMIT: Duration = Duration::from_secs(20);

/// One write of a log that is made long: the server's own changes go on between two of them.
const LOG_STEP_BYTES: u32 = 1 << 20;

/// A connection of this process to the server's database.
pub struct Intruder {
    conn: Connection,
}

impl Intruder {
    /// Opens the database at `path`.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let conn = Connection::open(path).expect("the server has made the file");
        conn.busy_timeout(BUSY_LIMIT).expect("a connection takes a limit");
        let quiet = "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0;";
        conn.execute_batch(quiet).expect("the file is a database");
        Self { conn }
    }

    /// Takes the lock that every change needs.
    pub fn lock(&self) {
        self.conn.execute_batch("BEGIN EXCLUSIVE").expect("the server lets go of its lock");
    }

    /// Begins to read, and does not end.
    pub fn begin_to_read(&self) {
        self.conn
            .execute_batch("BEGIN; SELECT count(*) FROM users")
            .expect("a reader waits for nobody");
    }

    /// Runs SQL.
    pub fn run(&self, sql: &str) {
        self.conn.execute_batch(sql).expect("the file takes it");
    }

    /// Ends what was begun.
    pub fn let_go(&self) {
        self.conn.execute_batch("ROLLBACK").expect("something was begun");
    }

    /// Makes the write-ahead log at least that much longer.
    pub fn lengthen_log(&self, mebibytes: u32) {
        let conn = &self.conn;
        conn.execute_batch("CREATE TABLE IF NOT EXISTS ballast (bytes BLOB)")
            .expect("the log takes a table");
        for _ in 0..mebibytes.div_ceil(LOG_STEP_BYTES >> 20) {
            // Replaced in place: the log grows, the database does not.
            conn.execute_batch("BEGIN IMMEDIATE; DELETE FROM ballast").expect("a change");
            conn.execute("INSERT INTO ballast VALUES (zeroblob(?1))", [LOG_STEP_BYTES])
                .expect("a change");
            conn.execute_batch("COMMIT").expect("a change");
        }
    }

    /// Copies the log back into the file, and empties it.
    pub fn empty_log(&self) {
        let emptied = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 =
            self.conn.query_row(emptied, [], |row| row.get(0)).expect("a checkpoint answers");
        assert_eq!(busy, 0, "somebody reads an old state of the database");
    }

    /// Where the first page of a table or index stands in the file, and how long it is.
    #[must_use]
    pub fn root_page(&self, name: &str) -> (u64, usize) {
        let size: i64 = self
            .conn
            .query_row("PRAGMA page_size", [], |row| row.get(0))
            .expect("a database has a page size");
        let number: i64 = self
            .conn
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .expect("the schema has it");
        let offset = u64::try_from((number - 1) * size).expect("pages are counted from one");
        (offset, usize::try_from(size).expect("a page fits into memory"))
    }
}

/// Overwrites a page with rubbish and returns what stood there.
#[must_use]
pub fn damage(path: &Path, (offset, length): (u64, usize)) -> Vec<u8> {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("the file is there");
    let mut was = vec![0; length];
    file.read_exact_at(&mut was, offset).expect("the page is there");
    file.write_all_at(&vec![0xA5; length], offset).expect("the file takes bytes");
    was
}

/// Puts back what [`damage`] returned.
pub fn repair(path: &Path, offset: u64, was: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).expect("the file is there");
    file.write_all_at(was, offset).expect("the file takes bytes");
}
