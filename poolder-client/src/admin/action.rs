//! Changes that are made to many jobs.

use futures_util::future::join_all;
use poolder_core::broker::{Broker, Cancellation};
use poolder_core::view::{JobView, Listing, merge_patch};
use poolder_core::{Error, JobState, Timestamp};
use serde::Serialize;

/// A change that is made to each job of a [`BulkChange`](crate::BulkChange).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Puts dead jobs back into their lanes, with all their attempts restored.
    Revive,
    /// Deletes jobs that wait or are dead.
    Delete,
    /// Removes jobs that wait, and asks running ones to stop.
    Cancel,
    /// Makes jobs that wait for their time or for another attempt run now, and revives dead ones.
    RunNow,
    /// Lets jobs that wait in a lane or for their time wait until this time.
    Reschedule(Timestamp),
    /// Buries jobs that wait, for this reason, as [`JobClient::bury`](crate::JobClient::bury) does.
    /// Jobs that stand for batches are left alone.
    Bury(String),
    /// Merges a JSON patch (RFC 7386) into the payloads of dead jobs, and puts the jobs back into
    /// their lanes, as [`JobClient::edit_and_revive`](crate::JobClient::edit_and_revive) does. Jobs
    /// whose payload cannot be read as JSON, or is too large or nested too deep with the patch, are
    /// left alone.
    Edit(serde_json::Value),
}

impl Action {
    /// Returns the name of the action in the audit.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Revive => "jobs.revive",
            Self::Edit(_) => "jobs.edit",
            Self::Delete => "jobs.remove",
            Self::Bury(_) => "jobs.bury",
            Self::Cancel => "jobs.cancel",
            Self::RunNow => "jobs.run_now",
            Self::Reschedule(_) => "jobs.reschedule",
        }
    }

    /// Checks that the action can be taken on the jobs of this listing.
    pub(super) fn check(&self, listing: Listing) -> Result<(), Error> {
        let dead = listing == Listing::Dead;
        let runs = listing == Listing::Running;
        let why = match self {
            _ if listing == Listing::Finished => "finished jobs are kept to be looked at",
            Self::Revive if !dead => "only dead jobs can be revived: use the listing dead",
            Self::Edit(_) if !dead => "only dead jobs can be edited: use the listing dead",
            Self::Delete if runs => "running jobs cannot be deleted: cancel them",
            Self::Cancel if dead => "dead jobs cannot be cancelled: delete them",
            Self::RunNow if runs => "these jobs run already",
            Self::Bury(_) if dead => "dead jobs are buried already",
            Self::Bury(_) if runs => "running jobs cannot be buried: cancel them",
            Self::Reschedule(_) if runs => "running jobs cannot be rescheduled: cancel them",
            Self::Reschedule(_) if dead => "dead jobs cannot be rescheduled: revive them first",
            _ => return Ok(()),
        };
        Err(Error::invalid(why))
    }

    /// Returns true when the action can change something about the job; `started` is the time at
    /// which the operation began. A job that the operation has moved within its listing is not
    /// changed again.
    pub(super) fn concerns(&self, job: &JobView, started: Timestamp) -> bool {
        let waits = matches!(job.state, JobState::Scheduled | JobState::Retrying);
        match self {
            Self::RunNow if waits => job.at > started,
            Self::Reschedule(at) if waits => job.at != *at,
            // Later jobs were not meant.
            _ => waits || job.at <= started,
        }
    }

    /// Takes the action on these jobs. Returns for each whether it was changed.
    pub(super) async fn apply(
        &self,
        broker: &Broker,
        jobs: &[JobView],
        started: Timestamp,
    ) -> Result<Vec<bool>, Error> {
        match self {
            Self::Revive => broker.revive_all(jobs).await,
            Self::Edit(patch) => {
                let edit = jobs.iter().map(|job| edit(broker, job, patch));
                join_all(edit).await.into_iter().collect()
            }
            Self::Delete => broker.delete_all(jobs).await,
            Self::Bury(reason) => broker.bury_all(jobs, reason).await,
            Self::Cancel => {
                let cancel = jobs.iter().map(|job| broker.cancel(&job.handle));
                let was =
                    |outcome| matches!(outcome, Cancellation::Removed | Cancellation::Stopping);
                join_all(cancel).await.into_iter().map(|outcome| outcome.map(was)).collect()
            }
            Self::RunNow if jobs.iter().any(|job| job.state == JobState::Dead) => {
                broker.revive_all(jobs).await
            }
            Self::RunNow => {
                // Jobs that wait for their time get one that has passed, so that they are not met
                // again as long as no leader has moved them.
                let at = |job: &JobView| (job.state != JobState::Ready).then_some(started);
                broker.reschedule_all(jobs, at).await
            }
            Self::Reschedule(at) => broker.reschedule_all(jobs, |_| Some(*at)).await,
        }
    }
}

/// Patches the payload of a dead job and revives it. Returns false for a job that cannot be edited so,
/// or is not dead any more.
async fn edit(broker: &Broker, job: &JobView, patch: &serde_json::Value) -> Result<bool, Error> {
    let Ok(mut payload) = job.payload_json() else { return Ok(false) };
    merge_patch(&mut payload, patch);
    match broker.revive_with(&job.handle, &payload).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_gone() || error.is_not_found() => Ok(false),
        Err(error) if error.is_codec() || error.is_too_large() || error.is_invalid() => Ok(false),
        Err(error) => Err(error),
    }
}
