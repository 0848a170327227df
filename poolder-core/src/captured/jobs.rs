//! Jobs of the test's queue: stored, claimed, settled.

use std::time::Duration;

use super::state::{
    BatchChange, Captured, CapturedJob, JobNumber, JobPlace, NewJob, State, StoredJob,
};
use crate::job::{EntryId, Error, Lane, OnDuplicate, Partition, QueueName};
use crate::policy::decide::{CANCELLED_ON_REQUEST, EXPIRED, Transition, Wait};
use crate::policy::{Counters, Facts};
use crate::stored::{BEHIND, Claim, Completion, Envelope};

/// How long a result is kept whose enqueue asked for no completion record.
const RESULT_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

impl Captured {
    /// Stores a job. A call is answered at once if the test has an answer.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] for a call that has no answer, and that no node runs.
    pub(crate) fn enqueue(&self, new: &NewJob<'_>) -> Result<StoredJob, Error> {
        let ended = if new.envelope.is_call() { self.answered(new)? } else { None };
        let mut state = self.state();
        Ok(state.enqueue(new, ended))
    }

    /// Returns how a call ends by the answer of the test; `None` when a node runs it.
    fn answered(&self, new: &NewJob<'_>) -> Result<Option<Completion>, Error> {
        let (kind, state) = (new.envelope.kind(), self.state());
        let answer = state.answers.get(kind).cloned();
        let served = state.served.contains(&new.partition.queue);
        // The answer may use the queue.
        drop(state);
        match answer {
            Some(answer) => Ok(Some(answer(new.envelope.raw_job()))),
            None if served => Ok(None),
            None => Err(Error::unsupported(format!(
                "the test's queue has no answer for calls of kind {kind:?}: give it one with \
                 TestQueue::on_call, start a node that runs them, or use a TestServer"
            ))
            .with_job(new.envelope.id())),
        }
    }

    /// Stores a job for a slot, or for all slots of a broadcast pool. Returns its entry.
    ///
    /// # Errors
    /// As [`Captured::enqueue`].
    pub(crate) fn cast(
        &self,
        partition: &Partition,
        envelope: &Envelope,
        broadcast: bool,
    ) -> Result<EntryId, Error> {
        let (lane, due, idempotent) = (Lane::Normal, None, None);
        let on_duplicate = OnDuplicate::Keep;
        let new = NewJob { partition, lane, due, envelope, idempotent, on_duplicate, broadcast };
        match self.enqueue(&new)? {
            StoredJob::Ready(entry) => Ok(entry),
            StoredJob::Due(_)
            | StoredJob::Behind
            | StoredJob::Already
            | StoredJob::Stands { .. } => Err(Error::protocol("a cast that waits")),
        }
    }

    /// Returns the first ready job of these queues for which `wanted` is true, claimed. Each lane is
    /// emptied before the next, and a slot whose job waits for a retry that blocks it is left out.
    #[must_use]
    pub fn claim(
        &self,
        queues: &[QueueName],
        wanted: impl Fn(JobNumber, &str) -> bool,
    ) -> Option<(JobNumber, Partition, Claim)> {
        let mut state = self.state();
        let served = |partition: &Partition| queues.contains(&partition.queue);
        let heads = state.ready.iter().filter(|(partition, _)| served(partition));
        let heads = heads.filter_map(|(partition, ready)| {
            let addressed = state.pools.contains_key(&partition.queue);
            let blocks = |number: &JobNumber| {
                let job = &state.jobs[number];
                job.lane == Lane::Front && job.partition == *partition
            };
            let blocked = addressed && state.due.iter().any(|(.., number)| blocks(number));
            let wanted = |(_, _, number): &&(usize, u64, JobNumber)| {
                wanted(*number, state.jobs[number].envelope.kind())
            };
            if blocked { None } else { ready.iter().find(wanted).copied() }
        });
        let (_, _, number) = heads.min()?;
        state.take_from_place(number);
        Some(state.claimed(number))
    }

    /// Stores a job that the test runs without enqueueing it, as a later attempt if `attempt` is
    /// above 1, and claims it.
    #[must_use]
    pub fn hold(
        &self,
        partition: &Partition,
        lane: Lane,
        envelope: Envelope,
        attempt: u32,
        earlier: crate::job::Failure,
    ) -> (JobNumber, Claim) {
        let mut state = self.state();
        let mut counters = Counters::starting_in(lane);
        if attempt > 1 {
            counters.failures = attempt - 2;
            counters.deliveries = u64::from(attempt - 1);
            counters = counters.failed(earlier, Facts::at(state.now));
        }
        let job = CapturedJob {
            partition: partition.clone(),
            envelope,
            counters,
            lane,
            at: JobPlace::Running,
            since: state.now,
            order: 0,
            listed: false,
            enqueued: state.now,
            asked: None,
            broadcast: false,
            cancelling: false,
        };
        let number = state.insert(job);
        let (number, _, claim) = state.claimed(number);
        (number, claim)
    }

