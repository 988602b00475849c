//! Alerts over what a running server tells: names, labels and values are those that it really has.
//!
//! What is scraped within seconds is told to promtool as if half a minute lay between two scrapes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nightlatch_testkit::server::NightlatchServer;

use super::alerts::{folder, promtool};
use super::scrape::{Scrape, Series};

/// Scrapes of a server that is well, and then of one that is not.
pub(crate) const WELL: usize = 10;
pub(crate) const FAULTY: usize = 24;

/// The values of each series, scrape by scrape.
#[derive(Default)]
pub(crate) struct Recording {
    scrapes: usize,
    series: BTreeMap<String, Vec<Option<f64>>>,
}

impl Recording {
    /// One more scrape.
    pub(crate) async fn add(&mut self, server: &NightlatchServer) {
        let told = Scrape::of(&mut server.client()).await;
        for Series { name, labels, value } in told.series {
            let labels = labels.iter().fold(String::new(), |mut text, (label, value)| {
                write!(text, "{label}=\"{value}\",").expect("a string takes all");
                text
            });
            let name = format!("{name}{{{labels}job=\"nightlatch\",instance=\"a\"}}");
            let values = self.series.entry(name).or_default();
            values.resize(self.scrapes, None);
            values.push(Some(value));
        }
        self.scrapes += 1;
    }

    /// Which alerts fire, and no others, at the last scrape of the well server and at the last of all.
    pub(crate) fn check(&self, at_the_end: &[&str]) {
        let mut test = format!(
            "rule_files:\n  - {}\nevaluation_interval: 30s\ntests:\n  - interval: 30s\n    input_series:\n",
            folder().join("alerts.yml").display()
        );
        for (name, values) in &self.series {
            let mut values = values.clone();
            values.resize(self.scrapes, None);
            let values: Vec<String> = values
                .iter()
                .map(|value| value.map_or("_".to_owned(), |it| it.to_string()))
                .collect();
            let values = values.join(" ");
            writeln!(test, "      - series: '{name}'\n        values: '{values}'")
                .expect("as above");
        }
        test += "    promql_expr_test:\n";
        for (scrapes, alerts) in [(WELL, &[][..]), (self.scrapes, at_the_end)] {
            let seconds = (scrapes - 1) * 30;
            writeln!(
                test,
                "      - expr: count by (alertname) (ALERTS{{alertstate=\"firing\"}})\n        eval_time: {seconds}s\n        exp_samples: [{}]",
                alerts
                    .iter()
                    .map(|name| format!("{{labels: '{{alertname=\"{name}\"}}', value: 1}}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
            .expect("as above");
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("recorded.yml"), test).expect("a file");
        promtool(&["test", "rules", "recorded.yml"], folder.path());
    }
}
