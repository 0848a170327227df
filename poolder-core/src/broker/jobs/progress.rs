//! How far running jobs have come, by their own account. Kept for an hour after the last word.

use redis::Value;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, JobId, Partition};

const KEPT_SECONDS: u32 = 60 * 60;

impl Broker {
    /// Notes how far a job has come.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn report_progress(
        &self,
        partition: &Partition,
        job: JobId,
        done: u64,
        total: u64,
    ) -> Result<(), Error> {
        let mut cmd = redis::cmd("SET");
        cmd.arg(self.keys(partition).progress(job)).arg(format!("{done} {total}"));
        cmd.arg("EX").arg(KEPT_SECONDS);
        self.command(&cmd).await.map(|_| ())
    }

    /// How far a job said it has come: done, and out of how many.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn progress(
        &self,
        partition: &Partition,
        job: JobId,
    ) -> Result<Option<(u64, u64)>, Error> {
        let mut cmd = redis::cmd("GET");
        cmd.arg(self.keys(partition).progress(job));
        let reply = self.command(&cmd).await?;
        if reply == Value::Nil {
            return Ok(None);
        }
        let text = reply::text(reply)?;
        let numbers = text.split_once(' ').map(|(done, total)| (done.parse(), total.parse()));
        Ok(numbers.and_then(|(done, total)| Some((done.ok()?, total.ok()?))))
    }
}
