//! Which file may name what.
//!
//! The crates' manifests keep the layers apart where a crate is cut. Inside the server the same
//! rule is kept by this table: who reads a handler must not have to know a driver.

use super::source::{is_word_byte, words};
use super::tree::{Finding, Tree, lies_in};

struct Layer {
    /// Where the words are forbidden: files, or directories with a slash at the end.
    within: &'static [&'static str],
    /// Where they are allowed all the same.
    except: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        within: &["crates/nightlatch-core/src/"],
        except: &[],
        words: &[
            "tokio",
            "tokio_util",
            "tokio_postgres",
            "deadpool_postgres",
            "rusqlite",
            "redis",
            "hyper",
            "hyper_util",
            "http",
            "axum",
            "tower",
            "tower_http",
            "tracing",
            "askama",
            "clap",
            "rustls",
            "argon2",
            "serde",
            "serde_json",
            "nightlatch_store",
            "nightlatch_resilience",
        ],
        why: "the core holds rules without I/O; put what does I/O behind a port of store.rs",
    },
    Layer {
        within: &["crates/nightlatch-resilience/src/"],
        except: &[],
        words: &[
            "hyper",
            "http",
            "axum",
            "redis",
            "rusqlite",
            "tokio_postgres",
            "nightlatch_core",
            "nightlatch_store",
            "nightlatch",
        ],
        why: "it knows how to call what may fail, and nobody in particular",
    },
    Layer {
        within: &["crates/nightlatch-store/src/"],
        // How what goes over Redis lies in bytes, which no other program reads.
        except: &[
            "crates/nightlatch-store/src/redis/layout/",
            // A store for tower-sessions, and the layer that belongs to it.
            "crates/nightlatch-store/src/tower_sessions/",
        ],
        words: &[
            "hyper",
            "hyper_util",
            "http",
            "axum",
            "tower",
            "tower_http",
            "clap",
            "askama",
            "serde",
            "Serialize",
            "Deserialize",
            "nightlatch",
        ],
        why: "stores know rows and domain types; wire types live in the server's http/api",
    },
    Layer {
        within: &["crates/nightlatch/src/http.rs", "crates/nightlatch/src/http/"],
        except: &[],
        words: &["nightlatch_store", "rusqlite", "tokio_postgres", "deadpool_postgres"],
        why: "HTTP calls use cases of the core; app.rs says which record stands behind them",
    },
    Layer {
        within: &["crates/nightlatch/src/", "crates/nightlatch-core/src/"],
        except: &[
            "crates/nightlatch/src/app.rs",
            "crates/nightlatch/src/app/",
            "crates/nightlatch/src/cli.rs",
            "crates/nightlatch/src/cli/",
        ],
        words: &[
            "SqliteRecord",
            "PostgresRecord",
            "MemoryRecord",
            "SqliteOptions",
            "PostgresOptions",
            "RedisLink",
            "RedisCopies",
            "RedisOptions",
        ],
        why: "app.rs alone chooses adapters; take the port (nightlatch_core::Record) instead",
    },
    Layer {
        within: &["crates/nightlatch/src/"],
        except: &[
            "crates/nightlatch/src/app.rs",
            "crates/nightlatch/src/app/",
            "crates/nightlatch/src/cli.rs",
            "crates/nightlatch/src/cli/",
            "crates/nightlatch/src/hashing.rs",
            "crates/nightlatch/src/hashing/",
            // Judges passwords on the pool's threads: an adapter itself.
            "crates/nightlatch/src/strength.rs",
            // Tells the pool which kinds of hashes are stored.
            "crates/nightlatch/src/background.rs",
        ],
        words: &["HashPool", "argon2", "bcrypt", "scrypt", "pbkdf2"],
        why: "app.rs alone chooses adapters; take the port (nightlatch_core::PasswordHasher)",
    },
    Layer {
        within: &["crates/nightlatch-sim/src/"],
        except: &["crates/nightlatch-sim/src/clock.rs", "crates/nightlatch-sim/src/entropy.rs"],
        words: &[
            "SystemClock",
            "SystemEntropy",
            "SqliteRecord",
            "PostgresRecord",
            "Instant::now",
            "SystemTime",
        ],
        why: "a simulation is its seed: time and chance come from clock.rs and entropy.rs",
    },
    Layer {
        within: &["crates/"],
        except: &[
            "crates/nightlatch/src/config/source.rs",
            "crates/nightlatch-testkit/src/",
            // Cargo tells a build script its place by the environment.
            "crates/nightlatch-sim/build.rs",
        ],
        words: &["env::var", "env::vars", "env::var_os", "env::vars_os", "env::set_var"],
        why: "only config/source.rs reads the environment, so that each value's origin is known",
    },
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for layer in LAYERS {
        let covered = |path: &str| {
            layer.within.iter().any(|place| lies_in(path, place))
                && !layer.except.iter().any(|place| lies_in(path, place))
        };
        for source in tree.rust().filter(|source| covered(&source.path)) {
            for word in layer.words {
                let named = words(&source.code, word)
                    .filter(|at| !source.in_test(*at) && is_import(&source.code, *at, word));
                findings.extend(
                    named.map(|at| Finding::at(source, at, format!("names `{word}`"), layer.why)),
                );
            }
        }
    }
    findings
}

