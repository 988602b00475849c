//! A compose file beside the `.env`: whether the URLs of both lead to the Redis that it starts.
//!
//! What it does not say for sure (other files, images of one's own, variables of a shell) is left alone:
//! a finding here is one that Docker itself would prove.

mod command;
mod interpolation;
mod judge;
mod service;
mod yaml;

use std::path::Path;
use std::rc::Rc;

use self::judge::Lead;
use self::service::Service;
use self::yaml::Node;
use super::finding::Finding;
use super::written::{Last, Place, Written};
use super::{env, file_text};
use crate::config::ProblemLevel::Info;

/// What Docker looks for, in its order.
const FILES: [(&str, &str); 4] = [
    ("compose.yaml", "compose.override.yaml"),
    ("compose.yml", "compose.override.yml"),
    ("docker-compose.yaml", "docker-compose.override.yaml"),
    ("docker-compose.yml", "docker-compose.override.yml"),
];

/// The file that references are looked up in.
const ENV_FILE: &str = ".env";

/// The most services that are looked at.
const SERVICES_MAX: usize = 200;

/// The services of a project, and the file they stand in.
struct Project {
    services: Vec<Service>,
    /// Whether nobody else shares a network with them.
    is_closed: bool,
    source: String,
}

/// Examines what a file of settings says against the compose file beside it, if there is one.
pub(super) fn examine(path: &Path, all: &[Written]) -> Vec<Finding> {
    let Some(file) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let Some((base, overriding)) =
        FILES.iter().find(|(base, _)| path.with_file_name(base).is_file())
    else {
        return Vec::new();
    };
    let last = Last::of(all.iter().filter(|it| it.place.line.is_some()));
    // References are looked up in `.env`, whichever file is examined.
    let beside = if file == ENV_FILE {
        Vec::new()
    } else {
        env::read_file(&path.with_file_name(ENV_FILE)).0
    };
    let beside = Last::of(&beside);
    let values = if file == ENV_FILE { &last } else { &beside };
    if values.has("COMPOSE_FILE") || values.has("COMPOSE_PROFILES") {
        return Vec::new();
    }
    let source = path.with_file_name(base);
    let Some(root) = read(&source) else {
        let why = "cannot be read here, so it is not known what it starts";
        let source = Some(source.display().to_string());
        return vec![Finding { source, ..Finding::new("compose-unreadable", Info, why) }];
    };
    let overriding = path.with_file_name(overriding);
    let over = if overriding.is_file() { read(&overriding) } else { None };
    if overriding.is_file() && over.is_none() {
        return Vec::new();
    }
    let nodes: Vec<&Node> = over.as_deref().into_iter().chain([&*root]).collect();
    let Some(project) = Project::of(&nodes, values, source.display().to_string()) else {
        return Vec::new();
    };
    let sets = project.sets();
    let own = last.in_order().iter().copied().filter_map(|it| Lead::of(it, &last));
    let own = own.map(|lead| project.given(lead, file));
    let theirs = sets.iter().flat_map(|set| {
        let set = Last::of(set);
        let leads = set.in_order().iter().copied().filter_map(|it| Lead::of(it, &set));
        leads.map(|lead| lead.within().in_part()).collect::<Vec<_>>()
    });
    let leads: Vec<Lead<'_>> = own.chain(theirs).collect();
    judge::judge(&project, leads)
}

fn read(path: &Path) -> Option<Rc<Node>> {
    yaml::parse(file_text::read(path).ok()?.text.expose())
}

impl Project {
    /// `None`: other files say more.
    fn of(nodes: &[&Node], values: &Last<'_>, source: String) -> Option<Self> {
        if nodes.iter().any(|node| node.get("include").is_some()) {
            return None;
        }
        let described: Vec<&Node> = nodes.iter().filter_map(|node| node.get("services")).collect();
        let mut names: Vec<&str> =
            described.iter().flat_map(|node| node.entries()).map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        let mut services = Vec::new();
        for name in names.into_iter().take(SERVICES_MAX) {
            let of_it: Vec<&Node> = described.iter().filter_map(|node| node.get(name)).collect();
            if of_it.iter().any(|node| node.get("extends").is_some()) {
                return None;
            }
            services.push(Service::read(name, &of_it, values));
        }
        let mut networks =
            nodes.iter().filter_map(|node| node.get("networks")).flat_map(|node| node.entries());
        let is_closed = !networks.any(|(_, network)| network.get("external").is_some());
        Some(Self { services, is_closed, source })
    }

    /// What each service sets itself, where it stands.
    fn sets(&self) -> Vec<Vec<Written>> {
        let of_one = |service: &Service| {
            let known = service
                .environment
                .iter()
                .filter_map(|(name, set)| Some((name, set.line, set.value.as_ref()?)));
            let written = known.map(|(name, line, value)| Written {
                name: name.clone(),
                value: value.clone(),
                quote: None,
                place: Place { source: Some(self.source.clone()), line: Some(line), column: None },
            });
            written.collect::<Vec<_>>()
        };
        self.services.iter().filter(|it| !it.has_foreign_network).map(of_one).collect()
    }

    /// The lead, and whether a container follows it.
    fn given<'a>(&self, lead: Lead<'a>, file: &str) -> Lead<'a> {
        let mut given = self.services.iter().filter(|it| it.is_given(lead.name(), file)).peekable();
        let has_any = given.peek().is_some();
        if given.any(|it| it.has_foreign_network) {
            return lead.unsure();
        }
        if !has_any {
            return lead;
        }
        // What one of those who follow it has from elsewhere is not known.
        let followers: Vec<&Service> =
            self.services.iter().filter(|it| it.is_given(lead.name(), file)).collect();
        lead.within().among(|name| followers.iter().all(|it| it.is_given(name, file)))
    }
}

#[cfg(test)]
mod tests;
