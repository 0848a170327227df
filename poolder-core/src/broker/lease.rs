//! Who leads a partition: one kind of lease, with a term that grows.

use std::time::Duration;

use super::{Broker, reply};
use crate::error::Error;
use crate::queue::Partition;
use crate::scripts;
use crate::time::clamped_millis;

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
    /// Takes or renews the leadership for `ttl`. A holder known to be dead is replaced at once.
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
        let mut cmd = scripts::call(&scripts::LEASE, [keys.lease.as_str()]);
        cmd.arg(node).arg(clamped_millis(ttl)).arg(dead.unwrap_or_default());
        let [ours, term, holder] = reply::items::<3>(self.script(&scripts::LEASE, &cmd).await?)?;
        Ok(Leadership {
            ours: reply::int(ours)? == 1,
            term: u64::try_from(reply::int(term)?).unwrap_or(0),
            holder: reply::text(holder)?,
        })
    }

    /// Gives the leadership up, so that another node takes it at once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; the lease then runs out by itself.
    pub async fn resign(&self, partition: &Partition, node: &str) -> Result<(), Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::RESIGN, [keys.lease.as_str()]);
        cmd.arg(node).arg(&keys.control);
        self.script(&scripts::RESIGN, &cmd).await.map(|_| ())
    }
}
