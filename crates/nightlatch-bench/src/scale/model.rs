//! What the measured costs come to for millions of users.
//!
//! A sum of products, of which only the assumptions are not measured: whoever has others multiplies anew.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;

use super::Measured;
use super::meter::float;

/// What is assumed of people. All but the last two are of those who come on a day.
mod assumed {
    pub(super) const COME_ON_A_DAY: f64 = 0.2;
    pub(super) const VISITS: f64 = 4.0;
    pub(super) const VISIT_SECONDS: f64 = 600.0;
    /// In each visit, more than 10 s apart, so that a use is written for each.
    pub(super) const PAGES: f64 = 10.0;
    pub(super) const CHECKS_OF_PAGE: f64 = 5.0;
    pub(super) const LOGINS: f64 = 0.5;
    pub(super) const LOGOUTS: f64 = 0.25;
    /// Of the audit log, failed logins among them.
    pub(super) const ENTRIES: f64 = 0.8;
    /// The busiest hour against the mean.
    pub(super) const PEAK: f64 = 3.0;
    /// For each registered user.
    pub(super) const SESSIONS_STORED: f64 = 1.0;
    /// How long entries are kept.
    pub(super) const ENTRY_DAYS: f64 = 90.0;
}

/// What is assumed of machines.
const NODE_CORES: f64 = 4.0;
const BUSY_AT_PEAK: f64 = 0.5;
/// One may fail while another is exchanged.
const NODES_MIN: f64 = 3.0;

/// What the server is bound to: copies on a node, revocations that it remembers and for how long, rows
/// of each kind that a node sweeps in a second.
const COPIES_BYTES: f64 = 128.0 * 1024.0 * 1024.0;
const REMEMBERED: f64 = 250_000.0;
const REMEMBERED_SECONDS: f64 = 900.0;
const SWEPT_IN_SECOND: f64 = 20_000.0 / 30.0;

/// A session in Redis, measured by `cargo xtask bench`.
const REDIS_BYTES: f64 = 336.0;

const DAY: f64 = 86_400.0;

/// Seconds of a core, or bytes, for each.
#[derive(Clone, Copy, Debug)]
struct Constants {
    check: f64,
    first: Pair,
    hash: f64,
    login: Pair,
    logout: Pair,
    used: Pair,
    /// A node that idles, and one that follows the feed while it has traffic.
    node: Pair,
    following: Pair,
    login_log: f64,
    logout_log: f64,
    used_log: f64,
    session_bytes: f64,
    user_bytes: f64,
    entry_bytes: f64,
    copy_bytes: f64,
    remembered_bytes: f64,
    logouts_most: f64,
}

/// Seconds of the nodes' cores and of the record's.
#[derive(Clone, Copy, Debug)]
struct Pair {
    node: f64,
    record: f64,
}

/// What so many users come to.
#[derive(Debug)]
struct Sum {
    checks: f64,
    firsts: f64,
    uses: f64,
    logins: f64,
    logouts: f64,
    hashing_cores: f64,
    other_cores: f64,
    in_use: f64,
    nodes: f64,
    record_cores: f64,
    /// The record's cores where any node may be asked about any session.
    record_cores_unbound: f64,
    record_writes: f64,
    log: f64,
    sessions_disk: f64,
    entries_disk: f64,
    remembered: f64,
    swept: f64,
}

/// Both sums as a table.
pub(super) fn arithmetic(measured: &Measured) -> anyhow::Result<String> {
    let constants = Constants::of(measured)?;
    let sums = [10e6, 100e6].map(|people| sum(people, constants));
    Ok(table(&sums, constants))
}

