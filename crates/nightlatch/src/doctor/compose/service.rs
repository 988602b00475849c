//! A service of a compose file: who reaches it by which name and port, what it is given, and whether it is
//! a Redis.

use std::collections::BTreeMap;
use std::rc::Rc;

use nightlatch_core::Secret;

use super::command::{Command, Password, words_of};
use super::interpolation::{interpolated, sole_reference};
use super::yaml::Node;
use crate::doctor::written::Last;

/// A service, with what an override file says of it, too.
pub(super) struct Service {
    pub(super) name: String,
    /// By what others reach it.
    pub(super) names: Vec<String>,
    /// What is set there, by name.
    pub(super) environment: BTreeMap<String, Set>,
    /// Files of settings, the last of which wins. `None`: not all are known.
    env_files: Option<Vec<String>>,
    /// Where it is published on the host. `None`: not all is known.
    pub(super) published: Option<Vec<Published>>,
    /// Whether it shares the network of the host or of another container.
    pub(super) has_foreign_network: bool,
    /// `None`: it is no Redis.
    pub(super) redis: Option<Command>,
}

/// A variable of a service.
pub(super) struct Set {
    pub(super) line: usize,
    /// `None`: not known, or passed on from outside.
    pub(super) value: Option<Secret<String>>,
    /// Whether it is passed on as the `.env` has it.
    is_passed: bool,
}

/// A port of the host that leads to one of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) host: u16,
    pub(super) inner: u16,
}

/// Images of servers that are Redis or speak as it does, without registry and tag.
const OFFICIAL: [&str; 2] = ["redis", "valkey/valkey"];
const BITNAMI: [&str; 4] =
    ["bitnami/redis", "bitnami/valkey", "bitnamilegacy/redis", "bitnamilegacy/valkey"];
const OTHERS: [&str; 6] = [
    "redis/redis-stack",
    "redis/redis-stack-server",
    "eqalpha/keydb",
    "dragonflydb/dragonfly",
    "redis/redis-enterprise",
    "redislabs/redis",
];

impl Service {
    /// Read of the nodes that describe it, what overrides first.
    pub(super) fn read(name: &str, nodes: &[&Node], values: &Last<'_>) -> Self {
        let source = Source { nodes, values };
        let environment = source.environment();
        let names = [&["container_name", "hostname"][..]].concat();
        let names =
            names.into_iter().filter_map(|key| source.text(key)).map(|it| it.expose().clone());
        let names = names.chain([name.to_owned()]).chain(source.aliases()).collect();
        let has_foreign_network = source.first("network_mode").is_some();
        let redis = source.redis(&environment);
        let redis = if has_foreign_network { redis.map(|_| Command::unknown()) } else { redis };
        Self {
            name: name.to_owned(),
            names,
            env_files: source.env_files(),
            published: source.published(),
            has_foreign_network,
            redis,
            environment,
        }
    }

    /// Whether it is given what a file beside it says of a name.
    pub(super) fn is_given(&self, name: &str, file: &str) -> bool {
        match self.environment.get(name) {
            Some(set) => set.is_passed && file == ".env",
            None => self.env_files.as_ref().is_some_and(|files| {
                files.last().is_some_and(|last| last.trim_start_matches("./") == file)
            }),
        }
    }

    pub(super) fn is_called(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// The nodes of a service, and what references in them stand for.
struct Source<'a, 'v> {
    nodes: &'a [&'a Node],
    values: &'a Last<'v>,
}

impl Source<'_, '_> {
    fn first(&self, key: &str) -> Option<&Node> {
        self.nodes.iter().find_map(|node| node.get(key))
    }

    /// All that is said under a key, what overrides last.
    fn all(&self, key: &str) -> impl Iterator<Item = &Node> {
        self.nodes.iter().rev().filter_map(move |node| node.get(key))
    }

    fn interpolated(&self, node: &Node) -> Option<Secret<String>> {
        interpolated(node.text()?.expose(), self.values)
    }

