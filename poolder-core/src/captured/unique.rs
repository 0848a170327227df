//! Keys of unique jobs in the test's queue.

use super::state::{Captured, CapturedJob, Holder, JobNumber, JobPlace, NewJob, State, StoredJob};
use crate::job::{JobId, OnDuplicate, Partition, Timestamp, UniqueKey, UniqueMode};
use crate::stored::{BEHIND, Envelope, KeyHold};

impl Captured {
    /// Frees a key that a job of this id holds. Returns whether it did.
    pub(crate) fn free_key(&self, partition: &Partition, key: UniqueKey, id: JobId) -> bool {
        let mut state = self.state();
        let place = (partition.clone(), key);
        let Some(holder) = state.keys.get(&place) else { return false };
        let holds = state.jobs.get(&holder.number).is_some_and(|job| job.envelope.id() == id);
        holds && state.keys.remove(&place).is_some()
    }

    /// Returns whether another job holds the key of a dead one that is to be revived.
    pub(crate) fn key_is_held(&self, partition: &Partition, envelope: &Envelope) -> bool {
        let state = self.state();
        let held = envelope.unique().filter(|held| held.mode != UniqueMode::Window);
        held.is_some_and(|held| state.holder(partition, held.key).is_some())
    }
}

impl State {
    fn holder(&self, partition: &Partition, key: UniqueKey) -> Option<Holder> {
        let holder = *self.keys.get(&(partition.clone(), key))?;
        (holder.mode != UniqueMode::Window || self.now < holder.until).then_some(holder)
    }

    /// Returns the job that waits behind the holder of a key, and the time before which it is not
    /// due.
    fn behind(&self, holder: &Holder) -> Option<(JobNumber, Option<Timestamp>)> {
        let (number, due) = holder.behind?;
        let waits = |job: &CapturedJob| job.at == JobPlace::Due(BEHIND, false);
        self.jobs.get(&number).is_some_and(waits).then_some((number, due))
    }

    /// Returns what becomes of a unique job that is enqueued while another one holds its key; `None`
    /// when it is to be stored.
    pub(super) fn standing(&mut self, new: &NewJob<'_>) -> Option<StoredJob> {
        let held = new.envelope.unique()?;
        let holder = self.holder(new.partition, held.key)?;
        let Holder { number, since, mode, .. } = holder;
        if let Some((behind, _)) = self.behind(&holder)
            && new.on_duplicate != OnDuplicate::Keep
        {
            let job = self.jobs.get_mut(&behind)?;
            let id = job.envelope.id();
            job.envelope = new.envelope.clone().with_id(id);
            return Some(StoredJob::Stands { id, place: None, replaced: true });
        }
        let job = self.jobs.get(&number)?;
        let (id, at) = (job.envelope.id(), job.at.clone());
        let waits = matches!(at, JobPlace::Ready | JobPlace::Due(..));
        let replaced = match (new.on_duplicate, &at) {
            (OnDuplicate::Renew(most), JobPlace::Due(_, retries)) => {
                let due = new.due.unwrap_or(self.now).min(since + most);
                self.take_from_place(number);
                self.put(number, JobPlace::Due(due, *retries));
                true
            }
            (OnDuplicate::Renew(_), _) => return None,
            (OnDuplicate::Behind, JobPlace::Due(_, false)) => true,
            (OnDuplicate::Behind, _)
                if matches!(mode, UniqueMode::UntilDone | UniqueMode::KeepLast) =>
            {
                return Some(StoredJob::Behind);
            }
            (OnDuplicate::Replace | OnDuplicate::Behind, JobPlace::Ready) => {
                self.take_from_place(number);
                self.put(number, JobPlace::Ready);
                true
            }
            (OnDuplicate::Replace | OnDuplicate::Behind, _) => waits,
            (OnDuplicate::Keep, _) => false,
        };
        let job = self.jobs.get_mut(&number)?;
        if replaced {
            job.envelope = new.envelope.clone().with_id(id);
        }
        let ended = matches!(job.at, JobPlace::Ended(_));
        let place = job.view(number).handle.place.filter(|_| !ended);
        Some(StoredJob::Stands { id, place, replaced })
    }

    /// Lets a job hold its key, if it is unique.
    pub(super) fn take_key(&mut self, number: JobNumber) {
        let Some(job) = self.jobs.get(&number) else { return };
        let Some(KeyHold { mode, key, hold }) = job.envelope.unique() else { return };
        let (since, until) = (self.now, self.now + hold);
        let holder = Holder { number, mode, since, until, behind: None };
        self.keys.insert((job.partition.clone(), key), holder);
    }

    /// Notes that a job waits behind the holder of its key, and is not due before this time.
    pub(super) fn wait_behind(&mut self, number: JobNumber, due: Option<Timestamp>) {
        if let Some(holder) = self.key_of(number).and_then(|place| self.keys.get_mut(&place)) {
            holder.behind = Some((number, due));
        }
    }

    /// Sets the time before which a job that waits behind another one is not due. Returns false for
    /// any other job.
    pub(super) fn reschedule_behind(&mut self, number: JobNumber, due: Option<Timestamp>) -> bool {
        let holder = self.key_of(number).and_then(|place| self.keys.get(&place)).copied();
        let behind = holder.and_then(|holder| self.behind(&holder));
        let waits = behind.is_some_and(|(behind, _)| behind == number);
        if waits {
            self.wait_behind(number, due);
        }
        waits
    }

    /// Returns the place of the key of a job; `None` for one that is not unique.
    fn key_of(&self, number: JobNumber) -> Option<(Partition, UniqueKey)> {
        let job = self.jobs.get(&number)?;
        Some((job.partition.clone(), job.envelope.unique()?.key))
    }

    /// Frees the key of a job that has ended, or gives it to the job that waits behind. A window is
    /// over when its time is, unless the job was cancelled or removed by an operator.
    pub(super) fn free_key_of(&mut self, number: JobNumber, by_operator: bool) {
        let Some(job) = self.jobs.get(&number) else { return };
        let Some(held) = job.envelope.unique() else { return };
        let place = (job.partition.clone(), held.key);
        let holder = self.keys.get(&place).filter(|holder| holder.number == number).copied();
        let Some(holder) = holder else { return };
        if !by_operator && held.mode == UniqueMode::Window {
            return;
        }
        self.keys.remove(&place);
        if let Some((behind, due)) = self.behind(&holder) {
            self.take_from_place(behind);
            let due = due.filter(|due| *due > self.now);
            self.put(behind, due.map_or(JobPlace::Ready, |due| JobPlace::Due(due, false)));
            self.take_key(behind);
        }
    }
}
