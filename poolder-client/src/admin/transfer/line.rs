//! A line of an export. `docs/export.md` describes each.

use poolder_core::view::{KeptJob, KeptState, to_json};
use poolder_core::{Error, JobId, Partition, QueueName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::base64;
use super::report::ExportSums;

/// The version of the form of exports. Later versions may add fields and keep the number.
pub(super) const VERSION: u32 = 1;

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Line {
    /// The first line.
    Export(Head),
    Queue(QueueLine),
    Schedule(ScheduleLine),
    Job(Box<JobLine>),
    /// The last line: an export without it was cut off.
    End(ExportSums),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    #[serde(default)]
    pub(super) namespace: String,
    /// The server's clock when the export began.
    #[serde(default)]
    pub(super) at: i64,
    /// The version of Poolder that wrote it.
    #[serde(default)]
    pub(super) program: String,
}

/// The settings of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueLine {
    pub(super) queue: String,
    /// The time of a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<i64>,
    /// The mode of an addressed or broadcast pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    /// The slots of an addressed pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScheduleLine {
    pub(super) queue: String,
    pub(super) name: String,
    /// For people: an import reads it from `stored`.
    #[serde(default)]
    timing: String,
    #[serde(default)]
    status: String,
    /// The stored form.
    stored: String,
}

impl ScheduleLine {
    #[cfg(feature = "schedules")]
    pub(super) fn new(
        queue: &QueueName,
        name: &str,
        (timing, status): (String, String),
        stored: &[u8],
    ) -> Self {
        let stored = base64::encode(stored);
        Self { queue: queue.to_string(), name: name.to_owned(), timing, status, stored }
    }

    pub(super) fn stored(&self) -> Result<Vec<u8>, Error> {
        decoded(&self.stored)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct JobLine {
    queue: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    slot: u16,
    id: JobId,
    state: KeptState,
    /// For people, as all fields with a default are but `payload`: an import reads them from `stored`.
    #[serde(default)]
    lane: String,
    /// The due time or the time of death; of a ready job the time at which it entered its lane.
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    /// True for a job that ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ran: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u16>,
    #[serde(default, skip_serializing_if = "is_none")]
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The payload as it is shown. One that was changed is stored as an edit of a dead job stores it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    payload: Option<Value>,
    stored: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(slot: &u16) -> bool {
    *slot == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none(failures: &u32) -> bool {
    *failures == 0
}

/// Reads a field that is there, so that `null` is a payload.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn decoded(text: &str) -> Result<Vec<u8>, Error> {
    base64::decode(text).ok_or_else(|| Error::invalid("the field stored is not base64"))
}

impl JobLine {
    pub(super) fn new(job: &KeptJob, ran: bool) -> Self {
        let raw = job.raw_job();
        Self {
            queue: job.partition.queue.to_string(),
            slot: job.partition.index,
            id: job.id,
            state: job.state,
            lane: job.lane().to_string(),
            at: job.at.millis(),
            entry: job.entry.clone(),
            ran,
            kind: raw.map(|raw| raw.kind.to_owned()),
            version: raw.map(|raw| raw.version).filter(|version| *version != 1),
            failures: job.failures(),
            error: job.failure().map(ToString::to_string),
            payload: raw.and_then(|raw| to_json(raw).ok()),
            stored: base64::encode(job.body()),
        }
    }

    /// Returns the job that the line holds.
    pub(super) fn job(self) -> Result<KeptJob, Error> {
        let partition = Partition { queue: QueueName::new(&self.queue)?, index: self.slot };
        let body = decoded(&self.stored)?;
        let at = Timestamp::from_millis(self.at);
        let job = KeptJob::read((partition, self.id), (self.state, at), self.entry, body)?;
        let raw = job.raw_job();
        if let (Some(kind), Some(raw)) = (&self.kind, raw)
            && kind != raw.kind
        {
            let text =
                format!("the stored job is of kind {}: only its payload can be changed", raw.kind);
            return Err(Error::invalid(text));
        }
        let Some(payload) = self.payload else { return Ok(job) };
        // A number is compared after it was written and read, as the one of the line was.
        let shown = raw.and_then(|raw| to_json(raw).ok());
        let shown = shown.and_then(|shown| serde_json::from_str(&shown.to_string()).ok());
        if shown.as_ref() == Some(&payload) { Ok(job) } else { job.with_payload(&payload) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of an export of form 1, as the version that introduced it wrote them.
    const EXPORT: &str = include_str!("export-1.ndjson");

    fn lines() -> impl Iterator<Item = (&'static str, Line)> {
        EXPORT.lines().map(|text| (text, serde_json::from_str(text).expect(text)))
    }

    #[test]
    fn lines_of_form_1_are_read_and_written_as_they_were() {
        assert_eq!(VERSION, 1, "another form has lines of its own: keep those of this one");
        let mut types = [0; 5];
        for (text, line) in lines() {
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
            types[match &line {
                Line::Export(_) => 0,
                Line::Queue(_) => 1,
                Line::Schedule(_) => 2,
                Line::Job(_) => 3,
                Line::End(_) => 4,
            }] += 1;
        }
        assert_eq!(types, [1, 2, 1, 8, 1]);
    }

    #[test]
    fn a_job_of_form_1_makes_the_same_line_again() {
        for (text, line) in lines() {
            let Line::Job(line) = line else { continue };
            let ran = line.ran;
            let again = Line::Job(Box::new(JobLine::new(&line.job().unwrap(), ran)));
            assert_eq!(serde_json::to_string(&again).unwrap(), text);
        }
    }

    #[test]
    fn a_field_of_a_later_version_is_passed_over() {
        for (text, line) in lines() {
            let later = text.replacen('{', r#"{"later":[1],"#, 1);
            assert_eq!(serde_json::from_str::<Line>(&later).expect(&later), line);
        }
    }
}
