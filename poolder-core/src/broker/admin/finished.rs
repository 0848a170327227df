//! Finding a finished job that is kept.

use redis::Value;

use crate::broker::Broker;
use crate::broker::admin::job_view::{finished_view, shown};
use crate::broker::connection::reply;
use crate::broker::jobs::value::{read_value, value_call};
use crate::job::{Error, Handle, MAX_STORED, Timestamp};
use crate::view::JobView;

impl Broker {
    /// Returns a finished job that is kept, of an addressed pool in whichever slot; `None` when it is
    /// not kept.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn finished(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        #[cfg(feature = "testing")]
        if self.captured().is_some() {
            return Ok(None);
        }
        let mut partitions = vec![handle.partition.clone()];
        partitions.extend(self.other_slots(handle).await?);
        let calls: Vec<_> = partitions
            .iter()
            .flat_map(|partition| {
                let keys = self.keys(partition);
                let mut at = redis::cmd("ZSCORE");
                at.arg(&keys.finished).arg(handle.job.as_bytes());
                let body = value_call(&keys.finished_bodies, handle.job.as_bytes(), MAX_STORED);
                [at, body]
            })
            .collect();
        let mut replies = self.ask_all(&calls).await.into_iter();
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        for partition in partitions {
            let (at, body) = (next()?, next()?);
            let (Value::BulkString(_) | Value::Double(_), Some(body)) = (&at, read_value(body)?)
            else {
                continue;
            };
            let at = Timestamp::from_millis(reply::int(at)?);
            let handle = Handle { partition, job: handle.job, place: None };
            return Ok(Some(shown(body, |body| finished_view(&handle, body, at))));
        }
        Ok(None)
    }
}