    /// Forgets a job that the test has run without enqueueing it.
    pub fn forget(&self, number: JobNumber) {
        let mut state = self.state();
        state.take_from_place(number);
        if let Some(job) = state.jobs.remove(&number) {
            let id = job.envelope.id();
            state.records.remove(&id);
            state.progress.remove(&id);
            state.batchers.forget(id);
        }
        state.interrupts.remove(&number);
    }

    /// Puts a claimed job back, which has not run.
    pub fn unclaim(&self, number: JobNumber) {
        self.state().put(number, JobPlace::Ready);
    }

    /// Ends a job of which each slot has run its copy.
    pub fn end_broadcast(&self, number: JobNumber) {
        let mut state = self.state();
        state.interrupts.remove(&number);
        state.put(number, JobPlace::Ended(Completion::Done));
    }

    /// Lets a cancellation of a claimed job call this function.
    pub fn on_cancel(&self, number: JobNumber, interrupt: impl Fn() + Send + 'static) {
        let mut state = self.state();
        if state.jobs.get(&number).is_some_and(|job| job.cancelling) {
            interrupt();
        }
        state.interrupts.insert(number, Box::new(interrupt));
    }

    /// Returns whether each slot of a pool runs a copy of the job.
    #[must_use]
    pub fn is_broadcast(&self, number: JobNumber) -> bool {
        self.state().jobs.get(&number).is_some_and(|job| job.broadcast)
    }

    /// Applies the end of a claim. `blocks` says that a retry keeps its slot from running other
    /// jobs. Returns false when the entry is not claimed.
    pub(crate) fn settle(
        &self,
        entry: &str,
        transition: &Transition,
        blocks: bool,
        changes: &[BatchChange<'_>],
    ) -> bool {
        let number = entry.split_once('-').and_then(|(_, number)| number.parse().ok());
        let Some(number) = number else { return false };
        let mut state = self.state();
        let running = |job: &CapturedJob| job.at == JobPlace::Running;
        if !state.jobs.get(&number).is_some_and(running) {
            return false;
        }
        state.interrupts.remove(&number);
        state.settle(number, transition, blocks, changes);
        true
    }
}

impl State {
    pub(super) fn enqueue(&mut self, new: &NewJob<'_>, ended: Option<Completion>) -> StoredJob {
        let (id, now) = (new.envelope.id(), self.now);
        let receipt = (new.partition.clone(), id);
        if new.idempotent.is_some() && self.receipts.get(&receipt).is_some_and(|end| *end > now) {
            return StoredJob::Already;
        }
        let behind = match self.standing(new) {
            None => false,
            Some(StoredJob::Behind) => ended.is_none(),
            Some(stands) => return stands,
        };
        if let Some(window) = new.idempotent {
            self.receipts.insert(receipt, now + window.max(Duration::from_millis(1)));
        }
        let mut counters = Counters::starting_in(new.lane);
        if !id.is_generated() {
            // The job begins a generation of its id: records of an earlier job go.
            counters = counters.of_generation(now);
            self.records.remove(&id);
            self.progress.remove(&id);
        }
        let due = new.due.filter(|due| *due > now);
        let at = match (&ended, due) {
            (Some(completion), _) => JobPlace::Ended(completion.clone()),
            (None, _) if behind => JobPlace::Due(BEHIND, false),
            (None, Some(due)) => JobPlace::Due(due, false),
            (None, None) => JobPlace::Ready,
        };
        let number = self.insert(CapturedJob {
            partition: new.partition.clone(),
            envelope: new.envelope.clone(),
            counters,
            lane: new.lane,
            at: at.clone(),
            since: now,
            order: 0,
            listed: true,
            enqueued: now,
            asked: new.due,
            broadcast: new.broadcast,
            cancelling: false,
        });
        self.put(number, at);
        match ended {
            Some(completion) => self.record(number, &completion),
            None if behind => {
                self.wait_behind(number, due);
                return StoredJob::Behind;
            }
            None => self.take_key(number),
        }
        match due {
            Some(due) => StoredJob::Due(due),
            None => StoredJob::Ready(self.jobs[&number].entry(number)),
        }
    }

    pub(super) fn insert(&mut self, job: CapturedJob) -> JobNumber {
        self.last_number += 1;
        self.jobs.insert(self.last_number, job);
        self.last_number
    }

