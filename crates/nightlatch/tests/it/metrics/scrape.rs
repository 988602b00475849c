//! What `/metrics` has answered, taken apart.
//!
//! Only what this server writes: no label value of ours has a quote, a comma or a brace in it.

use std::collections::BTreeSet;

use nightlatch_testkit::client::Client;

/// One answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape {
    text: String,
    pub(crate) series: Vec<Series>,
}

/// One line of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

impl Scrape {
    pub(crate) async fn of(client: &mut Client) -> Self {
        let answer = client.get("/metrics").await;
        assert_eq!(answer.status, 200);
        Self::parse(answer.text())
    }

    fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(Series::parse).collect();
        Self { text, series }
    }

    /// The value of a series, as its line begins.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let line = self.text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
    }

    /// Name, kind and unit of each family, with the name that its series have.
    pub(crate) fn families(&self) -> BTreeSet<(String, String, String)> {
        let told = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let families = told.map(|family| {
            let (name, kind) = family.split_once(' ').expect("a name and a kind");
            let unit = format!("# UNIT {name} ");
            let unit = self.text.lines().find_map(|line| line.strip_prefix(&unit));
            let name = match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            };
            (name, kind.to_owned(), unit.unwrap_or_default().to_owned())
        });
        families.collect()
    }
}

impl Series {
    fn parse(line: &str) -> Self {
        let (head, value) = line.rsplit_once(' ').expect("a series and its value");
        let value = value.parse().expect("a number");
        let Some((name, labels)) = head.split_once('{') else {
            return Self { name: head.to_owned(), labels: Vec::new(), value };
        };
        let labels = labels.trim_end_matches('}').split(',').map(|label| {
            let (name, value) = label.split_once('=').expect("a name and a value");
            (name.to_owned(), value.trim_matches('"').to_owned())
        });
        Self { name: name.to_owned(), labels: labels.collect(), value }
    }
}
