//! Which ticks are due, which of them run, and which comes next. The one place that decides.

use std::time::Duration;

use crate::job::{Timestamp, clamped_millis};
use crate::schedule::spec::{Missed, Schedule};

/// So many ticks are found in one walk at most: the interval of 10 ms has more of them in a second
/// than are ever run.
const WALK: usize = 20_000;
/// Dropped ticks are counted up to this many at a time.
const COUNTED: usize = 1_000;

/// What is to be done about a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickPlan {
    /// The ticks that run, in order.
    pub run: Vec<Timestamp>,
    /// The tick up to which all is decided.
    pub last: Timestamp,
    /// How many ticks were dropped because they were missed; at most 1,000 are counted.
    pub missed: u64,
    /// When to look again, jitter included; `None` when it never ticks again.
    pub next: Option<Timestamp>,
}

impl Schedule {
    /// What is to be done at `now`, when all up to the tick `last` is decided. `spread` says which
    /// part of the jitter is the schedule's own, from 0 to 1. At most `chunk` ticks run; the
    /// others follow in the next plan, which is then due at once.
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
        // A tick is due when its time and the schedule's delay have passed.
        let horizon = Timestamp::from_millis(now.millis().saturating_sub(clamped_millis(delay)));
        let next = |last| self.next(origin, last).map(|tick| tick + delay);
        let Some(latest) = self.latest(origin, last, horizon) else {
            return TickPlan { run: vec![], last, missed: 0, next: next(last) };
        };
        let run = match self.missed {
            Missed::Skip if horizon.since(latest) > Missed::GRACE => vec![],
            Missed::Skip | Missed::One => vec![latest],
            Missed::All { most, within } => {
                let oldest = horizon.millis().saturating_sub(clamped_millis(within));
                let after = last.max(Timestamp::from_millis(oldest.saturating_sub(1)));
                self.newest(origin, after, horizon, most as usize)
            }
        };
        // All of the plan's first dropped ticks lie before the first that runs.
        let until = run.first().map_or(horizon, |first| Timestamp::from_millis(first.millis() - 1));
        let missed = self.ticks(origin, last, until).take(COUNTED).count() as u64;
        let more = run.len() > chunk;
        let run: Vec<_> = run.into_iter().take(chunk).collect();
        let last = if more { run.last().copied().unwrap_or(latest) } else { latest };
        TickPlan { run, last, missed, next: next(last) }
    }

    /// The next ticks after a moment, jitter included: what a user asks for.
    pub fn upcoming(
        &self,
        origin: Timestamp,
        after: Timestamp,
        spread: f64,
    ) -> impl Iterator<Item = Timestamp> {
        let delay = self.delay(spread);
        let mut last =
            Some(Timestamp::from_millis(after.millis().saturating_sub(clamped_millis(delay))));
        std::iter::from_fn(move || {
            last = self.next(origin, last?);
            last.map(|tick| tick + delay)
        })
    }

    fn delay(&self, spread: f64) -> Duration {
        let delay = self.jitter.mul_f64(spread.clamp(0.0, 1.0));
        // Ticks are whole milliseconds.
        Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
    }

    /// The ticks after one moment and up to another.
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

    /// The latest tick in the same range, found without walking over those before it: after an
    /// outage of a month there may be millions.
    fn latest(&self, origin: Timestamp, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let next = |after: i64| {
            let tick = self.next(origin, Timestamp::from_millis(after))?;
            (tick <= until).then_some(tick)
        };
        let mut found = next(after.millis())?;
        // From `low` a tick is due, from `high` none is any more.
        let (mut low, mut high) = (found.millis(), until.millis());
        while let Some(tick) = next(low) {
            found = tick;
            low = tick.millis();
            let middle = low + (high - low) / 2;
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

    /// The newest ticks in the same range, ascending.
    fn newest(
        &self,
        origin: Timestamp,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Vec<Timestamp> {
        // Backwards in steps of time, longer ones where ticks are rare.
        let mut step = 1_000 * i64::try_from(most).unwrap_or(1);
        let mut found = vec![];
        let mut until = until;
        while found.len() < most && until > after {
            let from = after.max(Timestamp::from_millis(until.millis().saturating_sub(step)));
            let mut chunk: Vec<_> = self.ticks(origin, from, until).take(WALK + 1).collect();
            if chunk.len() > WALK {
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
        let job = Envelope::build(JobId::generate(), "k", 1, &policy, Format::Json, |_| Ok(()));
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

        // The latest of a second's schedule is hardly late; that of an hour's is.
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
