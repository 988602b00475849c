//! The table of `docs/metrics.md`, which scrapes, alerts and the dashboard are held to.

use std::collections::{BTreeMap, BTreeSet};

use nightlatch_core::FailureClass;

use super::scrape::Series;

const TABLE: &str = include_str!("../../../../../docs/metrics.md");

/// What stands behind the name of a family in the name of a histogram's series.
const HISTOGRAM_SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The documented metrics by their names.
pub(crate) struct Reference(BTreeMap<&'static str, Metric>);

struct Metric {
    kind: &'static str,
    unit: &'static str,
    labels: Vec<(&'static str, Values)>,
}

/// What a label may say.
enum Values {
    Any,
    Class,
    OneOf(Vec<&'static str>),
}

impl Values {
    fn read(text: &'static str) -> Self {
        match text.trim() {
            "any" => Self::Any,
            "class" => Self::Class,
            list => {
                Self::OneOf(list.split(',').map(|value| value.trim().trim_matches('`')).collect())
            }
        }
    }

    fn have(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Class => FailureClass::ALL.iter().any(|class| class.as_str() == value),
            Self::OneOf(values) => values.contains(&value),
        }
    }
}

impl Reference {
    pub(crate) fn read() -> Self {
        let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
        let metrics = rows.map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, name, kind, unit, labels, meaning, _] = cells[..] else {
                panic!("not a row of five cells: {row}");
            };
            assert!(meaning.ends_with('.'), "{name} is not explained in a sentence");
            let labels = labels.split(';').filter(|label| !label.is_empty()).map(|label| {
                let (name, values) = label.split_once(':').expect("a label and its values");
                (name.trim().trim_matches('`'), Values::read(values))
            });
            (name.trim_matches('`'), Metric { kind, unit, labels: labels.collect() })
        });
        Self(metrics.collect())
    }

    /// Name, kind and unit of each.
    pub(crate) fn families(&self) -> BTreeSet<(String, String, String)> {
        let owned = |(name, metric): (&&str, &Metric)| {
            ((*name).to_owned(), metric.kind.to_owned(), metric.unit.to_owned())
        };
        self.0.iter().map(owned).collect()
    }

    /// The documented name that a series belongs to.
    pub(crate) fn family_of(&self, series: &str) -> Option<&'static str> {
        let histogram = HISTOGRAM_SUFFIXES.iter().find_map(|suffix| series.strip_suffix(suffix));
        let histogram = histogram.filter(|name| self.0.get(name).is_some_and(Metric::is_histogram));
        let name = histogram.unwrap_or(series);
        let (name, metric) = self.0.get_key_value(name)?;
        (metric.is_histogram() == histogram.is_some()).then_some(*name)
    }

    /// Whether series of this name can have the label with the value; `None` as value: with any.
    pub(crate) fn has(&self, series: &str, label: &str, value: Option<&str>) -> bool {
        if label == "le" {
            return series.ends_with("_bucket");
        }
        let Some(metric) = self.family_of(series).and_then(|name| self.0.get(name)) else {
            return false;
        };
        let values = metric.labels.iter().find(|(name, _)| *name == label);
        values.is_some_and(|(_, values)| value.is_none_or(|value| values.have(value)))
    }

    /// A scraped series has the documented labels, all of them, and says nothing else in them.
    pub(crate) fn check_series(&self, series: &Series) {
        let name = self.family_of(&series.name);
        let metric = name.and_then(|name| self.0.get(name));
        let metric = metric.unwrap_or_else(|| panic!("{} is not documented", series.name));
        for (label, value) in &series.labels {
            let is_documented = self.has(&series.name, label, Some(value));
            assert!(is_documented, "{}{{{label}={value}}} is not documented", series.name);
        }
        for (label, _) in &metric.labels {
            let is_told = series.labels.iter().any(|(told, _)| told == label);
            assert!(is_told, "{} is told without {label}", series.name);
        }
    }

    /// Metric, label and value of what is told from the start.
    pub(crate) fn values_always_told(
        &self,
    ) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let listed = self.0.iter().flat_map(|(name, metric)| {
            metric.labels.iter().filter_map(move |(label, values)| match values {
                Values::OneOf(values) => Some((*name, *label, values)),
                Values::Any | Values::Class => None,
            })
        });
        let all = listed.flat_map(|(name, label, values)| {
            values.iter().map(move |value| (name, label, *value))
        });
        all.filter(|(name, label, value)| {
            let is_seen_first = *label == "status" && !value.starts_with('5')
                || matches!(
                    *name,
                    "nightlatch_dependency_failing"
                        | "nightlatch_dependency_errors_total"
                        | "nightlatch_certificate_expiry_timestamp_seconds"
                );
            !is_seen_first
        })
    }
}

impl Metric {
    fn is_histogram(&self) -> bool {
        self.kind == "histogram"
    }
}
