//! A job as an export keeps it: the bytes of its stored form, and its place.

use serde::{Deserialize, Serialize};

use super::{Content, JobView, edit};
use crate::job::{
    Cause, Error, Failure, Handle, JobId, JobState, Lane, Partition, Place, RawJob, Timestamp,
};
use crate::policy::Counters;
use crate::stored::{Death, Envelope, check_no_batch, head, read_waiting, try_read_dead};

/// The place at which an export keeps a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeptState {
    /// In a lane, or in a group of a limited queue: it runs as soon as a slot is free and the limits
    /// allow it.
    Ready,
    /// In `due`: it waits for its time, or for another attempt.
    Due,
    /// Among the dead.
    Dead,
}

impl KeptState {
    /// Returns the name, as it is in an export.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Due => "due",
            Self::Dead => "dead",
        }
    }
}

/// A job as an export keeps it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct KeptJob {
    /// The partition of the job.
    pub partition: Partition,
    /// The id of the job.
    pub id: JobId,
    /// The place of the job.
    pub state: KeptState,
    /// The due time or the time of death; of a ready job the time at which it entered its lane, or at
    /// which its id was made, if it waits in a group.
    pub at: Timestamp,
    /// The entry that a ready job had in its lane; `None` for one that waits in a group.
    pub entry: Option<String>,
    body: Vec<u8>,
    lane: Lane,
    counters: Counters,
    death: Option<Death>,
    envelope: Option<Envelope>,
}

impl KeptJob {
    /// Returns a job as an export keeps it. A running job is ready there, and so is one that waits in
    /// a group of a limited queue. An entry that is not a job is dead, as it will be once a node has
    /// claimed it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a job that stands for a batch, whose entries are elsewhere, and
    /// [`Error::is_too_large`] for a job of which only the beginning was read.
    pub fn of(view: &JobView) -> Result<Self, Error> {
        let Handle { partition, place, .. } = &view.handle;
        let (state, entry) = match (view.state, place) {
            (JobState::Dead, _) => (KeptState::Dead, None),
            (JobState::Ready | JobState::Running, Some(Place::Entry(_, entry))) => {
                (KeptState::Ready, Some(entry.to_string()))
            }
            (JobState::Ready, Some(Place::Group(..))) => (KeptState::Ready, None),
            _ => (KeptState::Due, None),
        };
        let too_large = || {
            let text = "only the beginning of the job was read: it is too large";
            Err(Error::too_large(text).with_job(view.id()))
        };
        let mut kept = Self {
            partition: partition.clone(),
            id: view.id(),
            state,
            at: view.at,
            entry,
            body: vec![],
            lane: view.lane,
            counters: view.counters.clone(),
            death: None,
            envelope: None,
        };
        let raw = match &view.content {
            Content::Job(envelope) | Content::Plain(_, envelope) => {
                check_no_batch(envelope)?;
                kept.envelope = Some(envelope.clone());
                None
            }
            Content::Raw(bytes) if !bytes.is_empty() => Some(bytes.as_slice()),
            Content::Raw(_) | Content::Beginning(_) => return too_large(),
        };
        if state == KeptState::Dead || raw.is_some() {
            let unknown = || Failure::new(Cause::Undecodable, "the entry is not a job");
            let failure = view.failure().cloned().unwrap_or_else(unknown);
            let node = view.node.clone().unwrap_or_default();
            kept.death = Some(Death::new(failure, &node, raw.is_some()));
            (kept.state, kept.entry) = (KeptState::Dead, None);
        }
        kept.body = kept.stored(raw.unwrap_or_default());
        Ok(kept)
    }

    /// Reads a job of an export. Every part is checked, because the bytes are not trusted.
    ///
    /// # Errors
    /// [`Error::is_codec`] for bytes that are not the stored form of a job, and
    /// [`Error::is_invalid`] for a job of another id, one that stands for a batch, and one in a lane
    /// in which it cannot wait.
    pub fn read(
        (partition, id): (Partition, JobId),
        (state, at): (KeptState, Timestamp),
        entry: Option<String>,
        body: Vec<u8>,
    ) -> Result<Self, Error> {
        let (lane, counters, death, envelope) = match state {
            KeptState::Dead => {
                let dead = try_read_dead(&body)?;
                (dead.counters.home(), dead.counters, Some(dead.death), dead.envelope.ok())
            }
            _ => {
                let (lane, counters, envelope) = read_waiting(&body)?;
                (lane, counters, None, Some(envelope))
            }
        };
        if let Some(envelope) = &envelope {
            check_no_batch(envelope)?;
            if envelope.id() != id {
                let text = format!("the stored job has another id: {}", envelope.id());
                return Err(Error::invalid(text));
            }
        }
        Ok(Self { partition, id, state, at, entry, body, lane, counters, death, envelope })
    }

