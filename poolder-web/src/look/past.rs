//! The history as pages draw it: a value for each period of a range, also for those in which nothing
//! happened.

use std::time::Duration;

use poolder_core::Timestamp;
use poolder_core::history::{History, HistoryPoint, HistorySeries, TimeStats};

/// One series of the history, a point for each period.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    pub(crate) from: Timestamp,
    pub(crate) step: Duration,
    points: Vec<Option<HistoryPoint>>,
    /// The time since the beginning of the last period.
    elapsed: Duration,
    pub(crate) total: HistoryPoint,
}

impl Past {
    /// Returns a series of a history; an empty one when there is none.
    pub(crate) fn of(history: &History, series: Option<&HistorySeries>) -> Self {
        let step = history.step.max(Duration::from_secs(1));
        let length = history.now.since(history.from).as_millis() / step.as_millis();
        let mut points = vec![None; usize::try_from(length).unwrap_or(0).min(1_000) + 1];
        for point in series.iter().flat_map(|series| &series.points) {
            let at = point.at.since(history.from).as_millis() / step.as_millis();
            if let Some(place) = usize::try_from(at).ok().and_then(|at| points.get_mut(at)) {
                *place = Some(point.clone());
            }
        }
        let elapsed = history.now.since(history.from).as_millis() % step.as_millis();
        let elapsed = Duration::from_millis(u64::try_from(elapsed).unwrap_or(0));
        let total = series.map_or_else(HistoryPoint::default, |series| series.total.clone());
        Self { from: history.from, step, points, elapsed, total }
    }

    /// Returns the counts of several series together. Their times are those of the longest, since
    /// quantiles cannot be added.
    pub(crate) fn sum<'a>(history: &History, all: impl Iterator<Item = &'a HistorySeries>) -> Self {
        let mut sum = Self::of(history, None);
        for past in all.map(|series| Self::of(history, Some(series))) {
            add(&mut sum.total, &past.total);
            for (sum, point) in sum.points.iter_mut().zip(&past.points) {
                match (sum.as_mut(), point) {
                    (Some(sum), Some(point)) => add(sum, point),
                    (None, Some(point)) => *sum = Some(point.clone()),
                    (_, None) => {}
                }
            }
        }
        sum
    }

    /// Returns the periods that are shown. The last one has just begun, and its counts come late: it
    /// is shown only where there is no other before it.
    fn shown(&self) -> &[Option<HistoryPoint>] {
        match self.points.as_slice() {
            [whole @ .., _] if whole.last().is_some_and(Option::is_some) => whole,
            all => all,
        }
    }

    /// Returns a value of each period.
    pub(crate) fn values(&self, of: impl Fn(&HistoryPoint) -> u64) -> Vec<f64> {
        self.shown().iter().map(|it| it.as_ref().map_or(0.0, |it| of(it) as f64)).collect()
    }

    /// Returns a count of each period as a rate per second.
    pub(crate) fn rates(&self, of: impl Fn(&HistoryPoint) -> u64) -> Vec<f64> {
        let mut rates = self.values(of);
        let whole = self.points.len() - 1;
        for (at, rate) in rates.iter_mut().enumerate() {
            let time = if at < whole { self.step } else { self.elapsed };
            *rate /= time.max(Duration::from_secs(1)).as_secs_f64();
        }
        rates
    }

    /// Returns the last rate, for a page whose rates are not known yet.
    pub(crate) fn last_rate(&self, of: impl Fn(&HistoryPoint) -> u64) -> f64 {
        self.rates(of).last().copied().unwrap_or(0.0)
    }

    /// Returns the last period in which something happened, of the last three.
    pub(crate) fn last(&self) -> Option<&HistoryPoint> {
        self.points.iter().rev().take(3).flatten().next()
    }
}

fn add(sum: &mut HistoryPoint, point: &HistoryPoint) {
    sum.attempts.done += point.attempts.done;
    sum.attempts.failed += point.attempts.failures();
    sum.attempts.snoozed += point.attempts.snoozed;
    sum.died += point.died;
    let longer = |sum: &mut TimeStats, other: &TimeStats| {
        if other.p95 > sum.p95 {
            *sum = *other;
        }
    };
    longer(&mut sum.wait, &point.wait);
    longer(&mut sum.run, &point.run);
}

/// Returns the part of the attempts that failed.
pub(crate) fn failures(point: &HistoryPoint) -> f64 {
    let ended = point.attempts.ended();
    if ended == 0 { 0.0 } else { point.attempts.failures() as f64 / ended as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_that_has_just_begun_is_shown_only_when_it_is_the_first() {
        let done = |count| {
            let mut point = HistoryPoint::default();
            point.attempts.done = count;
            Some(point)
        };
        let past = |points| Past {
            from: Timestamp::from_millis(0),
            step: Duration::from_secs(60),
            points,
            elapsed: Duration::from_secs(20),
            total: HistoryPoint::default(),
        };
        let rates = |points| past(points).rates(|point| point.attempts.done);
        assert_eq!(rates(vec![done(60), done(120), done(3)]), [1.0, 2.0]);
        assert_eq!(rates(vec![done(60), done(120), None]), [1.0, 2.0]);
        assert_eq!(rates(vec![None, None, done(40)]), [0.0, 0.0, 2.0]);
        assert_eq!(past(vec![done(60), done(3)]).last_rate(|point| point.attempts.done), 1.0);
        assert_eq!(rates(vec![None]), [0.0]);
    }
}
