//! Copies of a server: a standby that follows it, and a backup that is put back in its place.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{PASSWORD, PORT_TRIES, PostgresServer, READY_TO_READ, START_LIMIT};
use crate::process::{free_port, give_to_server, run};

/// A copy of a server's data, taken while it ran.
pub struct BaseBackup {
    folder: TempDir,
}

impl PostgresServer {
    /// Starts a hot standby that follows this server over `by_port`: this server's own, or that of
    /// a proxy in front of it.
    #[must_use]
    pub fn launch_standby(&self, by_port: u16) -> Self {
        let mut refusal = String::new();
        for _ in 0..PORT_TRIES {
            let standby = Self::in_new_folder(free_port(), self.environment.clone());
            let mut copy = standby.copy_of(by_port, &standby.data());
            run(copy.arg("--write-recovery-conf"));
            standby.configure_place();
            match standby.try_start_until(READY_TO_READ) {
                Ok(()) => return standby,
                Err(log) if log.contains("could not bind") => refusal = log,
                Err(log) => panic!("the standby does not start:\n{log}"),
            }
        }
        panic!("no port for a standby in {PORT_TRIES} tries:\n{refusal}");
    }

    /// From now on a commit is told only when the standby, which must be there, has it on its disk.
    pub fn wait_for_standby_at_commits(&self) {
        self.configure(&[("synchronous_standby_names", "*")]);
        self.reload();
        self.wait_for_answer("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
    }

    /// Makes a standby the server that takes changes; returns when it does.
    pub fn promote(&self) {
        self.sql("postgres", "SELECT pg_promote(wait => true)");
        self.wait_for_answer("SELECT count(*) WHERE NOT pg_is_in_recovery()");
    }

    /// Copies its data while it runs.
    #[must_use]
    pub fn back_up(&self) -> BaseBackup {
        let folder = tempfile::Builder::new()
            .prefix("nightlatch-backup-")
            .tempdir()
            .expect("the temporary folder takes a folder");
        give_to_server(folder.path());
        run(&mut self.copy_of(self.port, &folder.path().join("data")));
        BaseBackup { folder }
    }

    /// Puts a backup in the place of its data and starts it. It must be stopped.
    pub fn restore(&self, backup: &BaseBackup) {
        assert!(self.lock().is_none(), "a running server's data are not replaced");
        run(Command::new("rm").arg("-r").arg(self.data()));
        run(Command::new("cp").arg("-a").arg(backup.folder.path().join("data")).arg(self.data()));
        self.start();
    }

    fn copy_of(&self, by_port: u16, to: &PathBuf) -> Command {
        let mut copy = self.program("pg_basebackup");
        copy.args(["--host=127.0.0.1", "--username=postgres", "--checkpoint=fast", "--no-sync"]);
        copy.arg(format!("--port={by_port}")).arg("--pgdata").arg(to).env("PGPASSWORD", PASSWORD);
        copy
    }

    /// Waits until a count is not 0.
    fn wait_for_answer(&self, count: &str) {
        let wait = format!(
            "DO $$ BEGIN FOR tries IN 1..{limit} LOOP
                 EXIT WHEN ({count}) > 0;
                 PERFORM pg_sleep(0.01);
                 PERFORM pg_stat_clear_snapshot();
                 IF tries = {limit} THEN RAISE 'never: %', $q${count}$q$; END IF;
             END LOOP; END $$",
            limit = START_LIMIT.as_millis() / 10,
        );
        self.sql("postgres", &wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synchronous_standby_has_what_was_committed_and_takes_over() {
        let primary = PostgresServer::launch();
        let database = primary.create_database();
        let standby = primary.launch_standby(primary.port());
        primary.wait_for_standby_at_commits();
        primary.sql(&database, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
        primary.kill_9();
        standby.promote();
        standby.sql(&database, "INSERT INTO t VALUES (2)");
        assert_eq!(standby.query(&database, "SELECT sum(n) FROM t"), "3");
    }

    #[test]
    fn a_restored_backup_knows_nothing_of_what_came_after_it() {
        let server = PostgresServer::launch();
        let database = server.create_database();
        server.sql(&database, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
        let backup = server.back_up();
        server.sql(&database, "INSERT INTO t VALUES (2)");
        server.kill_9();
        server.restore(&backup);
        assert_eq!(server.query(&database, "SELECT sum(n) FROM t"), "1");
    }
}
