//! The two charts of a page: jobs per second, and how long jobs waited.

use poolder_core::Timestamp;
use poolder_core::broker::DeployMark;
use poolder_core::history::History;

use crate::look::Past;
use crate::show::{Chart, Line, Mark, Scale, span};

/// Returns the chart of jobs per second, with deploys as marks.
pub(super) fn throughput(past: &Past, deploys: &[DeployMark]) -> Chart {
    Chart {
        id: "chart-done",
        title: "Jobs per second".into(),
        from: past.from,
        step: past.step,
        scale: Scale::Rate,
        lines: vec![
            Line { name: "done", colour: '1', values: past.rates(|point| point.attempts.done) },
            Line {
                name: "failed attempts, own scale",
                colour: 'b',
                values: past.rates(|point| point.attempts.failures()),
            },
        ],
        marks: marks(past, deploys),
    }
}

/// Returns the chart of the times for which jobs waited for a slot.
pub(super) fn waits(past: &Past, deploys: &[DeployMark]) -> Chart {
    let line = |name, colour, values| Line { name, colour, values };
    Chart {
        id: "chart-wait",
        title: "Wait for a slot".into(),
        from: past.from,
        step: past.step,
        scale: Scale::Times,
        lines: vec![
            line("p50", '2', past.values(|point| point.wait.p50)),
            line("p95", '3', past.values(|point| point.wait.p95)),
            line("p99", '4', past.values(|point| point.wait.p99)),
        ],
        marks: marks(past, deploys),
    }
}

/// Returns the chart of the times for which attempts ran.
pub(super) fn runs(past: &Past, title: &str) -> Chart {
    let line = |name, colour, values| Line { name, colour, values };
    Chart {
        id: "chart-run",
        title: title.to_owned(),
        from: past.from,
        step: past.step,
        scale: Scale::Times,
        lines: vec![
            line("p50", '2', past.values(|point| point.run.p50)),
            line("p95", '3', past.values(|point| point.run.p95)),
        ],
        marks: vec![],
    }
}

/// Returns the chart of how often an error was seen, with deploys as marks: `counts` has the periods
/// in which it was.
pub(super) fn errors(
    counts: &[(Timestamp, u64)],
    history: &History,
    deploys: &[DeployMark],
) -> Chart {
    let past = Past::of(history, None);
    let mut values = past.values(|_| 0);
    for (at, count) in counts {
        let period = at.since(past.from).as_millis() / past.step.as_millis().max(1);
        if let Some(value) = usize::try_from(period).ok().and_then(|at| values.get_mut(at)) {
            *value += *count as f64;
        }
    }
    Chart {
        id: "chart-seen",
        title: format!("Seen every {}", span(past.step)),
        from: past.from,
        step: past.step,
        scale: Scale::Rate,
        lines: vec![Line { name: "seen", colour: 'b', values }],
        marks: marks(&past, deploys),
    }
}

/// The most deploys that a chart names.
const DEPLOYS: usize = 6;

/// Returns the deploys since the beginning of a chart. Those that lie too close together to be read
/// share a mark.
fn marks(past: &Past, deploys: &[DeployMark]) -> Vec<Mark> {
    let close = past.step * 4;
    let mut marks: Vec<Mark> = vec![];
    for deploy in deploys.iter().filter(|deploy| deploy.first_seen > past.from) {
        match marks.last_mut().filter(|last| deploy.first_seen.since(last.at) < close) {
            Some(last) => last.text += &format!(", {}", deploy.deploy),
            None => {
                let text = format!("deploy {}", deploy.deploy);
                marks.push(Mark { at: deploy.first_seen, text });
            }
        }
    }
    marks.split_off(marks.len().saturating_sub(DEPLOYS))
}