/// Whether a lower-case word names a crate, and not something of ours that is called alike.
fn is_import(code: &str, at: usize, word: &str) -> bool {
    let is_crate = !word.contains("::") && word.starts_with(|c: char| c.is_ascii_lowercase());
    if !is_crate {
        return true;
    }
    let before = code[..at].trim_end();
    if before.ends_with("use") {
        return true;
    }
    // `crate::http` is ours, `::http` is not.
    let of_ours = before
        .strip_suffix("::")
        .is_some_and(|parent| parent.bytes().next_back().is_some_and(is_word_byte));
    !of_ours && code[at + word.len()..].trim_start().starts_with("::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn each_layer_stops_what_it_must_not_know() {
        let cases = [
            ("crates/nightlatch-core/src/a.rs", "use tokio::sync::Mutex;", true),
            ("crates/nightlatch-core/src/a.rs", "fn a() { ::rusqlite::Connection }", true),
            ("crates/nightlatch-core/src/a.rs", "use crate::http::x;", false),
            ("crates/nightlatch-core/src/a.rs", "// tokio::sync is not known here", false),
            ("crates/nightlatch-core/src/a.rs", "#[cfg(test)]\nmod t { use tokio::x; }", false),
            ("crates/nightlatch-store/src/a.rs", "use tokio::sync::Mutex;", false),
            ("crates/nightlatch-store/src/a.rs", "#[derive(Debug, Serialize)]", true),
            ("crates/nightlatch-store/src/a.rs", "use axum::Router;", true),
            ("crates/nightlatch-resilience/src/a.rs", "use nightlatch_core::Clock;", true),
            ("crates/nightlatch/src/http.rs", "use nightlatch_store::sqlite::X;", true),
            ("crates/nightlatch/src/http/api/login.rs", "nightlatch_store::x()", true),
            ("crates/nightlatch/src/app.rs", "use nightlatch_store::sqlite::SqliteRecord;", false),
            ("crates/nightlatch/src/cli/user.rs", "SqliteRecord::open()", false),
            ("crates/nightlatch/src/http/health.rs", "fn a(record: &SqliteRecord)", true),
            ("crates/nightlatch/src/telemetry.rs", "fn a(pool: &HashPool)", true),
            ("crates/nightlatch/src/hashing/pool.rs", "pub struct HashPool;", false),
            ("crates/nightlatch/src/import.rs", "fn a() { bcrypt::verify() }", true),
            ("crates/nightlatch/src/import.rs", "let bcrypt = 1;", false),
            ("crates/nightlatch-sim/src/world.rs", "let now = Instant::now();", true),
            ("crates/nightlatch-sim/src/clock.rs", "let now = Instant::now();", false),
            ("crates/nightlatch-sim/build.rs", "std::env::var(\"OUT_DIR\")", false),
            ("crates/nightlatch/src/http.rs", "std::env::var(\"HOME\")", true),
            ("crates/nightlatch/src/config/source.rs", "std::env::vars()", false),
            ("crates/nightlatch/tests/it/main.rs", "std::env::var(\"HOME\")", false),
        ];
        for (path, text, stopped) in cases {
            assert_eq!(!places(check, &[(path, text)]).is_empty(), stopped, "{path}: {text}");
        }
    }
}
