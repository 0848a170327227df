//! Rescheduling a job that waits, and editing one.

use futures_util::future::try_join_all;

use crate::broker::admin::grouped::{keys_of, waits_at};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, JobState, Lane, Place, Timestamp, clamped_millis};
use crate::stored::{Envelope, check_no_batch, head};
use crate::view::{JobView, edit};

impl Broker {
    /// Sets the time until which every waiting job of an id waits, whether it is in a lane or waits
    /// for its time now. `None` makes it due at once.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no job was found, [`Error::is_gone`] when it runs or is dead.
    /// [`Error::is_invalid`] when the entry is not a job.
    pub async fn reschedule(&self, handle: &Handle, at: Option<Timestamp>) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return captured.reschedule(handle, at);
        }
        let gone = |text: &str| Err(Error::gone(text).with_job(handle.job));
        let mut found = self.find_alive(handle).await?.jobs;
        if found.is_empty() {
            return match self.find(handle).await? {
                Some(view) if view.state == JobState::Dead => gone("the job is dead: revive it"),
                Some(_) => gone("the job started or moved meanwhile, look again"),
                None => Err(Error::not_found("the job was not found").with_job(handle.job)),
            };
        }
        found.retain(|view| view.state != JobState::Running);
        if found.is_empty() {
            return gone("the job runs already: cancel it to stop it");
        }
        for view in &found {
            if !runs_soon(view, at) && !self.reschedule_at(view, at).await? {
                return gone("the job started or moved meanwhile, look again");
            }
        }
        Ok(())
    }

    /// Moves jobs that wait where they were seen to the times that `at` returns, or makes them due
    /// at once; the jobs may be of several partitions. Skips entries that are not jobs, and jobs that
    /// will start as soon as a slot is free. Returns for each job whether it was moved.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command; some jobs may have
    /// been moved before.
    pub async fn reschedule_all(
        &self,
        waiting: &[JobView],
        at: impl Fn(&JobView) -> Option<Timestamp>,
    ) -> Result<Vec<bool>, Error> {
        // The calls go out together.
        let calls = waiting.iter().map(|view| {
            let at = at(view);
            async move {
                let is_fixed = view.envelope().is_none() || runs_soon(view, at);
                if is_fixed { Ok(false) } else { self.reschedule_at(view, at).await }
            }
        });
        try_join_all(calls).await
    }

    /// Replaces the payload of a job as it is shown, and lets the job run with it: one that waits is due
    /// at once, and a dead one returns to its lane. All attempts are restored.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no job was found, [`Error::is_gone`] when it runs, was moved
    /// meanwhile, or is dead and another job holds its unique key; [`Error::is_invalid`] when it stands
    /// for a batch, or the entry is not a job; [`Error::is_too_large`] for a payload above the cap, and
    /// [`Error::is_codec`] for one that is nested too deep. The job is as before then.
    pub async fn edit_job(&self, handle: &Handle, shown: &serde_json::Value) -> Result<(), Error> {
        let gone = |text: &str| Err(Error::gone(text).with_job(handle.job));
        let view = match self.find(handle).await? {
            Some(view) if view.state == JobState::Dead => {
                return self.revive_with(&view.handle, shown).await;
            }
            Some(view) if view.state == JobState::Running => {
                return gone("the job runs: cancel it to stop it");
            }
            Some(view) => view,
            None => return Err(Error::not_found("the job was not found").with_job(handle.job)),
        };
        let Some(old) = view.envelope() else {
            return Err(Error::invalid("the entry is not a job: it can only be deleted"));
        };
        check_no_batch(old)?;
        let (format, payload) =
            edit(old.raw_job(), shown).map_err(|error| error.with_job(view.id()))?;
        let edited = old.with_payload(format, &payload)?;
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return captured.edit(handle, &edited);
        }
        let now = self.server_now().await?;
        match self.move_to(&view, Some(now), Some(&edited)).await? {
            true => Ok(()),
            false => gone("the job started or moved meanwhile, look again"),
        }
    }

    /// Moves a waiting job to its new time. Returns false when the job is no longer where it was
    /// seen.
    async fn reschedule_at(&self, view: &JobView, at: Option<Timestamp>) -> Result<bool, Error> {
        self.move_to(view, at, None).await
    }

    /// Moves a waiting job to its new time, with this envelope in place of its own and all its attempts
    /// restored. Returns false when the job is no longer where it was seen.
    async fn move_to(
        &self,
        view: &JobView,
        at: Option<Timestamp>,
        edited: Option<&Envelope>,
    ) -> Result<bool, Error> {
        let keys = self.keys(&view.handle.partition);
        let lane = match &view.handle.place {
            Some(Place::Entry(lane, _)) => *lane,
            _ => view.lane,
        };
        let (place, waits) = waits_at(view.handle.place.as_ref());
        let Some(envelope) = view.envelope() else {
            return Err(Error::invalid("the entry is not a job: it can only be deleted"));
        };
        let own = [keys.lane(lane), &keys.due, &keys.bodies, &keys.stats];
        let mut cmd = scripts::call(
            &scripts::RESCHEDULE,
            own.into_iter().chain([keys.lease.as_str(), &keys.unique]).chain(keys_of(place, &keys)),
        );
        cmd.arg(view.handle.job.as_bytes()).arg(place).arg(waits);
        cmd.arg(at.map(|at| at.millis().to_string()).unwrap_or_default());
        match edited {
            Some(edited) => {
                let counters = view.counters.revived();
                cmd.arg(head(counters.home(), &counters)).arg(edited.as_bytes());
            }
            None => {
                cmd.arg(head(lane, &view.counters)).arg(envelope.as_bytes());
            }
        }
        cmd.arg(&keys.control);
        let (key, since) = view.held_key();
        let hold = envelope.unique().map_or(0, |held| clamped_millis(held.hold));
        cmd.arg(key).arg(view.id().as_bytes()).arg(since).arg(hold);
        cmd.arg(&head(view.counters.home(), &view.counters)[..1]);
        let in_place = edited.is_some() && place == "due";
        cmd.arg(if in_place { view.at.millis().to_string() } else { String::new() });
        cmd.arg(if in_place && view.counters.failures > 0 { "1" } else { "" });
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }
}

/// Returns true when a job that is to run now waits only for a slot: it is in a lane, and is no retry
/// that holds its addressed slot.
fn runs_soon(view: &JobView, at: Option<Timestamp>) -> bool {
    view.state == JobState::Ready && at.is_none() && view.lane != Lane::Front
}