impl Constants {
    /// Of the most sessions and the most nodes.
    fn of(measured: &Measured) -> anyhow::Result<Self> {
        let (sizes, used) = &measured.record;
        let size = sizes.last().context("no size was measured")?;
        let alone = measured.shared.first().context("no node was measured")?;
        let most = measured.shared.last().context("no node was measured")?;
        let nodes = float(u64::try_from(most.nodes)?);
        let pair = |node: Duration, record: Duration| Pair {
            node: node.as_secs_f64(),
            record: record.as_secs_f64(),
        };
        let of_node = |per: super::nodes::PerSecond| Pair {
            node: per.servers.as_secs_f64() / nodes,
            record: per.record.as_secs_f64() / nodes,
        };
        let each_more = |of: fn(&super::nodes::Shared) -> Duration| {
            of(most).saturating_sub(of(alone)).div_f64((nodes - 1.0).max(1.0))
        };
        Ok(Self {
            check: size.known.server.as_secs_f64(),
            first: pair(size.first.server, size.first.record),
            hash: measured.hash.as_secs_f64(),
            login: pair(size.login.server, size.login.record),
            logout: pair(alone.logout.server, alone.logout.record),
            used: pair(used.server, used.record),
            node: of_node(most.idle),
            following: pair(
                each_more(|shared| shared.logout.server),
                each_more(|shared| shared.logout.record),
            ),
            login_log: size.login.log,
            logout_log: alone.logout.log,
            used_log: used.log,
            session_bytes: size.disk.session,
            user_bytes: size.disk.user,
            entry_bytes: size.disk.entry,
            copy_bytes: float(size.copy),
            remembered_bytes: float(most.remembered),
            logouts_most: most.logout_rate,
        })
    }
}

fn sum(people: f64, of: Constants) -> Sum {
    use assumed::{
        CHECKS_OF_PAGE, COME_ON_A_DAY, ENTRIES, ENTRY_DAYS, LOGINS, LOGOUTS, PAGES, PEAK,
        SESSIONS_STORED, VISIT_SECONDS, VISITS,
    };
    let come = people * COME_ON_A_DAY;
    let at_peak = |on_a_day: f64| come * on_a_day / DAY * PEAK;
    let firsts = at_peak(VISITS);
    let uses = at_peak(VISITS * PAGES);
    let checks = uses * CHECKS_OF_PAGE;
    let (logins, logouts) = (at_peak(LOGINS), at_peak(LOGOUTS));
    let in_use = firsts * VISIT_SECONDS;
    let hashing_cores = logins * of.hash;
    let without_nodes = checks * of.check
        + firsts * of.first.node
        + uses * of.used.node
        + logins * of.login.node
        + logouts * of.logout.node;
    let of_cores = (hashing_cores + without_nodes) / (NODE_CORES * BUSY_AT_PEAK);
    let of_copies = in_use * of.copy_bytes / COPIES_BYTES;
    let nodes = of_cores.max(of_copies).ceil().max(NODES_MIN);
    let each_node = nodes * of.node.node + (nodes - 1.0) * logouts * of.following.node;
    let record_cores = firsts * of.first.record
        + uses * of.used.record
        + logins * of.login.record
        + logouts * of.logout.record
        + nodes * of.node.record
        + (nodes - 1.0) * logouts * of.following.record;
    let found = (COPIES_BYTES / (in_use * of.copy_bytes)).min(1.0);
    let reads_unbound = (checks * (1.0 - found)).max(firsts * nodes);
    let entries = come * ENTRIES;
    Sum {
        checks,
        firsts,
        uses,
        logins,
        logouts,
        hashing_cores,
        other_cores: without_nodes + each_node,
        in_use,
        nodes,
        record_cores,
        record_cores_unbound: record_cores + (reads_unbound - firsts) * of.first.record,
        record_writes: uses + logins + logouts,
        log: uses * of.used_log + logins * of.login_log + logouts * of.logout_log,
        sessions_disk: people * (of.user_bytes + SESSIONS_STORED * of.session_bytes),
        entries_disk: entries * ENTRY_DAYS * of.entry_bytes,
        remembered: logouts * REMEMBERED_SECONDS,
        swept: entries.max(come * LOGINS) / DAY / (nodes * SWEPT_IN_SECOND),
    }
}

