//! Makes the frames of ten minutes of those of a minute, and the frames of two hours of those of ten
//! minutes. Any node may do it: twice gives the same frame, since the frames of closed periods do
//! not change.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{Pipeline, Value};

use super::MAX_SERIES;
use super::frames::{Frame, FrameKind};
use crate::broker::{Broker, scripts};
use crate::history::{Counts, HistoryStep, Period};
use crate::job::{Error, Timestamp, clamped_millis};

/// The longest time for which a node may make a frame, before another one does.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time after its end at which the parts of a period of two hours are there.
const SETTLED: Duration = Duration::from_secs(300);
/// The number of series that one command stores.
const PAGE: usize = 5;
/// The number of closed periods of each length that are looked at.
const PERIODS: i64 = 3;

impl Broker {
    /// Makes the frames of the last periods of ten minutes and of two hours that are missing.
    /// Returns the number of frames that were made.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn roll_history(&self, now: Timestamp) -> Result<usize, Error> {
        let mut made = 0;
        for step in [HistoryStep::TenMinutes, HistoryStep::TwoHours] {
            let present = Period::of(step, now);
            for back in (1..=PERIODS).rev() {
                let period = present.after(-back);
                // Another node may still be making the shorter periods.
                if step == HistoryStep::TenMinutes || now >= period.end() + SETTLED {
                    made += usize::from(self.roll_one(period).await?);
                }
            }
        }
        Ok(made)
    }

    /// Makes a frame, unless it is there or another node makes it. Returns true when it was made.
    async fn roll_one(&self, period: Period) -> Result<bool, Error> {
        let keys = &self.roster_keys().history;
        let (letter, number) = (period.step().letter(), period.number());
        let (frame, mark) = (keys.frame(letter, number), keys.rolled(letter, number));
        if self.command(redis::cmd("EXISTS").arg(&mark)).await? == Value::Int(1) {
            return Ok(false);
        }
        let mut claim = scripts::write("SET", &mark);
        claim.arg(1).arg("NX").arg("PX").arg(clamped_millis(PATIENCE));
        if self.command(&claim).await? == Value::Nil {
            // Another node was faster.
            return Ok(false);
        }
        let parts: Vec<Period> = period.parts().collect();
        let series = sum(self.read_frames(FrameKind::Series, &parts, None).await?);
        let gauges = last(self.read_frames(FrameKind::Gauges, &parts, None).await?);
        let mut pipe = redis::pipe();
        store(&mut pipe, &frame, &series, period);
        store(&mut pipe, &keys.gauges(letter, number), &gauges, period);
        // Until no node looks at the period any more.
        let done = period.step().length().saturating_mul(2 + PERIODS as u32);
        pipe.cmd("PEXPIRE").arg(&mark).arg(clamped_millis(done));
        for reply in self.pipeline(&pipe).await? {
            reply.map_err(|error| self.classify(error))?;
        }
        Ok(!series.is_empty())
    }
}

/// Adds the commands that store a frame of a period.
pub(super) fn store(pipe: &mut Pipeline, key: &str, fields: &[(String, Counts)], period: Period) {
    for page in fields.chunks(PAGE) {
        let mut set = scripts::write("HSET", key);
        for (name, counts) in page {
            set.arg(name).arg(counts.encode());
        }
        pipe.add_command(set);
    }
    if !fields.is_empty() {
        pipe.cmd("PEXPIRE").arg(key).arg(clamped_millis(period.step().kept()));
    }
}

/// Returns the last gauges of each queue.
fn last(frames: Vec<Frame>) -> Vec<(String, Counts)> {
    frames.into_iter().flatten().collect::<BTreeMap<_, _>>().into_iter().take(MAX_SERIES).collect()
}

/// Adds the frames up. Of more series than a frame holds, those with the fewest counts are added up
/// under the name for the rest.
fn sum(frames: Vec<Frame>) -> Vec<(String, Counts)> {
    let mut series = BTreeMap::<String, Counts>::new();
    for (name, counts) in frames.into_iter().flatten() {
        series.entry(name).or_default().merge(&counts);
    }
    let mut series: Vec<(String, Counts)> = series.into_iter().collect();
    if series.len() > MAX_SERIES {
        series.sort_by_cached_key(|(_, counts)| std::cmp::Reverse(counts.total()));
        let mut rest = BTreeMap::<&str, Counts>::new();
        for (name, counts) in series.drain(MAX_SERIES..) {
            let name = if name.starts_with('!') { "!*" } else { "*" };
            rest.entry(name).or_default().merge(&counts);
        }
        for (name, counts) in rest {
            match series.iter_mut().find(|(one, _)| one == name) {
                Some((_, known)) => known.merge(&counts),
                None => series.push((name.into(), counts)),
            }
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_gauges_of_each_queue_are_kept() {
        let frame = |of: &[(&str, u64)]| -> Frame {
            of.iter().map(|(queue, at)| ((*queue).into(), Counts::seen(*at))).collect()
        };
        let frames = vec![frame(&[("a", 1), ("b", 2)]), frame(&[]), frame(&[("a", 3)])];
        assert_eq!(last(frames), frame(&[("a", 3), ("b", 2)]));
    }

    #[test]
    fn frames_are_added_up_and_the_smallest_series_beyond_the_limit_are_one() {
        let frame = |from: usize, to: usize| -> Frame {
            (from..to).map(|at| (format!("q k{at:04}"), Counts::seen(at as u64 + 1))).collect()
        };
        assert_eq!(sum(vec![]), []);
        let two = sum(vec![frame(0, 2), frame(1, 3)]);
        let totals: Vec<u64> = two.iter().map(|(_, counts)| counts.total()).collect();
        assert_eq!(totals, [1, 4, 3]);
        let all = sum(vec![frame(0, 600), vec![("*".into(), Counts::seen(10_000))]]);
        assert_eq!(all.len(), MAX_SERIES);
        let (name, rest) = &all[0];
        assert_eq!((&**name, rest.total()), ("*", 10_000 + (1..=89).sum::<u64>()));
        assert_eq!(all.last().map(|(name, _)| &**name), Some("q k0089"));
    }
}
