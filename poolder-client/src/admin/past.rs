//! The past as far as the rules of attention compare with it, from the history.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join4;
use poolder_core::history::{ErrorGroup, ErrorId, HistoryRange, QueuePoint};
use poolder_core::{Error, Timestamp};

use crate::admin::attention::{FailureRates, NewError, Observed, ObservedQueue};
use crate::admin::forecast::Flow;
use crate::client::Client;

#[cfg(test)]
mod tests;

/// The time of the present rates, and the time before it with which they are compared.
const RECENT: Duration = Duration::from_secs(15 * 60);
const BEFORE: Duration = Duration::from_secs(60 * 60);
/// Two samples of a queue that are closer than this do not show that it grows.
const SHORTEST: Duration = Duration::from_secs(5 * 60);
/// For how long after a deploy an error counts as one that it has brought.
const SINCE_DEPLOY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most new errors of a queue that are shown, the most frequent ones.
const MOST_ERRORS: usize = 5;

/// The last 75 minutes of the history, and the errors and deploys before.
#[derive(Debug, Default)]
pub(in crate::admin) struct Past {
    /// The attempts of each minute.
    pub(super) minutes: Vec<Minute>,
    /// The samples of each queue, the earliest first.
    pub(super) samples: BTreeMap<String, Vec<Sample>>,
    /// The groups of equal errors.
    pub(super) errors: Vec<SeenError>,
    /// How often muted errors were seen: queue, time and number.
    pub(super) muted: Vec<(String, Timestamp, u64)>,
    /// The deploys and their times, the earliest first.
    pub(super) deploys: Vec<(String, Timestamp)>,
}

/// The attempts of a kind in one minute.
#[derive(Debug, Clone)]
pub(super) struct Minute {
    pub(super) queue: String,
    pub(super) at: Timestamp,
    pub(super) ended: u64,
    pub(super) failed: u64,
}

/// The jobs of a queue at one time that wait for a slot, and that run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) waiting: u64,
    pub(super) running: u64,
}

/// A group of equal errors.
#[derive(Debug, Clone)]
pub(super) struct SeenError {
    pub(super) queue: String,
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) first_seen: Timestamp,
    pub(super) last_hour: u64,
    pub(super) is_muted: bool,
}

impl Client {
    /// Reads the past. A user who may not read it, and a history that is too large for one read,
    /// leave it out.
    pub(in crate::admin) async fn past(&self) -> Result<Past, Error> {
        let range = HistoryRange::last(RECENT + BEFORE);
        let read = try_join4(
            self.history(None, None, range),
            self.queue_history(None, range),
            self.errors(),
            self.deploys(),
        );
        let (history, queues, errors, deploys) = match read.await {
            Ok(read) => read,
            Err(error) if error.is_auth() || error.is_too_large() => return Ok(Past::default()),
            Err(error) => return Err(error),
        };
        let mut past = Past { muted: self.muted(&errors, range).await?, ..Past::default() };
        for series in history.series {
            past.minutes.extend(series.points.iter().map(|point| Minute {
                queue: series.queue.clone(),
                at: point.at,
                ended: point.attempts.ended(),
                failed: point.attempts.failures(),
            }));
        }
        for queue in queues {
            let sample = |point: &QueuePoint| Sample {
                at: point.at,
                waiting: point.gauges.ready,
                running: point.gauges.running,
            };
            let samples = queue.points.iter().map(sample).collect();
            past.samples.insert(queue.queue.to_string(), samples);
        }
        past.errors.extend(errors.into_iter().map(|group| SeenError {
            is_muted: group.is_muted(),
            queue: group.sample.queue,
            kind: group.sample.kind,
            message: group.sample.message,
            first_seen: group.first_seen,
            last_hour: group.last_hour,
        }));
        past.deploys.extend(deploys.into_iter().map(|mark| (mark.deploy, mark.first_seen)));
        Ok(past)
    }
}

