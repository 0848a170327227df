//! The payload of a batch job.

use serde::{Deserialize, Serialize};

use crate::job::{Error, RawJob, batcher_of, payload};
use crate::stored::Envelope;

/// The payload of a batch job, as `push.lua` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPayload {
    /// The group; empty for none.
    pub group: String,
    /// The number of entries when the list was sealed.
    pub entries: u64,
    /// The size of the entries in bytes; approximate when one push was split over two batches.
    pub bytes: u64,
    /// When the first entry was pushed, in ms since 1970 by the server's clock.
    pub since: i64,
    /// When the list was sealed, in ms since 1970 by the server's clock.
    pub sealed: i64,
}

/// Refuses a job that stands for a batch, whose list would not follow it to the dead.
pub(crate) fn check_no_batch(envelope: &Envelope) -> Result<(), Error> {
    match batcher_of(envelope.kind()) {
        Some(_) => {
            Err(Error::invalid("the job stands for a batch: cancel it instead")
                .with_job(envelope.id()))
        }
        None => Ok(()),
    }
}

impl BatchPayload {
    /// Reads the payload of a batch job.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the job is not a batch job.
    pub fn read(raw: RawJob<'_>) -> Result<Self, Error> {
        payload::decode(raw)
    }

    /// Returns the text by which the record of a sealed list tells its job from another one that
    /// bears the same id.
    pub(crate) fn stamp(&self) -> String {
        format!("{} {}", self.since, self.sealed)
    }
}
