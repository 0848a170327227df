//! The finished jobs that a queue keeps: the last ones, for a limited time. Nothing depends on them: a
//! node that dies takes the records with it that it has not written yet.

use std::sync::Arc;

use super::finished_job::FinishedJob;
use super::settle::Settlement;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, clamped_millis};

/// The most jobs that one script stores.
const MAX_JOBS: usize = 500;

impl Settlement {
    /// Adds the record under which the caller keeps the job once the settlement was applied. It does
    /// not reach the server with the settlement.
    #[must_use]
    pub fn keeping(mut self, finished: Arc<FinishedJob>) -> Self {
        self.finished = Some(finished);
        self
    }

    /// Returns the record of a job that is to be kept.
    #[must_use]
    pub fn finished(&self) -> Option<&Arc<FinishedJob>> {
        self.finished.as_ref()
    }
}

impl Broker {
    /// Keeps finished jobs of a partition, and drops those that are too many or too old.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command, also since it is
    /// full.
    pub async fn keep_finished(
        &self,
        partition: &Partition,
        jobs: &[Arc<FinishedJob>],
    ) -> Result<(), Error> {
        let keys = self.keys(partition);
        for jobs in jobs.chunks(MAX_JOBS) {
            let Some(first) = jobs.first() else { break };
            let own = [keys.finished.as_str(), &keys.finished_bodies];
            let mut cmd = scripts::call(&scripts::KEEP_FINISHED, own);
            cmd.arg(first.keep.count).arg(clamped_millis(first.keep.age).max(1));
            for job in jobs {
                cmd.arg(job.id.as_bytes()).arg(&job.record);
            }
            self.command(&cmd).await?;
        }
        Ok(())
    }
}
