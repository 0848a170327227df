//! The parts of a claimed job that its settlement changes with it: its batch, and its unique key.

use crate::job::batcher_of;
use crate::stored::{BatchPayload, Claim, Envelope, KeyHold, since};

/// The part of a settlement for batch jobs.
#[derive(Debug, Clone)]
pub(super) struct BatchOf {
    pub(super) batcher: Box<str>,
    /// [`BatchPayload::stamp`] of the job.
    pub(super) stamp: Box<str>,
}

impl BatchOf {
    /// Returns the batch of a batch job; `None` for other jobs, and for one that no batcher has
    /// made.
    pub(super) fn read(envelope: &Envelope) -> Option<Box<Self>> {
        let batcher = batcher_of(envelope.kind())?.into();
        let stamp = BatchPayload::read(envelope.raw_job()).ok()?.stamp().into();
        Some(Box::new(Self { batcher, stamp }))
    }
}

/// The key of a claimed job, and the generation of the job as scripts compare it.
#[derive(Debug, Clone)]
pub(super) struct HeldKey {
    pub(super) held: KeyHold,
    pub(super) since: Vec<u8>,
}

impl HeldKey {
    /// Returns the key of a claimed job; `None` for a job that is not unique.
    pub(super) fn of(claim: &Claim) -> Option<Box<Self>> {
        let held = claim.envelope.unique()?;
        let since = since(claim.envelope.id(), &claim.counters);
        Some(Box::new(Self { held, since }))
    }
}
