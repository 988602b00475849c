//! A real Redis Cluster on this machine.

use std::time::Duration;

use crate::process::free_port;
use crate::redis::RedisServer;
use crate::wait::wait_until;

/// How long its servers may take to agree.
const AGREE_LIMIT: Duration = Duration::from_secs(30);

/// After how many milliseconds of silence a server is thought dead.
const NODE_TIMEOUT_MS: &str = "1000";

/// How many slots there are.
const SLOTS: u16 = 16384;

/// A Cluster of its own: servers that take changes, each with as many slots as the others, and perhaps
/// one replica of each.
pub struct RedisCluster {
    /// Those who take changes at first.
    pub primaries: Vec<RedisServer>,
    /// Theirs, in the same order, or none.
    pub replicas: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts one.
    pub async fn launch(primaries: u16, has_replicas: bool) -> Self {
        Self::launch_with(primaries, has_replicas, &[]).await
    }

    /// Starts one whose servers have more settings of `redis.conf`.
    pub async fn launch_with(
        primaries: u16,
        has_replicas: bool,
        settings: &[(&str, &str)],
    ) -> Self {
        let start = |_| RedisServer::launch_with(&with_bus(settings, &free_port().to_string()));
        let cluster = Self {
            primaries: (0..primaries).map(start).collect(),
            replicas: (0..if has_replicas { primaries } else { 0 }).map(start).collect(),
        };
        cluster.join().await;
        cluster
    }

    /// The URL of all its servers.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.servers().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// All its servers.
    pub fn servers(&self) -> impl Iterator<Item = &RedisServer> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// Moves a slot from one server to another, with the keys in it; `meanwhile` is while it is on its
    /// way: half of its keys have arrived.
    pub async fn move_slot(
        &self,
        slot: u16,
        (from, to): (&RedisServer, &RedisServer),
        meanwhile: impl AsyncFnOnce(),
    ) {
        let (slot, from_id, to_id) = (slot.to_string(), id(from), id(to));
        to.tell(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        from.tell(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
        let keys = from.ask(&["--raw", "CLUSTER", "GETKEYSINSLOT", &slot, "1000"]);
        let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
        let (first, second) = keys.split_at(keys.len().div_ceil(2));
        migrate(from, to, first);
        meanwhile().await;
        migrate(from, to, second);
        to.tell(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        from.tell(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }

    async fn join(&self) {
        let first = &self.primaries[0];
        for (number, server) in self.servers().enumerate() {
            // So that they need not find out first whose is the newest.
            server.tell(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        let each = SLOTS.div_ceil(u16::try_from(self.primaries.len()).expect("there are few"));
        for (number, server) in (0..).zip(&self.primaries) {
            let (begin, end) = (number * each, (number * each + each - 1).min(SLOTS - 1));
            server.tell(&["CLUSTER", "ADDSLOTSRANGE", &begin.to_string(), &end.to_string()]);
        }
        let (port, bus) = (first.port().to_string(), bus_port(first));
        for server in self.servers().skip(1) {
            server.tell(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        self.agrees().await;
        for (primary, replica) in self.primaries.iter().zip(&self.replicas) {
            replica.tell(&["CLUSTER", "REPLICATE", &id(primary)]);
        }
        for (primary, _) in self.primaries.iter().zip(&self.replicas) {
            wait_until("each has its replica", AGREE_LIMIT, async || {
                primary.ask(&["INFO", "replication"]).contains("state=online")
            })
            .await;
        }
    }

    /// Waits until every server knows all others and calls the Cluster well.
    pub async fn agrees(&self) {
        let known = format!("cluster_known_nodes:{}", self.servers().count());
        for server in self.servers() {
            wait_until("the servers agree", AGREE_LIMIT, async || {
                let info = server.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains(&known)
            })
            .await;
        }
    }
}

fn with_bus<'a>(settings: &[(&'a str, &'a str)], bus: &'a str) -> Vec<(&'a str, &'a str)> {
    let ours = [
        ("cluster-enabled", "yes"),
        ("cluster-node-timeout", NODE_TIMEOUT_MS),
        ("cluster-port", bus),
    ];
    ours.into_iter().chain(settings.iter().copied()).collect()
}

fn migrate(from: &RedisServer, to: &RedisServer, keys: &[&str]) {
    let port = to.port().to_string();
    for key in keys {
        let told = from.ask(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        // Gone by itself in the meantime is gone as well.
        assert!(told == "OK" || told == "NOKEY", "{key} was not moved: {told}");
    }
}

/// By what name the others know a server.
fn id(server: &RedisServer) -> String {
    server.ask(&["CLUSTER", "MYID"])
}

fn bus_port(server: &RedisServer) -> String {
    let told = server.ask(&["--raw", "CONFIG", "GET", "cluster-port"]);
    told.lines().nth(1).expect("it has one").to_owned()
}
