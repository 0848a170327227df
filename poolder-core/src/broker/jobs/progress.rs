//! The progress that running jobs report. Kept for an hour after the last report.

use futures_util::future::join_all;

use crate::broker::jobs::value::{StoredValue, read_value, value_call};
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Partition};

/// The retention of a progress report.
const RETENTION_SECONDS: u32 = 60 * 60;
/// The most bytes of a report: two numbers.
const MAX_REPORT: usize = 64;

/// The progress of a running job: `done` units out of `total`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressReport {
    /// The partition that holds the job.
    pub partition: Partition,
    /// The id of the job.
    pub job: JobId,
    /// The units that are done.
    pub done: u64,
    /// All units.
    pub total: u64,
}

impl Broker {
    /// Stores the progress of jobs, with commands that go out together. Returns the outcome of each:
    /// an error when the server did not answer or refused the command.
    pub async fn report_progress(&self, reports: &[ProgressReport]) -> Vec<Result<(), Error>> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let store = |report: &ProgressReport| {
                captured.note_progress(report.job, (report.done, report.total));
                Ok(())
            };
            return reports.iter().map(store).collect();
        }
        let store = async |report: &ProgressReport| {
            let ProgressReport { partition, job, done, total } = report;
            let mut cmd = scripts::write("SET", &self.keys(partition).progress(*job));
            cmd.arg(format!("{done} {total}")).arg("EX").arg(RETENTION_SECONDS);
            self.command(&cmd).await.map(|_| ())
        };
        join_all(reports.iter().map(store)).await
    }

    /// Returns the last reported progress of a job: the units done, and the total.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn progress(
        &self,
        partition: &Partition,
        job: JobId,
    ) -> Result<Option<(u64, u64)>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.progress(job));
        }
        let cmd = value_call(&self.keys(partition).progress(job), &[], MAX_REPORT);
        let value = read_value(self.command(&cmd).await?)?.filter(StoredValue::is_whole);
        let Some(text) = value.and_then(|value| String::from_utf8(value.read).ok()) else {
            return Ok(None);
        };
        let numbers = text.split_once(' ').map(|(done, total)| (done.parse(), total.parse()));
        Ok(numbers.and_then(|(done, total)| Some((done.ok()?, total.ok()?))))
    }
}
