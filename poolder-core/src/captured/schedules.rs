//! The schedules of the test's queue, and the jobs of their ticks.

use std::collections::BTreeSet;

use super::state::{
    Captured, CapturedSchedule, JobNumber, JobPlace, NewJob, Schedules, State, StoredJob,
};
use crate::job::{JobId, Lane, OnDuplicate, Partition, QueueName, RunOutcome, Timestamp};
use crate::schedule::{
    KEPT_RUNS, Overlap, Record, ScheduleRun, ScheduleRunEnd, StoredState, spread,
};
use crate::stored::{Completion, Envelope};

/// The name of the node that publishes and runs the jobs of a test.
const NODE: &str = "test";
/// The most ticks of a schedule that are published at one moment.
const MAX_TICKS: usize = 100;

/// A change of a schedule.
pub(crate) struct SchedulePut<'a> {
    pub(crate) partition: &'a Partition,
    pub(crate) name: &'a str,
    /// The revision on which the change builds; `None` for a new schedule.
    pub(crate) revision: Option<u64>,
    pub(crate) record: Vec<u8>,
    pub(crate) next: Option<Timestamp>,
    /// The time up to which all ticks are decided; `None` to keep the stored one.
    pub(crate) last: Option<Timestamp>,
}

impl Captured {
    pub(crate) fn schedule(&self, partition: &Partition, name: &str) -> Option<CapturedSchedule> {
        self.state().schedules.all.get(&(partition.clone(), name.to_owned())).cloned()
    }

    /// Returns the names of the schedules of a queue.
    pub(crate) fn schedule_names(&self, partition: &Partition) -> Vec<String> {
        let state = self.state();
        let own = state.schedules.all.keys().filter(|(of, _)| of == partition);
        own.map(|(_, name)| name.clone()).collect()
    }

    /// Stores a schedule. Returns false when it has another revision.
    pub(crate) fn put_schedule(&self, put: SchedulePut<'_>) -> bool {
        let mut state = self.state();
        let key = (put.partition.clone(), put.name.to_owned());
        let found = state.schedules.all.get(&key).cloned();
        if found.as_ref().map(|found| found.state.revision) != put.revision {
            return false;
        }
        state.schedules.last_revision += 1;
        let revision = state.schedules.last_revision;
        let zero = Timestamp::from_millis(0);
        let new = StoredState { revision, last: zero, runs: 0, missed: 0, ran: None, job: None };
        let (old, holder, queued, runs) = match found {
            Some(found) => (found.state, found.holder, found.queued, found.runs),
            None => (new, None, None, vec![]),
        };
        let last = put.last.map_or(old.last, |last| last.max(old.last));
        let stored = StoredState { revision, last, ..old };
        let (record, next) = (put.record, put.next);
        let schedule = CapturedSchedule { record, state: stored, next, holder, queued, runs };
        state.schedules.all.insert(key, schedule);
        true
    }

    pub(crate) fn queues_of(&self, owner: &str) -> BTreeSet<QueueName> {
        self.state().schedules.owners.get(owner).cloned().unwrap_or_default()
    }

    pub(crate) fn note_queues_of(&self, owner: &str, queues: &BTreeSet<QueueName>) {
        self.state().schedules.owners.insert(owner.to_owned(), queues.clone());
    }

    /// Removes a schedule; returns false when there was none.
    pub(crate) fn remove_schedule(&self, partition: &Partition, name: &str) -> bool {
        self.state().schedules.all.remove(&(partition.clone(), name.to_owned())).is_some()
    }
}

impl CapturedSchedule {
    /// Notes a run.
    fn add_run(&mut self, job: JobId, tick: Timestamp, now: Timestamp) {
        let (published_by, missed, end) = (NODE.to_owned(), 0, None);
        let run = ScheduleRun { job, tick, published: now, published_by, missed, end };
        self.runs.insert(0, run);
        self.runs.truncate(KEPT_RUNS);
    }

    /// Counts ticks of which no job comes.
    fn drop_ticks(&mut self, ticks: u64) {
        self.state.missed += ticks;
        if let Some(last) = self.runs.first_mut() {
            last.missed += ticks;
        }
    }

    /// Notes how the job of a run has ended.
    fn end_run(&mut self, job: JobId, how: RunOutcome, at: Timestamp) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.job == job) {
            let node = (how != RunOutcome::Replaced).then(|| NODE.to_owned());
            run.end = Some(ScheduleRunEnd { how, at, node });
        }
    }
}

impl Schedules {
    /// Returns the time of the next tick.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.all.values().filter_map(|schedule| schedule.next).min()
    }
}

