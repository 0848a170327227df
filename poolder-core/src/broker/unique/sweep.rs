//! Sweeping keys that no job holds any more.

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition};
use crate::stored::BEHIND;

/// About how many keys one call of the script looks at.
const PAGE: usize = 250;

/// The progress of a sweep through the keys of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySweep {
    cursor: String,
    /// The number of keys that the last step has looked at.
    pub looked: u64,
    /// The number of keys that the last step has freed.
    pub freed: u64,
}

impl Default for KeySweep {
    fn default() -> Self {
        Self { cursor: "0".into(), looked: 0, freed: 0 }
    }
}

impl KeySweep {
    /// Returns whether the last step has reached the end of the keys; the next one begins again.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.cursor == "0"
    }
}

impl Broker {
    /// Looks at the next keys of a partition, about 250, and frees those whose time is over and whose
    /// jobs are gone: those of windows, and those of jobs that were lost. A job that waits behind a
    /// lost one takes the key, and some of those that wait behind none are due.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; the same step can be
    /// repeated.
    pub async fn sweep_keys(
        &self,
        partition: &Partition,
        sweep: &KeySweep,
    ) -> Result<KeySweep, Error> {
        let keys = self.keys(partition);
        let own = [&keys.unique, &keys.due, &keys.bodies].into_iter().chain(&keys.ready);
        let mut cmd = scripts::call(&scripts::UNIQUE_SWEEP, own.map(String::as_str));
        cmd.arg(&sweep.cursor).arg(PAGE).arg(&keys.control);
        let [cursor, looked, freed] = reply::items::<3>(self.command(&cmd).await?)?;
        let count = |value: Value| Ok::<_, Error>(u64::try_from(reply::int(value)?).unwrap_or(0));
        Ok(KeySweep { cursor: reply::text(cursor)?, looked: count(looked)?, freed: count(freed)? })
    }

    /// Returns whether no key of the partition is held, and no job waits behind another one.
    /// Cheaper than a sweep.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn no_key_is_held(&self, partition: &Partition) -> Result<bool, Error> {
        let keys = self.keys(partition);
        let behind = BEHIND.millis();
        let mut pipe = redis::pipe();
        pipe.cmd("HLEN").arg(&keys.unique);
        pipe.cmd("ZCOUNT").arg(&keys.due).arg(behind).arg(behind);
        let counts = self.pipeline(&pipe).await?.into_iter();
        let counts = counts.map(|count| reply::int(count.map_err(|error| self.classify(error))?));
        Ok(counts.sum::<Result<i64, Error>>()? == 0)
    }
}
