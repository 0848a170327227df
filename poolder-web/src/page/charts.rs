//! The charts of pages: jobs per second, how long jobs waited and ran, and how often an error was
//! seen.

use poolder_core::Timestamp;
use poolder_core::history::History;

use super::marks::with_events;
use crate::look::{Events, Past};
use crate::show::{Chart, Line, Scale, span};

/// Returns a chart without marks.
fn chart(
    (id, title): (&'static str, String),
    past: &Past,
    scale: Scale,
    lines: impl IntoIterator<Item = (&'static str, char, Vec<f64>)>,
) -> Chart {
    let line = |(name, colour, values)| Line { name, colour, values };
    let lines = lines.into_iter().map(line).collect();
    let (from, step) = (past.from, past.step);
    Chart { id, title, from, step, scale, lines, marks: vec![], events: vec![] }
}

/// Returns the chart of jobs per second, with deploys and deaths of nodes as marks.
pub(super) fn throughput(past: &Past, events: &Events) -> Chart {
    let lines = [
        ("done", '1', past.rates(|point| point.attempts.done)),
        ("failed attempts, own scale", 'b', past.rates(|point| point.attempts.failures())),
    ];
    with_events(chart(("chart-done", "Jobs per second".into()), past, Scale::Rate, lines), events)
}

/// Returns the chart of the times for which jobs waited for a slot, with the same marks.
pub(super) fn waits(past: &Past, events: &Events) -> Chart {
    let lines = [
        ("p50", '2', past.values(|point| point.wait.p50)),
        ("p95", '3', past.values(|point| point.wait.p95)),
        ("p99", '4', past.values(|point| point.wait.p99)),
    ];
    with_events(chart(("chart-wait", "Wait for a slot".into()), past, Scale::Times, lines), events)
}

/// Returns the chart of the times for which attempts ran.
pub(super) fn runs(past: &Past, title: &str) -> Chart {
    let lines = [
        ("p50", '2', past.values(|point| point.run.p50)),
        ("p95", '3', past.values(|point| point.run.p95)),
    ];
    chart(("chart-run", title.to_owned()), past, Scale::Times, lines)
}

/// Returns the chart of how often an error was seen, with deploys and deaths of nodes as marks:
/// `counts` has the periods in which it was.
pub(super) fn errors(counts: &[(Timestamp, u64)], history: &History, events: &Events) -> Chart {
    let past = Past::of(history, None);
    let mut values = past.values(|_| 0);
    for (at, count) in counts {
        let period = at.since(past.from).as_millis() / past.step.as_millis().max(1);
        if let Some(value) = usize::try_from(period).ok().and_then(|at| values.get_mut(at)) {
            *value += *count as f64;
        }
    }
    let title = format!("Seen every {}", span(past.step));
    let seen = [("seen", 'b', values)];
    with_events(chart(("chart-seen", title), &past, Scale::Rate, seen), events)
}
