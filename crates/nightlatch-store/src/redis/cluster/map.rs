//! What a server of a Cluster says of all of them:
//! <https://redis.io/docs/latest/commands/cluster-slots/>.
//!
//! Anything may be said by what merely answers at that address, so it is bounded and checked before
//! anybody is connected to because of it.

use std::collections::BTreeMap;

use nightlatch_core::FailureClass;
use redis::Value;

use super::super::connect::HostAndPort;
use super::super::failure::RedisFailure;
use super::super::slot::SLOTS;

/// More servers with keys than this are no Cluster: a thousand in all is what Redis is made for, and
/// each with keys wants a replica.
const SERVERS_MAX: usize = 500;

/// Which server has which keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Map {
    /// Whether the Cluster takes commands, as who told it says.
    pub(super) is_ok: bool,
    /// Which of two maps is newer; of nobody who may not ask it is 0.
    pub(super) epoch: u64,
    pub(super) servers: BTreeMap<HostAndPort, Ranges>,
}

/// First and last slots.
pub(super) type Ranges = Vec<(u16, u16)>;

impl Map {
    /// What `asked` has answered to `CLUSTER INFO` and `CLUSTER SLOTS`.
    pub(super) fn read(answers: &[Value], asked: &HostAndPort) -> Result<Self, FailureClass> {
        let [info, slots] = answers else { return Err(FailureClass::Protocol) };
        // Who may not ask may know all the same which server has what.
        let info = text(info).unwrap_or_default();
        let says = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        let is_ok = says("cluster_state:").is_none_or(|state| state.trim() != "fail");
        let epoch = says("cluster_current_epoch:").and_then(|epoch| epoch.trim().parse().ok());
        Ok(Self { is_ok, epoch: epoch.unwrap_or_default(), servers: servers(slots, asked)? })
    }

    /// The number of each slot's server, by slot.
    pub(super) fn owners(&self) -> Vec<Option<u16>> {
        let mut owners = vec![None; usize::from(SLOTS)];
        for (number, ranges) in (0..).zip(self.servers.values()) {
            for (first, last) in ranges {
                owners[usize::from(*first)..=usize::from(*last)].fill(Some(number));
            }
        }
        owners
    }
}

/// Ranges of slots, each with the servers that have it, of which the first takes changes.
fn servers(
    answer: &Value,
    asked: &HostAndPort,
) -> Result<BTreeMap<HostAndPort, Ranges>, FailureClass> {
    let answer = answer.clone().extract_error();
    let answer = answer.map_err(|error| refusal(RedisFailure::of_command(&error)))?;
    let Value::Array(ranges) = answer else { return Err(FailureClass::Protocol) };
    let mut servers: BTreeMap<HostAndPort, Ranges> = BTreeMap::new();
    let mut is_taken = vec![false; usize::from(SLOTS)];
    for range in &ranges {
        let (address, (first, last)) = owner(range, asked).ok_or(FailureClass::Protocol)?;
        // Which bounds their number, too.
        let slots = &mut is_taken[usize::from(first)..=usize::from(last)];
        if slots.contains(&true) {
            return Err(FailureClass::Protocol);
        }
        slots.fill(true);
        servers.entry(address).or_default().push((first, last));
    }
    match servers.len() {
        0 => Err(FailureClass::ClusterDown),
        1..=SERVERS_MAX => Ok(servers),
        _ => Err(FailureClass::Protocol),
    }
}

/// Why it is not said.
const fn refusal(failure: RedisFailure) -> FailureClass {
    match failure.class {
        // "This instance has cluster support disabled".
        FailureClass::Protocol => FailureClass::ClusterDown,
        class => class,
    }
}

fn owner(range: &Value, asked: &HostAndPort) -> Option<(HostAndPort, (u16, u16))> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(server), ..] = range.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), rest @ ..] = server.as_slice() else { return None };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    if first > last || last >= SLOTS {
        return None;
    }
    let host = match text(host) {
        // It does not know its own name, or is not to tell it.
        None | Some("") => asked.0.clone(),
        // It is to tell a name, and has none.
        Some("?") => rest.iter().find_map(ip).unwrap_or(&asked.0).to_owned(),
        Some(host) => host.to_owned(),
    };
    Some(((host, u16::try_from(*port).ok()?), (first, last)))
}

