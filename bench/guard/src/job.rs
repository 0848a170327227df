//! The job of every operation.

use bench_protocol::Payload;
use poolder::{Format, Job, JobId};
use poolder_core::Envelope;
use serde::{Deserialize, Serialize};

/// A job with a number and 100 bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bench(Payload);

impl Job for Bench {
    const KINDS: &'static [&'static str] = &["bench.job"];
    const QUEUE: &'static str = "bench";
}

/// Returns the job of a number.
pub fn job(n: usize) -> Bench {
    Bench(Payload::new(n as u64, 100))
}

/// Returns the job of a number in its stored form. The number is its id, too.
pub fn envelope(n: usize) -> Result<Envelope, poolder::Error> {
    // The version and the variant of a generated id: any other id begins a generation.
    let id = n as u128 | 7 << 76 | 2 << 62;
    let (id, job) = (JobId::from_bytes(id.to_be_bytes()), job(n));
    let encode = |out: &mut Vec<u8>| job.encode(out);
    Envelope::build(id, job.kind(), 1, None, Format::MessagePack, encode)
}
