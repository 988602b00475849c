//! The record that grows: a SQLite file, or a PostgreSQL beside the load generator.
//!
//! Sessions are written straight into it, each with a user of its own, the place that one logs in from,
//! and the entry of that login in the audit log: what a login leaves.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nightlatch_core::{
    Clock, Entropy, SessionId, SessionTokens, SystemClock, SystemEntropy, Timestamp, UserId,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::people;
use crate::postgres::Postgres;
use crate::ran::Ran;
use crate::server::{DATABASE_FILE, Program, Server};
use crate::stored_sessions::{AGE, tokens};

/// Uses of sessions are noted 10 s after the last one: those that were last used in the future are not,
/// so that what is measured is nothing else.
const USED_IN: Duration = Duration::from_hours(1);

/// What is written for each session that is new: `NOW` and `SO_FAR` are numbers.
const BESIDE_SESSIONS: &str = "
    INSERT INTO users (id, username, username_folded, email, email_folded, email_verified, name, groups,
        password_hash, hash_kind, generation, enabled, created_at, updated_at)
    SELECT s.user_id, 'person' || s.n, 'person' || s.n, 'person' || s.n || '@example.org',
        'person' || s.n || '@example.org', t.email_verified, 'Person ' || s.n, t.groups,
        t.password_hash, t.hash_kind, t.generation, t.enabled, s.created_at, s.created_at
    FROM (SELECT user_id, created_at, row_number() OVER (ORDER BY id) + SO_FAR AS n
          FROM sessions WHERE created_at = NOW) s,
        (SELECT * FROM users WHERE username_folded = 'TEMPLATE') t;
    INSERT INTO known_prefixes (user_id, prefix, last_login_at)
    SELECT s.user_id, t.prefix, s.created_at
    FROM sessions s, (SELECT prefix FROM known_prefixes LIMIT 1) t WHERE s.created_at = NOW;
    INSERT INTO audit_log (at, action, user_id, username, session_id, actor, actor_name, address,
        request_id)
    SELECT s.created_at, t.action, s.user_id, u.username, s.id, t.actor, t.actor_name, t.address,
        t.request_id
    FROM sessions s JOIN users u ON u.id = s.user_id,
        (SELECT * FROM audit_log WHERE action = 'login' LIMIT 1) t
    WHERE s.created_at = NOW;";

/// Where everything is kept.
pub(crate) enum Kind {
    Sqlite,
    Postgres(Postgres),
}

/// A record with people in it.
pub(crate) struct Record {
    pub(crate) kind: Kind,
    home: TempDir,
    tokens: SessionTokens,
    /// Sessions that were written here, and as many people.
    pub(crate) stored: usize,
}

/// Bytes on the disk for each, indexes and free room included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    pub(crate) user: f64,
    pub(crate) session: f64,
    pub(crate) entry: f64,
}

/// What the record has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) ran: Ran,
    pub(crate) transactions: u64,
    /// Bytes of the log that each change is in first.
    pub(crate) log: u64,
}

