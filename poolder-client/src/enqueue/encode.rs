//! Builds the stored form of a job.

use poolder_core::{Envelope, Error, Format, Job, JobId, Lane, MAX_PAYLOAD, Policy, QueueName};

/// Payload size in bytes above which a warning is logged: Redis holds payloads in memory, twice
/// when replicated.
const WARN_BYTES: usize = 64 * 1024;

/// Refuses the lanes into which only Poolder itself puts jobs.
pub(crate) fn check_lane(lane: Lane) -> Result<(), Error> {
    match lane {
        Lane::Front | Lane::Suspect => {
            Err(Error::invalid(format!("lane {lane} is Poolder's own: use high, normal or low")))
        }
        _ => Ok(()),
    }
}

/// Builds the envelope of a job; warns about a large payload.
pub(crate) fn encode<J: Job>(
    job: &J,
    id: JobId,
    queue: &QueueName,
    policy: Option<&Policy>,
) -> Result<Envelope, Error> {
    let write = |out: &mut Vec<u8>| job.encode(out);
    let envelope = Envelope::build(id, job.kind(), J::VERSION, policy, Format::MessagePack, write)?;
    if envelope.payload_len() > WARN_BYTES {
        tracing::warn!(
            kind = job.kind(), %queue, bytes = envelope.payload_len(), most = MAX_PAYLOAD,
            "large payload: store the data elsewhere and enqueue a reference to it"
        );
    }
    Ok(envelope)
}
