//! What an expression of Prometheus asks for: enough of its grammar to hold it to the documented metrics.

use super::reference::Reference;

/// What Prometheus itself tells of every target.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// Labels that Prometheus gives to whatever it scrapes.
const OF_TARGETS: [&str; 2] = ["job", "instance"];

/// Words in front of a list of labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Words between operands.
const OPERATORS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];

/// A selector of series.
#[derive(Debug, Default, PartialEq)]
struct Selector {
    metric: String,
    /// Label, operator and value.
    matchers: Vec<(String, String, String)>,
}

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
struct Named {
    selectors: Vec<Selector>,
    grouping: Vec<String>,
}

/// Fails if an expression names a metric, a label or a value that there is not.
pub(crate) fn check(reference: &Reference, place: &str, expression: &str) {
    let Named { selectors, grouping } = read(expression);
    assert!(!selectors.is_empty(), "{place} asks for nothing: {expression}");
    for Selector { metric, matchers } in &selectors {
        if OF_PROMETHEUS.contains(&metric.as_str()) {
            continue;
        }
        assert!(reference.family_of(metric).is_some(), "{place}: there is no {metric}");
        for (label, operator, value) in matchers {
            if OF_TARGETS.contains(&label.as_str()) {
                continue;
            }
            let has = |value| reference.has(metric, label, value);
            assert!(has(None), "{place}: {metric} has no label {label}");
            for value in alternatives(operator, value) {
                assert!(has(Some(value)), "{place}: {metric} has no {label}={value}");
            }
        }
    }
    for label in grouping.iter().filter(|label| !OF_TARGETS.contains(&label.as_str())) {
        let is_of_one = selectors.iter().any(|it| reference.has(&it.metric, label, None));
        assert!(is_of_one, "{place}: nothing in it has the label {label}");
    }
}

/// The values that a matcher names; none of a pattern that could mean others.
fn alternatives<'v>(operator: &str, value: &'v str) -> Vec<&'v str> {
    if !operator.contains('~') {
        return vec![value];
    }
    value.split('|').filter(|value| !value.contains(['.', '*', '+', '$', '['])).collect()
}

fn read(expression: &str) -> Named {
    let mut named = Named::default();
    let mut rest = expression.trim_start();
    // Each round takes a token off.
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' {
            rest = read_word(rest, &mut named);
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if first == '[' {
            rest = rest.split_once(']').expect("a closed range").1;
        } else {
            assert_ne!(first, '"', "a text outside of braces: {expression}");
            rest = &rest[first.len_utf8()..];
        }
        rest = rest.trim_start();
    }
    named
}

fn read_word<'e>(text: &'e str, named: &mut Named) -> &'e str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    let rest = rest.trim_start();
    if GROUPING.contains(&word) {
        let Some(list) = rest.strip_prefix('(') else { return rest };
        let (labels, rest) = list.split_once(')').expect("a closed list of labels");
        named.grouping.extend(labels.split(',').map(|label| label.trim().to_owned()));
        return rest;
    }
    if OPERATORS.contains(&word) || rest.starts_with('(') {
        return rest;
    }
    // `sum by (label) (...)`: the word before the grouping is no metric.
    if GROUPING.iter().any(|grouping| starts_with_word(rest, grouping)) && !rest.starts_with('{') {
        let is_aggregation = matches!(word, "sum" | "max" | "min" | "avg" | "count" | "topk");
        if is_aggregation {
            return rest;
        }
    }
    let mut selector = Selector { metric: word.to_owned(), matchers: Vec::new() };
    let Some(matchers) = rest.strip_prefix('{') else {
        named.selectors.push(selector);
        return rest;
    };
    let rest = read_matchers(matchers, &mut selector);
    named.selectors.push(selector);
    rest
}

fn read_matchers<'e>(text: &'e str, selector: &mut Selector) -> &'e str {
    let mut rest = text.trim_start();
    while !rest.starts_with('}') {
        let (label, after) = rest.split_at(rest.find(['=', '!']).expect("an operator"));
        let (operator, after) = after.split_at(after.find('"').expect("a value"));
        let (value, after) = after[1..].split_once('"').expect("a closed value");
        let matcher = (label.trim().to_owned(), operator.trim().to_owned(), value.to_owned());
        selector.matchers.push(matcher);
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    &rest[1..]
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

#[test]
fn an_expression_is_read_as_prometheus_reads_it() {
    let read = read(
        r#"histogram_quantile(0.9, sum by (le) (rate(a_bucket{x="1",y=~"b|c"}[5m]))) > 1e3
           or time() - z > 180 * 86400 and on (job) up == 0"#,
    );
    let owned = |(label, operator, value): (&str, &str, &str)| {
        (label.to_owned(), operator.to_owned(), value.to_owned())
    };
    let selector = |metric: &str, matchers: &[(&str, &str, &str)]| Selector {
        metric: metric.to_owned(),
        matchers: matchers.iter().copied().map(owned).collect(),
    };
    let a = selector("a_bucket", &[("x", "=", "1"), ("y", "=~", "b|c")]);
    assert_eq!(read.selectors, [a, selector("z", &[]), selector("up", &[])]);
    assert_eq!(read.grouping, ["le", "job"]);
}

#[test]
fn what_there_is_not_is_found() {
    let reference = Reference::read();
    for wrong in [
        "nightlatch_redy == 0",
        r#"rate(nightlatch_logins_total{result="success"}[5m])"#,
        r#"rate(nightlatch_logins_total{outcome="succes"}[5m])"#,
        r#"rate(nightlatch_logins_total{outcome=~"success|bussy"}[5m])"#,
        "sum by (endpoint) (rate(nightlatch_logins_total[5m]))",
        "rate(nightlatch_hash_wait_seconds[5m])",
        "1 + 1",
    ] {
        let checked = std::panic::catch_unwind(|| check(&reference, "here", wrong));
        assert!(checked.is_err(), "{wrong}");
    }
}