    fn text(&self, key: &str) -> Option<Secret<String>> {
        self.interpolated(self.first(key)?)
    }

    fn aliases(&self) -> Vec<String> {
        let networks = self.all("networks").flat_map(Node::entries);
        let aliases = networks.filter_map(|(_, network)| network.get("aliases")?.items()).flatten();
        let texts = aliases.filter_map(|alias| alias.text());
        texts.map(|alias| alias.expose().clone()).collect()
    }

    fn environment(&self) -> BTreeMap<String, Set> {
        let mut all = BTreeMap::new();
        for node in self.all("environment") {
            for (name, value) in node.entries() {
                all.insert(name.to_owned(), self.set(name, node.line, Some(value)));
            }
            for item in node.items().unwrap_or_default() {
                let Some(text) = item.text() else { continue };
                let (name, value) = match text.expose().split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (text.expose().as_str(), None),
                };
                let set = self.set_to(name, item.line, value);
                all.insert(name.to_owned(), set);
            }
        }
        all
    }

    /// Of a map: `NAME:` alone passes it on.
    fn set(&self, name: &str, line: usize, value: Option<&Node>) -> Set {
        let line = value.map_or(line, |value| value.line);
        let text = value.and_then(Node::text).map(Secret::expose);
        let is_alone = text.is_some_and(|text| ["", "~", "null"].contains(&text.as_str()));
        self.set_to(name, line, text.map(String::as_str).filter(|_| !is_alone))
    }

    fn set_to(&self, name: &str, line: usize, value: Option<&str>) -> Set {
        let is_passed = value.is_none_or(|value| sole_reference(value) == Some(name));
        let value = value.filter(|_| !is_passed);
        Set { line, value: value.and_then(|it| interpolated(it, self.values)), is_passed }
    }

    fn env_files(&self) -> Option<Vec<String>> {
        let mut files = Vec::new();
        for node in self.all("env_file") {
            let items: Vec<&Node> = match node.items() {
                Some(items) => items.iter().map(Rc::as_ref).collect(),
                None => vec![node],
            };
            for item in items {
                let path = item.get("path").unwrap_or(item);
                files.push(self.interpolated(path)?.expose().clone());
            }
        }
        Some(files)
    }

    fn published(&self) -> Option<Vec<Published>> {
        let items: Vec<_> = self.all("ports").map(Node::items).collect::<Option<_>>()?;
        let ports: Option<Vec<_>> = items.into_iter().flatten().map(|it| self.port(it)).collect();
        Some(ports?.into_iter().flatten().collect())
    }

    /// Where it leads; to nowhere in particular if Docker chooses. `None`: not known.
    fn port(&self, item: &Node) -> Option<Vec<Published>> {
        let number = |text: &str| text.parse::<u16>().ok();
        if let Some(target) = item.get("target") {
            let inner = number(self.interpolated(target)?.expose())?;
            let Some(host) = item.get("published") else { return Some(Vec::new()) };
            let host = number(self.interpolated(host)?.expose())?;
            return Some(vec![Published { host, inner }]);
        }
        let text = self.interpolated(item)?;
        let text = text.expose().split('/').next().unwrap_or_default();
        match text.rsplit_once(':') {
            None => number(text).map(|_| Vec::new()),
            Some((before, inner)) => {
                let host = before.rsplit(':').next().unwrap_or(before);
                let inner = number(inner)?;
                if host.is_empty() {
                    return Some(Vec::new());
                }
                Some(vec![Published { host: number(host)?, inner }])
            }
        }
    }