impl Client {
    /// Reads how often the muted ones of some errors were seen.
    async fn muted(
        &self,
        errors: &[ErrorGroup],
        range: HistoryRange,
    ) -> Result<Vec<(String, Timestamp, u64)>, Error> {
        let muted = || errors.iter().filter(|group| group.is_muted());
        let ids: Vec<ErrorId> = muted().map(|group| group.id).collect();
        let counts = self.broker().error_counts(&ids, range).await?.into_iter();
        let of_queue = |(id, at, times)| {
            let group = muted().find(|group| group.id == id)?;
            Some((group.sample.queue.clone(), at, times))
        };
        Ok(counts.filter_map(of_queue).collect())
    }
}

impl Past {
    /// Adds to the state of the queues what the history knows of them.
    pub(in crate::admin) fn add_to(&self, seen: &mut Observed) {
        for queue in &mut seen.queues {
            queue.failures = self.rates(queue, seen.now);
            queue.flow = self.flow(queue, seen.now);
            queue.new_errors = self.new_errors(queue, seen.now);
            let muted = self.errors.iter().filter(|error| error.is_muted);
            queue.muted_errors =
                muted.filter(|error| error.queue == queue.queue.as_str()).count() as u64;
        }
    }

    /// Returns the attempts of a queue in the last minutes and in the hour before. Those that failed
    /// with a muted error count as attempts only.
    fn rates(&self, queue: &ObservedQueue, now: Timestamp) -> Option<FailureRates> {
        let sum = |from: Duration, to: Duration| {
            let within = |at| (to..from).contains(&now.since(at));
            let own = self.minutes.iter().filter(|minute| minute.queue == queue.queue.as_str());
            let sums = own.filter(|minute| within(minute.at));
            let (ended, failed) = sums.fold((0_u64, 0_u64), |(ended, failed), minute| {
                (ended.saturating_add(minute.ended), failed.saturating_add(minute.failed))
            });
            let muted = self.muted.iter().filter(|(of, ..)| of == queue.queue.as_str());
            let muted = muted.filter(|(_, at, _)| within(*at)).map(|(.., times)| *times);
            (ended, muted.fold(failed, u64::saturating_sub))
        };
        let (recent, before) = (sum(RECENT, Duration::ZERO), sum(RECENT + BEFORE, RECENT));
        (recent.0 > 0).then(|| FailureRates::new(recent, before))
    }

    /// Returns the flow of a queue between the samples of the last minutes.
    fn flow(&self, queue: &ObservedQueue, now: Timestamp) -> Option<Flow> {
        let samples = self.samples.get(queue.queue.as_str())?;
        let (first, last) = (samples.iter().find(|it| now.since(it.at) < RECENT)?, samples.last()?);
        let time = last.at.since(first.at);
        if time < SHORTEST {
            return None;
        }
        let ended = self.minutes.iter().filter(|minute| {
            minute.queue == queue.queue.as_str() && minute.at > first.at && minute.at <= last.at
        });
        let ended = ended.fold(0, |sum: u64, minute| sum.saturating_add(minute.ended));
        let at = |sample: &Sample, left| (sample.waiting, sample.running, left);
        Flow::of(at(first, 0), at(last, ended), time)
    }

    /// Returns the errors of a queue that were first seen after the last deploy. Of the first deploy
    /// of all, no error is new.
    fn new_errors(&self, queue: &ObservedQueue, now: Timestamp) -> Vec<NewError> {
        let [.., _, (deploy, since)] = self.deploys.as_slice() else { return vec![] };
        if now.since(*since) > SINCE_DEPLOY {
            return vec![];
        }
        let is_new = |error: &&SeenError| {
            let is_own = error.queue == queue.queue.as_str() && !error.is_muted;
            is_own && error.first_seen >= *since && error.last_hour > 0
        };
        let mut new: Vec<&SeenError> = self.errors.iter().filter(is_new).collect();
        new.sort_by_key(|error| std::cmp::Reverse(error.last_hour));
        let shown = new.into_iter().take(MOST_ERRORS).map(|error| {
            let (message, kind) = (error.message.clone(), error.kind.clone());
            NewError::new(message, kind, error.last_hour, deploy.clone())
        });
        shown.collect()
    }
}
