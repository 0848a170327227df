//! The history of kinds as an operator sees it: plain values, ready to be drawn.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::counts::{Counts, Times};
use super::frames::{HistoryRange, Period};
use super::sums::AttemptEnd;
use crate::job::{Timestamp, as_millis};
use crate::policy::ErrorId;

/// The series in which everything is counted that a frame has no room for.
pub(crate) const REST: &str = "*";
/// The first character of the names of errors.
pub(crate) const ERROR: char = '!';

/// The name of a series in a frame.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SeriesName {
    /// A kind of a queue: `<queue> <kind>`.
    Kind(String, String),
    /// An error: `!<id>`.
    Error(ErrorId),
    /// Everything that the frame has no room for: `*`.
    Rest,
}

impl SeriesName {
    /// Returns the field of the frame.
    pub(crate) fn field(&self) -> String {
        match self {
            Self::Kind(queue, kind) => format!("{queue} {kind}"),
            Self::Error(id) => format!("{ERROR}{id}"),
            Self::Rest => REST.into(),
        }
    }
}

/// Reads the field of a frame; `None` for one of a later version.
pub(crate) fn read_name(field: &str) -> Option<SeriesName> {
    if field == REST {
        return Some(SeriesName::Rest);
    }
    if let Some(id) = field.strip_prefix(ERROR) {
        return id.parse().ok().map(SeriesName::Error);
    }
    let (queue, kind) = field.split_once(' ')?;
    let is_kind = !queue.is_empty() && !kind.is_empty();
    is_kind.then(|| SeriesName::Kind(queue.into(), kind.into()))
}

/// The history of a namespace, a queue or a kind over a time, in periods of equal length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct History {
    /// The start of the first period.
    pub from: Timestamp,
    /// The time of the reading, by the server's clock; it lies in the last period.
    pub now: Timestamp,
    /// The length of a period.
    #[serde(serialize_with = "as_millis")]
    pub step: Duration,
    /// The kinds that ran, sorted by queue and kind.
    pub series: Vec<HistorySeries>,
    /// The queues in which they ran, sorted: all kinds of a queue together, under the kind `*`. The
    /// quantiles of several kinds do not follow from those of each.
    #[serde(skip)]
    pub queues: Vec<HistorySeries>,
    /// All kinds of all queues together, under the queue and the kind `*`.
    #[serde(skip)]
    pub total: HistorySeries,
    /// True when more kinds ran at one time than a frame has room for: the rest was added up under
    /// the queue and the kind `*`.
    pub is_cut: bool,
}

/// The history of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HistorySeries {
    /// The queue.
    pub queue: String,
    /// The kind.
    pub kind: String,
    /// The periods in which something happened, the earliest first.
    pub points: Vec<HistoryPoint>,
    /// All periods together; its time is the start of the first one.
    pub total: HistoryPoint,
}

/// The history of a kind in one period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HistoryPoint {
    /// The start of the period.
    pub at: Timestamp,
    /// The attempts that ended, by their ends.
    pub attempts: AttemptCounts,
    /// The jobs that were buried after an attempt.
    pub died: u64,
    /// How long attempts ran.
    pub run: TimeStats,
    /// How long jobs were ready before they were claimed.
    pub wait: TimeStats,
}

/// Attempts that ended, by their ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AttemptCounts {
    /// [`AttemptEnd::Done`].
    pub done: u64,
    /// [`AttemptEnd::Failed`].
    pub failed: u64,
    /// [`AttemptEnd::Timeout`].
    pub timeout: u64,
    /// [`AttemptEnd::Panic`].
    pub panic: u64,
    /// [`AttemptEnd::Payload`].
    pub payload: u64,
    /// [`AttemptEnd::Crashed`].
    pub crashed: u64,
    /// [`AttemptEnd::Snoozed`].
    pub snoozed: u64,
    /// [`AttemptEnd::Cancelled`].
    pub cancelled: u64,
    /// [`AttemptEnd::HandedBack`].
    pub handed_back: u64,
    /// [`AttemptEnd::NotForUs`].
    pub not_for_us: u64,
}

impl AttemptCounts {
    fn of(counts: &Counts) -> Self {
        let ended = |end| counts.ended(end);
        Self {
            done: ended(AttemptEnd::Done),
            failed: ended(AttemptEnd::Failed),
            timeout: ended(AttemptEnd::Timeout),
            panic: ended(AttemptEnd::Panic),
            payload: ended(AttemptEnd::Payload),
            crashed: ended(AttemptEnd::Crashed),
            snoozed: ended(AttemptEnd::Snoozed),
            cancelled: ended(AttemptEnd::Cancelled),
            handed_back: ended(AttemptEnd::HandedBack),
            not_for_us: ended(AttemptEnd::NotForUs),
        }
    }

    /// Returns the attempts that failed: with an error, a timeout, a panic, a payload that could not
    /// be read, or by the death of their node.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed + self.timeout + self.panic + self.payload + self.crashed
    }

    /// Returns the attempts that ended by themselves: done, failed or snoozed.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.done + self.snoozed + self.failures()
    }
}