impl Record {
    /// Makes it, with users who have logged in.
    pub(crate) async fn begin(kind: Kind, program: &Program) -> anyhow::Result<Self> {
        let home = TempDir::new().context("making a temporary directory")?;
        let record = Self { kind, home, tokens: tokens()?, stored: 0 };
        let server = record.start(program).await?;
        people::register(server.address).await?;
        people::open_sessions(server.address, 1).await?;
        server.process.stop()?;
        Ok(record)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite => "SQLite",
            Kind::Postgres(_) => "PostgreSQL",
        }
    }

    /// Changes more than a server would.
    pub(crate) fn execute(&self, sql: &str) -> anyhow::Result<()> {
        match &self.kind {
            Kind::Sqlite => Connection::open(self.file())?.execute_batch(sql)?,
            Kind::Postgres(postgres) => {
                postgres.run(|script| script.write_all(sql.as_bytes()))?;
            }
        }
        Ok(())
    }

    /// Starts a server on it, which answers.
    pub(crate) async fn start(&self, program: &Program) -> anyhow::Result<Server> {
        let server = program.start_with(self.home.path(), |command| {
            if let Kind::Postgres(postgres) = &self.kind {
                command.env("DATABASE_URL", postgres.url());
            }
        })?;
        crate::start::become_ready(&server).await?;
        Ok(server)
    }

    /// What a person is called; they are counted from 1.
    pub(crate) fn person(number: usize) -> String {
        format!("person{number}")
    }

    /// Writes sessions until there are `count`, and gives tokens of at most `most` of the new ones,
    /// evenly chosen. No server runs on it.
    pub(crate) fn fill_up_to(&mut self, count: usize, most: usize) -> anyhow::Result<Vec<String>> {
        self.fill(count, most, USED_IN)
    }

    /// The same with so many more whose uses will be noted, and the tokens of all of them.
    pub(crate) fn fill_used(&mut self, more: usize) -> anyhow::Result<Vec<String>> {
        self.fill(self.stored + more, more, Duration::ZERO)
    }

    fn fill(&mut self, count: usize, most: usize, used: Duration) -> anyhow::Result<Vec<String>> {
        let now = SystemClock.wall();
        let mut batch = Batch {
            tokens: &self.tokens,
            now,
            at: now,
            used: now.after(used),
            left: count - self.stored,
            step: (count - self.stored).div_ceil(most),
            chosen: Vec::with_capacity(most),
        };
        let beside = BESIDE_SESSIONS
            .replace("NOW", &now.as_micros().to_string())
            .replace("SO_FAR", &self.stored.to_string())
            .replace("TEMPLATE", &people::name(0));
        match &self.kind {
            Kind::Sqlite => fill_file(&self.file(), &mut batch, &beside)?,
            Kind::Postgres(postgres) => fill_postgres(postgres, &mut batch, &beside)?,
        }
        self.stored = count;
        Ok(batch.chosen)
    }

    /// What is on the disk.
    pub(crate) fn disk(&self) -> anyhow::Result<Disk> {
        let tables = ["users", "known_prefixes", "sessions", "audit_log"];
        let mut each = Vec::with_capacity(tables.len());
        for table in tables {
            each.push(match &self.kind {
                Kind::Sqlite => bytes_in_file(&self.file(), table)?,
                Kind::Postgres(postgres) => bytes_in_postgres(postgres, table)?,
            });
        }
        Ok(Disk { user: each[0] + each[1], session: each[2], entry: each[3] })
    }

    /// A file is worked on by the server's own threads, and tells nothing.
    pub(crate) fn done(&self) -> anyhow::Result<Done> {
        let Kind::Postgres(postgres) = &self.kind else { return Ok(Done::default()) };
        let told = postgres.run(|script| {
            script.write_all(
                b"SELECT xact_commit || ' ' || pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')
                  FROM pg_stat_database WHERE datname = current_database();",
            )
        })?;
        let mut numbers = told.split_whitespace().map(str::parse);
        let (Some(Ok(transactions)), Some(Ok(log))) = (numbers.next(), numbers.next()) else {
            anyhow::bail!("PostgreSQL tells {told:?} of itself");
        };
        Ok(Done { ran: postgres.process.ran()?, transactions, log })
    }

    fn file(&self) -> PathBuf {
        self.home.path().join(DATABASE_FILE)
    }
}

/// Sessions to be written.
struct Batch<'b> {
    tokens: &'b SessionTokens,
    now: Timestamp,
    /// When the latest was made.
    at: Timestamp,
    used: Timestamp,
    left: usize,
    step: usize,
    chosen: Vec<String>,
}

struct NewSession {
    id: SessionId,
    token_hash: [u8; 32],
    user: UserId,
}

impl Batch<'_> {
    /// When they began, were last used, and end.
    fn times(&self) -> (i64, i64, i64) {
        (self.now.as_micros(), self.used.as_micros(), self.now.after(AGE).as_micros())
    }
}

