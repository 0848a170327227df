//! The stored form of a schedule: its record, with the owner that declared it, and its state. Bytes
//! that are read are never trusted.
//!
//! ```text
//! record   <u16 length> <MessagePack map: Stored> <envelope, whose job id is ignored>
//! state    <revision> <last tick> <runs> <missed> <time of the last run> <its job or ->
//! ```
//! The state is text, because only scripts write it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::job::{
    Error, JobId, Lane, QueueName, Tick, Timestamp, clamped_duration, clamped_millis,
};
use crate::schedule::spec::{Missed, Overlap, Schedule};
use crate::stored::Envelope;

/// The status of a schedule: active, or the reason why it does not tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// The schedule ticks, as long as its timing has a next tick.
    #[default]
    #[serde(rename = "a")]
    Active,
    /// An operator has paused the schedule. It ticks again only when it is resumed.
    #[serde(rename = "p")]
    Paused,
    /// A job of the schedule has stopped it. It ticks again when it is resumed, or when its
    /// declaration changes.
    #[serde(rename = "s")]
    Stopped,
    /// The code no longer declares the schedule. It ticks again when it is declared again.
    #[serde(rename = "u")]
    Undeclared,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Undeclared => "undeclared",
        })
    }
}

/// A schedule with its status and its declaration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) schedule: Schedule,
    /// The time from which an interval counts.
    pub(crate) origin: Timestamp,
    pub(crate) status: Status,
    /// The name of the scheduler to which the schedule belongs, if any.
    pub(crate) owner: Option<String>,
    /// The fingerprint of the declaration; the schedule may have been changed since.
    pub(crate) declared: Option<[u8; 16]>,
    /// The name of the deploy that declared the schedule.
    pub(crate) deploy: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "t")]
    timing: String,
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(rename = "l")]
    lane: u8,
    #[serde(rename = "m", default)]
    missed: Missed,
    #[serde(rename = "o", default)]
    overlap: Overlap,
    #[serde(rename = "j", default, skip_serializing_if = "is_zero")]
    jitter: i64,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    start: Option<i64>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    end: Option<i64>,
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    origin: i64,
    #[serde(rename = "p", default)]
    status: Status,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    declared: Option<[u8; 16]>,
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    deploy: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Record {
    pub(crate) fn new(schedule: Schedule, now: Timestamp) -> Self {
        let status = Status::Active;
        Self { schedule, origin: now, status, owner: None, declared: None, deploy: None }
    }

    /// Builds the job of a tick that is published `now`.
    pub(crate) fn job_of_tick(
        &self,
        queue: &QueueName,
        name: &str,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Envelope, Error> {
        let id = JobId::of_tick(queue, name, at);
        let alone = self.schedule.overlap != Overlap::Allow;
        self.schedule.job.for_tick(id, Tick::new(name, at, alone))?.published(now)
    }

    /// Returns true when the schedule ticks.
    pub(crate) fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let Schedule { timing, zone, job, lane, missed, overlap, jitter, start, end } =
            &self.schedule;
        let zone = (*zone != poolder_cron::Zone::UTC).then(|| zone.to_string());
        let stored = Stored {
            timing: timing.to_string(),
            zone,
            lane: u8::try_from(lane.index()).unwrap_or_default(),
            missed: *missed,
            overlap: *overlap,
            jitter: clamped_millis(*jitter),
            start: start.map(Timestamp::millis),
            end: end.map(Timestamp::millis),
            origin: self.origin.millis(),
            status: self.status,
            owner: self.owner.clone(),
            declared: self.declared,
            deploy: self.deploy.clone(),
        };
        let map = rmp_serde::to_vec_named(&stored)
            .map_err(|error| Error::codec(format!("the schedule cannot be stored: {error}")))?;
        let length = u16::try_from(map.len())
            .map_err(|_| Error::too_large("the schedule is larger than 64 KiB beside its job"))?;
        Ok([&length.to_be_bytes(), map.as_slice(), job.as_bytes()].concat())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |why: &dyn fmt::Display| {
            Error::codec(format!("the stored schedule cannot be read: {why}"))
        };
        let cut = || corrupt(&"it is cut short");
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (map, job) = rest.split_at_checked(length).ok_or_else(cut)?;
        let mut reader = rmp_serde::Deserializer::new(map);
        reader.set_max_depth(8);
        let stored = Stored::deserialize(&mut reader).map_err(|error| corrupt(&error))?;
        let zone = stored.zone.as_deref().map_or(Ok(poolder_cron::Zone::UTC), str::parse);
        let lane = Lane::from_index(usize::from(stored.lane));
        let schedule = Schedule {
            timing: stored.timing.parse().map_err(|error| corrupt(&error))?,
            zone: zone.map_err(|error| corrupt(&error))?,
            job: Envelope::parse(job.to_vec())?,
            lane: lane.ok_or_else(|| corrupt(&"its lane is unknown"))?,
            missed: stored.missed,
            overlap: stored.overlap,
            jitter: clamped_duration(stored.jitter.max(0).unsigned_abs()),
            start: stored.start.map(Timestamp::from_millis),
            end: stored.end.map(Timestamp::from_millis),
        };
        schedule.check().map_err(|error| corrupt(&error))?;
        Ok(Self {
            schedule,
            origin: Timestamp::from_millis(stored.origin),
            status: stored.status,
            owner: stored.owner,
            declared: stored.declared,
            deploy: stored.deploy,
        })
    }
}

