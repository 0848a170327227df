//! The own limits of a group, and its pause, which are stored together.

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, GroupLimits, scripts};
use crate::job::{Error, Partition, Timestamp, check_group_name, check_stored_group};

/// The pause and the limits of a group, as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::broker) struct Own {
    /// When the group was paused; `None` for one that is not.
    pub(in crate::broker) paused: Option<Timestamp>,
    pub(in crate::broker) limits: GroupLimits,
}

/// A change of the pause or the limits of a group.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) enum Change {
    Limits(GroupLimits),
    Pause,
    Resume,
}

impl Own {
    /// Reads the stored form; what cannot be read counts as not set.
    pub(in crate::broker) fn read(stored: &Value) -> Self {
        let Value::BulkString(stored) = stored else { return Self::default() };
        let text = String::from_utf8_lossy(stored);
        let pause = text.strip_prefix('p').map(|rest| rest.split_once(' ').unwrap_or((rest, "")));
        match pause {
            Some((at, limits)) => Self {
                paused: Some(Timestamp::from_millis(at.parse().unwrap_or(0))),
                limits: GroupLimits::decode(limits),
            },
            None => Self { paused: None, limits: GroupLimits::decode(&text) },
        }
    }
}

impl Broker {
    /// Sets the own limits of a group; with none of them set, the group has those of the queue.
    /// Returns false when the queue has no limits: then nothing is changed.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for the name of a group that is not allowed, a concurrency of 0 or above
    /// a million, a weight of 0 or above 100, and a [`Rate`](crate::broker::Rate) that is not allowed. Returns an error
    /// when the server does not answer or refuses the command.
    pub async fn limit_group(
        &self,
        partition: &Partition,
        group: &str,
        limits: GroupLimits,
    ) -> Result<bool, Error> {
        check_group_name(group)?;
        limits.check()?;
        Ok(self.change_own(partition, group, Change::Limits(limits)).await?.is_some())
    }

    /// Pauses a group of a limited queue: none of its jobs starts until it is resumed, those that run
    /// end. Returns false when it was paused already.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the queue has no limits, [`Error::is_invalid`] for a name of more
    /// than 128 bytes. Also returns an error when the server does not answer or refuses the command.
    pub async fn pause_group(&self, partition: &Partition, group: &str) -> Result<bool, Error> {
        self.change_known_group(partition, group, Change::Pause).await
    }

    /// Lets a paused group go on. Returns false when it was not paused.
    ///
    /// # Errors
    /// As [`Broker::pause_group`].
    pub async fn resume_group(&self, partition: &Partition, group: &str) -> Result<bool, Error> {
        self.change_known_group(partition, group, Change::Resume).await
    }

    async fn change_known_group(
        &self,
        partition: &Partition,
        group: &str,
        change: Change,
    ) -> Result<bool, Error> {
        check_stored_group(group)?;
        let changed = self.change_own(partition, group, change).await?;
        changed.ok_or_else(|| {
            Error::not_found(format!(
                "queue {} has no limits, and so no groups: pause the queue, or limit it",
                partition.queue
            ))
        })
    }

    /// Makes a change. Returns whether anything was to be changed; `None` when the queue has no
    /// limits.
    pub(in crate::broker) async fn change_own(
        &self,
        partition: &Partition,
        group: &str,
        change: Change,
    ) -> Result<Option<bool>, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::OWN_LIMITS, keys.limits.of_groups());
        cmd.arg(group);
        match change {
            Change::Limits(limits) => cmd.arg("limits").arg(limits.encode()),
            Change::Pause => cmd.arg("pause"),
            Change::Resume => cmd.arg("resume"),
        };
        match reply::int(self.command(&cmd).await?)? {
            -1 => Ok(None),
            changed => Ok(Some(changed == 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_read_and_what_is_none_is_not_set() {
        let read = |text: &str| Own::read(&Value::BulkString(text.into()));
        let limits = GroupLimits::new().concurrency(20).weight(5);
        let paused = Some(Timestamp::from_millis(1_764_529_200_000));
        assert_eq!(read(&limits.encode()), Own { paused: None, limits });
        assert_eq!(read(&format!("p1764529200000 {}", limits.encode())), Own { paused, limits });
        assert_eq!(read("p1764529200000 ").limits, GroupLimits::new());
        assert_eq!(read("- 3").limits, GroupLimits::new().weight(3));
        assert_eq!(Own::read(&Value::Nil), Own::default());
        for wrong in ["", "x y", "-1 -1", "99999999999 1e9", "\u{85}"] {
            assert_eq!(read(wrong), Own::default(), "{wrong:?}");
        }
        // As the scripts do, which start nothing of such a group.
        assert_eq!(read("p").paused, Some(Timestamp::from_millis(0)));
    }
}
