//! One statement: sent under a deadline, sent again where that is harmless.
//!
//! Every change of this record is a single statement that commits by itself, so this is nearly
//! all that talks to the server.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use nightlatch_core::{Deadline, Entropy, Outcome, StoreError, StoreErrorKind};
use nightlatch_resilience::CallEnd;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use super::PostgresRecord;
use super::failure::{Failure, Sent, corrupt};
use super::pool::{Connections, Loan};
use super::refusal::Refusal;
use super::schema::Schema;

/// A parameter with its type: a pooled connection has no prepared statement to learn it from.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// How often a statement is sent that a conflict or a closed connection kept from having any
/// effect.
const ATTEMPTS_MAX: u32 = 3;

/// What a statement may leave behind when its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    Read,
    /// Nothing; it is asked again and again, and must not wait for others.
    Look,
    /// A change.
    Write,
}

/// A statement and what it is for.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) doing: &'static str,
    pub(super) effect: Effect,
    /// Written for the default schema.
    pub(super) sql: &'static str,
    pub(super) params: &'a [Param<'a>],
}

impl Call<'_> {
    fn types(&self) -> Vec<Type> {
        self.params.iter().map(|(_, kind)| kind.clone()).collect()
    }
}

/// Where statements go: all of the record but what it remembers of its callers.
pub(super) struct Server {
    pub(super) connections: Connections,
    pub(super) schema: Schema,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) refusal: Refusal,
}

impl PostgresRecord {
    /// All rows of a statement.
    pub(super) async fn rows(
        &self,
        call: Call<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, StoreError> {
        self.server.rows(call, deadline).await
    }

    /// The row of a statement that gives one at most.
    pub(super) async fn row_opt(
        &self,
        call: Call<'_>,
        deadline: Deadline,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(call, deadline).await?.pop())
    }

    /// The row of a statement that always gives one.
    pub(super) async fn row(&self, call: Call<'_>, deadline: Deadline) -> Result<Row, StoreError> {
        Ok(self.some_rows(call, deadline).await?.swap_remove(0))
    }

