//! What a Redis says of itself: <https://redis.io/docs/latest/commands/info/>.

use std::collections::HashMap;

use redis::{Cmd, Value};

use super::RedisVisit;

/// What is known of a Redis; what it does not say, or not to us, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisState {
    /// Of Redis, or of what takes its place.
    pub version: Option<String>,
    /// Whether it is a Valkey.
    pub is_valkey: bool,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: Option<String>,
    /// `master` or `slave`.
    pub role: Option<String>,
    /// Whom it follows: host and port.
    pub primary: Option<(String, u16)>,
    /// Whether it hears of whom it follows.
    pub is_primary_heard: Option<bool>,
    /// In bytes.
    pub memory_used: Option<u64>,
    /// In bytes; 0: no limit but the machine's.
    pub memory_max: Option<u64>,
    /// What becomes of keys when the limit is reached.
    pub eviction_policy: Option<String>,
    /// Whether its last snapshot could be written.
    pub was_saved: Option<bool>,
    /// Whether it keeps a log of its changes.
    pub keeps_log: Option<bool>,
    /// Connections.
    pub clients: Option<u64>,
    /// The most that it takes.
    pub clients_max: Option<u64>,
    /// As a Sentinel: the names of primaries that it knows.
    pub watched: Vec<String>,
    /// As a server of a Cluster: whether all of it is served.
    pub is_cluster_whole: Option<bool>,
}

impl RedisVisit {
    /// What it says of itself.
    pub async fn state(&self) -> RedisState {
        let told = match self.ask(Cmd::new().arg("INFO")).await {
            Ok(told) => text_of(&told).unwrap_or_default(),
            Err(_) => return RedisState::default(),
        };
        let mut state = RedisState::read(&told);
        match state.mode.as_deref() {
            Some("sentinel") => state.watched = names_of_primaries(&told),
            Some("cluster") => {
                let told = self.ask(Cmd::new().arg("CLUSTER").arg("INFO")).await.ok();
                let told = told.as_ref().and_then(text_of);
                state.is_cluster_whole = told.map(|told| told.contains("cluster_state:ok"));
            }
            _ => {}
        }
        state
    }
}

impl RedisState {
    /// Whether it knows where Redis is, and is none.
    #[must_use]
    pub fn is_sentinel(&self) -> bool {
        self.mode.as_deref() == Some("sentinel")
    }

    fn read(told: &str) -> Self {
        let facts: HashMap<&str, &str> =
            told.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let text = |name: &str| facts.get(name).map(|text| (*text).to_owned());
        let number = |name: &str| facts.get(name).and_then(|text| text.parse().ok());
        let flag = |name: &str| facts.get(name).map(|text| *text == "1");
        let port = facts.get("master_port").and_then(|port| port.parse().ok());
        Self {
            version: text("valkey_version").or_else(|| text("redis_version")),
            is_valkey: facts.contains_key("valkey_version"),
            mode: text("redis_mode").or_else(|| text("server_mode")),
            role: text("role"),
            primary: text("master_host").zip(port),
            is_primary_heard: facts.get("master_link_status").map(|status| *status == "up"),
            memory_used: number("used_memory"),
            memory_max: number("maxmemory"),
            eviction_policy: text("maxmemory_policy"),
            was_saved: facts.get("rdb_last_bgsave_status").map(|status| *status == "ok"),
            keeps_log: flag("aof_enabled"),
            clients: number("connected_clients"),
            clients_max: number("maxclients"),
            watched: Vec::new(),
            is_cluster_whole: None,
        }
    }
}

/// `master0:name=mymaster,status=ok,..`
fn names_of_primaries(told: &str) -> Vec<String> {
    let of_line = |line: &str| {
        let (number, facts) = line.strip_prefix("master")?.split_once(':')?;
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let (name, _) = facts.strip_prefix("name=")?.split_once(',')?;
        is_number.then(|| name.to_owned())
    };
    told.lines().filter_map(of_line).collect()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_redis_says_is_read_and_what_it_does_not_say_is_unknown() {
        let told = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\
                    # Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n\
                    master_link_status:down\r\nmaxmemory:0\r\n";
        let state = RedisState::read(told);
        assert_eq!(state.version.as_deref(), Some("7.0.15"));
        assert_eq!(state.primary, Some(("10.0.0.1".to_owned(), 6379)));
        assert_eq!((state.is_primary_heard, state.memory_max), (Some(false), Some(0)));
        assert_eq!((state.clients, state.was_saved), (None, None));
        let told =
            "redis_mode:sentinel\r\nmasters:1\r\nmaster0:name=main,status=ok,address=h:1\r\n";
        assert_eq!(names_of_primaries(told), ["main"]);
    }
}
