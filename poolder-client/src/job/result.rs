//! The result of a job, and everything that may stand in its place.

use poolder_core::{Completion, Error, Failure, JobId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The result of a job, as [`JobClient::result`](crate::JobClient::result) finds it.
///
/// A job leaves a record when it returns a result (kept for 24 hours), when it dies (kept among the
/// dead), and however it ends if it was sent with `keep_completion` or by a call. Any other job
/// leaves no trace once it has ended: it then looks like a job that was never sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobResult<T> {
    /// The job has not ended: it waits, runs, or is between two attempts.
    Pending,
    /// The job is done, and its handler returned this value.
    Value(T),
    /// The job is done, and its handler returned no result.
    NoValue,
    /// The job died of this failure.
    Dead(Failure),
    /// The job was cancelled or removed, for this reason.
    Cancelled(String),
    /// There is no trace of the job: it was never sent, or it has ended and no record of it is
    /// kept, or none any more. Also for a user whose access rules forbid to read waiting jobs, while
    /// the job has no record.
    NotFound,
}

impl<T> JobResult<T> {
    /// Returns the value, if there is one.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: DeserializeOwned> JobResult<T> {
    /// Reads the completion of a job.
    pub(super) fn of(completion: Completion, job: JobId) -> Result<Self, Error> {
        Ok(match completion {
            Completion::Done => Self::NoValue,
            Completion::Dead(failure) => Self::Dead(failure),
            Completion::Cancelled(reason) => Self::Cancelled(reason),
            done @ Completion::DoneWith(_) => Self::Value(done.into_result(job)?),
            // A job that was moved has not ended.
            _ => Self::Pending,
        })
    }
}