    /// All rows of a statement that always gives one at least: without it the record is not what it
    /// was, and "no such session" would be a lie.
    pub(super) async fn some_rows(
        &self,
        call: Call<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, StoreError> {
        let doing = call.doing;
        let rows = self.rows(call, deadline).await?;
        if rows.is_empty() {
            return Err(without_head(doing));
        }
        Ok(rows)
    }

    /// A random id for a feed row, see [`Server::fresh_row_id`].
    pub(super) fn fresh_row_id(&self) -> i64 {
        self.server.fresh_row_id()
    }
}

impl Server {
    /// All rows of a statement.
    pub(super) async fn rows(
        &self,
        call: Call<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, StoreError> {
        let result = self.patiently(call, deadline).await;
        if call.effect == Effect::Write {
            self.refusal.note(call.doing, &result, self.connections.now());
        }
        result
    }

    /// Sends it as often as that may help.
    async fn patiently(&self, call: Call<'_>, deadline: Deadline) -> Result<Vec<Row>, StoreError> {
        let (began, mut attempt, mut waits) = (self.connections.now(), 1, 0);
        loop {
            match self.attempt(&call, deadline).await {
                Ok(rows) => return Ok(rows),
                Err(failure) if failure.may_repeat && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(failure) => {
                    let is_worth_it = waits < failure.waits_max && call.effect != Effect::Look;
                    let moment = (began, waits);
                    if !is_worth_it || !self.connections.wait_for_return(moment, deadline).await {
                        return Err(failure.error);
                    }
                    waits += 1;
                }
            }
        }
    }

    /// A change whose outcome is looked up where it was lost: `seen` gives the rows of `change` if
    /// that has happened, and none if not. Then it is sent again: it must be one that happens once,
    /// or has nothing to do the second time.
    ///
    /// What was lost may still be under way, so that the second meets it or finds nothing left to
    /// do: therefore it is looked up once more.
    pub(super) async fn change(
        &self,
        change: Call<'_>,
        seen: Call<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, StoreError> {
        let lost = match self.rows(change, deadline).await {
            Err(error) if is_lost(&error) => error,
            answered => return answered,
        };
        let mut repeated = None;
        for _ in 0..ATTEMPTS_MAX {
            match (self.rows(seen, deadline).await, repeated.take()) {
                (Ok(rows), None) if rows.is_empty() => {}
                (Ok(rows), Some(answer)) if rows.is_empty() => return Ok(answer),
                (Ok(rows), _) => return Ok(rows),
                (Err(_), _) => break,
            }
            // If it fails, what has become of the first is still not known.
            repeated = self.rows(change, deadline).await.ok();
        }
        Err(lost)
    }

    /// A random id for a feed row, with room above it: a statement that writes several rows counts
    /// on from it.
    pub(super) fn fresh_row_id(&self) -> i64 {
        (self.entropy.bits() >> 2).cast_signed()
    }

    async fn attempt(&self, call: &Call<'_>, deadline: Deadline) -> Result<Vec<Row>, Failure> {
        let admitted = self.connections.admit(call.doing)?;
        let result = self.ask(call, admitted.limit(deadline)).await;
        admitted
            .settle(result.as_ref().map_or_else(|failure| failure.shows, |_| CallEnd::Answered));
        result
    }

    async fn ask(&self, call: &Call<'_>, deadline: Deadline) -> Result<Vec<Row>, Failure> {
        if self.connections.remaining(deadline).is_zero() {
            return Err(Failure::of_waiting(call.doing));
        }
        let loan = match call.effect {
            Effect::Look => self.connections.lend_for_look(call.doing, deadline).await?,
            Effect::Read | Effect::Write => self.connections.lend(call.doing, deadline).await?,
        };
        let mut sent = Sent::Nothing;
        let limit = self.connections.remaining(deadline);
        match timeout(limit, self.send(&loan, call, &mut sent)).await {
            Ok(Ok(rows)) => {
                loan.give_back();
                Ok(rows)
            }
            Ok(Err(error)) => {
                let failure = Failure::of_statement(error, sent, call.doing);
                if failure.spoils_connection {
                    loan.discard();
                } else {
                    loan.give_back();
                }
                Err(failure)
            }
            Err(_) => {
                match call.effect {
                    // A server that is a little too slow for this caller is not for the next one,
                    // and a new connection would cost it more than the answer that is on its way.
                    Effect::Read | Effect::Look if self.connections.is_pooled => drop(loan),
                    Effect::Read | Effect::Look => {
                        loan.finish_preparing(&self.schema.apply(call.sql), call.types());
                    }
                    Effect::Write => loan.cancel(),
                }
                Err(Failure::of_deadline(sent, call.doing))
            }
        }
    }

    async fn send(
        &self,
        loan: &Loan<'_>,
        call: &Call<'_>,
        sent: &mut Sent,
    ) -> Result<Vec<Row>, Error> {
        let client = loan.client();
        let sql = self.schema.apply(call.sql);
        let sent_by = match call.effect {
            Effect::Read | Effect::Look => Sent::Nothing,
            Effect::Write => Sent::Write,
        };
        if self.connections.is_pooled {
            *sent = sent_by;
            return client.query_typed(&sql, call.params).await;
        }
        let types = call.types();
        let mut preparing = pin!(client.prepare_typed_cached(&sql, &types));
        let prepared = poll_fn(|context| Poll::Ready(preparing.as_mut().poll(context))).await;
        match prepared {
            Poll::Ready(statement) => {
                let statement = statement?;
                let values: Vec<_> = call.params.iter().map(|(value, _)| *value).collect();
                *sent = sent_by;
                client.query(&statement, &values).await
            }
            // New in this connection: it is prepared for the next one, and sent behind that as it
            // is. On a slow way one answer is waited for, not two.
            Poll::Pending => {
                *sent = sent_by;
                let sending = client.query_typed(&sql, call.params);
                let (_prepared, rows) = tokio::join!(preparing, sending);
                rows
            }
        }
    }
}

/// Whether a change was answered by the end of its connection, and the server can be asked what has
/// become of it. One that is silent cannot.
pub(super) fn is_lost(error: &StoreError) -> bool {
    error.outcome() == Outcome::Unknown && error.kind() != StoreErrorKind::Deadline
}

/// A statement gave no row that always gives one.
pub(super) fn without_head(doing: &'static str) -> StoreError {
    corrupt(doing, "the record's own row is missing (table feed_head)")
}
