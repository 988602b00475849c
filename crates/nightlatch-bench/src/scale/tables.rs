//! The tables of what was measured.

use std::fmt::Write;
use std::time::Duration;

use super::meter::Cost;
use super::nodes::{PerSecond, Shared};
use super::sizes::Costs;
use crate::report::{micros, millis};

/// A table with a column for each of many.
struct Table(String);

impl Table {
    fn new(what: &str, columns: impl Iterator<Item = String>) -> Self {
        let heads: Vec<String> = columns.collect();
        let rule = "---|".repeat(heads.len() + 1);
        Self(format!("| {what} | {} |\n|{rule}\n", heads.join(" | ")))
    }

    fn row(&mut self, what: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.collect();
        writeln!(self.0, "| {what} | {} |", values.join(" | ")).expect("text takes any line");
    }
}

pub(super) fn of_sizes(what: &str, (costs, use_written): &(Vec<Costs>, Cost)) -> String {
    let mut table = Table::new(what, costs.iter().map(|size| size.stored.to_string()));
    let mut row = |what: &str, of: &dyn Fn(&Costs) -> String| {
        table.row(what, costs.iter().map(of));
    };
    row("bytes on the disk: a session", &|size| format!("{:.0}", size.disk.session));
    row("a user, and where they log in from", &|size| format!("{:.0}", size.disk.user));
    row("an entry of the audit log", &|size| format!("{:.0}", size.disk.entry));
    row("start to first answer", &|size| millis(size.start));
    row("first check after a start", &|size| core(size.first));
    row("check of a known session", &|size| core(size.known));
    row("memory of a known session", &|size| format!("{} bytes", size.copy));
    row("login: hashing", &|size| millis(size.login.hashing));
    row("login: all else", &|size| core(size.login));
    row("logout", &|size| core(size.logout));
    row("logouts a second, 32 connections", &|size| format!("{:.0}", size.logout_rate));
    let last = costs.len().saturating_sub(1);
    let only_last = (0..costs.len())
        .map(|column| if column == last { core(*use_written) } else { String::new() });
    table.row("writing down a use", only_last);
    if costs.iter().any(|size| size.login.log > 0.0) {
        let log = |cost: Cost| format!("{:.0} bytes", cost.log);
        table.row("log (WAL): a login", costs.iter().map(|size| log(size.login)));
        table.row("log: a logout", costs.iter().map(|size| log(size.logout)));
        let uses =
            (0..costs.len()).map(|at| if at == last { log(*use_written) } else { String::new() });
        table.row("log: a use", uses);
    }
    table.0
}

pub(super) fn of_nodes(shared: &[Shared]) -> String {
    let mut table =
        Table::new("Nodes on one PostgreSQL", shared.iter().map(|shared| shared.nodes.to_string()));
    let mut row = |what: &str, of: &dyn Fn(&Shared) -> String| {
        table.row(what, shared.iter().map(of));
    };
    row("idle, all nodes, in a second: the record", &|shared| per_second(shared.idle));
    row("the nodes", &|shared| format!("{} of the core", micros(shared.idle.servers)));
    row("checks a second on one core", &|shared| format!("{:.0}", shared.check_rate));
    row("a check", &|shared| core(shared.check));
    row("meanwhile, in a second: the record", &|shared| per_second(shared.followed));
    row("logouts a second over all", &|shared| format!("{:.0}", shared.logout_rate));
    row("a logout, on all nodes together", &|shared| core(shared.logout));
    row("log of a logout", &|shared| format!("{:.0} bytes", shared.logout.log));
    row("memory of a revocation on each node", &|shared| format!("{} bytes", shared.remembered));
    row("from a logout to the last node's refusal", &|shared| match shared.reach {
        Some((middle, slowest)) => format!("p50 {}, slowest {}", millis(middle), millis(slowest)),
        None => String::new(),
    });
    table.0
}

/// Of the server's core, and of the record's.
fn core(cost: Cost) -> String {
    if cost.record == Duration::ZERO {
        return micros(cost.server);
    }
    format!("{} + {}", micros(cost.server), micros(cost.record))
}

fn per_second(second: PerSecond) -> String {
    format!(
        "{:.1} transactions, {:.0} bytes of log, {} of its core",
        second.transactions,
        second.log,
        micros(second.record)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_of_many() {
        let mut table = Table::new("nodes", [1, 2].iter().map(ToString::to_string));
        table.row("checks", [10, 20].iter().map(ToString::to_string));
        assert_eq!(table.0, "| nodes | 1 | 2 |\n|---|---|---|\n| checks | 10 | 20 |\n");
    }

    #[test]
    fn a_record_within_the_server_costs_nothing_beside_it() {
        let micro = Duration::from_micros(1);
        assert_eq!(core(Cost { server: micro * 12, ..Cost::default() }), "12.0 us");
        let both = Cost { server: micro * 12, record: micro * 3, ..Cost::default() };
        assert_eq!(core(both), "12.0 us + 3.0 us");
    }
}
