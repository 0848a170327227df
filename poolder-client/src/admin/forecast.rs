//! Forecasts of a queue from two looks at it: when it is drained, how many slots it needs, and what
//! more slots would change. Pure.

use std::fmt;
use std::time::Duration;

use poolder_core::view::QueueView;
use serde::{Serialize, Serializer};

use crate::admin::words::{as_millis, span};

/// The counters of jobs that left the lanes.
const LEFT: [&str; 6] = ["completed", "buried", "cancelled", "expired", "retried", "snoozed"];
/// Two looks that are closer than this say nothing.
const SHORTEST: Duration = Duration::from_millis(100);
/// A forecast of more than this is no forecast.
const LONGEST: f64 = 10.0 * 365.0 * 86_400.0;

/// The jobs of a queue that wait, come and go.
///
/// ```no_run
/// # use std::time::Duration;
/// # use poolder_client::{Client, Flow};
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let queue = client.inspect("mail");
/// let first = queue.overview().await?;
/// tokio::time::sleep(Duration::from_secs(5)).await;
/// if let Some(flow) = Flow::between(&first, &queue.overview().await?) {
///     println!("drained: {}", flow.drains());
///     println!("with 96 slots: {}", flow.with_slots(96).drains());
///     println!("slots to clear it in a minute: {:?}", flow.slots_wanted(Duration::from_secs(60)));
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Flow {
    /// The number of jobs that wait for a free slot.
    pub waiting: u64,
    /// The number of jobs that slots have claimed.
    pub running: u64,
    /// The jobs that leave the lanes in a second: done, dead, cancelled, or put off.
    pub done_per_second: f64,
    /// The jobs that enter the lanes in a second, those whose time has come included.
    pub in_per_second: f64,
    /// The mean time for which a job runs; `None` when none has ended.
    #[serde(serialize_with = "as_millis")]
    pub mean_run: Option<Duration>,
}

impl Flow {
    /// Returns the flow between two looks at a queue; `None` when the second is not at least 100 ms
    /// later. The mean time of a run is the number of running jobs by the jobs that end in a second
    /// (Little's law); replace it where a better one is known.
    #[must_use]
    pub fn between(earlier: &QueueView, later: &QueueView) -> Option<Self> {
        let left = |view: &QueueView| LEFT.iter().map(|name| view.counter(name)).sum::<u64>();
        let at = |view: &QueueView| (view.ready(), view.running(), left(view));
        Self::of(at(earlier), at(later), later.now.since(earlier.now))
    }

    /// Returns the flow between two looks: the ready and the running jobs, and those that have left.
    pub(super) fn of(
        earlier: (u64, u64, u64),
        later: (u64, u64, u64),
        time: Duration,
    ) -> Option<Self> {
        if time < SHORTEST {
            return None;
        }
        let seconds = time.as_secs_f64();
        let done_per_second = later.2.saturating_sub(earlier.2) as f64 / seconds;
        let growth = (later.0 + later.1) as f64 - (earlier.0 + earlier.1) as f64;
        let in_per_second = (done_per_second + growth / seconds).max(0.0);
        let running = (earlier.1 + later.1) as f64 / 2.0;
        let mean = (done_per_second > 0.0).then(|| seconds_of(running / done_per_second));
        let (waiting, running) = (later.0, later.1);
        let mean_run = mean.flatten();
        Some(Self { waiting, running, done_per_second, in_per_second, mean_run })
    }

    /// Returns when no job waits any more, if all goes on as it does.
    #[must_use]
    pub fn drains(&self) -> Drain {
        if self.waiting == 0 {
            return Drain::Empty;
        }
        let net = self.done_per_second - self.in_per_second;
        if !net.is_finite() || net <= 0.0 {
            return Drain::Never;
        }
        seconds_of(self.waiting as f64 / net).map_or(Drain::Never, Drain::In)
    }

    /// Returns the flow that this number of slots would have, all of them busy; the flow as it is
    /// when no mean time of a run is known.
    #[must_use]
    pub fn with_slots(&self, slots: u64) -> Self {
        match self.mean_run {
            Some(mean) if mean > Duration::ZERO => {
                Self { done_per_second: slots as f64 / mean.as_secs_f64(), ..*self }
            }
            _ => *self,
        }
    }

    /// Returns how many slots run the jobs that come, and those that wait within this time; `None`
    /// when no mean time of a run is known, or the time is zero.
    #[must_use]
    pub fn slots_wanted(&self, clear_within: Duration) -> Option<u64> {
        let mean = self.mean_run?.as_secs_f64();
        if clear_within.is_zero() {
            return None;
        }
        let wanted =
            self.in_per_second * mean + self.waiting as f64 * mean / clear_within.as_secs_f64();
        // Sums of fractions may lie a little above a whole number.
        let wanted = (wanted - 1e-9).ceil();
        wanted.is_finite().then_some(wanted.max(0.0) as u64)
    }
}

/// The time after which no job of a queue waits any more. As text: `3 min 40 s`, `now`, `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drain {
    /// No job waits.
    Empty,
    /// The queue is empty after this time.
    In(Duration),
    /// No fewer jobs come than go.
    Never,
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("now"),
            Self::In(time) => f.write_str(&span(*time)),
            Self::Never => f.write_str("never"),
        }
    }
}

impl Serialize for Drain {
    /// Writes the time in milliseconds: 0 for an empty queue, `null` for one that is never drained.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = match self {
            Self::Empty => Some(Duration::ZERO),
            Self::In(time) => Some(*time),
            Self::Never => None,
        };
        as_millis(&time, serializer)
    }
}

fn seconds_of(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && (0.0..LONGEST).contains(&seconds))
        .then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_queue_from_which_more_goes_than_comes_is_drained() {
        // 10 s: 1,000 end, 400 come.
        let flow = Flow::of((1_600, 20, 0), (1_000, 20, 1_000), 10 * S).unwrap();
        assert!((flow.done_per_second - 100.0).abs() < 1e-9);
        assert!((flow.in_per_second - 40.0).abs() < 1e-9);
        assert_eq!(flow.mean_run, Some(Duration::from_millis(200)));
        assert_eq!(flow.drains().to_string(), "16 s");
        // 40 × 0.2 s keep up, and 1,000 × 0.2 s / 60 s clear the rest.
        assert_eq!(flow.slots_wanted(60 * S), Some(12));
        assert_eq!(flow.with_slots(40).drains(), Drain::In(Duration::from_secs_f64(6.25)));
        assert_eq!(flow.with_slots(8).drains(), Drain::Never);
    }

    #[test]
    fn odd_looks_give_no_nonsense() {
        assert_eq!(Flow::of((1, 1, 1), (1, 1, 1), Duration::from_millis(99)), None);
        let still = Flow::of((5, 0, 7), (5, 0, 7), S).unwrap();
        assert_eq!((still.drains(), still.mean_run), (Drain::Never, None));
        assert_eq!((still.slots_wanted(S), still.with_slots(9)), (None, still));
        assert_eq!(Flow::of((5, 0, 7), (0, 0, 0), S).unwrap().drains(), Drain::Empty);
        let huge = Flow::of((u64::MAX / 4, 0, 0), (u64::MAX / 4, 1, 1), S).unwrap();
        assert_eq!(huge.drains(), Drain::Never);
        assert_eq!(huge.slots_wanted(Duration::ZERO), None);
        assert!(Flow { in_per_second: f64::NAN, ..huge }.slots_wanted(S).is_none());
        let json = serde_json::to_value((Drain::Empty, Drain::In(S), Drain::Never)).unwrap();
        assert_eq!(json, serde_json::json!([0, 1_000, null]));
    }
}
