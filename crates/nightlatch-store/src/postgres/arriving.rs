//! The record as the target of a move: one transaction that takes everything, or nothing.

use std::time::Duration;

use nightlatch_core::{Deadline, StoreError};
use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::PostgresRecord;
use super::call::Param;
use super::failure::{Failure, Sent};
use super::pool::Loan;
use crate::transfer::{Batch, KeptSecret, Leaving, TABLES, TransferError, Transferred};

const DOING: &str = "taking over a record";

/// Servers that started here would put down keys between our look and our commit.
const LOCK: &str = "LOCK TABLE nightlatch.users, nightlatch.sessions, nightlatch.signing_keys,
    nightlatch.shared_secrets, nightlatch.feed_head IN EXCLUSIVE MODE";

/// Every copy of the record that was left bears another.
const BEGIN_EPOCH: &str = "UPDATE nightlatch.feed_head SET epoch = $1";

const KEEP_SECRET: &str = "INSERT INTO nightlatch.shared_secrets (name, value) VALUES ($1, $2)";

impl PostgresRecord {
    /// Takes over what leaves a file. The schema is to be there.
    ///
    /// # Errors
    /// [`TransferError`]; then nothing is kept. A commit whose answer is lost is `Outcome::Unknown`.
    pub async fn take_over(
        &self,
        leaving: Leaving,
        secret: Option<KeptSecret<'_>>,
        deadline: Deadline,
    ) -> Result<Transferred, TransferError> {
        let loan =
            self.server.connections.lend(DOING, deadline).await.map_err(|failure| failure.error)?;
        let limit = self.server.connections.remaining(deadline);
        let mut sent = Sent::Nothing;
        match timeout(limit, self.take_over_on(&loan, leaving, (secret, limit), &mut sent)).await {
            Ok(Ok(transferred)) => {
                loan.give_back();
                Ok(transferred)
            }
            Ok(Err(error)) => {
                // With what it holds: the transaction ends with the connection.
                loan.discard();
                Err(error)
            }
            Err(_) => {
                loan.cancel();
                Err(Failure::of_deadline(sent, DOING).error.into())
            }
        }
    }

    async fn take_over_on(
        &self,
        loan: &Loan<'_>,
        mut leaving: Leaving,
        (secret, limit): (Option<KeptSecret<'_>>, Duration),
        sent: &mut Sent,
    ) -> Result<Transferred, TransferError> {
        let limit = limit.as_millis();
        self.run(
            loan,
            &format!(
                "BEGIN; SET LOCAL lock_timeout = 5000; SET LOCAL statement_timeout = {limit};
                 SET LOCAL idle_in_transaction_session_timeout = {limit}; {LOCK}"
            ),
        )
        .await?;
        self.refuse_what_is_used(loan).await?;
        let mut read = vec![0; TABLES.len()];
        // Ends with the last row, or with the deadline.
        loop {
            let batch = leaving.batches.recv().await.ok_or_else(|| gone(*sent))??;
            let Batch { table, rows, count } = batch;
            let Some(it) = TABLES.get(table) else { break };
            read[table] += count;
            self.put(loan, it.write, &[(&rows, Type::TEXT)]).await?;
        }
        self.verify(loan, &read).await?;
        if let Some((name, value)) = secret {
            self.put(loan, KEEP_SECRET, &[(&name, Type::TEXT), (&value, Type::BYTEA)]).await?;
        }
        self.put(loan, BEGIN_EPOCH, &[(&self.fresh_row_id(), Type::INT8)]).await?;
        *sent = Sent::Write;
        loan.client().batch_execute("COMMIT").await.map_err(|error| failed(error, *sent))?;
        let is_noted = leaving.arrived.send(()).is_ok() && leaving.noted.await.unwrap_or(false);
        let rows = TABLES.iter().zip(read).filter(|(it, _)| !it.is_preset);
        Ok(Transferred { rows: rows.map(|(it, count)| (it.name, count)).collect(), is_noted })
    }

    async fn refuse_what_is_used(&self, loan: &Loan<'_>) -> Result<(), TransferError> {
        for it in TABLES.iter().filter(|it| !it.is_preset) {
            if self.count(loan, it.count).await? > 0 {
                return Err(TransferError::NotEmpty(it.name.to_owned()));
            }
        }
        Ok(())
    }

    async fn verify(&self, loan: &Loan<'_>, read: &[u64]) -> Result<(), TransferError> {
        for (it, &read) in TABLES.iter().zip(read) {
            let written = self.count(loan, it.count).await?;
            if written != read {
                return Err(TransferError::Miscounted { table: it.name, read, written });
            }
        }
        Ok(())
    }

    async fn count(&self, loan: &Loan<'_>, sql: &str) -> Result<u64, TransferError> {
        let sql = self.server.schema.apply(sql);
        let row = loan.client().query_typed_one(&sql, &[]).await;
        let counted = row.and_then(|row| row.try_get::<_, i64>(0));
        counted.map(i64::unsigned_abs).map_err(|error| failed(error, Sent::Nothing))
    }

    async fn put(
        &self,
        loan: &Loan<'_>,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<(), TransferError> {
        let sql = self.server.schema.apply(sql);
        let put = loan.client().execute_typed(&sql, params).await;
        put.map(drop).map_err(|error| failed(error, Sent::Nothing))
    }

    async fn run(&self, loan: &Loan<'_>, sql: &str) -> Result<(), TransferError> {
        let sql = self.server.schema.apply(sql);
        loan.client().batch_execute(&sql).await.map_err(|error| failed(error, Sent::Nothing))
    }
}

fn failed(error: tokio_postgres::Error, sent: Sent) -> TransferError {
    let error: StoreError = Failure::of_statement(error, sent, DOING).error;
    error.into()
}

/// The thread that reads has ended without a word.
fn gone(sent: Sent) -> TransferError {
    Failure::of_deadline(sent, "waiting for the file").error.into()
}
