//! Reviving dead jobs. A revived job has all its attempts again and no crashes; its fence goes on
//! growing.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use crate::broker::admin::portions::portions;
use crate::broker::connection::reply::{self, server_time};
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, JobState, Partition, clamped_millis};
use crate::stored::{Envelope, head};
use crate::view::{JobView, edit};

/// A dead job: its place in a list, its view, and its envelope.
type DeadJob<'a> = (usize, &'a JobView, &'a Envelope);

impl Broker {
    /// Puts a dead job back into its lane. A job of a schedule that allows one job at a time is the
    /// running one again, unless another one runs meanwhile. A unique job takes its key again.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no job was found, [`Error::is_gone`] when the job is not dead, or
    /// another job holds its unique key,
    /// [`Error::is_invalid`] when the dead record has no readable job.
    pub async fn revive(&self, handle: &Handle) -> Result<(), Error> {
        let view = self.find_dead(handle).await?;
        let envelope = view.envelope().ok_or_else(|| no_job(&view))?;
        self.revive_one(&view, envelope).await
    }

    /// Puts a dead job back into its lane, with a payload that was changed as it is shown.
    ///
    /// # Errors
    /// As [`Broker::revive`], [`Error::is_too_large`] for a payload above the cap, and
    /// [`Error::is_codec`] for one that is nested too deep.
    pub async fn revive_with(
        &self,
        handle: &Handle,
        shown: &serde_json::Value,
    ) -> Result<(), Error> {
        let view = self.find_dead(handle).await?;
        let old = view.envelope().ok_or_else(|| no_job(&view))?;
        let (format, payload) =
            edit(old.raw_job(), shown).map_err(|error| error.with_job(view.id()))?;
        let edited = old.with_payload(format, &payload)?;
        self.revive_one(&view, &edited).await
    }

    /// Puts dead jobs back into their lanes, in bounded steps; the jobs may be of several partitions.
    /// Skips jobs that are no longer dead as they were seen, unique jobs whose key another job holds,
    /// and dead records without a readable job.
    /// Returns for each job whether it was revived.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command; some jobs may have
    /// been revived before.
    pub async fn revive_all(&self, dead: &[JobView]) -> Result<Vec<bool>, Error> {
        let mut partitions: BTreeMap<&Partition, Vec<DeadJob<'_>>> = BTreeMap::new();
        for (at, view) in dead.iter().enumerate() {
            if let Some(envelope) = view.envelope() {
                let of = partitions.entry(&view.handle.partition).or_default();
                of.push((at, view, envelope));
            }
        }
        // The calls of all partitions go out together.
        let calls = partitions.iter().map(|(of, jobs)| self.revive_in(of, jobs));
        let mut revived = vec![false; dead.len()];
        for done in try_join_all(calls).await? {
            done.into_iter().for_each(|(at, done)| revived[at] = done);
        }
        Ok(revived)
    }

