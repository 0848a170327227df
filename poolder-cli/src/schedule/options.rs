//! The options that describe a schedule on the command line.

use std::time::Duration;

use clap::{Args, ValueEnum};
use poolder_core::{
    Envelope, Error, Format, JobId, Missed, Overlap, Policy, Schedule, Timestamp, Timing, Zone,
};

use crate::payload;
use crate::values::{LaneName, moment};

/// The timing of a schedule.
#[derive(Debug, Args)]
pub(crate) struct When {
    /// A cron expression: "30 7 * * Mon-Fri", "*/15 * * * * *", "@daily".
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "every")]
    pub(crate) cron: Option<String>,
    /// An interval: "90s", "1h 30m".
    #[arg(long, value_name = "TIME")]
    pub(crate) every: Option<String>,
    /// The time zone of the expression: "Europe/Berlin" [default: UTC].
    #[arg(long)]
    pub(crate) zone: Option<Zone>,
}

/// The settings of a schedule, except the kind of its job.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    when: When,
    /// The payload of the job in JSON; @FILE reads a file, - standard input [default: null].
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// The version of the payload's shape [default: 1].
    #[arg(long)]
    version_of_payload: Option<u16>,
    /// The number of attempts before a job is dead [default: 25].
    #[arg(long)]
    attempts: Option<u32>,
    /// The lane in which the jobs wait [default: normal].
    #[arg(long)]
    lane: Option<LaneName>,
    /// The policy for ticks that no leader could publish in time: skip, one, or all:MOST:WITHIN
    /// such as all:7:1d [default: one].
    #[arg(long, value_name = "POLICY", value_parser = missed)]
    missed: Option<Missed>,
    /// The policy for a tick while the job of an earlier tick is under way [default: allow].
    #[arg(long)]
    overlap: Option<OverlapName>,
    /// The maximum delay of the ticks; it is always the same for one schedule [default: 0s].
    #[arg(long, value_name = "TIME", value_parser = poolder_cron::span)]
    jitter: Option<Duration>,
    /// No tick before this moment: 2026-12-01T08:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    start: Option<Timestamp>,
    /// No tick after this moment.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    end: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OverlapName {
    /// Enqueue the job all the same.
    Allow,
    /// Drop the tick.
    Skip,
    /// Enqueue the job as soon as the earlier job has ended; at most one waits.
    QueueOne,
}

impl When {
    /// Returns the timing, if one was given.
    pub(crate) fn timing(&self) -> Result<Option<Timing>, Error> {
        match (&self.cron, &self.every) {
            (None, None) => Ok(None),
            (Some(text), _) => match text.parse()? {
                Timing::Every(_) => Err(Error::invalid(format!(
                    "{text:?} is an interval, not a cron expression: use --every"
                ))),
                cron => Ok(Some(cron)),
            },
            (None, Some(text)) => {
                let interval = poolder_cron::span(text)
                    .map_err(|why| Error::invalid(format!("{text:?} is no interval: {why}")))?;
                Ok(Some(Timing::every(interval)?))
            }
        }
    }
}

impl Options {
    /// Makes a schedule for a job of this kind.
    pub(crate) fn schedule(&self, kind: &str) -> Result<Schedule, Error> {
        let Some(timing) = self.when.timing()? else {
            return Err(Error::invalid("the timing is missing: add --cron or --every"));
        };
        let job = self.job(kind, self.version_of_payload.unwrap_or(1), None)?;
        let mut schedule = Schedule::new(timing, job);
        self.apply(&mut schedule);
        Ok(schedule)
    }

    /// Changes the settings that were given, and no others.
    pub(crate) fn change(&self, schedule: &mut Schedule, kind: Option<&str>) -> Result<(), Error> {
        if let Some(timing) = self.when.timing()? {
            schedule.timing = timing;
        }
        let job = &schedule.job;
        let kind_or_version = kind.is_some() || self.version_of_payload.is_some();
        if self.payload.is_some() {
            let version = self.version_of_payload.unwrap_or(job.version());
            schedule.job = self.job(kind.unwrap_or(job.kind()), version, job.own_policy())?;
        } else if kind_or_version {
            return Err(Error::invalid(
                "another kind or version needs another payload: give it with --payload",
            ));
        } else if let Some(attempts) = self.attempts {
            schedule.job = job.with_policy(&job.policy().attempts(attempts))?;
        }
        self.apply(schedule);
        Ok(())
    }

    /// Returns true when no setting was given.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { when, payload, version_of_payload, attempts, lane, missed, overlap, .. } = self;
        let when = when.cron.is_some() || when.every.is_some() || when.zone.is_some();
        let job = payload.is_some() || version_of_payload.is_some() || attempts.is_some();
        let times = self.jitter.is_some() || self.start.is_some() || self.end.is_some();
        !(when || job || times || lane.is_some() || missed.is_some() || overlap.is_some())
    }

    fn job(&self, kind: &str, version: u16, policy: Option<Policy>) -> Result<Envelope, Error> {
        let text = payload::read(self.payload.as_deref().unwrap_or("null"))?;
        let policy = match self.attempts {
            Some(attempts) => Some(policy.unwrap_or_default().attempts(attempts)),
            None => policy,
        };
        Envelope::build(JobId::generate(), kind, version, policy.as_ref(), Format::Json, |out| {
            out.extend(text.as_bytes());
            Ok(())
        })
    }

    fn apply(&self, schedule: &mut Schedule) {
        if let Some(zone) = self.when.zone {
            schedule.zone = zone;
        }
        if let Some(lane) = self.lane {
            schedule.lane = lane.into();
        }
        if let Some(overlap) = self.overlap {
            schedule.overlap = match overlap {
                OverlapName::Allow => Overlap::Allow,
                OverlapName::Skip => Overlap::Skip,
                OverlapName::QueueOne => Overlap::QueueOne,
            };
        }
        schedule.missed = self.missed.unwrap_or(schedule.missed);
        schedule.jitter = self.jitter.unwrap_or(schedule.jitter);
        schedule.start = self.start.or(schedule.start);
        schedule.end = self.end.or(schedule.end);
    }
}

fn missed(text: &str) -> Result<Missed, String> {
    match text {
        "skip" => return Ok(Missed::Skip),
        "one" => return Ok(Missed::One),
        _ => {}
    }
    let usage = "use skip, one, or all:MOST:WITHIN such as all:7:1d";
    let rest = text.strip_prefix("all:").ok_or(usage)?;
    let (most, within) = rest.split_once(':').ok_or(usage)?;
    let most = most.parse().map_err(|_| format!("{most:?} is no number: {usage}"))?;
    Ok(Missed::All { most, within: poolder_cron::span(within)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_or_refused_with_what_to_write() {
        let week = Duration::from_secs(7 * 86_400);
        assert_eq!(missed("all:7:7d").unwrap(), Missed::All { most: 7, within: week });
        assert_eq!((missed("skip").unwrap(), missed("one").unwrap()), (Missed::Skip, Missed::One));
        for bad in ["", "all", "all:7", "all:x:1d", "all:7:soon"] {
            assert!(missed(bad).is_err(), "{bad}");
        }
    }
}
