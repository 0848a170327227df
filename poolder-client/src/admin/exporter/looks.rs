//! Earlier looks at the queues, from which rates come.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use poolder_core::QueueName;
use poolder_core::view::QueueView;

use crate::admin::forecast::Flow;

/// The time over which rates are measured.
const WINDOW: Duration = Duration::from_secs(300);
/// The least time between two looks that are kept.
const STEP: Duration = Duration::from_secs(10);

/// The looks of the last five minutes, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Looks(VecDeque<BTreeMap<QueueName, QueueView>>);

impl Looks {
    /// Returns the flow of a queue since the oldest look that is not older than five minutes, and
    /// `None` when there is none.
    pub(super) fn flow(&self, view: &QueueView) -> Option<Flow> {
        let earlier = self.0.iter().filter_map(|look| look.get(&view.queue));
        let mut recent = earlier.filter(|earlier| view.now.since(earlier.now) <= WINDOW);
        Flow::between(recent.next()?, view)
    }

    /// Keeps a look at the queues, unless the last one is too recent, and forgets those that are
    /// too old.
    pub(super) fn keep(&mut self, views: &[QueueView]) {
        let Some(now) = views.iter().map(|view| view.now).max() else { return };
        let newest = |look: &BTreeMap<_, QueueView>| look.values().map(|view| view.now).max();
        if self.0.back().and_then(newest).is_some_and(|last| now.since(last) < STEP) {
            return;
        }
        while self.0.front().and_then(newest).is_some_and(|first| now.since(first) > WINDOW) {
            self.0.pop_front();
        }
        let without_partitions = |view: &QueueView| {
            let mut view = view.clone();
            view.partitions.clear();
            (view.queue.clone(), view)
        };
        self.0.push_back(views.iter().map(without_partitions).collect());
    }
}
