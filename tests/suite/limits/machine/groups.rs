//! The steps of a walk with which operators change whole groups.

use poolder::JobId;

use super::{At, Walk, Wrong, must};

impl Walk<'_> {
    /// Pauses a group, lets it go on, or deletes its waiting jobs.
    pub(super) async fn operate_group(&mut self) -> Result<&'static str, Wrong> {
        let group = self.group();
        let partition = self.partition.clone();
        match self.random.below(5) {
            0 | 1 => {
                let new = self.broker.pause_group(&partition, &group).await;
                let was = !self.paused.insert(group.clone());
                must!(new.as_ref().is_ok_and(|new| *new != was), "paused {group:?}: {new:?}");
                Ok("pause a group")
            }
            2 | 3 => {
                // One that is paused more often than another one.
                let paused = self.paused.iter().next().cloned();
                let group = paused.filter(|_| self.random.chance(70)).unwrap_or(group);
                let new = self.broker.resume_group(&partition, &group).await;
                let was = self.paused.remove(&group);
                must!(new.as_ref().is_ok_and(|new| *new == was), "resumed {group:?}: {new:?}");
                Ok("resume a group")
            }
            _ => {
                let purged = self.broker.purge_group(&partition, &group, |_| {}).await;
                let waiting: Vec<JobId> = self.order.remove(&group).unwrap_or_default().into();
                let expected = waiting.len() as u64;
                let all = purged.as_ref().is_ok_and(|purged| *purged == expected);
                must!(all, "purged {group:?} of {expected}: {purged:?}");
                for id in waiting {
                    self.jobs.get_mut(&id).unwrap().at = At::Gone;
                }
                Ok("purge a group")
            }
        }
    }
}
