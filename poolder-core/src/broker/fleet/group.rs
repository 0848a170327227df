//! Groups: pools under one name.

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, QueueName, check_name};

/// The most pools that are listed of a group.
const MOST: usize = 500;

impl Broker {
    /// Puts a pool into a group, or takes it out of it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the group.
    pub async fn group_pool(
        &self,
        group: &str,
        queue: &QueueName,
        member: bool,
    ) -> Result<(), Error> {
        check_name("group", group, 64, "_-.")?;
        let mut cmd = redis::cmd(if member { "SADD" } else { "SREM" });
        cmd.arg(self.inner.keys.group(group)).arg(queue.as_str());
        self.command(&cmd).await.map(|_| ())
    }

    /// The pools of a group by name, at most 500.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the group.
    pub async fn grouped_pools(&self, group: &str) -> Result<Vec<QueueName>, Error> {
        check_name("group", group, 64, "_-.")?;
        let mut cmd = redis::cmd("SRANDMEMBER");
        cmd.arg(self.inner.keys.group(group)).arg(MOST);
        let mut pools = vec![];
        for name in reply::array(self.command(&cmd).await?)? {
            pools.push(QueueName::new(reply::text(name)?)?);
        }
        pools.sort_unstable();
        Ok(pools)
    }
}
