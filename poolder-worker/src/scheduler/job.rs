//! A job of a scheduler: its payload, and the name and the defaults of its schedule.

use std::marker::PhantomData;
use std::time::Duration;

use poolder_core::{
    Envelope, Error, Format, Headers, Job, JobId, Lane, Missed, Overlap, Policy, Schedule, Timing,
};
use serde::{Deserialize, Serialize};

use super::periodic::Periodic;

/// The job type of a scheduler. The payload is the name of the job.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Named<P> {
    pub(super) job: String,
    #[serde(skip)]
    of: PhantomData<fn() -> P>,
}

impl<P> Named<P> {
    fn new(job: &str) -> Self {
        Self { job: job.to_owned(), of: PhantomData }
    }
}

impl<P: Periodic> Job for Named<P> {
    const KINDS: &'static [&'static str] = &[P::NAME];
    const QUEUE: &'static str = P::NAME;
}

/// The default settings of a scheduler's schedules, those included that are created at run time.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) zone: Option<String>,
    pub(super) lane: Lane,
    pub(super) policy: Policy,
    pub(super) headers: Headers,
    pub(super) missed: Missed,
    pub(super) overlap: Overlap,
    pub(super) jitter: Duration,
}

impl Defaults {
    /// Returns a schedule with these settings for a job.
    pub(super) fn schedule<P: Periodic>(
        &self,
        job: &str,
        timing: Timing,
    ) -> Result<Schedule, Error> {
        let named = Named::<P>::new(job);
        let write = |out: &mut Vec<u8>| named.encode(out);
        let (id, format) = (JobId::from_bytes([0; 16]), Format::MessagePack);
        let job = Envelope::build(id, P::NAME, 1, Some(&self.policy), format, write)?;
        let job = job.with_headers(&self.headers)?;
        let mut schedule = Schedule::new(timing, job);
        if let Some(zone) = &self.zone {
            schedule.zone = zone.parse()?;
        }
        schedule.lane = self.lane;
        schedule.missed = self.missed;
        schedule.overlap = self.overlap;
        schedule.jitter = self.jitter;
        Ok(schedule)
    }
}

/// Returns the name of the schedule of a job.
pub(super) fn schedule_name<P: Periodic>(job: &str) -> String {
    format!("{}.{job}", P::NAME)
}
