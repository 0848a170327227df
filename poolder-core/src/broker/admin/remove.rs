//! Deleting jobs that do not run. A caller that waits for such a job receives the result that the
//! job was cancelled.

use std::collections::BTreeMap;

use redis::Cmd;

use crate::broker::admin::grouped::{keys_of, waits_at};
use crate::broker::admin::portions::portions;
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, JobState, Partition, Place, clamped_millis};
use crate::stored::Completion;
use crate::view::JobView;

/// The most jobs that one call of `remove.lua` takes.
const MAX_JOBS: usize = 500;
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
        for view in found {
            moved |= self.delete_all(&[view]).await? != [true];
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

    /// Deletes jobs that still are where they were seen: in a lane and not claimed, in `due`, or
    /// among the dead jobs. The jobs may be of several partitions. Returns for each job whether it
    /// was deleted.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command; some jobs may have
    /// been deleted before.
    pub async fn delete_all(&self, seen: &[JobView]) -> Result<Vec<bool>, Error> {
        let mut places: BTreeMap<(&Partition, &str), Vec<usize>> = BTreeMap::new();
        for (at, view) in seen.iter().enumerate() {
            let place = match (&view.handle.place, view.state) {
                (Some(Place::Entry(lane, _)), _) => lane.as_str(),
                (Some(Place::Group(..)), _) => "group",
                (_, JobState::Dead) => "dead",
                _ => "due",
            };
            places.entry((&view.handle.partition, place)).or_default().push(at);
        }
        let mut pipe = redis::pipe();
        let mut calls = vec![];
        let bytes = |at: &usize| seen[*at].envelope().map_or(0, |it| it.as_bytes().len());
        for ((partition, place), jobs) in &places {
            // The entries of these lanes are read by the script.
            let calls_of: Vec<&[usize]> = match *place {
                "front" | "suspect" => portions(jobs, bytes).collect(),
                _ => jobs.chunks(MAX_JOBS).collect(),
            };
            for some in calls_of {
                pipe.add_command(self.remove_call(partition, some.iter().map(|at| &seen[*at])));
                calls.push(some);
            }
        }
        let mut deleted = vec![false; seen.len()];
        if calls.is_empty() {
            return Ok(deleted);
        }
        for (some, each) in calls.into_iter().zip(self.pipeline(&pipe).await?) {
            let each = reply::bytes(each.map_err(|error| self.classify(error))?)?;
            for (digit, at) in each.iter().zip(some) {
                deleted[*at] = *digit == b'1';
            }
        }
        Ok(deleted)
    }

    /// Returns the call that deletes jobs of one place of a partition.
    fn remove_call<'a>(
        &self,
        partition: &Partition,
        jobs: impl Iterator<Item = &'a JobView> + Clone,
    ) -> Cmd {
        let keys = self.keys(partition);
        let seen = jobs.clone().next().and_then(|job| job.handle.place.as_ref());
        let (source, bodies) = match seen {
            Some(Place::Entry(lane, _)) => (keys.lane(*lane), &keys.bodies),
            Some(Place::Dead) => (keys.dead.as_str(), &keys.dead_bodies),
            _ => (keys.due.as_str(), &keys.bodies),
        };
        let (place, _) = waits_at(seen);
        let records = jobs.clone().flat_map(|view| [keys.result(view.id()), keys.sent(view.id())]);
        let records: Vec<String> = records.collect();
        let batches = [keys.batches.as_str(), &keys.batches_dropped];
        let own = [source, bodies, &keys.stats, &keys.cancelled];
        let batches = batches.into_iter().chain([keys.unique.as_str(), &keys.due]);
        let all = own.into_iter().chain(batches).chain(records.iter().map(String::as_str));
        let mut cmd = scripts::call(&scripts::REMOVE, all.chain(keys_of(place, &keys)));
        cmd.arg(place).arg(Completion::Cancelled(DELETED.into()).encode()).arg(&keys.control);
        for view in jobs {
            let (_, at) = waits_at(view.handle.place.as_ref());
            let kept = view.completion_kept();
            cmd.arg(view.handle.job.as_bytes()).arg(at);
            cmd.arg(kept.map(|kept| clamped_millis(kept).to_string()).unwrap_or_default());
            let (key, since) = view.held_key();
            cmd.arg(view.id().as_bytes()).arg(key).arg(since);
        }
        cmd
    }
}
