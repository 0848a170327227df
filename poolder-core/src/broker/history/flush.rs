//! Adding the counts of a node to the frame of the minute.

use std::time::Duration;

use super::MAX_SERIES;
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::history::{Counts, ErrorId, ErrorSample, HistoryStep, Period, SeriesName};
use crate::job::{Error, Timestamp, clamped_millis};

/// The most series, and the most samples of errors, of one call: the server takes some 30 µs for
/// each series.
const PAGE: usize = 100;
/// The number of fields from which on the counts of new errors are added up.
const MAX_BEFORE_ERRORS: usize = 384;
/// The most groups of errors that are kept.
const MAX_ERRORS: usize = 500;

/// The counts of a node since its last flush.
#[derive(Debug, Clone, Default)]
pub struct HistoryDelta {
    /// Queue, kind and counts.
    pub kinds: Vec<(String, String, Counts)>,
    /// The errors, each with the number of times that it was seen.
    pub errors: Vec<(ErrorId, u64, ErrorSample)>,
}

/// The reply to a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// The time by the server's clock.
    pub now: Timestamp,
    /// True while the history is watched, so that it should be flushed often.
    pub watched: bool,
    /// The number of nodes in the roster.
    pub nodes: u64,
}

impl Flushed {
    /// The least time between two flushes while the history is watched.
    const SHORTEST: Duration = Duration::from_secs(5);
    /// The share of each node in the server's time: a flush of 20 series takes 0.65 ms, so that all
    /// nodes together take 1 % of it.
    const SHARE: Duration = Duration::from_millis(65);

    /// Returns the time between two flushes while the history is watched: 5 s, and more in a large
    /// fleet.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let nodes = u32::try_from(self.nodes).unwrap_or(u32::MAX);
        Self::SHARE.saturating_mul(nodes).max(Self::SHORTEST)
    }
}

/// A call of the script: the names and counts of series, and the errors.
#[derive(Default)]
struct FlushCall {
    series: Vec<(String, Vec<u8>)>,
    samples: Vec<(String, String)>,
}

impl Broker {
    /// Adds the counts of a node to the frame of the server's minute. `about` is the time of the
    /// server as far as the caller knows it. After an error it is not known which counts were
    /// added: they must not be sent again.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command, also since it is
    /// full.
    pub async fn flush_history(
        &self,
        delta: &HistoryDelta,
        about: Timestamp,
    ) -> Result<Flushed, Error> {
        let (mut now, mut last) = (about, None);
        for call in calls(delta) {
            // The minute may have changed meanwhile, and the caller's clock may be wrong.
            for _ in 0..3 {
                let (flushed, added) = self.flush_once(&call, now).await?;
                (now, last) = (flushed.now, Some(flushed));
                if added {
                    break;
                }
            }
        }
        last.ok_or_else(|| Error::invalid("a flush without a call"))
    }

    async fn flush_once(&self, call: &FlushCall, now: Timestamp) -> Result<(Flushed, bool), Error> {
        let (roster, minute) = (self.roster_keys(), Period::of(HistoryStep::Minute, now));
        let keys = &roster.history;
        let frame = |minute: Period| keys.frame(minute.step().letter(), minute.number());
        let frames = [frame(minute), frame(minute.after(1))];
        let own = [&keys.errors, &keys.errors_seen, &keys.watched, &roster.nodes];
        let all = frames.iter().chain(own).map(String::as_str);
        let mut cmd = scripts::call(&scripts::FLUSH, all);
        cmd.arg(minute.number()).arg(MAX_SERIES).arg(MAX_BEFORE_ERRORS);
        cmd.arg(clamped_millis(HistoryStep::Minute.kept())).arg(MAX_ERRORS);
        cmd.arg(call.series.len());
        for (name, counts) in &call.series {
            cmd.arg(name).arg(counts);
        }
        for (id, sample) in &call.samples {
            cmd.arg(id).arg(sample);
        }
        let [now, added, watched, nodes] = reply::items::<4>(self.command(&cmd).await?)?;
        let flushed = Flushed {
            now: Timestamp::from_millis(reply::int(now)?),
            watched: reply::int(watched)? == 1,
            nodes: u64::try_from(reply::int(nodes)?).unwrap_or_default(),
        };
        Ok((flushed, reply::int(added)? == 1))
    }

    /// Asks the nodes to flush their counts often for the next 15 s, so that the history of the
    /// present minute is not older than a few seconds.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn watch_history(&self) -> Result<(), Error> {
        let mut cmd = scripts::write("SET", &self.roster_keys().history.watched);
        cmd.arg(1).arg("EX").arg(15);
        self.command(&cmd).await.map(|_| ())
    }
}

/// Returns the calls that add these counts; at least one, which asks whether the history is watched.
fn calls(delta: &HistoryDelta) -> Vec<FlushCall> {
    let kinds = delta.kinds.iter().map(|(queue, kind, counts)| {
        (SeriesName::Kind(queue.clone(), kind.clone()).field(), counts.encode())
    });
    let seen = delta
        .errors
        .iter()
        .map(|(id, times, _)| (SeriesName::Error(*id).field(), Counts::seen(*times).encode()));
    let samples = delta
        .errors
        .iter()
        .filter_map(|(id, _, sample)| Some((id.to_string(), serde_json::to_string(sample).ok()?)));
    let mut calls = vec![FlushCall::default()];
    for series in kinds.chain(seen) {
        next_call(&mut calls).series.push(series);
    }
    for sample in samples {
        next_call(&mut calls).samples.push(sample);
    }
    calls
}

/// Returns the last call, or a new one when it is full.
fn next_call(calls: &mut Vec<FlushCall>) -> &mut FlushCall {
    let is_full = calls.last().is_none_or(|call| call.series.len() + call.samples.len() >= PAGE);
    if is_full {
        calls.push(FlushCall::default());
    }
    let last = calls.len() - 1;
    &mut calls[last]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_fleet_flushes_more_rarely() {
        let interval = |nodes| {
            Flushed { now: Timestamp::from_millis(0), watched: true, nodes }.interval().as_millis()
        };
        assert_eq!([0, 1, 76, 77, 1_000].map(interval), [5_000, 5_000, 5_000, 5_005, 65_000]);
        assert!(interval(u64::MAX) > 65_000);
    }

    #[test]
    fn many_series_go_in_several_calls_and_none_in_one() {
        assert_eq!(calls(&HistoryDelta::default()).len(), 1);
        let kind = |number: usize| ("q".into(), format!("k{number}"), Counts::seen(1));
        let delta = HistoryDelta { kinds: (0..250).map(kind).collect(), errors: vec![] };
        let sizes: Vec<_> = calls(&delta).iter().map(|call| call.series.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }
}
