//! Deleting jobs that do not run. A caller that waits for such a job receives the result that the
//! job was cancelled.

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, JobState, Partition, Place, clamped_millis};
use crate::stored::Completion;
use crate::view::JobView;

/// The reason in the completion record of a deleted job.
const DELETED: &str = "an operator deleted it";

impl Broker {
    /// Deletes every job of an id that waits, or the dead one if none is alive. A handle that names
    /// the dead means that one. A deleted job can be enqueued again within the window of an
    /// idempotent enqueue.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no job was found, [`Error::is_gone`] when one runs: a running
    /// job can be cancelled.
    pub async fn delete(&self, handle: &Handle) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return captured.remove(handle, DELETED);
        }
        let mut found = self.find_alive(handle).await?.jobs;
        let runs = found.iter().any(|view| view.state == JobState::Running);
        found.retain(|view| view.state != JobState::Running);
        if found.is_empty() && !runs {
            found.extend(self.find(handle).await?);
        }
        if found.is_empty() && !runs {
            return Err(Error::not_found("the job was not found").with_job(handle.job));
        }
        let mut moved = false;
        // The jobs of one call are in one place.
        for view in found {
            moved |= self.delete_all(&view.handle.partition.clone(), &[view]).await? != [true];
        }
        if moved {
            let text = "the job started or moved meanwhile, look again";
            return Err(Error::gone(text).with_job(handle.job));
        }
        if runs {
            return Err(Error::gone("the job runs: cancel it instead").with_job(handle.job));
        }
        Ok(())
    }

    /// Deletes jobs of one page that still are where they were seen: in a lane and not claimed, in
    /// `due`, or among the dead jobs. Returns for each job whether it was deleted.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command; some jobs may have
    /// been deleted before.
    pub async fn delete_all(
        &self,
        partition: &Partition,
        seen: &[JobView],
    ) -> Result<Vec<bool>, Error> {
        let Some(first) = seen.first() else { return Ok(vec![]) };
        let keys = self.keys(partition);
        let (place, source, bodies) = match (&first.handle.place, first.state) {
            (Some(Place::Entry(lane, _)), _) => ("lane", keys.lane(*lane), &keys.bodies),
            (_, JobState::Dead) => ("dead", keys.dead.as_str(), &keys.dead_bodies),
            _ => ("due", keys.due.as_str(), &keys.bodies),
        };
        let mut deleted = Vec::with_capacity(seen.len());
        for some in seen.chunks(500) {
            let records =
                some.iter().flat_map(|view| [keys.result(view.id()), keys.sent(view.id())]);
            let records: Vec<String> = records.collect();
            let batches = [keys.batches.as_str(), &keys.batches_dropped];
            let own = [source, bodies, &keys.stats, &keys.cancelled];
            let all = own.into_iter().chain(batches).chain(records.iter().map(String::as_str));
            let mut cmd = scripts::call(&scripts::REMOVE, all);
            cmd.arg(place).arg(Completion::Cancelled(DELETED.into()).encode());
            for view in some {
                let entry = view.handle.entry().map_or("", |(_, entry)| entry);
                let kept = view.completion_kept();
                cmd.arg(view.handle.job.as_bytes()).arg(entry);
                cmd.arg(kept.map(|kept| clamped_millis(kept).to_string()).unwrap_or_default());
            }
            let each = reply::bytes(self.command(&cmd).await?)?;
            deleted.extend((0..some.len()).map(|at| each.get(at) == Some(&b'1')));
        }
        Ok(deleted)
    }
}
