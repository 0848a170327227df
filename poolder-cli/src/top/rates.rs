//! Rates of a queue, from its counters in several looks.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use poolder_client::Flow;
use poolder_core::view::QueueView;

/// The number of looks that are kept for each queue: a minute.
const KEPT: usize = 60;
/// The time over which a rate is taken, in ms.
const SPAN: i64 = 5_000;
/// The time over which the flow of a queue is taken.
const FLOW_SPAN: Duration = Duration::from_secs(10);

/// The counters of a queue in one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    /// The time of the look, in ms, by the server's clock.
    pub(super) at: i64,
    /// Jobs that were completed.
    pub(super) done: u64,
    /// Attempts that failed, and jobs that died.
    pub(super) failed: u64,
}

/// The rates of a queue, per second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rate {
    pub(super) done: f64,
    pub(super) failed: f64,
}

/// The counters of all queues over the last minute, and their overviews over the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rates {
    queues: HashMap<String, VecDeque<Point>>,
    views: HashMap<String, VecDeque<QueueView>>,
}

impl Rates {
    /// Adds a look. A counter that went back is that of a server that has lost its data, and begins
    /// anew.
    pub(super) fn add(&mut self, queue: &str, point: Point) {
        let points = self.queues.entry(queue.to_owned()).or_default();
        let went_back = |last: &Point| {
            point.done < last.done || point.failed < last.failed || point.at < last.at
        };
        if points.back().is_some_and(went_back) {
            points.clear();
        }
        if points.len() == KEPT {
            points.pop_front();
        }
        points.push_back(point);
    }

    /// Adds the overview of a queue.
    pub(super) fn see(&mut self, view: &QueueView) {
        let views = self.views.entry(view.queue.to_string()).or_default();
        if views.back().is_some_and(|last| last.now > view.now) {
            views.clear();
        }
        views.push_back(view.clone());
        let is_old = |first: &QueueView| view.now.since(first.now) > FLOW_SPAN;
        while views.len() > 2 && views.front().is_some_and(is_old) {
            views.pop_front();
        }
    }

    /// Returns the flow of a queue over the last seconds; `None` before the second look.
    pub(super) fn flow(&self, queue: &str) -> Option<Flow> {
        let views = self.views.get(queue)?;
        Flow::between(views.front()?, views.back()?)
    }

    /// Forgets the queues that are not in use any more.
    pub(super) fn keep(&mut self, is_used: impl Fn(&str) -> bool) {
        self.queues.retain(|queue, _| is_used(queue));
        self.views.retain(|queue, _| is_used(queue));
    }

    /// Returns the rates over the last seconds; `None` before the second look.
    pub(super) fn rate(&self, queue: &str) -> Option<Rate> {
        let points = self.queues.get(queue)?;
        let last = points.back()?;
        let first = points.iter().find(|point| last.at - point.at <= SPAN)?;
        between(first, last)
    }

    /// Returns a line of this many columns with the rate of completed jobs of the last minute, the
    /// last look to the right.
    pub(super) fn line(&self, queue: &str, columns: usize) -> String {
        let points = self.queues.get(queue).into_iter().flatten();
        let pairs = points.clone().zip(points.skip(1));
        let rates: Vec<f64> =
            pairs.map(|(first, last)| between(first, last).unwrap_or_default().done).collect();
        bars(&rates, columns)
    }
}

fn between(first: &Point, last: &Point) -> Option<Rate> {
    let ms = u32::try_from(last.at - first.at).ok().filter(|ms| *ms > 0)?;
    let per_second = |count: u64| count as f64 * 1_000.0 / f64::from(ms);
    Some(Rate {
        done: per_second(last.done - first.done),
        failed: per_second(last.failed - first.failed),
    })
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns the last values as bars, each column the mean of some of them.
fn bars(values: &[f64], columns: usize) -> String {
    let each = KEPT.div_ceil(columns.max(1));
    let chunks: Vec<f64> = values
        .rchunks(each)
        .take(columns)
        .map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64)
        .collect();
    let most = chunks.iter().copied().fold(0.0, f64::max);
    let bar = |value: &f64| {
        let part = if most > 0.0 { value / most } else { 0.0 };
        BARS[((part * 7.0).round() as usize).min(7)]
    };
    let line: String = chunks.iter().rev().map(bar).collect();
    format!("{line:>columns$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_taken_over_the_last_seconds() {
        let mut rates = Rates::default();
        let add = |rates: &mut Rates, at, done, failed| rates.add("q", Point { at, done, failed });
        add(&mut rates, 0, 100, 0);
        assert_eq!(rates.rate("q"), None);
        add(&mut rates, 1_000, 110, 0);
        assert_eq!(rates.rate("q"), Some(Rate { done: 10.0, failed: 0.0 }));
        add(&mut rates, 6_000, 210, 5);
        assert_eq!(rates.rate("q"), Some(Rate { done: 20.0, failed: 1.0 }));
        assert_eq!(rates.line("q", 5), "    █");
        // The server has lost its data.
        add(&mut rates, 7_000, 3, 0);
        assert_eq!(rates.rate("q"), None);
        rates.keep(|_| false);
        assert!(rates.queues.is_empty());
        assert_eq!(rates.rate("q"), None);
        assert_eq!(rates.line("q", 3), "   ");
    }

    #[test]
    fn a_minute_is_kept_and_an_idle_queue_is_a_flat_line() {
        let mut rates = Rates::default();
        for at in 0..200 {
            rates.add("q", Point { at: at * 1_000, done: 7, failed: 0 });
        }
        assert_eq!(rates.queues["q"].len(), KEPT);
        assert_eq!(rates.line("q", 10), "▁▁▁▁▁▁▁▁▁▁");
        assert_eq!(rates.rate("q"), Some(Rate::default()));
    }
}
