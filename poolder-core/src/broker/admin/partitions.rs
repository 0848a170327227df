//! The partitions of a queue.

use redis::{Cmd, Value};

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, Partition, QueueName};
use crate::policy::dispatch::{MAX_SLOTS, Mode};

impl Broker {
    /// Returns the partitions that may hold jobs of a queue, in order of their numbers: the only one
    /// of a shared queue, and all slots that an addressed pool ever had, since jobs may be left in
    /// slots out of service.
    ///
    /// # Errors
    /// Returns an error when the first partition, which knows the others, cannot be read.
    pub async fn partitions(&self, queue: &QueueName) -> Result<Vec<Partition>, Error> {
        let keys = self.keys(&Partition::first(queue.clone()));
        let mut cmd = Cmd::new();
        cmd.arg("HMGET").arg(&keys.meta).arg("mode").arg("size").arg("tail").arg("top");
        let [mode, numbers @ ..] = reply::items::<4>(self.command(&cmd).await?)?;
        let number = |value: Value| reply::int(value).unwrap_or(0);
        let slots = numbers.into_iter().map(number).max().unwrap_or(0);
        let mode = reply::text(mode).unwrap_or_default();
        Ok(partitions_of(queue, &mode, slots))
    }
}

/// Returns the partitions of a queue whose pool has this mode, and had so many slots.
pub(super) fn partitions_of(queue: &QueueName, mode: &str, slots: i64) -> Vec<Partition> {
    let is_addressed = mode.parse().is_ok_and(Mode::is_addressed);
    let slots = u16::try_from(slots.max(1)).unwrap_or(MAX_SLOTS).min(MAX_SLOTS);
    let count = if is_addressed { slots } else { 1 };
    (0..count).map(|index| Partition { queue: queue.clone(), index }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_one_partition_and_a_pool_one_for_each_slot() {
        let queue = QueueName::new("q").unwrap();
        let count = |mode, slots| partitions_of(&queue, mode, slots).len();
        assert_eq!([count("", 5), count("shared", 5), count("broadcast", 5)], [1, 1, 1]);
        assert_eq!([count("phash", 64), count("random", 0), count("phash", -1)], [64, 1, 1]);
        assert_eq!([count("phash", i64::MAX), count("new", 9)], [MAX_SLOTS.into(), 1]);
        assert_eq!(partitions_of(&queue, "phash", 2)[1].index, 1);
    }
}
