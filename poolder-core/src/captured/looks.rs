//! Jobs of the test's queue as callers and operators see them, and what these change.

use std::time::Duration;

use super::state::{Captured, CapturedJob, JobNumber, JobPlace, State};
use crate::job::{Error, Failure, Handle, JobId, JobState, Place, Timestamp, UniqueMode};
use crate::policy::decide::CANCELLED_ON_REQUEST;
use crate::stored::{Completion, Envelope, check_no_batch};
use crate::view::{Content, JobView};

/// The name of the node that runs the jobs of a test.
pub(super) const NODE: &str = "test";

/// A job that was enqueued.
#[derive(Debug, Clone)]
pub struct ListedJob {
    /// The number of the job.
    pub number: JobNumber,
    /// The job as an operator sees it.
    pub view: JobView,
    /// When it was enqueued.
    pub enqueued: Timestamp,
    /// The time until which the enqueue has asked it to wait.
    pub due: Option<Timestamp>,
}

impl ListedJob {
    /// Returns the delay for which the enqueue has asked.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.due.map(|due| due.since(self.enqueued)).unwrap_or_default()
    }

    /// Returns true when the job does not run again by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.view.state.is_final()
    }
}

/// The job that a cancellation has found.
pub(crate) enum CancelledJob {
    Waiting,
    Running,
    Dead,
    Ended,
    Unknown,
}

impl Captured {
    /// Returns all jobs that were enqueued, ended ones included, in the order of their enqueues.
    #[must_use]
    pub fn jobs(&self) -> Vec<ListedJob> {
        self.jobs_after(0)
    }

    /// Returns the jobs that were enqueued after the one of this number, as [`Captured::jobs`] does.
    #[must_use]
    pub fn jobs_after(&self, number: JobNumber) -> Vec<ListedJob> {
        let state = self.state();
        let later = state.jobs.range(number.saturating_add(1)..);
        let listed = later.filter(|(_, job)| job.listed);
        let list = |(number, job): (&JobNumber, &CapturedJob)| ListedJob {
            number: *number,
            view: job.view(*number),
            enqueued: job.enqueued,
            due: job.asked,
        };
        listed.map(list).collect()
    }

    /// Returns the number of the job that was stored last.
    #[must_use]
    pub fn last_number(&self) -> JobNumber {
        self.state().last_number
    }

    /// Returns one job.
    #[must_use]
    pub fn job(&self, number: JobNumber) -> Option<JobView> {
        self.state().jobs.get(&number).map(|job| job.view(number))
    }

    /// Returns the job that a handle means: one that is alive, else a dead one.
    pub(crate) fn find(&self, handle: &Handle) -> Option<JobView> {
        let state = self.state();
        let number = match handle.place {
            Some(Place::Dead) => state.dead(handle).or_else(|| state.alive(handle).next()),
            _ => state.alive(handle).next().or_else(|| state.dead(handle)),
        }?;
        Some(state.jobs[&number].view(number))
    }

    /// Returns true when a job waits or runs at the place that its handle names.
    pub(crate) fn is_at_place(&self, handle: &Handle) -> bool {
        let state = self.state();
        let place = |number: JobNumber| state.jobs[&number].view(number).handle.place;
        handle.place.is_some() && state.alive(handle).any(|number| place(number) == handle.place)
    }

    /// Returns the completion record of a job.
    pub(crate) fn completion(&self, job: JobId) -> Option<Completion> {
        let state = self.state();
        state.records.get(&job).filter(|(_, end)| *end > state.now).map(|it| it.0.clone())
    }

    /// Returns the failure of a dead job.
    pub(crate) fn death(&self, handle: &Handle) -> Option<Completion> {
        let state = self.state();
        match &state.jobs[&state.dead(handle)?].at {
            JobPlace::Dead(failure) => Some(Completion::Dead(failure.clone())),
            _ => None,
        }
    }

