//! The exporter of a namespace.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use poolder_core::metrics::MetricsText;
use poolder_core::{Error, Timestamp};
use serde::Serialize;
use tokio::sync::Mutex;

use super::looks::Looks;
use super::reading::Reading;
use super::render::{Slots, last_success, render, slots_by_queue};
use crate::admin::forecast::Drain;
use crate::client::Client;

/// The time for which a text is served again without reading the servers.
const FRESH: Duration = Duration::from_secs(1);
/// The longest time of a reading.
const LIMIT: Duration = Duration::from_secs(10);

/// Exports the metrics of a namespace in the text format of Prometheus: its queues, nodes,
/// schedules and servers. Made by [`Client::metrics`]; `poolder metrics` serves it.
///
/// Keep one and ask it again and again: rates, such as when a queue is drained, come from the looks
/// of the last five minutes. The servers are read at most once a second, however often it is asked,
/// in a bounded number of requests and within ten seconds. Texts have at most 1,000 queues, nodes
/// and schedules each; `poolder_exporter_left_out` counts the others.
///
/// ```no_run
/// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
/// let metrics = client.metrics();
/// println!("{}", metrics.text().await?);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct NamespaceMetrics {
    client: Client,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    read: Option<Instant>,
    text: String,
    loads: Vec<QueueLoad>,
    looks: Looks,
    /// The dead nodes of the last reading; `None` before the first one.
    dead: Option<BTreeSet<String>>,
    died: u64,
    succeeded: Option<Timestamp>,
}

/// The load of a queue, for an autoscaler. Serialized with the time to drain in milliseconds, 0
/// for an empty queue, and `null` for one that is never drained or of which too little is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QueueLoad {
    /// The queue.
    pub queue: String,
    /// The number of jobs that wait for a free slot.
    pub waiting: u64,
    /// The number of jobs that run.
    pub running: u64,
    /// The slots of living nodes that serve the queue.
    pub slots: u64,
    /// The slots that would run what comes into the queue and clear what waits within a minute; at
    /// least 1 while a job waits or runs.
    pub slots_wanted: u64,
    /// When no job waits any more; `None` while too little is known.
    pub drains: Option<Drain>,
}

impl Client {
    /// Returns an exporter of the metrics of the namespace.
    #[must_use]
    pub fn metrics(&self) -> NamespaceMetrics {
        NamespaceMetrics { client: self.clone(), state: Mutex::default() }
    }
}

impl NamespaceMetrics {
    /// Returns the metrics. `docs/metrics.md` describes them.
    ///
    /// # Errors
    /// Returns an error when a server does not answer or refuses a command, and
    /// [`Error::is_timeout`] when the reading takes more than 10 s. Serve
    /// [`NamespaceMetrics::blind_text`] then, and try again with the next scrape.
    pub async fn text(&self) -> Result<String, Error> {
        let mut state = self.state.lock().await;
        self.refresh(&mut state).await?;
        Ok(state.text.clone())
    }

    /// Returns the load of a queue; `None` when the namespace has no queue of this name.
    ///
    /// # Errors
    /// As [`NamespaceMetrics::text`].
    pub async fn load(&self, queue: &str) -> Result<Option<QueueLoad>, Error> {
        let mut state = self.state.lock().await;
        self.refresh(&mut state).await?;
        Ok(state.loads.iter().find(|load| load.queue == queue).cloned())
    }

    /// Returns the text for a scrape that could not read everything: only when the exporter last
    /// could. Old numbers would look like a quiet system.
    pub async fn blind_text(&self) -> String {
        let mut text = MetricsText::default();
        last_success(
            &mut text,
            self.client.broker().namespace(),
            self.state.lock().await.succeeded,
        );
        text.finish()
    }

    async fn refresh(&self, state: &mut State) -> Result<(), Error> {
        if state.read.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let late = |_| Error::timeout(format!("the metrics could not be read within {LIMIT:?}"));
        let reading = Box::pin(Reading::of(&self.client));
        let reading = tokio::time::timeout(LIMIT, reading).await.map_err(late)??;
        state.take(self.client.broker().namespace(), &reading);
        Ok(())
    }
}

impl State {
    /// Takes in a reading.
    fn take(&mut self, namespace: &str, reading: &Reading) {
        let there = slots_by_queue(reading);
        let slots = |view: &_| {
            let view: &poolder_core::view::QueueView = view;
            let there = there.get(view.queue.as_str()).copied().unwrap_or(0);
            Slots::of(view, there, self.looks.flow(view))
        };
        let slots: Vec<Slots> = reading.queues.iter().map(slots).collect();
        self.looks.keep(&reading.queues);
        let dead: BTreeSet<String> = reading.dead.iter().cloned().collect();
        if let Some(known) = &self.dead {
            self.died += dead.difference(known).count() as u64;
        }
        self.dead = Some(dead);
        self.text = render(namespace, reading, &slots, self.died);
        let load = |(view, slots): (&poolder_core::view::QueueView, &Slots)| QueueLoad {
            queue: view.queue.to_string(),
            waiting: view.ready(),
            running: view.running(),
            slots: slots.there,
            slots_wanted: slots.wanted,
            drains: slots.drains,
        };
        self.loads = reading.queues.iter().zip(&slots).map(load).collect();
        (self.read, self.succeeded) = (Some(Instant::now()), Some(reading.now));
    }
}