/// Times in microseconds. Quantiles are at most 12.5 % off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimeStats {
    /// The number of times.
    pub count: u64,
    /// The mean; 0 without times.
    pub mean: u64,
    /// The time that half of them do not exceed.
    pub p50: u64,
    /// The time that 95 % of them do not exceed.
    pub p95: u64,
    /// The time that 99 % of them do not exceed.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl TimeStats {
    fn of(times: Times<'_>) -> Self {
        let [p50, p95, p99, max] = [500, 950, 990, 1_000].map(|share| times.quantile(share));
        Self { count: times.count(), mean: times.mean(), p50, p95, p99, max }
    }
}

impl HistoryPoint {
    fn of(at: Timestamp, counts: &Counts) -> Self {
        Self {
            at,
            attempts: AttemptCounts::of(counts),
            died: counts.died(),
            run: TimeStats::of(counts.run()),
            wait: TimeStats::of(counts.wait()),
        }
    }
}

impl History {
    /// Makes the history of what the frames of a range hold.
    pub(crate) fn of(
        range: HistoryRange,
        now: Timestamp,
        found: BTreeMap<SeriesName, BTreeMap<Period, Counts>>,
    ) -> Self {
        let from = range.until(now).next().map_or(now, Period::start);
        let (mut series, mut is_cut) = (vec![], false);
        let mut queues = BTreeMap::<String, BTreeMap<Period, Counts>>::new();
        let mut total = BTreeMap::<Period, Counts>::new();
        for (name, frames) in found {
            let (queue, kind) = match name {
                SeriesName::Kind(queue, kind) => (queue, kind),
                SeriesName::Rest => {
                    is_cut = true;
                    (REST.into(), REST.into())
                }
                SeriesName::Error(_) => continue,
            };
            let of_queue = queues.entry(queue.clone()).or_default();
            for (period, counts) in &frames {
                of_queue.entry(*period).or_default().merge(counts);
                total.entry(*period).or_default().merge(counts);
            }
            series.push(HistorySeries::of((queue, kind), from, &frames));
        }
        let of_queue = |(queue, frames): (String, BTreeMap<Period, Counts>)| {
            HistorySeries::of((queue, REST.into()), from, &frames)
        };
        let queues = queues.into_iter().map(of_queue).collect();
        let total = HistorySeries::of((REST.into(), REST.into()), from, &total);
        Self { from, now, step: range.step().length(), series, queues, total, is_cut }
    }
}

impl HistorySeries {
    /// Makes the history of a series of what its frames hold.
    fn of(
        (queue, kind): (String, String),
        from: Timestamp,
        frames: &BTreeMap<Period, Counts>,
    ) -> Self {
        let mut total = Counts::default();
        frames.values().for_each(|counts| total.merge(counts));
        let point = |(period, counts): (&Period, &Counts)| HistoryPoint::of(period.start(), counts);
        let points = frames.iter().map(point).collect();
        Self { queue, kind, points, total: HistoryPoint::of(from, &total) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::KindSums;

    #[test]
    fn names_of_series_are_read_back() {
        let names = [
            SeriesName::Kind("mail".into(), "a kind/with: all".into()),
            SeriesName::Error("0123456789ab".parse().unwrap()),
            SeriesName::Rest,
        ];
        for name in names {
            assert_eq!(read_name(&name.field()), Some(name));
        }
        for odd in ["", "mail", "mail ", " kind", "!", "!xyz", "!*", "**"] {
            assert_eq!(read_name(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_history_has_the_periods_of_each_kind_and_their_sum() {
        let mut sums = KindSums::default();
        sums.add_attempt(AttemptEnd::Done, Some(1_000));
        sums.add_attempt(AttemptEnd::Timeout, Some(2_000_000));
        sums.add_attempt(AttemptEnd::Cancelled, None);
        sums.add_wait(3_000);
        let counts = Counts::of(&sums);
        let range = HistoryRange::last(Duration::from_secs(600));
        let now = Timestamp::from_millis(1_700_000_123_456);
        let periods: Vec<Period> = range.until(now).collect();
        let frames = BTreeMap::from([(periods[3], counts.clone()), (periods[9], counts)]);
        let kind = SeriesName::Kind("mail".into(), "k".into());
        let found = BTreeMap::from([(kind, frames.clone()), (SeriesName::Rest, frames)]);
        let history = History::of(range, now, found);
        assert_eq!((history.from, history.is_cut), (periods[0].start(), true));
        let [mail, rest] = &history.series[..] else { panic!("two series") };
        assert_eq!((&*mail.queue, &*mail.kind, &*rest.kind), ("mail", "k", "*"));
        let starts: Vec<_> = mail.points.iter().map(|point| point.at).collect();
        assert_eq!(starts, [periods[3].start(), periods[9].start()]);
        let attempts = mail.total.attempts;
        assert_eq!((attempts.done, attempts.failures(), attempts.ended()), (2, 2, 4));
        assert_eq!((mail.total.run.count, mail.total.run.mean), (4, 1_000_500));
        assert_eq!((mail.total.run.p50, mail.points[0].wait.p99), (960, 2_816));
        let names: Vec<_> = history.queues.iter().map(|queue| &*queue.queue).collect();
        assert_eq!((&*names, &*history.queues[0].kind), (&["*", "mail"][..], "*"));
        assert_eq!(history.queues[1].total, mail.total);
        assert_eq!((history.total.points.len(), history.total.total.attempts.done), (2, 4));
    }
}
