//! The serialized form of a job, for a dashboard or a log.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::job::{Failure, Handle, JobId, JobState, Lane, Timestamp};
use crate::policy::Attempt;
use crate::view::JobView;

/// The fields of a job as they are written.
#[derive(Serialize)]
struct Fields<'a> {
    handle: &'a Handle,
    id: JobId,
    kind: Option<&'a str>,
    state: JobState,
    lane: Lane,
    at: Timestamp,
    node: Option<&'a str>,
    attempt: u32,
    failures: u32,
    crashes: u32,
    cancelling: bool,
    failure: Option<&'a Failure>,
    attempts: Vec<Attempt>,
    payload: Option<Value>,
    raw: Option<&'a [u8]>,
}

impl Serialize for JobView {
    /// Writes the job with its payload as [`JobView::payload_json`] shows it; `null` for one that
    /// cannot be shown. The bytes of an entry that is not a job are in `raw`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = Fields {
            handle: &self.handle,
            id: self.id(),
            kind: self.kind(),
            state: self.state,
            lane: self.lane,
            at: self.at,
            node: self.node.as_deref(),
            attempt: self.attempt(),
            failures: self.counters.failures,
            crashes: self.counters.crashes,
            cancelling: self.cancelling,
            failure: self.failure(),
            attempts: self.attempts(),
            payload: self.payload_json().ok(),
            raw: self.raw(),
        };
        fields.serialize(serializer)
    }
}
