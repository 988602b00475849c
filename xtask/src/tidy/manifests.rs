//! Which crate may depend on what.
//!
//! This is where the compiler enforces the layers: what is not in the manifest cannot be named.

use super::tree::{Finding, Tree};

struct Manifest {
    path: &'static str,
    /// Dependencies that its normal build must not have.
    forbidden: &'static [&'static str],
    /// Which of them a feature may bring to whoever asks for it.
    optional: &'static [&'static str],
    why: &'static str,
}

const MANIFESTS: &[Manifest] = &[
    Manifest {
        path: "crates/nightlatch-core/Cargo.toml",
        forbidden: &[
            "tokio",
            "tokio-util",
            "tokio-postgres",
            "deadpool-postgres",
            "rusqlite",
            "redis",
            "hyper",
            "hyper-util",
            "http",
            "axum",
            "tower",
            "tower-http",
            "tracing",
            "askama",
            "clap",
            "rustls",
            "argon2",
            "serde",
            "serde_json",
            "anyhow",
            "nightlatch",
            "nightlatch-store",
            "nightlatch-resilience",
            "nightlatch-testkit",
        ],
        optional: &[],
        why: "the core is rules without I/O that others embed",
    },
    Manifest {
        path: "crates/nightlatch-resilience/Cargo.toml",
        forbidden: &[
            "hyper",
            "http",
            "axum",
            "redis",
            "rusqlite",
            "tokio-postgres",
            "anyhow",
            "nightlatch",
            "nightlatch-core",
            "nightlatch-store",
            "nightlatch-testkit",
        ],
        optional: &[],
        why: "it is used by the stores and by HTTP clients alike and knows neither",
    },
    Manifest {
        path: "crates/nightlatch-store/Cargo.toml",
        forbidden: &[
            "hyper",
            "hyper-util",
            "http",
            "axum",
            "tower",
            "tower-http",
            "clap",
            "askama",
            "anyhow",
            "nightlatch",
            "nightlatch-testkit",
        ],
        optional: &["http", "tower"],
        why: "who embeds a store must not build a server",
    },
    Manifest {
        path: "crates/nightlatch/Cargo.toml",
        forbidden: &["nightlatch-testkit", "rusqlite", "tokio-postgres", "deadpool-postgres"],
        optional: &[],
        why: "drivers are the store's, and test servers are for tests",
    },
    Manifest {
        path: "crates/nightlatch-drill/Cargo.toml",
        forbidden: &[
            "tokio-postgres",
            "deadpool-postgres",
            "redis",
            "axum",
            "clap",
            "askama",
            "anyhow",
            "nightlatch",
            "nightlatch-testkit",
        ],
        optional: &[],
        why: "it sees servers as their clients do; drills of operators bring no tests along",
    },
    Manifest {
        path: "crates/nightlatch-sim/Cargo.toml",
        forbidden: &[
            "rusqlite",
            "tokio-postgres",
            "deadpool-postgres",
            "redis",
            "hyper",
            "http",
            "axum",
            "nightlatch",
            "nightlatch-testkit",
        ],
        optional: &[],
        why: "a simulation has no drivers and no network: what it shows must depend on its seed alone",
    },
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in MANIFESTS {
        let Some(source) = tree.find(manifest.path) else { continue };
        for (line, name, is_optional) in dependencies(&source.text) {
            let is_asked_for = is_optional && manifest.optional.contains(&name);
            if manifest.forbidden.contains(&name) && !is_asked_for {
                let what = format!("depends on `{name}`");
                findings.push(Finding::new(manifest.path, line, what, manifest.why));
            }
        }
    }
    findings
}

/// The crates of every table of normal dependencies, with their lines, and whether that line says that they
/// are optional.
fn dependencies(manifest: &str) -> Vec<(usize, &str, bool)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(manifest.lines()) {
        let line = line.trim();
        if let Some(table) = line.strip_prefix('[') {
            let table = table.split(']').next().unwrap_or_default();
            let is_normal = !table.contains("dev-dependencies");
            inside = is_normal && table.ends_with("dependencies");
            // [dependencies.name] is a table of one dependency.
            if let Some((_, name)) = table.split_once("dependencies.").filter(|_| is_normal) {
                found.push((number, name, false));
            }
        } else if inside && let Some((name, _)) = line.split_once(['=', '.', ' ']) {
            found.push((number, name.trim_matches('"'), line.contains("optional = true")));
        }
    }
    found.retain(|(_, name, _)| !name.is_empty() && !name.starts_with('#'));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn normal_dependencies_are_held_to_the_layer_and_test_dependencies_are_not() {
        let cases = [
            ("crates/nightlatch-core/Cargo.toml", "[dependencies]\ntokio.workspace = true", true),
            ("crates/nightlatch-core/Cargo.toml", "[dependencies]\nserde = \"1\"", true),
            ("crates/nightlatch-core/Cargo.toml", "[dependencies]\ntime.workspace = true", false),
            ("crates/nightlatch-core/Cargo.toml", "[dependencies]\n# tokio = \"1\"", false),
            ("crates/nightlatch-core/Cargo.toml", "[dev-dependencies]\ntokio = \"1\"", false),
            ("crates/nightlatch-store/Cargo.toml", "[dependencies]\nhttp = \"1\"", true),
            (
                "crates/nightlatch-store/Cargo.toml",
                "[dependencies]\nhttp = { optional = true }",
                false,
            ),
            (
                "crates/nightlatch-store/Cargo.toml",
                "[dependencies]\naxum = { optional = true }",
                true,
            ),
            ("crates/nightlatch-store/Cargo.toml", "[dependencies.axum]\nversion = \"1\"", true),
            (
                "crates/nightlatch-store/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\naxum = \"1\"",
                true,
            ),
            ("crates/nightlatch/Cargo.toml", "[dependencies]\nrusqlite.workspace = true", true),
            ("crates/nightlatch-sim/Cargo.toml", "[dependencies]\nrusqlite.workspace = true", true),
            ("crates/nightlatch-sim/Cargo.toml", "[dependencies]\nuuid.workspace = true", false),
        ];
        for (path, text, stopped) in cases {
            assert_eq!(!places(check, &[(path, text)]).is_empty(), stopped, "{path}: {text}");
        }
    }
}
