//! Writes the text format of Prometheus.

use std::fmt::{self, Display, Formatter, Write};

use super::catalogue::{Metric, MetricType};

/// Metrics in the text format of Prometheus, version 0.0.4. The samples of a metric are written
/// together, after its description.
///
/// ```
/// use poolder_core::metrics::{MetricsText, catalogue};
///
/// let mut text = MetricsText::default();
/// text.describe(&catalogue::QUEUE_PAUSED);
/// text.sample(&["shop", "mail"], 1);
/// assert!(text.finish().ends_with("poolder_queue_paused{namespace=\"shop\",queue=\"mail\"} 1\n"));
/// ```
#[derive(Debug, Default)]
pub struct MetricsText {
    text: String,
    metric: Option<&'static Metric>,
}

impl MetricsText {
    /// Begins a metric. Each metric of a text begins once.
    pub fn describe(&mut self, metric: &'static Metric) {
        let Metric { name, help, .. } = metric;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {}", Escaped { text: help, is_label: false });
        let _ = writeln!(self.text, "# TYPE {name} {}", metric.metric_type.as_str());
        self.metric = Some(metric);
    }

    /// Writes a sample of the metric: the values of its labels, in their order, and its value. A
    /// label with an empty value is left out, which means the same.
    pub fn sample(&mut self, labels: &[&str], value: impl SampleValue) {
        self.line("", labels, None, value);
    }

    /// Writes a histogram of the metric. `buckets` has the upper bound of each bucket in seconds,
    /// in ascending order, with the number of observations up to it; `count` is the number of all
    /// observations, and `sum` their sum in seconds.
    pub fn histogram(&mut self, labels: &[&str], buckets: &[(f64, u64)], count: u64, sum: f64) {
        for (bound, below) in buckets {
            self.line("_bucket", labels, Some(&bound.to_string()), *below);
        }
        self.line("_bucket", labels, Some("+Inf"), count);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
    }

    /// Adds the metrics of another text. The two have no metric in common.
    pub fn append(&mut self, other: &str) {
        self.text.push_str(other);
    }

    /// Returns the text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[&str], le: Option<&str>, value: impl SampleValue) {
        let Some(metric) = self.metric else {
            debug_assert!(false, "a sample has a metric");
            return;
        };
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        debug_assert!(
            suffix.is_empty() != (metric.metric_type == MetricType::Histogram),
            "{}",
            metric.name
        );
        let _ = write!(self.text, "{}{suffix}", metric.name);
        let labels = metric.labels.iter().zip(labels).map(|(name, value)| (*name, *value));
        let mut separator = '{';
        for (name, value) in labels.chain(le.map(|le| ("le", le))) {
            if !value.is_empty() {
                let _ = write!(
                    self.text,
                    "{separator}{name}=\"{}\"",
                    Escaped { text: value, is_label: true }
                );
                separator = ',';
            }
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        value.write(&mut self.text);
        self.text.push('\n');
    }
}

/// A value of a sample.
pub trait SampleValue: Copy {
    /// Writes the value.
    fn write(&self, text: &mut String);
}

/// Writes whole numbers as they are.
macro_rules! whole {
    ($($number:ty),*) => {$(
        impl SampleValue for $number {
            fn write(&self, text: &mut String) {
                let _ = write!(text, "{self}");
            }
        }
    )*};
}

whole!(u16, u32, u64, usize, i32);

impl SampleValue for f64 {
    fn write(&self, text: &mut String) {
        let _ = match *self {
            Self::INFINITY => text.write_str("+Inf"),
            Self::NEG_INFINITY => text.write_str("-Inf"),
            value => write!(text, "{value}"),
        };
    }
}

/// A text with escaped line breaks and backslashes, and, in a label, quotes.
struct Escaped<'a> {
    text: &'a str,
    is_label: bool,
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.text.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '"' if self.is_label => f.write_str("\\\""),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;

    fn written(write: impl FnOnce(&mut MetricsText)) -> String {
        let mut text = MetricsText::default();
        write(&mut text);
        text.finish()
    }

    #[test]
    fn a_metric_is_described_once_and_its_samples_follow() {
        let text = written(|text| {
            text.describe(&catalogue::QUEUE_PAUSED);
            text.sample(&["shop", "mail"], 0);
            text.sample(&["shop", "sms"], 1);
        });
        assert_eq!(
            text,
            "# HELP poolder_queue_paused 1 while the queue is paused.\n\
             # TYPE poolder_queue_paused gauge\n\
             poolder_queue_paused{namespace=\"shop\",queue=\"mail\"} 0\n\
             poolder_queue_paused{namespace=\"shop\",queue=\"sms\"} 1\n"
        );
    }

    #[test]
    fn labels_are_escaped_and_empty_ones_left_out() {
        let text = written(|text| {
            text.describe(&catalogue::QUEUE_PAUSED);
            text.sample(&["a\"b\\c\nd", "käse"], 1);
            text.sample(&["", ""], 1);
            text.sample(&["", "q"], 1);
        });
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                r#"poolder_queue_paused{namespace="a\"b\\c\nd",queue="käse"} 1"#,
                "poolder_queue_paused 1",
                r#"poolder_queue_paused{queue="q"} 1"#,
            ]
        );
    }

    #[test]
    fn values_are_written_as_prometheus_reads_them() {
        let text = written(|text| {
            text.describe(&catalogue::QUEUE_DRAIN_SECONDS);
            for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.5, 1e-7, 3.0] {
                text.sample(&["", ""], value);
            }
            text.sample(&["", ""], u64::MAX);
        });
        let values: Vec<&str> =
            text.lines().skip(2).filter_map(|line| line.split(' ').nth(1)).collect();
        assert_eq!(
            values,
            ["+Inf", "-Inf", "NaN", "0.5", "0.0000001", "3", "18446744073709551615"]
        );
    }

    #[test]
    fn a_histogram_ends_with_all_its_observations() {
        let text = written(|text| {
            text.describe(&catalogue::ATTEMPT_DURATION);
            text.histogram(
                &["mail", "welcome"],
                &[(0.001_024, 2), (8_589.934_592, 5)],
                6,
                10_000.5,
            );
        });
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let name = "poolder_attempt_duration_seconds";
        let labels = "queue=\"mail\",kind=\"welcome\"";
        assert_eq!(
            lines,
            [
                format!("{name}_bucket{{{labels},le=\"0.001024\"}} 2"),
                format!("{name}_bucket{{{labels},le=\"8589.934592\"}} 5"),
                format!("{name}_bucket{{{labels},le=\"+Inf\"}} 6"),
                format!("{name}_sum{{{labels}}} 10000.5"),
                format!("{name}_count{{{labels}}} 6"),
            ]
        );
    }
}