    /// Puts a job, which is at no place, to this place.
    pub(super) fn put(&mut self, number: JobNumber, at: JobPlace) {
        self.last_move += 1;
        let Some(job) = self.jobs.get_mut(&number) else { return };
        (job.order, job.since, job.at) = (self.last_move, self.now, at);
        match job.at {
            JobPlace::Ready => {
                let key = (job.lane.index(), job.order, number);
                self.ready.entry(job.partition.clone()).or_default().insert(key);
            }
            JobPlace::Due(due, _) => _ = self.due.insert((due, job.order, number)),
            JobPlace::Running | JobPlace::Dead(_) | JobPlace::Ended(_) => {}
        }
    }

    /// Takes a job from the lane or from the waiting jobs, if it is there.
    pub(super) fn take_from_place(&mut self, number: JobNumber) {
        let Some(job) = self.jobs.get(&number) else { return };
        match job.at {
            JobPlace::Ready => {
                let key = (job.lane.index(), job.order, number);
                if let Some(ready) = self.ready.get_mut(&job.partition) {
                    ready.remove(&key);
                }
            }
            JobPlace::Due(due, _) => _ = self.due.remove(&(due, job.order, number)),
            JobPlace::Running | JobPlace::Dead(_) | JobPlace::Ended(_) => {}
        }
    }

    fn claimed(&mut self, number: JobNumber) -> (JobNumber, Partition, Claim) {
        let job = self.jobs.get_mut(&number).expect("a claimed job is there");
        job.at = JobPlace::Running;
        let (envelope, counters) = (job.envelope.clone(), job.counters.clone());
        let claim = Claim::new(job.lane, job.entry(number), envelope, counters);
        (number, job.partition.clone(), claim)
    }

    fn settle(
        &mut self,
        number: JobNumber,
        transition: &Transition,
        blocks: bool,
        changes: &[BatchChange<'_>],
    ) {
        let cancelled = self.jobs[&number].cancelling && !transition.ends();
        let asked = Transition::Cancel(CANCELLED_ON_REQUEST.into());
        let transition = if cancelled { &asked } else { transition };
        if !cancelled {
            self.change_batch(number, changes);
        }
        let addressed = self.pools.contains_key(&self.jobs[&number].partition.queue);
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let lane_of = |counters: &Counters| if addressed { Lane::Normal } else { counters.lane() };
        let completion = match transition {
            Transition::Complete => Completion::Done,
            Transition::CompleteWith(result) => Completion::DoneWith(result.clone()),
            Transition::Cancel(reason) => Completion::Cancelled(reason.clone()),
            Transition::Expire => Completion::Cancelled(EXPIRED.into()),
            Transition::Bury { counters } => {
                (job.counters, job.lane) = (counters.clone(), lane_of(counters));
                let failure = counters.reason();
                self.put(number, JobPlace::Dead(failure.clone()));
                self.record(number, &Completion::Dead(failure));
                self.batch_waits(number, false);
                self.free_key_of(number, false);
                self.after_end(number);
                return;
            }
            Transition::Later { delay, counters, why } => {
                job.lane = if blocks { Lane::Front } else { lane_of(counters) };
                job.counters = counters.clone();
                let due = self.now + *delay;
                self.put(number, JobPlace::Due(due, *why == Wait::Retry));
                return;
            }
            Transition::Ready { lane, counters, .. } => {
                (job.counters, job.lane) = (counters.clone(), *lane);
                self.put(number, JobPlace::Ready);
                return;
            }
            Transition::RunAgain(counters) => {
                (job.counters, job.lane) = (counters.clone(), Lane::Front);
                self.put(number, JobPlace::Ready);
                return;
            }
        };
        self.end(number, completion);
    }

    /// Ends a job that is at no place.
    pub(super) fn end(&mut self, number: JobNumber, completion: Completion) {
        self.record(number, &completion);
        if let Some(job) = self.jobs.get(&number) {
            let id = job.envelope.id();
            let receipt = (job.partition.clone(), id);
            let on_request =
                matches!(&completion, Completion::Cancelled(why) if why == CANCELLED_ON_REQUEST);
            if on_request {
                self.receipts.remove(&receipt);
            }
            self.batchers.forget(id);
            self.free_key_of(number, on_request);
        }
        self.put(number, JobPlace::Ended(completion));
        self.after_end(number);
    }

    #[cfg(feature = "schedules")]
    pub(super) fn after_end(&mut self, number: JobNumber) {
        self.end_of_job(number);
    }

    #[cfg(not(feature = "schedules"))]
    pub(super) fn after_end(&mut self, _: JobNumber) {}

    /// Keeps the completion of a job, if its enqueue has asked for it or if it is a result.
    pub(super) fn record(&mut self, number: JobNumber, completion: &Completion) {
        let Some(job) = self.jobs.get(&number) else { return };
        let kept = match (job.envelope.completion_kept(), completion) {
            (Some(kept), _) => kept,
            (None, Completion::DoneWith(_)) => RESULT_RETENTION,
            (None, _) => return,
        };
        self.records.insert(job.envelope.id(), (completion.clone(), self.now + kept));
    }
}
