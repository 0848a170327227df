//! Rates of queues, from the counters in several looks.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use poolder_client::Flow;
use poolder_core::view::QueueView;

/// The time over which a rate is taken.
const SPAN: Duration = Duration::from_secs(10);
/// The most looks that are kept of a queue.
const KEPT: usize = 16;

/// The last looks at each queue.
#[derive(Debug, Default)]
pub(super) struct Rates {
    queues: HashMap<String, VecDeque<QueueView>>,
}

/// The rates of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Jobs that were completed, per second.
    pub(crate) done: f64,
    /// The jobs that come and go, for forecasts.
    pub(crate) flow: Flow,
}

impl Rates {
    /// Adds a look at all queues, and returns the rates of those that were looked at before.
    pub(super) fn add(&mut self, views: &[QueueView]) -> HashMap<String, Rate> {
        self.queues.retain(|name, _| views.iter().any(|view| view.queue.as_str() == name));
        let mut rates = HashMap::new();
        for view in views {
            let looks = self.queues.entry(view.queue.to_string()).or_default();
            // Counters that went back are those of a server that has lost its data.
            let went_back = |last: &QueueView| {
                last.now > view.now || last.counter("completed") > view.counter("completed")
            };
            if looks.back().is_some_and(went_back) {
                looks.clear();
            }
            while looks.front().is_some_and(|first| view.now.since(first.now) > SPAN)
                || looks.len() >= KEPT
            {
                looks.pop_front();
            }
            if let Some(first) = looks.front()
                && let Some(flow) = Flow::between(first, view)
            {
                let done = view.counter("completed").saturating_sub(first.counter("completed"));
                let seconds = view.now.since(first.now).as_secs_f64();
                rates.insert(view.queue.to_string(), Rate { done: done as f64 / seconds, flow });
            }
            // Of the looks before only the numbers are needed.
            let mut kept = view.clone();
            kept.partitions.clear();
            looks.push_back(kept);
        }
        rates
    }
}