fn table(sums: &[Sum], of: Constants) -> String {
    let mut table =
        "| at the peak | 10 million users | 100 million users |\n|---|---|---|\n".to_owned();
    let mut row = |what: &str, value: &dyn Fn(&Sum) -> String| {
        let values: Vec<String> = sums.iter().map(value).collect();
        writeln!(table, "| {what} | {} |", values.join(" | ")).expect("text takes any line");
    };
    row("session checks a second", &|sum| whole(sum.checks));
    row("of these the first of a visit", &|sum| whole(sum.firsts));
    row("logins, logouts a second", &|sum| {
        format!("{}, {}", whole(sum.logins), whole(sum.logouts))
    });
    row("cores that hash", &|sum| format!("{:.1}", sum.hashing_cores));
    row("cores for all else", &|sum| format!("{:.1}", sum.other_cores));
    row("sessions in use", &|sum| whole(sum.in_use));
    row("nodes of four cores, half busy", &|sum| whole(sum.nodes));
    row("copies on each node, of 134 MB", &|sum| megabytes(sum.in_use / sum.nodes * of.copy_bytes));
    row("the same where any node may be asked about any session", &|sum| {
        megabytes(sum.in_use * of.copy_bytes)
    });
    row("revocations that each node remembers, of 250,000", &|sum| {
        let bytes = megabytes(sum.remembered.min(REMEMBERED) * of.remembered_bytes);
        format!("{}, {bytes}", whole(sum.remembered))
    });
    row("copies in Redis, if there is one", &|sum| megabytes(sum.in_use * REDIS_BYTES));
    row("the record: cores", &|sum| format!("{:.2}", sum.record_cores));
    row("its cores where any node may be asked about any session", &|sum| {
        format!("{:.2}", sum.record_cores_unbound)
    });
    row("rows that it writes in a second", &|sum| whole(sum.record_writes));
    row("of these uses of sessions", &|sum| whole(sum.uses));
    row("its log (WAL) in a second", &|sum| megabytes(sum.log));
    row("feed rows in a second, of what four nodes could end", &|sum| {
        format!("{}, {:.1} %", whole(sum.logouts), sum.logouts / of.logouts_most * 100.0)
    });
    row("users and sessions on its disk", &|sum| gigabytes(sum.sessions_disk));
    row("the audit log of 90 days", &|sum| gigabytes(sum.entries_disk));
    row("of what the nodes can sweep", &|sum| format!("{:.1} %", sum.swept * 100.0));
    table
}

/// With commas, as people read it.
fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

fn gigabytes(bytes: f64) -> String {
    format!("{} GB", whole(bytes / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: f64 = 1e-6;

    fn constants() -> Constants {
        let pair = |node: f64, record: f64| Pair { node: node * MICRO, record: record * MICRO };
        Constants {
            check: 10.0 * MICRO,
            first: pair(50.0, 50.0),
            hash: 20_000.0 * MICRO,
            login: pair(1000.0, 1000.0),
            logout: pair(100.0, 100.0),
            used: pair(10.0, 10.0),
            node: pair(500.0, 500.0),
            following: pair(1.0, 1.0),
            login_log: 1000.0,
            logout_log: 500.0,
            used_log: 200.0,
            session_bytes: 400.0,
            user_bytes: 600.0,
            entry_bytes: 200.0,
            copy_bytes: 700.0,
            remembered_bytes: 100.0,
            logouts_most: 2000.0,
        }
    }

    #[test]
    fn ten_times_the_people_are_ten_times_the_work() {
        let [few, many] = [10e6, 100e6].map(|people| sum(people, constants()));
        let close = |ten: f64, one: f64| (ten / one - 10.0).abs() < 1e-9;
        assert!(close(many.checks, few.checks) && close(many.log, few.log));
        assert!(close(many.sessions_disk, few.sessions_disk), "{many:?}");
        assert!((few.checks - 13_888.9).abs() < 0.1, "{few:?}");
        assert!((few.sessions_disk - 10e9).abs() < 1.0, "{few:?}");
    }

    #[test]
    fn nodes_have_room_for_the_copies_of_all_sessions_in_use() {
        let many = sum(100e6, constants());
        assert!(many.in_use / many.nodes * 700.0 <= COPIES_BYTES, "{many:?}");
        assert!(many.record_cores_unbound > many.record_cores, "{many:?}");
        assert!((sum(1000.0, constants()).nodes - NODES_MIN).abs() < f64::EPSILON);
    }

    #[test]
    fn numbers_are_grouped_as_people_read_them() {
        let cases = [(0.4, "0"), (999.0, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(whole(number), text);
        }
    }
}
