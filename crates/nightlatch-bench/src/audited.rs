//! What the audit log costs: the same logins and logouts on a record that keeps its entries and on one
//! that drops them, by turns.

use std::time::Duration;

use crate::latency::median;
use crate::load::{Load, Outcome, Requests};
use crate::people;
use crate::plan::Plan;
use crate::postgres::Postgres;
use crate::report::{Row, micros};
use crate::scale::meter::{Cost, Meter, Reading};
use crate::scale::record::{Kind, Record};
use crate::server::{Program, Server};
use crate::two_nodes::logout_requests;

const CONNECTIONS: usize = 32;
const LOGIN_CONNECTIONS: usize = 8;

/// The entry is made and thrown away before it is a row.
const DROPPED_BY_SQLITE: &str = "CREATE TRIGGER dropped BEFORE INSERT ON audit_log
    BEGIN SELECT RAISE(IGNORE); END;";
const DROPPED_BY_POSTGRES: &str = "
    CREATE FUNCTION nightlatch.dropped() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER dropped BEFORE INSERT ON nightlatch.audit_log
        FOR EACH ROW EXECUTE FUNCTION nightlatch.dropped();";

/// A record with its server, and what it came to.
struct Side {
    record: Record,
    server: [Server; 1],
    tokens: Vec<String>,
    logouts: Part,
    logins: Part,
}

#[derive(Default)]
struct Part {
    rates: Vec<f64>,
    done: Reading,
    answered: usize,
}

/// Measures both kinds of record.
pub(crate) async fn measure(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let mut rows = of_kind(program, plan, [Kind::Sqlite, Kind::Sqlite]).await?;
    let servers = [Postgres::start().await?, Postgres::start().await?];
    rows.extend(of_kind(program, plan, servers.map(Kind::Postgres)).await?);
    Ok(rows)
}

async fn of_kind(
    program: &Program,
    plan: &Plan,
    [kept, dropped]: [Kind; 2],
) -> anyhow::Result<Vec<Row>> {
    let mut kept = Side::begin(kept, program, plan, |_| Ok(())).await?;
    let mut dropped = Side::begin(dropped, program, plan, |record| {
        record.execute(match record.kind {
            Kind::Sqlite => DROPPED_BY_SQLITE,
            Kind::Postgres(_) => DROPPED_BY_POSTGRES,
        })
    })
    .await?;
    for _ in 0..plan.turns {
        for side in [&mut kept, &mut dropped] {
            side.log_out(plan.audited).await?;
            side.log_in(plan.login_turn / 2).await?;
        }
    }
    let name = kept.record.name();
    let bytes = kept.record.disk()?.entry;
    let mut rows = vec![
        compared(&format!("logouts on {name}"), &kept.logouts, &dropped.logouts),
        compared(&format!("logins on {name}"), &kept.logins, &dropped.logins),
    ];
    rows.push(Row::new(format!("an entry of it on {name}"), format!("{bytes:.0} bytes")));
    for Side { server: [server], .. } in [kept, dropped] {
        server.process.stop()?;
    }
    Ok(rows)
}

impl Side {
    async fn begin(
        kind: Kind,
        program: &Program,
        plan: &Plan,
        change: impl FnOnce(&Record) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let mut record = Record::begin(kind, program).await?;
        let count = plan.turns * plan.audited;
        let tokens = record.fill_up_to(count, count)?;
        change(&record)?;
        let server = [record.start(program).await?];
        let (logouts, logins) = (Part::default(), Part::default());
        Ok(Self { record, server, tokens, logouts, logins })
    }

    async fn log_out(&mut self, count: usize) -> anyhow::Result<()> {
        let tokens = self.tokens.split_off(self.tokens.len().saturating_sub(count));
        let requests = Requests::once(logout_requests(&self.server[0], &tokens).await?);
        let load = Load {
            server: self.server[0].address,
            requests,
            connections: CONNECTIONS,
            every: Duration::ZERO,
        };
        let meter = Meter { servers: &self.server, record: &self.record };
        self.logouts.take_turn(meter, &load, Duration::from_mins(1)).await
    }

    async fn log_in(&mut self, span: Duration) -> anyhow::Result<()> {
        let load = Load {
            server: self.server[0].address,
            requests: Requests::new(people::login_requests()),
            connections: LOGIN_CONNECTIONS,
            every: Duration::ZERO,
        };
        let meter = Meter { servers: &self.server, record: &self.record };
        self.logins.take_turn(meter, &load, span).await
    }
}

impl Part {
    async fn take_turn(
        &mut self,
        meter: Meter<'_>,
        load: &Load,
        span: Duration,
    ) -> anyhow::Result<()> {
        let before = meter.read()?;
        let outcome: Outcome = load.run(span).await?;
        self.done += meter.since(before)?;
        anyhow::ensure!(outcome.refused == 0, "{} good requests were refused", outcome.refused);
        self.answered += outcome.latencies.len();
        self.rates.push(outcome.rate());
        Ok(())
    }

    fn each(&self) -> Cost {
        self.done.each(self.answered)
    }
}

fn compared(what: &str, kept: &Part, dropped: &Part) -> Row {
    let ratios = || kept.rates.iter().zip(&dropped.rates).map(|(kept, dropped)| kept / dropped);
    let (low, high) = (ratios().fold(f64::MAX, f64::min), ratios().fold(f64::MIN, f64::max));
    let said = |cost: Cost| match cost.record {
        Duration::ZERO => micros(cost.server),
        record => format!("{} + {}", micros(cost.server), micros(record)),
    };
    let result = format!(
        "{:.2} (turns {low:.2} to {high:.2}; {:.0}/s against {:.0}/s); {} of the cores each, hashing \
         apart, against {}",
        median(ratios()),
        median(kept.rates.iter().copied()),
        median(dropped.rates.iter().copied()),
        said(kept.each()),
        said(dropped.each()),
    );
    Row::new(format!("with the audit log against without: {what}"), result)
}