    pub(crate) fn cancel(&self, handle: &Handle) -> CancelledJob {
        let mut state = self.state();
        let alive: Vec<_> = state.alive(handle).collect();
        if alive.is_empty() {
            return match (state.dead(handle), state.records.get(&handle.job)) {
                (Some(_), _) => CancelledJob::Dead,
                (None, Some((_, end))) if *end > state.now => CancelledJob::Ended,
                (None, _) => CancelledJob::Unknown,
            };
        }
        let mut outcome = CancelledJob::Waiting;
        for number in alive {
            if state.jobs[&number].at == JobPlace::Running {
                outcome = CancelledJob::Running;
                if let Some(job) = state.jobs.get_mut(&number) {
                    job.cancelling = true;
                }
                if let Some(interrupt) = state.interrupts.get(&number) {
                    interrupt();
                }
                continue;
            }
            state.take_from_place(number);
            state.end(number, Completion::Cancelled(CANCELLED_ON_REQUEST.into()));
        }
        outcome
    }

    /// Sets the time until which the waiting jobs of an id wait; `None` for now.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no job, [`Error::is_gone`] when it runs or is dead.
    pub(crate) fn reschedule(&self, handle: &Handle, at: Option<Timestamp>) -> Result<(), Error> {
        let mut state = self.state();
        for number in state.waiting(handle, "cancel it to stop it")? {
            if state.reschedule_behind(number, at) {
                continue;
            }
            let retries = matches!(state.jobs[&number].at, JobPlace::Due(_, true));
            state.take_from_place(number);
            let place = match at.filter(|at| *at > state.now) {
                Some(at) => JobPlace::Due(at, retries),
                None => JobPlace::Ready,
            };
            state.put(number, place);
        }
        Ok(())
    }

    /// Replaces the envelope of a job that waits, which is due at once with all its attempts.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no job, [`Error::is_gone`] when it runs or is dead.
    pub(crate) fn edit(&self, handle: &Handle, envelope: &Envelope) -> Result<(), Error> {
        let mut state = self.state();
        let Some(number) = state.waiting(handle, "cancel it to stop it")?.first().copied() else {
            return Ok(());
        };
        if let Some(job) = state.jobs.get_mut(&number) {
            (job.envelope, job.counters) = (envelope.clone(), job.counters.revived());
        }
        let now = state.now;
        if !state.reschedule_behind(number, Some(now)) {
            state.take_from_place(number);
            state.put(number, JobPlace::Ready);
        }
        Ok(())
    }

    /// Puts a dead job back into its lane, with this envelope. Returns false when it is not dead.
    pub(crate) fn revive(&self, handle: &Handle, envelope: &Envelope) -> bool {
        let mut state = self.state();
        let now = state.now;
        let Some(number) = state.dead(handle) else { return false };
        state.records.remove(&envelope.id());
        if let Some(job) = state.jobs.get_mut(&number) {
            job.counters = job.counters.revived();
            if !envelope.id().is_generated() {
                job.counters = std::mem::take(&mut job.counters).of_generation(now);
            }
            (job.envelope, job.cancelling) = (envelope.clone(), false);
        }
        state.batch_waits(number, true);
        state.put(number, JobPlace::Ready);
        if envelope.unique().is_some_and(|held| held.mode != UniqueMode::Window) {
            state.take_key(number);
        }
        true
    }

    /// Buries the waiting jobs of an id. `failure` is that of a job that has not failed before.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no job, [`Error::is_gone`] when it runs or is dead,
    /// [`Error::is_invalid`] when it stands for a batch.
    pub(crate) fn bury(&self, handle: &Handle, failure: &Failure) -> Result<(), Error> {
        let mut state = self.state();
        for number in state.waiting(handle, "cancel it to stop it")? {
            let job = &state.jobs[&number];
            check_no_batch(&job.envelope)?;
            let failure = job.counters.last_failure.clone().unwrap_or_else(|| failure.clone());
            state.take_from_place(number);
            state.put(number, JobPlace::Dead(failure.clone()));
            state.record(number, &Completion::Dead(failure));
            state.free_key_of(number, true);
            state.after_end(number);
        }
        Ok(())
    }