impl State {
    /// Publishes the ticks that are due.
    pub(super) fn tick(&mut self) {
        let now = self.now;
        let due = |schedule: &CapturedSchedule| schedule.next.is_some_and(|next| next <= now);
        let all = self.schedules.all.iter().filter(|(_, schedule)| due(schedule));
        let keys: Vec<_> = all.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.tick_one(&key);
        }
    }

    fn tick_one(&mut self, key: &(Partition, String)) {
        let (now, (partition, name)) = (self.now, key);
        let Some(schedule) = self.schedules.all.get_mut(key) else { return };
        let Ok(record) = Record::decode(&schedule.record) else {
            schedule.next = None;
            return;
        };
        let last = schedule.state.last;
        let plan = record.schedule.plan(record.origin, last, now, spread(name), MAX_TICKS);
        (schedule.state.last, schedule.next) = (plan.last, plan.next);
        schedule.drop_ticks(plan.missed);
        for at in plan.run {
            if let Ok(job) = record.job_of_tick(&partition.queue, name, at, now) {
                self.publish(key, &record, (at, job));
            }
        }
    }

    /// Publishes the job of one tick.
    fn publish(
        &mut self,
        key: &(Partition, String),
        record: &Record,
        (tick, job): (Timestamp, Envelope),
    ) {
        let (now, lane, overlap) = (self.now, record.schedule.lane, record.schedule.overlap);
        let alone = overlap != Overlap::Allow;
        let Some(schedule) = self.schedules.all.get(key) else { return };
        let holder = schedule.holder.filter(|_| alone);
        let busy = holder.is_some_and(|holder| self.is_under_way(&key.0, holder));
        let Some(schedule) = self.schedules.all.get_mut(key) else { return };
        let id = job.id();
        let runs = match (busy, overlap) {
            (true, Overlap::QueueOne) => {
                let waited = schedule.queued.replace((lane, job));
                if let Some((_, waited)) = &waited {
                    schedule.state.missed += 1;
                    schedule.end_run(waited.id(), RunOutcome::Replaced, now);
                }
                waited.is_none()
            }
            (true, _) => {
                schedule.drop_ticks(1);
                return;
            }
            (false, _) => {
                if !self.store_tick(&key.0, lane, &job) {
                    if let Some(schedule) = self.schedules.all.get_mut(key) {
                        schedule.drop_ticks(1);
                    }
                    return;
                }
                if let Some(schedule) = self.schedules.all.get_mut(key) {
                    schedule.holder = alone.then_some(id);
                }
                true
            }
        };
        if let Some(schedule) = self.schedules.all.get_mut(key) {
            schedule.state.job = Some(id);
            schedule.add_run(id, tick, now);
            if runs {
                (schedule.state.runs, schedule.state.ran) = (schedule.state.runs + 1, Some(now));
            }
        }
    }

    fn is_under_way(&self, partition: &Partition, id: JobId) -> bool {
        self.jobs.values().any(|job| {
            let ended = matches!(job.at, JobPlace::Dead(_) | JobPlace::Ended(_));
            job.envelope.id() == id && job.partition == *partition && !ended
        })
    }

    /// Stores the job of a tick. Returns false for a unique one whose key another job holds.
    fn store_tick(&mut self, partition: &Partition, lane: Lane, envelope: &Envelope) -> bool {
        let (due, idempotent, on_duplicate, broadcast) = (None, None, OnDuplicate::Keep, false);
        let new = NewJob { partition, lane, due, envelope, idempotent, on_duplicate, broadcast };
        !matches!(self.enqueue(&new, None), StoredJob::Stands { .. })
    }

    /// Notes that the job of a tick has ended: a job that waits for this starts.
    pub(super) fn end_of_job(&mut self, number: JobNumber) {
        let now = self.now;
        let Some(job) = self.jobs.get(&number) else { return };
        let Some(tick) = job.envelope.tick() else { return };
        let outcome = match &job.at {
            JobPlace::Dead(_) | JobPlace::Ended(Completion::Dead(_)) => RunOutcome::Dead,
            JobPlace::Ended(Completion::Cancelled(_)) => RunOutcome::Cancelled,
            _ => RunOutcome::Completed,
        };
        let alone = tick.is_alone();
        let key = (job.partition.clone(), tick.schedule().to_owned());
        let id = job.envelope.id();
        let Some(schedule) = self.schedules.all.get_mut(&key) else { return };
        schedule.end_run(id, outcome, now);
        if !alone || schedule.holder != Some(id) {
            return;
        }
        let queued = schedule.queued.take();
        schedule.holder = queued.as_ref().map(|(_, job)| job.id());
        if let Some((lane, job)) = queued {
            self.store_tick(&key.0, lane, &job);
        }
    }
}
