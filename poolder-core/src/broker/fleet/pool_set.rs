//! Groups: pools under one name.

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, QueueName, check_name};

/// The most pools that are listed of a set.
const MOST: usize = 500;

impl Broker {
    /// Puts a pool into a set, or takes it out of it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the set.
    pub async fn change_pool_set(
        &self,
        set: &str,
        queue: &QueueName,
        member: bool,
    ) -> Result<(), Error> {
        check_name("pool set", set, 64, "_-.")?;
        let mut cmd = redis::cmd(if member { "SADD" } else { "SREM" });
        cmd.arg(self.inner.keys.pool_set(set)).arg(queue.as_str());
        self.command(&cmd).await.map(|_| ())
    }

    /// The pools of a set by name, at most 500.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the set.
    pub async fn pools_of_set(&self, set: &str) -> Result<Vec<QueueName>, Error> {
        check_name("pool set", set, 64, "_-.")?;
        let mut cmd = redis::cmd("SRANDMEMBER");
        cmd.arg(self.inner.keys.pool_set(set)).arg(MOST);
        let mut pools = vec![];
        for name in reply::array(self.command(&cmd).await?)? {
            pools.push(QueueName::new(reply::text(name)?)?);
        }
        pools.sort_unstable();
        Ok(pools)
    }
}
