//! The form in which a finished job is kept.

use std::time::Duration;

use crate::job::{Error, JobId};
use crate::policy::decide::Transition;
use crate::stored::{Claim, Finish, head};

/// The most jobs that a partition keeps.
const MAX_KEPT: u32 = 10_000;
/// The most bytes of a job that is kept; larger ones are left out.
const MAX_BYTES: usize = 16 << 10;

/// How many finished jobs a partition keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepFinished {
    /// The most jobs.
    pub count: u32,
    /// The time after which a job is dropped.
    pub age: Duration,
}

impl KeepFinished {
    /// Checks that 1 to 10,000 jobs are kept, for longer than 0.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for other numbers.
    pub fn check(&self) -> Result<(), Error> {
        let Self { count, age } = self;
        if (1..=MAX_KEPT).contains(count) && !age.is_zero() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "keep_finished({count}, {age:?}) is not allowed: keep 1 to {MAX_KEPT} jobs, for longer \
             than 0"
        )))
    }
}

/// A job that is done or cancelled, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedJob {
    pub(super) id: JobId,
    pub(super) record: Vec<u8>,
    pub(super) keep: KeepFinished,
}

impl FinishedJob {
    /// Returns the record of a job whose last attempt ran for `took` on this node. `None` for a job
    /// that goes on or dies, and for one of more than 16 KiB.
    #[must_use]
    pub fn of(
        claim: &Claim,
        transition: &Transition,
        took: Duration,
        node: &str,
        keep: KeepFinished,
    ) -> Option<Self> {
        let reason = match transition {
            Transition::Complete | Transition::CompleteWith(_) => None,
            ended => Some(ended.cancellation()?),
        };
        let envelope = claim.envelope.as_bytes();
        if envelope.len() > MAX_BYTES {
            return None;
        }
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut record = Finish::new(reason, took, node).encode();
        record.extend(head(claim.lane, &claim.counters));
        record.extend(envelope);
        Some(Self { id: claim.job_id(), record, keep })
    }

    /// Returns the number of bytes of the record.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.record.len()
    }
}