/// The address among what else is said of a server.
fn ip(said: &Value) -> Option<&str> {
    match said {
        Value::Map(pairs) => {
            pairs.iter().find(|(name, _)| text(name) == Some("ip")).and_then(|(_, ip)| text(ip))
        }
        Value::Array(flat) => flat
            .chunks_exact(2)
            .find(|pair| text(&pair[0]) == Some("ip"))
            .and_then(|pair| text(&pair[1])),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> HostAndPort {
        ("asked".to_owned(), 1)
    }

    fn read(info: &str, slots: &str) -> Result<Map, FailureClass> {
        let answers = [info, slots]
            .map(|answer| redis::parse_redis_value(answer.as_bytes()).expect("it is an answer"));
        Map::read(&answers, &asked())
    }

    /// A range of the server that `server` tells, as elements of an array.
    fn range(first: u32, last: u32, server: &str) -> String {
        format!("*3\r\n:{first}\r\n:{last}\r\n{server}")
    }

    const OK: &str = "+cluster_state:ok\r\n";

    #[test]
    fn servers_are_known_by_the_names_that_they_are_told_by() {
        let a = "*2\r\n$1\r\na\r\n:7\r\n";
        let itself = "*2\r\n$-1\r\n:8\r\n";
        let by_address = "*4\r\n$1\r\n?\r\n:9\r\n$2\r\nid\r\n*2\r\n+ip\r\n+10.0.0.9\r\n";
        let ranges = [range(0, 5, a), range(7, 9, itself), range(10, 10, by_address)].concat();
        let map = read("$24\r\ncluster_current_epoch:7\r\r\n", &format!("*3\r\n{ranges}"));
        let map = map.expect("it is a map");
        assert!(map.is_ok && map.epoch == 7, "{map:?}");
        let expected = [("10.0.0.9", 9, (10, 10)), ("a", 7, (0, 5)), ("asked", 8, (7, 9))];
        let expected = expected.map(|(host, port, range)| ((host.to_owned(), port), vec![range]));
        assert_eq!(map.servers, BTreeMap::from(expected));
        let owners = map.owners();
        assert_eq!(owners[4..8], [Some(1), Some(1), None, Some(2)]);
    }

    #[test]
    fn what_cannot_be_is_no_map() {
        let a = "*2\r\n$1\r\na\r\n:7\r\n";
        let many = |count: u32| {
            let server = |n: u32| format!("*2\r\n$1\r\na\r\n:{}\r\n", n + 1);
            let ranges: Vec<_> = (0..count).map(|n| range(n, n, &server(n))).collect();
            format!("*{count}\r\n{}", ranges.concat())
        };
        assert!(read(OK, &many(500)).is_ok());
        for (said, class) in [
            (many(501), FailureClass::Protocol),
            (format!("*2\r\n{}{}", range(0, 5, a), range(5, 6, a)), FailureClass::Protocol),
            (format!("*1\r\n{}", range(6, 5, a)), FailureClass::Protocol),
            (format!("*1\r\n{}", range(0, 16384, a)), FailureClass::Protocol),
            ("+OK\r\n".to_owned(), FailureClass::Protocol),
            ("*0\r\n".to_owned(), FailureClass::ClusterDown),
            (
                "-ERR This instance has cluster support disabled\r\n".to_owned(),
                FailureClass::ClusterDown,
            ),
            ("-NOPERM no permissions\r\n".to_owned(), FailureClass::Forbidden),
            ("-LOADING it is loading\r\n".to_owned(), FailureClass::Loading),
            ("-NOAUTH Authentication required.\r\n".to_owned(), FailureClass::AuthRequired),
        ] {
            assert_eq!(read(OK, &said), Err(class), "{said}");
        }
    }
}