    /// What kind of Redis it is.
    fn redis(&self, environment: &BTreeMap<String, Set>) -> Option<Command> {
        let image = self.first("image").and_then(Node::text);
        let Some(image) = image else {
            // Somebody's own image may be one.
            let is_built = self.first("build").is_some();
            return (is_built && self.is_called_redis()).then(Command::unknown);
        };
        let Some(image) = interpolated_image(image.expose(), self.values) else {
            return Some(Command::unknown()).filter(|_| self.is_called_redis());
        };
        let image = image.as_str();
        if OFFICIAL.contains(&image) {
            return Some(self.official(environment));
        }
        if BITNAMI.contains(&image) {
            return Some(self.bitnami(environment));
        }
        OTHERS.contains(&image).then(Command::unknown)
    }

    fn is_called_redis(&self) -> bool {
        let names = ["container_name", "hostname"].into_iter().filter_map(|key| self.text(key));
        names.into_iter().any(|name| name.expose().contains("redis"))
    }

    fn official(&self, environment: &BTreeMap<String, Set>) -> Command {
        // Whether it runs, and as what, is decided elsewhere.
        if ["entrypoint", "profiles", "configs"].iter().any(|key| self.first(key).is_some()) {
            return Command::unknown();
        }
        let Some(command) = self.first("command") else { return Command::preset() };
        let words = match command.items() {
            Some(items) => items.iter().map(|item| self.interpolated(item)).collect(),
            None => self.interpolated(command).and_then(|text| words_of(text.expose())),
        };
        let variable = |name: &str| {
            let set = environment.get(name)?;
            let own = set.value.as_ref().map(|value| Secret::new(value.expose().clone()));
            let passed = || self.values.find(name).map(|written| self.values.expanded(written));
            own.or_else(|| set.is_passed.then(passed)?)
        };
        words.map_or_else(Command::unknown, |words| Command::of(words, &variable))
    }

    fn bitnami(&self, environment: &BTreeMap<String, Set>) -> Command {
        let elsewhere = ["command", "entrypoint", "profiles", "env_file"];
        let is_open = elsewhere.iter().any(|key| self.first(key).is_some());
        if is_open {
            return Command::unknown();
        }
        let find = |ending: &str| {
            let names = ["REDIS_", "VALKEY_"].map(|start| format!("{start}{ending}"));
            names.iter().find_map(|name| Some((name.clone(), environment.get(name)?)))
        };
        let known = |(name, set): (String, &Set)| match &set.value {
            Some(value) => Some(Secret::new(value.expose().clone())),
            None if set.is_passed => {
                self.values.find(&name).map(|written| self.values.expanded(written))
            }
            None => None,
        };
        let ports = match find("PORT_NUMBER") {
            Some(port) => {
                known(port).and_then(|port| port.expose().parse().ok()).map(|port| vec![port])
            }
            None => Command::preset().ports,
        };
        let password = if find("PASSWORD_FILE").is_some() || find("TLS_ENABLED").is_some() {
            Password::Unknown
        } else if let Some(set) = find("PASSWORD") {
            match known(set) {
                Some(value) if value.expose().is_empty() => Password::Nothing,
                Some(value) => Password::Known(value),
                None => Password::Unknown,
            }
        } else if environment.contains_key("ALLOW_EMPTY_PASSWORD") {
            Password::Nothing
        } else {
            Password::Unknown
        };
        Command { password, ports }
    }
}

/// `redis` of `docker.io/library/redis:7-alpine@sha256:..`. A tag need not be known.
fn interpolated_image(image: &str, values: &Last<'_>) -> Option<String> {
    let whole = interpolated(image, values);
    let image = match &whole {
        Some(whole) => whole.expose().as_str(),
        None => image.split_once(":$").map(|(name, _)| name).filter(|name| !name.contains('$'))?,
    };
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rfind('/').map_or(0, |at| at + 1);
    let image = image[last..].find(':').map_or(image, |at| &image[..last + at]);
    let image = ["docker.io/", "index.docker.io/", "public.ecr.aws/"]
        .iter()
        .find_map(|registry| image.strip_prefix(registry))
        .unwrap_or(image);
    let image = image.strip_prefix("docker/").unwrap_or(image);
    Some(image.strip_prefix("library/").unwrap_or(image).to_ascii_lowercase())
}
