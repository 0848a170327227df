//! The plan of a schedule: the ticks that are due, the ones that run, and the next one. All such
//! decisions are made here.

use std::time::Duration;

use crate::job::{LONGEST, Timestamp};
use crate::schedule::spec::{Missed, Schedule};

/// The most ticks that are collected in one step of `newest`. The shortest interval of
/// 10 ms may have many more ticks in a step than can ever run.
const MAX_WALK: usize = 20_000;
/// The most dropped ticks that one plan counts.
const MAX_COUNTED: usize = 1_000;

/// The decisions about the due ticks of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TickPlan {
    /// The ticks that run, in ascending order.
    pub run: Vec<Timestamp>,
    /// The last tick that is decided; the next plan starts after it.
    pub last: Timestamp,
    /// The number of ticks that were dropped because they were missed, counted up to 1,000.
    pub missed: u64,
    /// The time of the next plan, jitter included; `None` when the schedule never ticks again.
    pub next: Option<Timestamp>,
}

impl Schedule {
    /// Plans the ticks that are due at `now`, after the tick `last`, up to which all ticks are
    /// decided. `spread` is the fraction of the jitter, from 0 to 1, by which the ticks of this
    /// schedule are delayed. At most `chunk` ticks run; the rest follows in the next plan, which is
    /// then due at once.
    #[must_use]
    pub fn plan(
        &self,
        origin: Timestamp,
        last: Timestamp,
        now: Timestamp,
        spread: f64,
        chunk: usize,
    ) -> TickPlan {
        let delay = self.delay(spread);
        // A tick is due when the schedule's delay has passed since its time.
        let horizon = now - delay;
        let next = |last| self.next(origin, last).map(|tick| tick + delay);
        let Some(latest) = self.latest(origin, last, horizon) else {
            return TickPlan { run: vec![], last, missed: 0, next: next(last) };
        };
        let run = match self.missed {
            Missed::Skip if horizon.since(latest) > Missed::GRACE => vec![],
            Missed::Skip | Missed::One => vec![latest],
            Missed::All { most, within } => {
                let oldest = horizon - within;
                let after = last.max(Timestamp::from_millis(oldest.millis().saturating_sub(1)));
                self.newest(origin, after, horizon, most as usize)
            }
        };
        // All dropped ticks are earlier than the first one that runs.
        let until = run.first().map_or(horizon, |first| Timestamp::from_millis(first.millis() - 1));
        let missed = self.ticks(origin, last, until).take(MAX_COUNTED).count() as u64;
        let more = run.len() > chunk;
        let run: Vec<_> = run.into_iter().take(chunk).collect();
        let last = if more { run.last().copied().unwrap_or(latest) } else { latest };
        TickPlan { run, last, missed, next: next(last) }
    }

    /// Returns the ticks after a time, jitter included, for display to users.
    pub fn upcoming(
        &self,
        origin: Timestamp,
        after: Timestamp,
        spread: f64,
    ) -> impl Iterator<Item = Timestamp> {
        let delay = self.delay(spread);
        let mut last = Some(after - delay);
        std::iter::from_fn(move || {
            last = self.next(origin, last?);
            last.map(|tick| tick + delay)
        })
    }

