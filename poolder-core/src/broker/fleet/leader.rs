//! The lease of the leader of a partition, with a term that grows with every new leader.

use std::time::Duration;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, clamped_millis};

/// The leader of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// True when the calling node is the leader.
    pub ours: bool,
    /// The term of the leader, from 1.
    pub term: u64,
    /// The name of the leading node.
    pub holder: String,
}

impl Broker {
    /// Tries to take or renew the leadership for `ttl`. Replaces the holder at once if it is
    /// `dead`, a node known to be dead. Returns the leader after the call.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. The leader is then
    /// unknown.
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
        let [ours, term, holder] = reply::items::<3>(self.command(&cmd).await?)?;
        Ok(Leadership {
            ours: reply::int(ours)? == 1,
            term: u64::try_from(reply::int(term)?).unwrap_or(0),
            holder: reply::text(holder)?,
        })
    }

    /// Renews the leadership of the leading node in one command. Returns `None` when the node is no
    /// longer the leader. The lease of another leader is then renewed instead, which does no harm,
    /// since that leader renews it as well.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. The leader is then
    /// unknown.
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

    /// Gives up the leadership, so that another node can take it at once.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. The lease then
    /// expires by itself.
    pub async fn resign(&self, partition: &Partition, node: &str) -> Result<(), Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::LEADER_RESIGN, [keys.leader.as_str()]);
        cmd.arg(node).arg(&keys.control);
        self.command(&cmd).await.map(|_| ())
    }
}
