//! The last runs of a schedule, and their stored form.
//!
//! ```text
//! runs   <run> \n <run> ...                                    the oldest run first
//! run    <job> <tick> <time of publication> <node> <missed> <end>
//! end    - | <letter> <time> <node or ->
//! ```
//! It is text, because only scripts write it.

use serde::Serialize;

use crate::job::{JobId, RunOutcome, Timestamp};

/// The most runs of a schedule that are kept.
pub(crate) const KEPT_RUNS: usize = 10;

/// A run of a schedule: a tick for which a job was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScheduleRun {
    /// The job.
    pub job: JobId,
    /// The time of the tick.
    pub tick: Timestamp,
    /// The time at which the job was enqueued, by the server's clock.
    pub published: Timestamp,
    /// The node that enqueued it, the leader of the partition at that time.
    pub published_by: String,
    /// The number of ticks between this run and the next one of which no job came: they were missed,
    /// an earlier job was under way, or another job held the unique key.
    pub missed: u64,
    /// The end of the job. `None` as long as it waits or runs, and for a job that an operator has
    /// cancelled, buried or removed while it waited.
    pub end: Option<ScheduleRunEnd>,
}

/// The end of the job of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScheduleRunEnd {
    /// How it ended.
    pub how: RunOutcome,
    /// When it ended, by the server's clock.
    pub at: Timestamp,
    /// The node that ran it; `None` for a job that never ran.
    pub node: Option<String>,
}

impl ScheduleRun {
    /// Returns the runs of the stored form, the latest first. A run that cannot be read is left out.
    pub(crate) fn read_all(stored: &str) -> Vec<Self> {
        let latest_first = stored.lines().rev().take(KEPT_RUNS);
        latest_first.filter_map(Self::read).collect()
    }

    fn read(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let mut next = || parts.next();
        let time = |text: &str| text.parse().ok().map(Timestamp::from_millis);
        let job = JobId::from_hex(next()?)?;
        let (tick, published) = (time(next()?)?, time(next()?)?);
        let published_by = next()?.to_owned();
        let missed = next()?.parse().ok()?;
        let end = match next()? {
            "-" => None,
            letter => Some(ScheduleRunEnd {
                how: RunOutcome::of(letter)?,
                at: time(next()?)?,
                node: Some(next()?).filter(|node| *node != "-").map(ToOwned::to_owned),
            }),
        };
        Some(Self { job, tick, published, published_by, missed, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b";

    #[test]
    fn runs_are_read_the_latest_first() {
        let stored = format!(
            "{JOB} 1 2 n1 3 -\n{JOB} 4 5 n2 0 c 6 n3\nrubbish\n{JOB} 7 8 n1 0 r 9 -\n\
             {JOB} 7 8 n1 0 ? 9 -"
        );
        let runs = ScheduleRun::read_all(&stored);
        assert_eq!(runs.len(), 3, "{runs:?}");
        let last = runs[0].end.as_ref().unwrap();
        assert_eq!((last.how, last.at.millis(), &last.node), (RunOutcome::Replaced, 9, &None));
        let end = runs[1].end.as_ref().unwrap();
        assert_eq!((end.how, end.node.as_deref()), (RunOutcome::Completed, Some("n3")));
        let first = &runs[2];
        let times = (first.tick.millis(), first.published.millis(), first.missed);
        assert_eq!((times, first.published_by.as_str()), ((1, 2, 3), "n1"));
        assert_eq!((&first.end, first.job.to_string().replace('-', "")), (&None, JOB.into()));
    }

    #[test]
    fn no_more_runs_are_read_than_are_kept() {
        let stored = format!("{JOB} 1 2 n 0 -\n").repeat(1000);
        assert_eq!(ScheduleRun::read_all(&stored).len(), KEPT_RUNS);
    }
}