impl Iterator for Batch<'_> {
    type Item = NewSession;

    fn next(&mut self) -> Option<NewSession> {
        self.left = self.left.checked_sub(1)?;
        let entropy = &SystemEntropy as &dyn Entropy;
        let (token, hash) = self.tokens.mint(entropy);
        if self.left.is_multiple_of(self.step) {
            self.chosen.push(token.expose().to_owned());
        }
        // Ids begin with their time: one after the other, as those of people who come.
        self.at = self.at.after(Duration::from_millis(1));
        let (id, user) = (SessionId::fresh(entropy, self.at), UserId::fresh(entropy, self.at));
        Some(NewSession { id, token_hash: *hash.as_bytes(), user })
    }
}

fn fill_file(file: &Path, batch: &mut Batch<'_>, beside: &str) -> anyhow::Result<()> {
    let mut database = Connection::open(file).context("opening the server's file")?;
    // Nothing is lost with it that could not be written again.
    database.pragma_update(None, "synchronous", "OFF")?;
    let (now, last_used, end) = batch.times();
    let change = database.transaction()?;
    let mut insert = change.prepare(
        "INSERT INTO sessions (id, token_hash, user_id, generation, created_at, last_seen_at,
             expires_at, remember, address, user_agent)
         SELECT ?1, ?2, ?3, generation, ?4, ?5, ?6, 0, '127.0.0.1', 'Firefox on Linux'
         FROM users WHERE username_folded = ?7",
    )?;
    for session in batch {
        let (id, owner) = (session.id.as_uuid().as_bytes(), session.user.as_uuid().as_bytes());
        insert.execute(params![
            id,
            session.token_hash,
            owner,
            now,
            last_used,
            end,
            people::name(0)
        ])?;
    }
    drop(insert);
    change.execute_batch(beside)?;
    Ok(change.commit()?)
}

fn fill_postgres(postgres: &Postgres, batch: &mut Batch<'_>, beside: &str) -> anyhow::Result<()> {
    let (now, last_used, end) = batch.times();
    let generation = postgres.run(|script| {
        let name = people::name(0);
        write!(script, "SELECT generation FROM nightlatch.users WHERE username_folded = '{name}';")
    })?;
    postgres.run(|script| {
        script.write_all(
            b"SET search_path = nightlatch;
              BEGIN;
              COPY sessions (id, token_hash, user_id, generation, created_at, last_seen_at,
                  expires_at, remember, address, user_agent) FROM STDIN;\n",
        )?;
        for session in batch {
            write!(script, "{}\t", session.id.as_uuid())?;
            write_hex(script, &session.token_hash)?;
            let owner = session.user.as_uuid();
            write!(script, "\t{owner}\t{generation}\t{now}\t{last_used}\t{end}")?;
            writeln!(script, "\tf\t127.0.0.1\tFirefox on Linux")?;
        }
        writeln!(script, "\\.\n{beside}\nCOMMIT;\nVACUUM ANALYZE;\nCHECKPOINT;")
    })?;
    Ok(())
}

/// As COPY takes bytes.
fn write_hex(script: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    script.write_all(b"\\\\x")?;
    bytes.iter().try_for_each(|byte| write!(script, "{byte:02x}"))
}

fn bytes_in_file(file: &Path, table: &str) -> anyhow::Result<f64> {
    let database = Connection::open(file).context("opening the server's file")?;
    let sql = format!(
        "SELECT (SELECT sum(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name
             WHERE d.aggregate = 1 AND s.tbl_name = '{table}') * 1.0 / count(*) FROM {table}"
    );
    database.query_row(&sql, [], |row| row.get(0)).context("asking how large the file is")
}

fn bytes_in_postgres(postgres: &Postgres, table: &str) -> anyhow::Result<f64> {
    let told = postgres.run(|script| {
        write!(
            script,
            "SELECT pg_total_relation_size('nightlatch.{table}')::float8 / count(*)
             FROM nightlatch.{table};"
        )
    })?;
    told.parse().context("PostgreSQL does not tell how large a table is")
}
