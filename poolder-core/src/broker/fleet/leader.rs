//! Who leads a partition: one kind of lease, with a term that grows.

use std::time::Duration;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, clamped_millis};

/// Who leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// True when it is the node that asked.
    pub ours: bool,
    /// Which reign this is, from 1.
    pub term: u64,
    /// The node that leads.
    pub holder: String,
}

impl Broker {
    /// Takes the leadership for `ttl`. A holder known to be dead is replaced at once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; who leads is then not known.
    pub async fn lead(
        &self,
        partition: &Partition,
        node: &str,
        ttl: Duration,
        dead: Option<&str>,
    ) -> Result<Leadership, Error> {
        let keys = self.keys(partition);
        let mut cmd =
            scripts::call(&scripts::LEADER_ELECT, [keys.leader.as_str(), keys.meta.as_str()]);
        cmd.arg(node).arg(clamped_millis(ttl)).arg(dead.unwrap_or_default());
        let [ours, term, holder] =
            reply::items::<3>(self.script(&scripts::LEADER_ELECT, &cmd).await?)?;
        Ok(Leadership {
            ours: reply::int(ours)? == 1,
            term: u64::try_from(reply::int(term)?).unwrap_or(0),
            holder: reply::text(holder)?,
        })
    }

    /// Renews the leadership of a node that has it, in one command; `None` when it has it no
    /// longer. Should another have it by now, then that one's is renewed, which costs nothing:
    /// it does the same.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; who leads is then not known.
    pub async fn renew(
        &self,
        partition: &Partition,
        node: &str,
        ttl: Duration,
    ) -> Result<Option<Leadership>, Error> {
        let mut cmd = redis::cmd("GETEX");
        cmd.arg(&self.keys(partition).leader).arg("PX").arg(clamped_millis(ttl));
        let Value::BulkString(lease) = self.command(&cmd).await? else { return Ok(None) };
        let lease = std::str::from_utf8(&lease).ok().and_then(|lease| lease.split_once(' '));
        Ok(lease.filter(|(_, holder)| *holder == node).and_then(|(term, holder)| {
            Some(Leadership { ours: true, term: term.parse().ok()?, holder: holder.to_owned() })
        }))
    }

    /// Gives the leadership up, so that another node takes it at once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; the lease then runs out by itself.
    pub async fn resign(&self, partition: &Partition, node: &str) -> Result<(), Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::LEADER_RESIGN, [keys.leader.as_str()]);
        cmd.arg(node).arg(&keys.control);
        self.script(&scripts::LEADER_RESIGN, &cmd).await.map(|_| ())
    }
}