impl Schedule {
    /// Returns a fingerprint by which an unchanged declaration is recognized. It covers everything
    /// except the time from which an interval counts.
    pub(crate) fn fingerprint(&self) -> Result<[u8; 16], Error> {
        // The job id is ignored, since each declaration generates a new one.
        let mut job = self.job.as_bytes().to_vec();
        job.get_mut(2..18).unwrap_or_default().fill(0);
        let job = Envelope::parse(job)?;
        let record = Record::new(Self { job, ..self.clone() }, Timestamp::from_millis(0));
        Ok(Uuid::new_v5(&Uuid::nil(), &record.encode()?).into_bytes())
    }
}

/// Returns the fraction of the jitter, from 0 to 1, by which the ticks of a schedule are delayed.
/// The fraction is derived from the name only, so it is the same at every tick.
pub(crate) fn spread(name: &str) -> f64 {
    let hash = Uuid::new_v5(&Uuid::nil(), name.as_bytes()).into_bytes();
    let [a, b, c, d, ..] = hash;
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

/// The state of a schedule, kept by the scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredState {
    pub(crate) revision: u64,
    pub(crate) last: Timestamp,
    pub(crate) runs: u64,
    pub(crate) missed: u64,
    pub(crate) ran: Option<Timestamp>,
    pub(crate) job: Option<JobId>,
}

impl StoredState {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let corrupt = || Error::codec(format!("the state {text:?} of a schedule cannot be read"));
        let mut parts = text.split(' ');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let mut five = || Some([number()?, number()?, number()?, number()?, number()?]);
        let [revision, last, runs, missed, ran] = five().ok_or_else(corrupt)?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Self {
            revision: count(revision),
            last: Timestamp::from_millis(last),
            runs: count(runs),
            missed: count(missed),
            ran: (ran > 0).then(|| Timestamp::from_millis(ran)),
            job: parts.next().and_then(JobId::from_hex),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::job::{Format, Policy};

    fn record() -> Record {
        let policy = Policy::default().attempts(3);
        let write = |out: &mut Vec<u8>| {
            out.extend(b"data");
            Ok(())
        };
        let job =
            Envelope::build(JobId::generate(), "k", 2, Some(&policy), Format::MessagePack, write);
        let mut schedule = Schedule::new("0 9 * * Mon".parse().unwrap(), job.unwrap());
        schedule.zone = "Europe/Berlin".parse().unwrap();
        schedule.missed = Missed::All { most: 5, within: Duration::from_secs(60) };
        schedule.overlap = Overlap::QueueOne;
        schedule.jitter = Duration::from_secs(3);
        schedule.end = Some(Timestamp::from_millis(99));
        Record {
            status: Status::Stopped,
            owner: Some("jobs".into()),
            declared: Some([7; 16]),
            deploy: Some("1.2".into()),
            ..Record::new(schedule, Timestamp::from_millis(5))
        }
    }

    #[test]
    fn a_record_is_read_back_and_a_broken_one_refused() {
        let record = record();
        let bytes = record.encode().unwrap();
        assert_eq!(Record::decode(&bytes).unwrap(), record);
        for cut in 0..bytes.len() - 4 {
            assert!(Record::decode(&bytes[..cut]).is_err_and(|e| e.is_codec()), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x55;
            // The changed record may be readable or not, but reading it must not panic.
            let _ = Record::decode(&bad);
        }
    }

    #[test]
    fn a_declaration_is_known_again_and_a_change_is_seen() {
        let schedule = record().schedule;
        let again = record().schedule;
        assert_ne!(schedule.job.id(), again.job.id());
        assert_eq!(schedule.fingerprint().unwrap(), again.fingerprint().unwrap());
        let other = Schedule { lane: Lane::Low, ..again };
        assert_ne!(schedule.fingerprint().unwrap(), other.fingerprint().unwrap());
    }

    #[test]
    fn a_state_is_read() {
        let job = JobId::generate();
        let state =
            StoredState::parse(&format!("3 1700000000000 9 1 1700000000005 {job}")).unwrap();
        assert_eq!((state.revision, state.runs, state.missed, state.job), (3, 9, 1, Some(job)));
        let fresh = StoredState::parse("1 -5 0 0 0 -").unwrap();
        assert_eq!((fresh.last.millis(), fresh.ran, fresh.job), (-5, None, None));
        assert!(StoredState::parse("1 x 0 0 0 -").is_err());
    }

    #[test]
    fn names_spread_over_the_jitter() {
        let spreads: Vec<f64> = (0..100).map(|n| spread(&format!("schedule-{n}"))).collect();
        assert!(spreads.iter().all(|spread| (0.0..=1.0).contains(spread)));
        let low = spreads.iter().filter(|spread| **spread < 0.5).count();
        assert!((30..70).contains(&low), "{low}");
    }
}
