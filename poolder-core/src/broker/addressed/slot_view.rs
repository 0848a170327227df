//! The state of a slot of an addressed pool: its holder, the job it runs, the jobs that wait.

use redis::Value;
use serde::Serialize;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::broker::jobs::pending::pending_ids;
use crate::broker::keys::GROUP;
use crate::job::{Error, JobId, Lane, Partition};
use crate::stored::{Entry, read_entry};

/// The state of a slot, for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SlotView {
    /// The slot's number, from 0.
    pub index: u16,
    /// The node that holds the slot, if one does.
    pub node: Option<String>,
    /// The term of the slot's lease: how often the slot has been taken.
    pub term: u64,
    /// True when the slot was stopped.
    pub stopped: bool,
    /// The id and kind of the job that the slot runs.
    pub running: Option<(JobId, String)>,
    /// The number of jobs that wait in the lanes; jobs that wait for their time do not count.
    pub backlog: u64,
    /// The number of jobs that wait for their time.
    pub due: u64,
}

impl Broker {
    /// Reads the state of a slot.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn view_slot(&self, slot: &Partition) -> Result<SlotView, Error> {
        let keys = self.keys(slot);
        let lanes = [Lane::Front, Lane::Normal];
        let mut pipe = redis::pipe();
        pipe.cmd("HMGET").arg(&keys.lease).arg("holder").arg("term").arg("stopped");
        pipe.cmd("ZCARD").arg(&keys.due);
        for lane in lanes {
            pipe.cmd("XLEN").arg(keys.lane(lane));
        }
        for lane in lanes {
            pipe.cmd("XPENDING").arg(keys.lane(lane)).arg(GROUP).arg("-").arg("+").arg(1);
        }
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let mut next = || {
            let reply = replies.next().unwrap_or(Ok(Value::Nil));
            reply.map_err(|error| self.classify(error))
        };
        let [holder, term, stopped] = reply::items::<3>(next()?)?;
        let text = |value: Value| match value {
            Value::Nil => Ok(String::new()),
            value => reply::text(value),
        };
        let number = |value: Value| Ok::<_, Error>(u64::try_from(reply::int(value)?).unwrap_or(0));
        let node = Some(text(holder)?).filter(|holder| !holder.is_empty());
        let (term, due) = (text(term)?.parse().unwrap_or(0), number(next()?)?);
        let mut backlog = number(next()?)? + number(next()?)?;
        let mut running = None;
        for lane in lanes {
            // A slot that no node has served yet has no consumer group.
            let Ok(pending) = next() else { continue };
            let Some(id) = pending_ids(pending)?.pop() else { continue };
            backlog = backlog.saturating_sub(1);
            let mut cmd = redis::cmd("XRANGE");
            cmd.arg(keys.lane(lane)).arg(id.as_ref()).arg(id.as_ref());
            let found = reply::entries(self.command(&cmd).await?)?.pop();
            if let Some((id, Some(fields))) = found
                && let Entry::Job(claim) = read_entry(keys.lane(lane), lane, id, fields)
            {
                running = Some((claim.job_id(), claim.envelope.kind().to_owned()));
            }
        }
        let stopped = stopped != Value::Nil;
        Ok(SlotView { index: slot.index, node, term, stopped, running, backlog, due })
    }
}
