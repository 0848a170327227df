//! The metrics that documents, dashboard, alerts and autoscaler name are those that are exported.

use std::collections::BTreeSet;

use poolder_core::metrics::Metric;
use poolder_core::metrics::catalogue::ALL;

use crate::{none, read, root};

/// The files that name metrics.
const FILES: &[&str] = &[
    "deploy/grafana.json",
    "deploy/alerts.yml",
    "deploy/keda.yaml",
    "deploy/kubernetes.yaml",
    "docs/alerts.md",
    "docs/metrics.md",
];

/// Labels that Prometheus adds to samples.
const ADDED: &[&str] = &["le", "job", "instance"];

#[test]
fn every_metric_is_described_as_the_code_describes_it() {
    let document = read(&root().join("docs/metrics.md"));
    let row = |metric: &&&Metric| {
        let Metric { name, metric_type, labels, help, .. } = metric;
        format!("| `{name}` | {} | {} | {help} |", metric_type.as_str(), labels.join(", "))
    };
    let missing = ALL.iter().map(|metric| row(&metric)).filter(|row| !document.contains(row));
    none(&missing.map(|row| format!("docs/metrics.md must say: {row}")).collect::<Vec<_>>());
    let rows = document.lines().filter(|line| line.starts_with("| `poolder_")).count();
    assert_eq!(rows, ALL.len(), "docs/metrics.md describes a metric that is not exported");
}

#[test]
fn every_metric_that_a_file_names_is_exported_with_the_labels_that_it_uses() {
    let (mut wrong, mut seen) = (vec![], BTreeSet::new());
    for file in FILES {
        let text = read(&root().join(file)).replace("\\\"", "\"");
        for (name, rest) in names(&text) {
            let Some(metric) = metric_of(name) else {
                wrong.push(format!("{file} names {name}, which is not exported"));
                continue;
            };
            seen.insert(metric.name);
            for label in selected(rest).into_iter().filter(|label| !ADDED.contains(label)) {
                if !metric.labels.contains(&label) {
                    wrong.push(format!("{file}: {name} has no label {label}"));
                }
            }
        }
    }
    none(&wrong);
    let unused = ALL.iter().filter(|metric| !seen.contains(metric.name)).count();
    assert_eq!(unused, 0, "every metric is named at least by its document");
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let rules = read(&root().join("deploy/alerts.yml"));
    let book = read(&root().join("docs/alerts.md"));
    let anchor = |title: &str| title.to_lowercase().replace(' ', "-");
    let sections: BTreeSet<String> =
        book.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    let runbooks: BTreeSet<String> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook: docs/alerts.md#"))
        .map(str::to_owned)
        .collect();
    assert_eq!(runbooks, sections);
    assert_eq!(rules.matches("- alert: ").count(), runbooks.len());
}

/// Returns the names of metrics in a text, each with the text behind it. Names that only begin like
/// metrics, such as those of packages, have no second underscore or are followed by another sign.
fn names(text: &str) -> Vec<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = vec![];
    for (at, _) in text.match_indices("poolder_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let begins = !text[..at].ends_with(is_part);
        if begins && end > "poolder_".len() {
            found.push((&rest[..end], &rest[end..]));
        }
    }
    found
}

/// Returns the metric of a name, which may be a part of a histogram.
fn metric_of(name: &str) -> Option<&'static Metric> {
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part));
    let all = || ALL.iter().copied();
    all().find(|metric| metric.name == name).or_else(|| {
        let is_histogram = |metric: &&Metric| metric.metric_type.as_str() == "histogram";
        all().filter(is_histogram).find(|metric| Some(metric.name) == base)
    })
}

/// Returns the labels of a selector, if the text begins with one.
fn selected(text: &str) -> Vec<&str> {
    let Some(inside) = text.strip_prefix('{').and_then(|text| text.split('}').next()) else {
        return vec![];
    };
    // The values between quotes may contain any sign.
    inside.split('"').step_by(2).filter_map(label).collect()
}

/// Returns the label before a value of a selector.
fn label(part: &str) -> Option<&str> {
    let name = part.trim_start_matches(',').split(['=', '!']).next()?;
    let is_label = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    (is_label && !name.is_empty()).then_some(name)
}

#[test]
fn names_and_labels_are_found() {
    let text =
        "sum(poolder_queue_jobs{state=\"ready\",queue=~\"a|b}\"}) / my_poolder_x poolder_nodes";
    let found = names(text);
    assert_eq!(
        found.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["poolder_queue_jobs", "poolder_nodes"]
    );
    assert_eq!(selected(found[0].1), ["state", "queue"]);
    assert!(metric_of("poolder_queue_jobs_bucket").is_none() && metric_of("poolder_x").is_none());
}
