//! Moving everything from a file into a server: growing from one machine to several.

use std::sync::Arc;

use anyhow::{Context, bail};
use nightlatch_core::{Deadline, SystemClock};
use nightlatch_store::transfer::{Leaving, Transferred};

use super::{Base, OpenRecord};

impl Base {
    /// Moves all of this record, a file, into `target`, a server; with a secret that lies beside the file,
    /// and its name there.
    ///
    /// # Errors
    /// Why nothing was moved. The record's own as they are.
    pub async fn transfer(
        &self,
        target: &Self,
        secret: Option<(&str, Vec<u8>)>,
        deadline: Deadline,
    ) -> anyhow::Result<Transferred> {
        let (OpenRecord::Sqlite(file), OpenRecord::Postgres(server)) =
            (&self.record, &target.record)
        else {
            bail!("this moves an SQLite file into PostgreSQL, and nothing else");
        };
        let leaving = Leaving::begin(file.path(), deadline, Arc::new(SystemClock));
        let leaving = leaving.context("starting the thread that reads the file")?;
        Ok(server.take_over(leaving, secret, deadline).await?)
    }
}
