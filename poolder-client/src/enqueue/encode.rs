//! The stored form of a job, with its defaults.

use poolder_core::broker::{Durability, NewJob, When};
use poolder_core::{Envelope, Error, Format, Job, JobId, Lane, MAX_PAYLOAD, Partition, QueueName};

/// Payloads above this size are worth a warning: Redis holds them in memory, twice over when
/// replicated.
const LARGE: usize = 64 * 1024;

/// Builds the stored form of a job.
pub(crate) fn encode<J: Job>(
    job: &J,
    id: JobId,
    queue: &QueueName,
    policy: &poolder_core::Policy,
) -> Result<Envelope, Error> {
    let write = |out: &mut Vec<u8>| job.encode(out);
    let envelope = Envelope::build(id, job.kind(), J::VERSION, policy, Format::MessagePack, write)?;
    if envelope.payload_len() > LARGE {
        tracing::warn!(
            kind = job.kind(), %queue, bytes = envelope.payload_len(), most = MAX_PAYLOAD,
            "large payload: store the data elsewhere and enqueue a reference to it"
        );
    }
    Ok(envelope)
}

/// The defaults of a new job.
pub(crate) fn plain(envelope: Envelope, queue: QueueName) -> NewJob {
    NewJob {
        partition: Partition::first(queue),
        lane: Lane::Normal,
        when: When::Now,
        envelope,
        idempotent: None,
        durability: Durability::Memory,
    }
}
