//! The dashboard: its queries ask for what there is, and everything that is documented can be seen.

use serde_json::Value;

use super::promql;
use super::reference::Reference;

const DASHBOARD: &str = include_str!("../../../../../deploy/grafana/nightlatch.json");

/// Panels, those in rows too.
fn panels(of: &Value) -> Vec<&Value> {
    let panels = of["panels"].as_array().map(Vec::as_slice).unwrap_or_default();
    panels.iter().flat_map(|panel| [vec![panel], self::panels(panel)].concat()).collect()
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let reference = Reference::read();
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let mut ids = Vec::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        ids.push(panel["id"].as_u64().expect("a number"));
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().expect("queries");
        assert!(!targets.is_empty(), "{title} shows nothing");
        for target in targets {
            promql::check(&reference, title, target["expr"].as_str().expect("a query"));
        }
    }
    let panels = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels, "two panels have one number");
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert!(variables.iter().any(|it| it["type"] == "datasource" && it["name"] == "datasource"));
    for query in variables.iter().filter_map(|variable| variable["definition"].as_str()) {
        let inner = query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
        let (metric, _label) = inner.and_then(|it| it.rsplit_once(',')).expect("label_values");
        promql::check(&reference, "a variable", metric);
    }
}

#[test]
fn whatever_is_measured_can_be_seen() {
    for (name, _, _) in Reference::read().families() {
        assert!(DASHBOARD.contains(&name), "no panel shows {name}");
    }
}
