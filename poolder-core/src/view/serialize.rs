//! The serialized form of a job, for a dashboard or a log.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::job::{Failure, Handle, Headers, JobId, JobState, Lane, Timestamp, TraceParent};
use crate::policy::{Attempt, ErrorId};
use crate::view::{JobEnd, JobView};

/// The fields of a job as they are written.
#[derive(Serialize)]
struct Fields<'a> {
    handle: &'a Handle,
    id: JobId,
    kind: Option<&'a str>,
    state: JobState,
    lane: Lane,
    group: Option<&'a str>,
    at: Timestamp,
    expires_at: Option<Timestamp>,
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'a JobEnd>,
    attempt: u32,
    failures: u32,
    crashes: u32,
    cancelling: bool,
    failure: Option<&'a Failure>,
    error: Option<ErrorId>,
    attempts: Vec<FailedAttempt>,
    headers: &'a Headers,
    trace_parent: Option<TraceParent>,
    payload: Option<Value>,
    raw: Option<&'a [u8]>,
}

/// An attempt, and the group of equal errors to which its failure belongs.
#[derive(Serialize)]
struct FailedAttempt {
    #[serde(flatten)]
    attempt: Attempt,
    error: Option<ErrorId>,
}

impl Serialize for JobView {
    /// Writes the job with its payload as [`JobView::payload_json`] shows it; `null` for one that
    /// cannot be shown. The fields `error` of the job and of its attempts have the ids of groups of
    /// equal errors. The bytes of an entry that is not a job are in `raw`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failed = |attempt: Attempt| {
            let error = self.kind().map(|kind| attempt.error(kind));
            FailedAttempt { attempt, error }
        };
        let fields = Fields {
            handle: &self.handle,
            id: self.id(),
            kind: self.kind(),
            state: self.state,
            lane: self.lane,
            group: self.group(),
            at: self.at,
            expires_at: self.expires_at(),
            node: self.node.as_deref(),
            end: self.end.as_ref(),
            attempt: self.attempt(),
            failures: self.counters.failures,
            crashes: self.counters.crashes,
            cancelling: self.cancelling,
            failure: self.failure(),
            error: self.error(),
            attempts: self.attempts().into_iter().map(failed).collect(),
            headers: self.headers(),
            trace_parent: self.trace_parent(),
            payload: self.payload_json().ok(),
            raw: self.raw(),
        };
        fields.serialize(serializer)
    }
}
