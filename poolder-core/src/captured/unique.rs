//! Keys of unique jobs in the test's queue.

use super::state::{Captured, Holder, JobNumber, JobPlace, NewJob, State, StoredJob};
use crate::job::{JobId, OnDuplicate, Partition, UniqueKey, UniqueMode};
use crate::stored::{Envelope, KeyHold};

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

    /// Returns what becomes of a unique job that is enqueued while another one holds its key; `None`
    /// when it is to be stored.
    pub(super) fn standing(&mut self, new: &NewJob<'_>) -> Option<StoredJob> {
        let held = new.envelope.unique()?;
        let Holder { number, since, .. } = self.holder(new.partition, held.key)?;
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
            (OnDuplicate::Replace, JobPlace::Ready) => {
                self.take_from_place(number);
                self.put(number, JobPlace::Ready);
                true
            }
            (OnDuplicate::Replace, _) => waits,
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
        let holder = Holder { number, mode, since: self.now, until: self.now + hold };
        self.keys.insert((job.partition.clone(), key), holder);
    }

    /// Frees the key of a job that has ended. A window is over when its time is, unless the job was
    /// cancelled or removed by an operator.
    pub(super) fn free_key_of(&mut self, number: JobNumber, by_operator: bool) {
        let Some(job) = self.jobs.get(&number) else { return };
        let Some(held) = job.envelope.unique() else { return };
        let place = (job.partition.clone(), held.key);
        let holds = self.keys.get(&place).is_some_and(|holder| holder.number == number);
        if holds && (by_operator || held.mode != UniqueMode::Window) {
            self.keys.remove(&place);
        }
    }
}
