//! Wait permits: the right of a node to block at a partition until a job comes.
//!
//! A job that is stored costs the server some time for each node that blocks. Therefore only a few
//! nodes block at a partition, and the others rest. A node that has no room for another job gives
//! its permit up, and wakes nodes that rest when few permits are in use or jobs are left. A message
//! that is lost costs time only, since nodes that rest look for jobs at growing intervals.

use std::time::Duration;

use crate::broker::connection::reply;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, Depths, scripts};
use crate::job::{Error, Partition, clamped_millis};

/// The answer to a node that asks for a wait permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitAnswer {
    /// True when the node has a permit; otherwise it rests.
    pub permit: bool,
    /// The number of waiting jobs in each lane, read after the node was entered.
    pub depths: Depths,
}

/// How long a permit lasts. The holder renews it whenever it begins to block, so that this is longer
/// than a node blocks.
pub(super) const PERMIT: Duration = Duration::from_secs(8);
/// How long the entry of a node that rests lasts, longer than any pause between two of its visits.
pub(super) const REST: Duration = Duration::from_secs(300);
/// The most nodes that one call wakes. Each of them wakes others if it leaves jobs.
const MAX_WOKEN: usize = 8;
/// The most names of dead nodes in a call.
const MAX_DEAD: usize = 100;

impl Broker {
    /// Asks for one of `most` wait permits. Nodes that are known to be `dead` lose theirs first. A
    /// node that has a permit keeps it. A node that gets none is entered among those that rest.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn begin_wait(
        &self,
        partition: &Partition,
        node: &str,
        most: u16,
        dead: impl IntoIterator<Item = &str>,
    ) -> Result<WaitAnswer, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::WAIT_BEGIN, wait_keys(&keys));
        cmd.arg(node).arg(most).arg(clamped_millis(PERMIT)).arg(clamped_millis(REST));
        for name in dead.into_iter().take(MAX_DEAD) {
            cmd.arg(name);
        }
        let mut numbers = reply::array(self.command(&cmd).await?)?.into_iter();
        let permit = numbers.next().map(reply::int).transpose()? == Some(1);
        let mut depths = Depths::default();
        for (depth, number) in depths.iter_mut().zip(numbers) {
            *depth = u64::try_from(reply::int(number)?).unwrap_or(0);
        }
        Ok(WaitAnswer { permit, depths })
    }

    /// Gives up the permit of a node, if it has one. Wakes a node that rests for each job that
    /// waits, up to 8, and one more when fewer than `least` permits are in use. Returns how many
    /// nodes were woken.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn end_wait(
        &self,
        partition: &Partition,
        node: &str,
        least: u16,
    ) -> Result<usize, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::WAIT_END, wait_keys(&keys));
        // Subscribers of a cluster are connected to any of its servers, which count their own only.
        let counted = u8::from(self.inner.route.is_one());
        cmd.arg(node).arg(least).arg(MAX_WOKEN).arg(keys.wake("")).arg(counted);
        let woken = reply::int(self.command(&cmd).await?)?;
        Ok(usize::try_from(woken).unwrap_or(0))
    }
}

fn wait_keys(keys: &PartitionKeys) -> impl Iterator<Item = &str> {
    [&keys.waiting, &keys.resting].into_iter().chain(&keys.ready).map(String::as_str)
}
