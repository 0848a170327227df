//! Burying jobs that wait. A caller that waits for such a job receives the result that it died.

use std::collections::BTreeMap;

use redis::Cmd;

use crate::broker::admin::grouped::{keys_of, waits_at};
use crate::broker::admin::portions::portions;
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Cause, Error, Failure, Handle, JobState, Partition, Place, clamped_millis};
use crate::stored::{Completion, Death, Envelope, check_no_batch, head};
use crate::view::JobView;

/// The node in the record of a job that an operator has buried.
const OPERATOR: &str = "operator";

/// A job that waits: its place in a list, its view, and its envelope.
type WaitingJob<'a> = (usize, &'a JobView, &'a Envelope);

impl Broker {
    /// Buries every job of an id that waits. The reason is the failure of a job that has not failed
    /// before; another one keeps its last failure.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no job was found, [`Error::is_gone`] when it runs or is dead,
    /// [`Error::is_invalid`] when it stands for a batch, or the entry is not a job.
    pub async fn bury(&self, handle: &Handle, reason: &str) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return captured.bury(handle, &failure_of(reason));
        }
        let gone = |text: &str| Err(Error::gone(text).with_job(handle.job));
        let mut found = self.find_alive(handle).await?.jobs;
        if found.is_empty() {
            return match self.find(handle).await? {
                Some(view) if view.state == JobState::Dead => gone("the job is dead already"),
                Some(_) => gone("the job started or moved meanwhile, look again"),
                None => Err(Error::not_found("the job was not found").with_job(handle.job)),
            };
        }
        found.retain(|view| view.state != JobState::Running);
        if found.is_empty() {
            return gone("the job runs: cancel it to stop it");
        }
        for view in &found {
            let Some(envelope) = view.envelope() else {
                let text = "the entry is not a job: it can only be deleted";
                return Err(Error::invalid(text).with_job(handle.job));
            };
            check_no_batch(envelope)?;
        }
        match self.bury_all(&found, reason).await?.contains(&false) {
            true => gone("the job started or moved meanwhile, look again"),
            false => Ok(()),
        }
    }

    /// Buries jobs that still wait where they were seen; the jobs may be of several partitions.
    /// Skips entries that are not jobs, and jobs that stand for batches. Returns for each job whether
    /// it was buried.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command; some jobs may have
    /// been buried before.
    pub async fn bury_all(&self, seen: &[JobView], reason: &str) -> Result<Vec<bool>, Error> {
        let mut places: BTreeMap<(&Partition, &str), Vec<WaitingJob<'_>>> = BTreeMap::new();
        for (at, view) in seen.iter().enumerate() {
            let place = match &view.handle.place {
                Some(Place::Entry(lane, _)) => lane.as_str(),
                Some(Place::Group(..)) => "group",
                _ => "due",
            };
            if let Some(envelope) = view.envelope() {
                let of = places.entry((&view.handle.partition, place)).or_default();
                of.push((at, view, envelope));
            }
        }
        let mut pipe = redis::pipe();
        let mut calls = vec![];
        for ((partition, _), jobs) in &places {
            for some in portions(jobs, |(.., envelope)| envelope.as_bytes().len()) {
                pipe.add_command(self.bury_call(partition, some, reason));
                calls.push(some);
            }
        }
        let mut buried = vec![false; seen.len()];
        if calls.is_empty() {
            return Ok(buried);
        }
        for (some, each) in calls.into_iter().zip(self.pipeline(&pipe).await?) {
            let each = reply::bytes(each.map_err(|error| self.classify(error))?)?;
            for (digit, (at, ..)) in each.iter().zip(some) {
                buried[*at] = *digit == b'1';
            }
        }
        Ok(buried)
    }

    /// Returns the call that buries jobs of one place of a partition.
    fn bury_call(&self, partition: &Partition, jobs: &[WaitingJob<'_>], reason: &str) -> Cmd {
        let keys = self.keys(partition);
        let seen = jobs.first().and_then(|(_, view, _)| view.handle.place.as_ref());
        let source = match seen {
            Some(Place::Entry(lane, _)) => keys.lane(*lane),
            _ => keys.due.as_str(),
        };
        let (place, _) = waits_at(seen);
        let records: Vec<String> = jobs.iter().map(|(_, view, _)| keys.result(view.id())).collect();
        let places = [&keys.bodies, &keys.dead, &keys.dead_bodies];
        let own = places.into_iter().chain([&keys.stats, &keys.batches, &keys.unique, &keys.due]);
        let all = own.chain(&records).map(String::as_str);
        let mut cmd = scripts::call(
            &scripts::BURY,
            [source].into_iter().chain(all).chain(keys_of(place, &keys)),
        );
        cmd.arg(place).arg(&keys.control);
        for (_, view, envelope) in jobs {
            let failure = view.failure().cloned().unwrap_or_else(|| failure_of(reason));
            let body = match place {
                "due" => vec![],
                _ => {
                    let mut body = head(view.counters.home(), &view.counters);
                    body.extend(envelope.as_bytes());
                    body
                }
            };
            cmd.arg(view.handle.job.as_bytes()).arg(waits_at(view.handle.place.as_ref()).1);
            cmd.arg(Death::new(failure.clone(), OPERATOR, false).encode()).arg(body);
            cmd.arg(Completion::Dead(failure).encode());
            let kept = view.completion_kept();
            cmd.arg(kept.map(|kept| clamped_millis(kept).to_string()).unwrap_or_default());
            let (key, since) = view.held_key();
            cmd.arg(view.id().as_bytes()).arg(key).arg(since);
        }
        cmd
    }
}

/// Returns the failure of a job that an operator has buried before it failed by itself.
fn failure_of(reason: &str) -> Failure {
    let because = if reason.is_empty() { "" } else { ": " };
    Failure::new(Cause::Error, format!("an operator buried it{because}{reason}"))
}
