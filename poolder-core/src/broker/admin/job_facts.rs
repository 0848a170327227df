//! The traces of a job that is not found, and the times of a node in the roster.

use std::time::Duration;

use redis::Value;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::broker::connection::reply::{millis, server_time};
use crate::job::{Error, Handle, Timestamp};

/// The traces of a job beside its stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTraces {
    /// The time of the reading, by the server's clock.
    pub now: Timestamp,
    /// How long the receipt of an idempotent enqueue still counts; `None` when there is none.
    pub receipt: Option<Duration>,
    /// The time of the stored cancellation of this id.
    pub cancelled: Option<Timestamp>,
}

/// The state of a name in the roster, with its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterTimes {
    /// The time of the reading, by the server's clock.
    pub now: Timestamp,
    /// The last heartbeat; `None` when the roster has no such node.
    pub beat: Option<Timestamp>,
    /// The time at which the node was marked as dead.
    pub marked: Option<Timestamp>,
}

impl Broker {
    /// Reads the traces that a job leaves beside its stored form: the receipt of an idempotent
    /// enqueue, and a cancellation of its id.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn job_traces(&self, handle: &Handle) -> Result<JobTraces, Error> {
        let keys = self.keys(&handle.partition);
        let mut pipe = redis::pipe();
        pipe.cmd("PTTL").arg(keys.sent(handle.job));
        pipe.cmd("ZSCORE").arg(&keys.cancelled).arg(handle.job.as_bytes());
        pipe.cmd("TIME");
        let [receipt, cancelled, now] = self.replies(&pipe).await?;
        let receipt = reply::int(receipt)?;
        Ok(JobTraces {
            now: server_time(now)?,
            receipt: (receipt >= 0).then(|| millis(receipt)),
            cancelled: moment(cancelled)?,
        })
    }

    /// Reads the times of a node in the roster.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn roster_times(&self, node: &str) -> Result<RosterTimes, Error> {
        let roster = self.roster_keys();
        let mut pipe = redis::pipe();
        pipe.cmd("ZSCORE").arg(&roster.nodes).arg(node);
        pipe.cmd("ZSCORE").arg(&roster.marks).arg(node);
        pipe.cmd("TIME");
        let [beat, marked, now] = self.replies(&pipe).await?;
        Ok(RosterTimes { now: server_time(now)?, beat: moment(beat)?, marked: moment(marked)? })
    }
}

fn moment(score: Value) -> Result<Option<Timestamp>, Error> {
    match score {
        Value::Nil => Ok(None),
        score => reply::int(score).map(Timestamp::from_millis).map(Some),
    }
}
