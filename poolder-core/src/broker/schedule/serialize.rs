//! The serialized form of a schedule, for a dashboard or a log.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::ScheduleInfo;
use crate::job::{JobId, Lane, Partition, Timestamp};
use crate::schedule::ScheduleRun;
use crate::view::to_json;

/// The fields of a schedule as they are written.
#[derive(Serialize)]
struct Fields<'a> {
    name: &'a str,
    partition: &'a Partition,
    status: String,
    timing: String,
    zone: String,
    kind: &'a str,
    payload: Option<Value>,
    lane: Lane,
    missed_policy: String,
    overlap: String,
    jitter_ms: u64,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    owner: Option<&'a str>,
    deploy: Option<&'a str>,
    revision: u64,
    last_run: Option<Timestamp>,
    last_job: Option<JobId>,
    next: Option<Timestamp>,
    runs: u64,
    missed: u64,
    last_runs: &'a [ScheduleRun],
    running: bool,
    queued: bool,
}

impl Serialize for ScheduleInfo {
    /// Writes the schedule and its state; texts are those that the program `poolder` shows.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let schedule = &self.schedule;
        let fields = Fields {
            name: &self.name,
            partition: &self.partition,
            status: self.status.to_string(),
            timing: schedule.timing.to_string(),
            zone: schedule.zone.to_string(),
            kind: schedule.job.kind(),
            payload: to_json(schedule.job.raw_job()).ok(),
            lane: schedule.lane,
            missed_policy: schedule.missed.to_string(),
            overlap: schedule.overlap.to_string(),
            jitter_ms: u64::try_from(schedule.jitter.as_millis()).unwrap_or(u64::MAX),
            start: schedule.start,
            end: schedule.end,
            owner: self.owner.as_deref(),
            deploy: self.deploy.as_deref(),
            revision: self.revision,
            last_run: self.last_run,
            last_job: self.last_job,
            next: self.next,
            runs: self.runs,
            missed: self.missed,
            last_runs: &self.last_runs,
            running: self.running,
            queued: self.queued,
        };
        fields.serialize(serializer)
    }
}