    /// Changes the payload as it is shown, as an edit of a dead job does. A payload that is shown as
    /// before stays as it is stored, byte for byte.
    ///
    /// # Errors
    /// [`Error::is_too_large`] for a payload above the cap, [`Error::is_codec`] for one that is nested
    /// too deep, and for bytes that are not a job.
    pub fn with_payload(mut self, shown: &serde_json::Value) -> Result<Self, Error> {
        let no_job = || Error::codec("the stored bytes are not a job, so that it has no payload");
        let envelope = self.envelope.as_ref().ok_or_else(no_job)?;
        let (format, payload) = edit(envelope.raw_job(), shown)?;
        self.envelope = Some(envelope.with_payload(format, &payload)?);
        self.body = self.stored(&[]);
        Ok(self)
    }

    /// Returns the bytes of the stored form: head and envelope, before them of a dead job its death.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the lane of the job.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Returns the payload with its kind, version and format; `None` for bytes that are not a job.
    #[must_use]
    pub fn raw_job(&self) -> Option<RawJob<'_>> {
        self.envelope.as_ref().map(Envelope::raw_job)
    }

    /// Returns the number of failed attempts.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.counters.failures
    }

    /// Returns the failure of which the job died, or else its last failure.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        let died = self.death.as_ref().map(|death| &death.failure);
        died.or(self.counters.last_failure.as_ref())
    }

    pub(crate) fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    fn stored(&self, raw: &[u8]) -> Vec<u8> {
        let mut body = self.death.as_ref().map(Death::encode).unwrap_or_default();
        let lane = if self.death.is_some() { self.counters.home() } else { self.lane };
        body.extend(head(lane, &self.counters));
        body.extend(self.envelope.as_ref().map_or(raw, Envelope::as_bytes));
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Format, QueueName};
    use serde_json::json;

    fn id() -> JobId {
        JobId::from_bytes([7; 16])
    }

    fn view(state: JobState, place: Option<Place>) -> JobView {
        let write = |out: &mut Vec<u8>| {
            out.extend(b"{\"user\":7}");
            Ok(())
        };
        let envelope = Envelope::build(id(), "k", 2, None, Format::Json, write).unwrap();
        let partition = Partition::first(QueueName::new("q").unwrap());
        JobView {
            handle: Handle { partition, job: id(), place },
            state,
            lane: Lane::High,
            at: Timestamp::from_millis(9),
            node: None,
            end: None,
            counters: Counters::starting_in(Lane::High),
            cancelling: false,
            failure: None,
            content: Content::Job(envelope),
        }
    }

    fn read_again(kept: &KeptJob) -> KeptJob {
        let (of, at) = ((kept.partition.clone(), kept.id), (kept.state, kept.at));
        KeptJob::read(of, at, kept.entry.clone(), kept.body.clone()).unwrap()
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let entry = || Some(Place::Entry(Lane::High, "5-0".into()));
        let mut dead = view(JobState::Dead, Some(Place::Dead));
        dead.failure = Some(Failure::new(Cause::Error, "no"));
        let mut odd = view(JobState::Ready, entry());
        odd.content = Content::Raw(b"odd".to_vec());
        for (view, state) in [
            (view(JobState::Ready, entry()), KeptState::Ready),
            (view(JobState::Running, entry()), KeptState::Ready),
            (view(JobState::Ready, Some(Place::Group("acme".into(), 7))), KeptState::Ready),
            (view(JobState::Scheduled, Some(Place::Due(Timestamp::default()))), KeptState::Due),
            (dead, KeptState::Dead),
            (odd, KeptState::Dead),
        ] {
            let kept = KeptJob::of(&view).unwrap();
            assert_eq!(kept.state, state);
            assert_eq!(read_again(&kept).body, kept.body);
            assert_eq!(read_again(&kept).failure(), kept.failure());
        }
        let mut part = view(JobState::Dead, Some(Place::Dead));
        part.content = Content::Beginning(b"x".to_vec());
        assert!(KeptJob::of(&part).unwrap_err().is_too_large());
    }

    #[test]
    fn a_payload_is_changed_only_where_it_is_shown_differently() {
        let kept = KeptJob::of(&view(JobState::Scheduled, None)).unwrap();
        let changed = kept.clone().with_payload(&json!({ "user": 8 })).unwrap();
        assert_eq!(changed.raw_job().unwrap().payload, b"{\"user\":8}");
        assert_eq!(read_again(&changed).raw_job().unwrap().version, 2);
    }

    #[test]
    fn bytes_that_are_no_job_and_those_of_another_one_are_refused() {
        let kept = KeptJob::of(&view(JobState::Scheduled, None)).unwrap();
        let of = |id| (kept.partition.clone(), id);
        let read = |id, state, body: &[u8]| {
            KeptJob::read(of(id), (state, kept.at), None, body.to_vec()).err()
        };
        let other = JobId::from_bytes([8; 16]);
        assert!(read(other, KeptState::Due, &kept.body).unwrap().is_invalid());
        for cut in 0..kept.body.len() {
            for state in [KeptState::Ready, KeptState::Due, KeptState::Dead] {
                let failed = read(id(), state, &kept.body[..cut]);
                // The end of the payload is not known to the stored form.
                assert!(failed.is_some() || cut > 20, "{state:?} cut at {cut}");
            }
        }
        assert!(read(id(), KeptState::Dead, &kept.body).unwrap().is_codec());
    }
}