    /// Removes the waiting jobs of an id, or the dead one if none is alive.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no job, [`Error::is_gone`] when it runs.
    pub(crate) fn remove(&self, handle: &Handle, reason: &str) -> Result<(), Error> {
        let mut state = self.state();
        let numbers = match state.dead(handle) {
            Some(dead) if state.alive(handle).next().is_none() => vec![dead],
            _ => state.waiting(handle, "cancel it instead")?,
        };
        for number in numbers {
            state.take_from_place(number);
            let receipt = (state.jobs[&number].partition.clone(), handle.job);
            state.receipts.remove(&receipt);
            state.free_key_of(number, true);
            state.end(number, Completion::Cancelled(reason.to_owned()));
        }
        Ok(())
    }
}

impl State {
    /// Returns the jobs that a handle means and that wait or run, in whichever slot of their queue.
    fn alive(&self, handle: &Handle) -> impl Iterator<Item = JobNumber> {
        self.meant(handle, |at| {
            matches!(at, JobPlace::Ready | JobPlace::Due(..) | JobPlace::Running)
        })
    }

    fn dead(&self, handle: &Handle) -> Option<JobNumber> {
        self.meant(handle, |at| matches!(at, JobPlace::Dead(_))).last()
    }

    fn meant(
        &self,
        handle: &Handle,
        wanted: impl Fn(&JobPlace) -> bool,
    ) -> impl Iterator<Item = JobNumber> {
        let (queue, id) = (&handle.partition.queue, handle.job);
        let is_meant = move |(_, job): &(&JobNumber, &CapturedJob)| {
            job.envelope.id() == id && job.partition.queue == *queue && wanted(&job.at)
        };
        self.jobs.iter().filter(is_meant).map(|(number, _)| *number)
    }

    /// Returns the waiting jobs that a handle means. `instead` says what to do about a running one.
    fn waiting(&self, handle: &Handle, instead: &str) -> Result<Vec<JobNumber>, Error> {
        let alive: Vec<_> = self.alive(handle).collect();
        let waits = |number: &JobNumber| self.jobs[number].at != JobPlace::Running;
        let waiting: Vec<_> = alive.iter().copied().filter(waits).collect();
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        Err(if !alive.is_empty() {
            Error::gone(format!("the job runs: {instead}"))
        } else if self.dead(handle).is_some() {
            Error::gone("the job is dead: revive it")
        } else {
            Error::not_found("the job was not found")
        }
        .with_job(handle.job))
    }
}

impl CapturedJob {
    pub(super) fn view(&self, number: JobNumber) -> JobView {
        let (state, at, place) = match &self.at {
            JobPlace::Ready => (JobState::Ready, self.since, self.in_lane(number)),
            JobPlace::Due(due, true) => (JobState::Retrying, *due, Some(Place::Due(*due))),
            JobPlace::Due(due, false) => (JobState::Scheduled, *due, Some(Place::Due(*due))),
            JobPlace::Running => (JobState::Running, self.since, self.in_lane(number)),
            JobPlace::Dead(_) => (JobState::Dead, self.since, Some(Place::Dead)),
            JobPlace::Ended(Completion::Cancelled(_)) => (JobState::Cancelled, self.since, None),
            JobPlace::Ended(Completion::Dead(_)) => (JobState::Dead, self.since, None),
            JobPlace::Ended(_) => (JobState::Completed, self.since, None),
        };
        let failure = match &self.at {
            JobPlace::Dead(failure) | JobPlace::Ended(Completion::Dead(failure)) => {
                Some(failure.clone())
            }
            _ => None,
        };
        let holds = matches!(state, JobState::Running | JobState::Dead);
        JobView {
            handle: Handle { partition: self.partition.clone(), job: self.envelope.id(), place },
            state,
            lane: self.lane,
            at,
            node: holds.then(|| NODE.to_owned()),
            end: None,
            counters: self.counters.clone(),
            cancelling: self.cancelling,
            failure,
            content: Content::Job(self.envelope.clone()),
        }
    }

    fn in_lane(&self, number: JobNumber) -> Option<Place> {
        Some(Place::Entry(self.lane, self.entry(number)))
    }
}
