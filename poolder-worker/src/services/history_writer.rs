//! Adds the counts of the node to the history in Redis: once a minute, and every few seconds while
//! the history is watched. The counts of a flush whose reply is lost are not sent again: a history
//! may lack them, and never has them twice.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolder_core::broker::{Broker, Flushed, HistoryDelta};
use poolder_core::history::{Counts, HistoryStep, JournalEvent, JournalRecord, KindSums, Period};
use poolder_core::{Error, Timestamp};
use tokio::sync::watch;

use super::node_context::NodeContext;
use super::queue_sampler;
use crate::process::journal::Journal;
use crate::process::liveness::{NodeIdentity, ServerClock};
use crate::process::meter::Meter;
use crate::process::outages::Outages;

/// Nodes flush in the last seconds of a minute, each at another time of these.
const SPREAD: Duration = Duration::from_secs(4);
/// The time before the end of a minute at which the first nodes flush.
const BEFORE_END: Duration = Duration::from_secs(5);
/// The least time between two flushes.
const SHORTEST: Duration = Duration::from_secs(2);

/// The parts of the history that a node adds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryOptions {
    /// False when the node adds nothing.
    pub(crate) keep: bool,
    /// False when the messages of errors are left out.
    pub(crate) keep_samples: bool,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self { keep: true, keep_samples: true }
    }
}

/// The queue and the kind of a series.
type SeriesKey = (Arc<str>, Arc<str>);

/// Adds the counts of a node to the history.
pub(crate) struct HistoryWriter {
    broker: Broker,
    meter: Arc<Meter>,
    clock: Arc<ServerClock>,
    outages: Arc<Outages>,
    journal: Journal,
    identity: watch::Receiver<NodeIdentity>,
    deploy: String,
    /// False when the messages of errors are left out.
    keep_samples: bool,
    /// The counts of each queue and kind that were sent.
    sent: Mutex<HashMap<SeriesKey, KindSums>>,
}

impl HistoryWriter {
    pub(crate) fn new(node: &NodeContext, deploy: String, keep_samples: bool) -> Self {
        Self {
            broker: node.client.broker().clone(),
            meter: Arc::clone(&node.meter),
            clock: Arc::clone(&node.clock),
            outages: Arc::clone(&node.outages),
            journal: node.journal.clone(),
            identity: node.identity.clone(),
            deploy,
            keep_samples,
            sent: Mutex::default(),
        }
    }

    /// Adds the counts since the last flush to the history.
    pub(crate) async fn flush(&self) -> Result<Flushed, Error> {
        let delta = self.take_delta();
        self.broker.flush_history(&delta, self.clock.now()).await
    }

    /// Returns the counts since the last call, which count as sent from now on.
    fn take_delta(&self) -> HistoryDelta {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delta = HistoryDelta::default();
        for read in self.meter.read() {
            for kind in read.kinds {
                let before = sent.entry((Arc::clone(&read.queue), Arc::clone(&kind.kind)));
                let before = before.or_default();
                if *before == kind.sums {
                    continue;
                }
                let counts = Counts::of(&kind.sums.since(before));
                delta.kinds.push((read.queue.to_string(), kind.kind.to_string(), counts));
                *before = kind.sums;
            }
        }
        delta.errors = self.meter.take_errors();
        let node = self.identity.borrow().name.clone();
        for (_, _, sample) in &mut delta.errors {
            (sample.node, sample.deploy) = (node.to_string(), self.deploy.clone());
            if !self.keep_samples {
                sample.message.clear();
            }
        }
        delta
    }
}

pub(super) async fn run(writer: Arc<HistoryWriter>) {
    let (mut rolled, mut marked, mut sampled) = (None, false, None);
    let random = RandomState::new().hash_one(0);
    loop {
        let flushed = writer.flush().await;
        if let Err(error) = &flushed {
            let request = "the history lacks the counts of a flush";
            writer.outages.failed(&"history", request, error);
        }
        if let (Ok(flushed), false) = (&flushed, marked) {
            match writer.broker.mark_deploy(&writer.deploy, flushed.now).await {
                Ok(first) => {
                    marked = true;
                    if first {
                        let record = JournalRecord::new(JournalEvent::Deploy);
                        writer.journal.note(record.detail(&writer.deploy));
                    }
                }
                Err(error) => {
                    writer.outages.failed(&"history", "the deploy was not recorded", &error);
                }
            }
        }
        let now = writer.clock.now();
        let present = Period::of(HistoryStep::TenMinutes, now);
        if flushed.is_ok() && rolled != Some(present) {
            match writer.broker.roll_history(now).await {
                Ok(_) => rolled = Some(present),
                Err(error) => {
                    let request = "the frames of the history were not added up";
                    writer.outages.failed(&"history", request, &error);
                }
            }
        }
        if flushed.is_ok() && queue_sampler::is_due(now, sampled) {
            sampled = Some(Period::of(HistoryStep::Minute, now));
            if let Err(error) = queue_sampler::take(&writer.broker, now).await {
                let request = "the history lacks a sample of the queues";
                writer.outages.failed(&"history", request, &error);
            }
        }
        let watched = flushed.ok().filter(|flushed| flushed.watched);
        let pause = pause(writer.clock.now(), watched.map(|it| it.interval()), random);
        tokio::time::sleep(pause).await;
    }
}

/// Returns the time until the next flush: the interval while the history is watched; else the time
/// until shortly before the end of the minute, so that the counts are in their minute.
fn pause(now: Timestamp, watched: Option<Duration>, random: u64) -> Duration {
    if let Some(interval) = watched {
        return interval;
    }
    let spread = u64::try_from(SPREAD.as_millis()).unwrap_or(u64::MAX).max(1);
    let at = BEFORE_END.saturating_sub(Duration::from_millis(random % spread));
    let end = Period::of(HistoryStep::Minute, now).end();
    let pause = end.since(now).saturating_sub(at);
    if pause < SHORTEST { pause + HistoryStep::Minute.length() } else { pause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_comes_shortly_before_the_end_of_the_minute_or_at_once_when_watched() {
        let at = |seconds: i64| Timestamp::from_millis(1_700_000_040_000 + seconds * 1_000);
        let seconds = |now, random| pause(at(now), None, random).as_secs();
        assert_eq!((seconds(0, 0), seconds(0, 3_000), seconds(0, 4_000)), (55, 58, 55));
        assert_eq!((seconds(30, 0), seconds(53, 0), seconds(54, 0)), (25, 2, 61));
        assert_eq!((seconds(56, 0), seconds(59, 0)), (60, 60));
        let interval = Duration::from_secs(5);
        assert_eq!(pause(at(59), Some(interval), 7), interval);
    }
}
