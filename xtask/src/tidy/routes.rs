//! Every API route is in the OpenAPI document.
//!
//! `routes!(handler)` registers a handler and its description together; a plain `.route("/api/…")`
//! would serve what the document does not know.

use super::source::{Source, words};
use super::tree::{Finding, Tree, lies_in};

const SERVER: &str = "crates/nightlatch/src/";

/// Here every route belongs to the API.
const API: &[&str] = &["crates/nightlatch/src/http/api.rs", "crates/nightlatch/src/http/api/"];

/// The document itself and the page that shows it are no part of what it describes.
const DOCUMENT: &[&str] = &["/api/openapi.json", "/api/docs"];

const FIX: &str =
    "register it by `.routes(routes!(handler))`, with `#[utoipa::path]` on the handler";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust().filter(|source| source.path.starts_with(SERVER)) {
        let all_api = API.iter().any(|place| lies_in(&source.path, place));
        for registers in ["route", "route_service", "nest", "nest_service"] {
            let calls = words(&source.code, registers)
                .filter(|at| source.code[..*at].ends_with('.') && !source.in_test(*at));
            let plain = calls.filter(|at| match first_path(source, *at + registers.len()) {
                // A nested router may be one that documents itself.
                Some(path) if registers == "nest" => all_api && !path.is_empty(),
                Some(path) if DOCUMENT.contains(&path) => false,
                Some(path) => all_api || path == "/api" || path.starts_with("/api/"),
                None => all_api,
            });
            findings.extend(plain.map(|at| {
                Finding::at(source, at, format!("an API route by `.{registers}(…)`"), FIX)
            }));
        }
    }
    findings
}

/// The string that is the first argument of a call, whose brackets begin at `from`.
fn first_path(source: &Source, from: usize) -> Option<&str> {
    let arguments = source.literals[from..].trim_start().strip_prefix('(')?.trim_start();
    arguments.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tests::places;

    #[test]
    fn api_routes_come_with_their_description() {
        let (http, api) = ("crates/nightlatch/src/http.rs", "crates/nightlatch/src/http/api/a.rs");
        for (path, text, stopped) in [
            (http, r#"r.route("/api/v1/session", get(session))"#, true),
            (http, "r.route(\n    \"/api/v1/docs\",\n    get(docs))", true),
            (http, r#"r.route("/api/openapi.json", get(openapi::document))"#, false),
            (http, r#"r.route("/health", get(health))"#, false),
            (http, r#"r.route("/apian", get(bees))"#, false),
            (http, r"r.routes(routes!(session))", false),
            (http, r#"r.nest("/api/v1", api::router())"#, false),
            (http, r#"r.nest_service("/api/v1", service)"#, true),
            (http, r#"// r.route("/api/v1/session", x)"#, false),
            (api, r"r.route(SESSION, get(session))", true),
            (api, r"r.routes(routes!(session))", false),
            (api, r"let route = 1;", false),
        ] {
            assert_eq!(!places(check, &[(path, text)]).is_empty(), stopped, "{path}: {text}");
        }
    }
}