    fn delay(&self, spread: f64) -> Duration {
        let delay = self.jitter.min(LONGEST).mul_f64(spread.clamp(0.0, 1.0));
        // Ticks have whole milliseconds.
        Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the ticks after `after` and up to `until`.
    fn ticks(
        &self,
        origin: Timestamp,
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = Timestamp> {
        let mut last = after;
        std::iter::from_fn(move || {
            last = self.next(origin, last).filter(|tick| *tick <= until)?;
            Some(last)
        })
    }

    /// Returns the latest tick after `after` and up to `until`, by bisection: after an outage of a
    /// month there may be millions of ticks to walk over.
    fn latest(&self, origin: Timestamp, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let next = |after: i64| {
            let tick = self.next(origin, Timestamp::from_millis(after))?;
            (tick <= until).then_some(tick)
        };
        let mut found = next(after.millis())?;
        // `low` is the latest tick found so far; after `high` no tick is in the range.
        let (mut low, mut high) = (found.millis(), until.millis());
        while let Some(tick) = next(low) {
            found = tick;
            low = tick.millis();
            let middle = low + high.saturating_sub(low) / 2;
            match next(middle) {
                Some(tick) => {
                    found = tick;
                    low = tick.millis();
                }
                None => high = middle,
            }
        }
        Some(found)
    }

    /// Returns the newest ticks after `after` and up to `until`, at most `most`, in ascending
    /// order.
    fn newest(
        &self,
        origin: Timestamp,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Vec<Timestamp> {
        // Walks backwards in steps of time, which grow where ticks are rare.
        let mut step = 1_000 * i64::try_from(most).unwrap_or(1);
        let mut found = vec![];
        let mut until = until;
        while found.len() < most && until > after {
            let from = after.max(Timestamp::from_millis(until.millis().saturating_sub(step)));
            let mut chunk: Vec<_> = self.ticks(origin, from, until).take(MAX_WALK + 1).collect();
            if chunk.len() > MAX_WALK {
                step /= 2;
                continue;
            }
            if chunk.len() < most {
                step = step.saturating_mul(2);
            }
            chunk.append(&mut found);
            (found, until) = (chunk, from);
        }
        found.split_off(found.len().saturating_sub(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Format, JobId, Policy};
    use crate::stored::Envelope;

    fn schedule(timing: &str, missed: Missed) -> Schedule {
        let policy = Policy::default();
        let job =
            Envelope::build(JobId::generate(), "k", 1, Some(&policy), Format::Json, |_| Ok(()));
        Schedule { missed, ..Schedule::new(timing.parse().unwrap(), job.unwrap()) }
    }

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const ORIGIN: Timestamp = Timestamp::from_millis(0);
    const CHUNK: usize = 100;
    const DAY: i64 = 86_400_000;

    #[test]
    fn nothing_is_due_before_its_time() {
        let every = schedule("1s", Missed::One);
        let plan = every.plan(ORIGIN, ms(0), ms(999), 0.0, CHUNK);
        assert_eq!(plan, TickPlan { run: vec![], last: ms(0), missed: 0, next: Some(ms(1_000)) });
        let plan = every.plan(ORIGIN, ms(0), ms(1_000), 0.0, CHUNK);
        let run = vec![ms(1_000)];
        assert_eq!(plan, TickPlan { run, last: ms(1_000), missed: 0, next: Some(ms(2_000)) });
    }

    #[test]
    fn one_runs_the_latest_and_skip_none_that_is_late() {
        let plan = schedule("1s", Missed::One).plan(ORIGIN, ms(0), ms(14_500), 0.0, CHUNK);
        assert_eq!((plan.run, plan.last, plan.missed), (vec![ms(14_000)], ms(14_000), 13));

        // The latest tick of a schedule of 1 s is at most 1 s late; an hourly one may be later.
        let plan = schedule("1s", Missed::Skip).plan(ORIGIN, ms(0), ms(14_500), 0.0, CHUNK);
        assert_eq!((plan.run, plan.missed), (vec![ms(14_000)], 13));
        let hourly = schedule("@hourly", Missed::Skip);
        let hour = 3_600_000;
        let plan = hourly.plan(ORIGIN, ms(0), ms(2 * hour + 30_000), 0.0, CHUNK);
        assert_eq!((plan.run, plan.missed), (vec![ms(2 * hour)], 1));
        let plan = hourly.plan(ORIGIN, ms(0), ms(2 * hour + 30_001), 0.0, CHUNK);
        assert_eq!((plan.run, plan.last, plan.missed), (vec![], ms(2 * hour), 2));
        assert_eq!(plan.next, Some(ms(3 * hour)));
    }

    #[test]
    fn all_runs_the_newest_within_the_window_in_order_and_in_chunks() {
        let within = Duration::from_secs(600);
        let every = schedule("* * * * * *", Missed::All { most: 250, within });
        let (mut last, now) = (ms(0), ms(1_000_500));
        let (mut run, mut missed, mut chunks) = (vec![], 0, 0);
        loop {
            let plan = every.plan(ORIGIN, last, now, 0.0, CHUNK);
            assert!(plan.run.len() <= CHUNK);
            (last, missed, chunks) = (plan.last, missed + plan.missed, chunks + 1);
            run.extend(plan.run);
            if plan.next.is_some_and(|next| next > now) {
                break;
            }
        }
        let expected: Vec<_> = (751..=1_000).map(|second| ms(second * 1_000)).collect();
        assert_eq!((run, missed, chunks), (expected, 750, 3));

        let every = schedule("* * * * * *", Missed::All { most: 10_000, within });
        let plan = every.plan(ORIGIN, ms(0), now, 0.0, CHUNK);
        assert_eq!(plan.run[0], ms(401_000), "the window counts from now");
    }

    #[test]
    fn an_outage_of_years_is_planned_at_once() {
        let all = Missed::All { most: 10_000, within: Duration::from_secs(10 * 365 * 86_400) };
        let now = ms(5 * 365 * DAY + 1);
        for missed in [Missed::Skip, Missed::One, all] {
            for timing in ["10ms", "* * * * * *", "59 59 23 * * *", "* * 3 * * *"] {
                let schedule = schedule(timing, missed);
                let plan = schedule.plan(ORIGIN, ms(0), now, 0.0, CHUNK);
                let mut left = schedule.ticks(ORIGIN, plan.last, now);
                assert!(plan.last > ms(0) && plan.last <= now, "{timing} {missed:?}");
                if missed == all {
                    assert_eq!(plan.run.len(), CHUNK);
                    assert!(left.next().is_some());
                } else {
                    assert_eq!(left.next(), None, "{timing}: the latest is the latest");
                }
            }
        }
    }

    #[test]
    fn the_latest_is_found_as_by_walking() {
        for timing in ["*/7 * * * * *", "17,18 3 4 * * *", "0 0 1 1 *", "13s", "* * 3 * * *"] {
            let schedule = schedule(timing, Missed::One);
            for until in [0, 1, 6_999, 7_000, 3 * 3_600_000 + 5, DAY - 1, 2 * DAY] {
                let walked = schedule.ticks(ORIGIN, ms(0), ms(until)).last();
                assert_eq!(schedule.latest(ORIGIN, ms(0), ms(until)), walked, "{timing} {until}");
            }
        }
    }

    #[test]
    fn a_delay_moves_each_tick_and_keeps_the_rhythm() {
        let mut every = schedule("1m", Missed::One);
        every.jitter = Duration::from_secs(10);
        let plan = every.plan(ORIGIN, ms(0), ms(64_999), 0.5, CHUNK);
        assert_eq!((plan.run, plan.next), (vec![], Some(ms(65_000))));
        let plan = every.plan(ORIGIN, ms(0), ms(65_000), 0.5, CHUNK);
        assert_eq!((plan.run, plan.next), (vec![ms(60_000)], Some(ms(125_000))));
        let upcoming: Vec<_> = every.upcoming(ORIGIN, ms(65_000), 0.5).take(2).collect();
        assert_eq!(upcoming, [ms(125_000), ms(185_000)]);
    }

    #[test]
    fn no_tick_before_the_start_or_after_the_end() {
        let mut every = schedule("10s", Missed::One);
        (every.start, every.end) = (Some(ms(3_000)), Some(ms(23_000)));
        let all: Vec<_> = every.upcoming(ORIGIN, ms(-100_000), 0.0).collect();
        assert_eq!(all, [ms(3_000), ms(13_000), ms(23_000)]);
        let plan = every.plan(ORIGIN, ms(13_000), ms(99_000), 0.0, CHUNK);
        assert_eq!((plan.run, plan.next), (vec![ms(23_000)], None));
        let mut cron = schedule("*/10 * * * * *", Missed::One);
        (cron.start, cron.end) = (Some(ms(10_000)), Some(ms(25_000)));
        let all: Vec<_> = cron.upcoming(ORIGIN, ms(0), 0.0).collect();
        assert_eq!(all, [ms(10_000), ms(20_000)], "the start itself may be a tick");
    }
}