    /// Revives jobs of one partition. Returns the place of each job, and whether it was revived.
    async fn revive_in(
        &self,
        partition: &Partition,
        jobs: &[DeadJob<'_>],
    ) -> Result<Vec<(usize, bool)>, Error> {
        let mut revived = vec![];
        for some in portions(jobs, |(.., envelope)| envelope.as_bytes().len()) {
            let each: Vec<_> = some.iter().map(|(_, view, envelope)| (*view, *envelope)).collect();
            let done = self.revive_some(partition, &each).await?;
            let is_done = |done| done == Revival::Done;
            revived.extend(some.iter().zip(done).map(|((at, ..), done)| (*at, is_done(done))));
        }
        Ok(revived)
    }

    /// Finds a dead job. Another job of its id that is alive is meant first, unless the handle names
    /// the dead.
    async fn find_dead(&self, handle: &Handle) -> Result<JobView, Error> {
        match self.find(handle).await? {
            Some(view) if view.state == JobState::Dead => Ok(view),
            Some(view) => Err(Error::gone(format!("the job is not dead, it is {}", view.state))
                .with_job(handle.job)),
            None => Err(Error::not_found("the job is not among the dead").with_job(handle.job)),
        }
    }

    /// Revives one job, with this envelope.
    async fn revive_one(&self, view: &JobView, envelope: &Envelope) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            if captured.key_is_held(&view.handle.partition, envelope) {
                return Err(key_is_held(view));
            }
            let revived = captured.revive(&view.handle, envelope);
            let gone =
                || Error::gone("the job was revived or deleted meanwhile").with_job(view.id());
            return revived.then_some(()).ok_or_else(gone);
        }
        match self.revive_some(&view.handle.partition, &[(view, envelope)]).await?.as_slice() {
            [Revival::Done] => Ok(()),
            [Revival::KeyIsHeld] => Err(key_is_held(view)),
            _ => Err(Error::gone("the job was revived or deleted meanwhile").with_job(view.id())),
        }
    }

    /// Revives jobs with these envelopes, in one call.
    async fn revive_some(
        &self,
        partition: &Partition,
        jobs: &[(&JobView, &Envelope)],
    ) -> Result<Vec<Revival>, Error> {
        let keys = self.keys(partition);
        let mut ask = redis::pipe();
        ask.cmd("ZCARD").arg(&keys.dead).cmd("TIME");
        let now = self.pipeline(&ask).await?.pop().unwrap_or(Ok(redis::Value::Nil));
        let now = server_time(now.map_err(|error| self.classify(error))?)?;
        let records: Vec<String> = jobs.iter().map(|(view, _)| keys.result(view.id())).collect();
        let own = [&keys.dead, &keys.dead_bodies].into_iter();
        let running = &keys.schedules.running;
        let holders = [&keys.unique, &keys.due, &keys.bodies];
        let all = own.chain(&keys.ready).chain([&keys.stats, running]).chain(holders);
        let all = all.chain(&records);
        let mut cmd = scripts::call(&scripts::REVIVE, all.map(String::as_str));
        for (view, envelope) in jobs {
            let mut counters = view.counters.revived();
            if view.id().generated_at().is_none() {
                // A cancellation from before the revival does not mean the revived job.
                counters = counters.of_generation(now);
            }
            let tick = envelope.tick().filter(|tick| tick.is_alone());
            cmd.arg(view.handle.job.as_bytes()).arg(view.at.millis());
            cmd.arg(head(counters.home(), &counters)).arg(envelope.as_bytes());
            cmd.arg(tick.map_or("", |tick| tick.schedule()));
            match envelope.unique() {
                None => cmd.arg("").arg(0).arg(0),
                Some(held) => cmd
                    .arg(held.key.as_bytes())
                    .arg(clamped_millis(held.hold))
                    .arg(held.mode.number()),
            };
            cmd.arg(counters.generation().unwrap_or(now).millis());
        }
        let each = reply::bytes(self.command(&cmd).await?)?;
        let read = |at| match each.get(at) {
            Some(b'1') => Revival::Done,
            Some(b'2') => Revival::KeyIsHeld,
            _ => Revival::Gone,
        };
        Ok((0..jobs.len()).map(read).collect())
    }
}

/// The outcome for a dead job that was to be revived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revival {
    /// It was revived.
    Done,
    /// It is no longer dead as it was seen.
    Gone,
    /// Another job holds its unique key. It stays dead.
    KeyIsHeld,
}

/// The error for a dead job whose unique key another job holds.
fn key_is_held(view: &JobView) -> Error {
    let key = view.unique_key().map(|key| key.to_string()).unwrap_or_default();
    Error::gone(format!(
        "another job holds the unique key {key}, so this one stays dead: wait for that job, or \
         release the key"
    ))
    .with_job(view.id())
}

/// The error for a dead record without a readable job.
fn no_job(view: &JobView) -> Error {
    Error::invalid("the dead record has no readable job: read its raw bytes, and delete it")
        .with_job(view.id())
}
