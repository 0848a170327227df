//! Pool sets: pools under one common name.

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, QueueName, check_name};

/// The maximum number of pools that are listed of a set.
const MAX_POOLS: usize = 500;

impl Broker {
    /// Adds a pool to a set if `member` is true, else removes the pool from the set.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an invalid name of the set.
    pub async fn change_pool_set(
        &self,
        set: &str,
        queue: &QueueName,
        member: bool,
    ) -> Result<(), Error> {
        check_name("pool set", set, 64, "_-.")?;
        #[cfg(feature = "testing")]
        if self.captured().is_some() {
            return Ok(());
        }
        let command = if member { "SADD" } else { "SREM" };
        let mut cmd = scripts::write(command, &self.inner.keys.pool_set(set));
        cmd.arg(queue.as_str());
        self.command(&cmd).await.map(|_| ())
    }

    /// Returns the pools of a set, sorted by name: at most 500, and any 500 of a larger set.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an invalid name of the set.
    pub async fn pools_of_set(&self, set: &str) -> Result<Vec<QueueName>, Error> {
        check_name("pool set", set, 64, "_-.")?;
        let mut cmd = redis::cmd("SRANDMEMBER");
        cmd.arg(self.inner.keys.pool_set(set)).arg(MAX_POOLS);
        let mut pools = vec![];
        for name in reply::array(self.command(&cmd).await?)? {
            pools.push(QueueName::new(reply::text(name)?)?);
        }
        pools.sort_unstable();
        Ok(pools)
    }
}
