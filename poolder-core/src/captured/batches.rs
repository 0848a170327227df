//! Entries that gather in the test's queue, and the batches made of them.

use std::collections::VecDeque;
use std::time::Duration;

use super::state::{
    BatchChange, BatcherRules, Batchers, Captured, Home, JobNumber, JobPlace, NewJob, OpenList,
    SealedList, State,
};
use crate::job::{JobId, Lane, OnDuplicate, Partition, QueueName, Timestamp};
use crate::stored::BatchPayload;

/// The end of a list to which entries are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PushEnd {
    Back,
    Front,
}

/// The outcome of a push.
pub(crate) struct PushResult {
    pub(crate) stored: usize,
    pub(crate) sealed: u64,
    pub(crate) stop: Option<PushStop>,
}

/// Why a push has not stored all entries.
pub(crate) enum PushStop {
    Full,
    Groups,
    Options,
}

impl Captured {
    /// Stores the rules of a batcher, or compares them. Returns the rules in force, and whether
    /// others are stored under the same revision.
    pub(crate) fn declare_batcher(
        &self,
        partition: &Partition,
        name: &str,
        rules: BatcherRules,
    ) -> (BatcherRules, bool) {
        let mut state = self.state();
        let home = (partition.clone(), name.to_owned());
        let stored = state.batchers.rules.entry(home).or_insert_with(|| rules.clone());
        let differs = stored.revision == rules.revision && stored.text != rules.text;
        if rules.revision > stored.revision {
            *stored = rules;
        }
        (stored.clone(), differs)
    }

    pub(crate) fn batcher(&self, partition: &Partition, name: &str) -> Option<BatcherRules> {
        self.state().batchers.rules.get(&(partition.clone(), name.to_owned())).cloned()
    }

    /// Pushes entries of a group. `None` for a batcher that was never declared.
    pub(crate) fn push(
        &self,
        (partition, name, group): (&Partition, &str, &str),
        revision: u32,
        entries: &[Vec<u8>],
        end: PushEnd,
        token: Option<(&str, Duration)>,
    ) -> Option<PushResult> {
        let mut state = self.state();
        let home = (partition.clone(), name.to_owned());
        let rules = state.batchers.rules.get(&home)?.clone();
        let mut result = PushResult { stored: 0, sealed: 0, stop: None };
        if rules.revision != revision {
            result.stop = Some(PushStop::Options);
            return Some(result);
        }
        let receipt = token.map(|(token, window)| {
            let id = JobId::named(&partition.queue, &format!("push\n{name}\n{token}"));
            ((partition.clone(), id), window)
        });
        if let Some((receipt, window)) = receipt {
            let now = state.now;
            if state.receipts.get(&receipt).is_some_and(|until| *until > now) {
                result.stored = entries.len();
                return Some(result);
            }
            state.receipts.insert(receipt, now + window);
        }
        for entry in entries {
            if rules.max_waiting.is_some_and(|most| state.batchers.waiting(&home) >= most) {
                result.stop = Some(PushStop::Full);
                return Some(result);
            }
            let key = (home.clone(), group.to_owned());
            let opened = state.batchers.open.contains_key(&key);
            if !opened && state.batchers.groups(&home) >= rules.max_groups {
                result.stop = Some(PushStop::Groups);
                return Some(result);
            }
            if let Some(most) = rules.max_bytes {
                let bytes = state.batchers.open.get(&key).map_or(0, OpenList::bytes);
                if bytes > 0 && bytes + entry.len() as u64 > most {
                    state.seal(&home, group);
                    result.sealed += 1;
                }
            }
            let now = state.now;
            let len = state.batchers.add(key, entry.clone(), end, now, rules.timeout);
            result.stored += 1;
            if len >= rules.limit {
                state.seal(&home, group);
                result.sealed += 1;
            }
        }
        Some(result)
    }

    /// Seals the open list of a group, and returns its batch job.
    pub(crate) fn flush(&self, partition: &Partition, name: &str, group: &str) -> Option<JobId> {
        self.state().seal(&(partition.clone(), name.to_owned()), group)
    }

    /// Returns the generation and the entries of the open list of a group.
    pub(crate) fn open_list(
        &self,
        partition: &Partition,
        name: &str,
        group: &str,
    ) -> Option<(u64, Vec<Vec<u8>>)> {
        let key = ((partition.clone(), name.to_owned()), group.to_owned());
        let state = self.state();
        let open = state.batchers.open.get(&key)?;
        Some((open.generation, open.entries.iter().cloned().collect()))
    }

    /// Takes an entry out of the open list of a group, which must have it.
    pub(crate) fn pop(&self, partition: &Partition, name: &str, group: &str, index: usize) {
        let key = ((partition.clone(), name.to_owned()), group.to_owned());
        let mut state = self.state();
        let Some(open) = state.batchers.open.get_mut(&key) else { return };
        open.entries.remove(index);
        if open.entries.is_empty() {
            state.batchers.open.remove(&key);
        }
    }

    /// Returns the entries of a sealed batch.
    #[must_use]
    pub fn sealed(&self, job: JobId) -> Vec<Vec<u8>> {
        let state = self.state();
        state.batchers.sealed.get(&job).map(|list| list.entries.clone()).unwrap_or_default()
    }

    /// Begins a list of entries set aside, or appends to it.
    pub(crate) fn set_aside(&self, job: JobId, part: &str, entries: &[Vec<u8>], anew: bool) {
        let mut state = self.state();
        let list = state.batchers.parts.entry((job, part.to_owned())).or_default();
        if anew {
            list.clear();
        }
        list.extend_from_slice(entries);
    }
}

impl Batchers {
    /// Returns when the first open list of the queues is sealed.
    pub(super) fn next_due(&self, wanted: impl Fn(&QueueName) -> bool) -> Option<Timestamp> {
        let open = self.open.iter().filter(|(((partition, _), _), _)| wanted(&partition.queue));
        open.filter_map(|(_, list)| list.due).min()
    }

    /// Drops the lists of a batch that has ended.
    pub(super) fn forget(&mut self, job: JobId) {
        self.sealed.remove(&job);
        self.parts.retain(|(of, _), _| *of != job);
    }

    fn waiting(&self, home: &Home) -> u64 {
        let open = self.open.iter().filter(|((of, _), _)| of == home);
        let sealed = self.sealed.values().filter(|list| list.waits && list.home == *home);
        let open: usize = open.map(|(_, list)| list.entries.len()).sum();
        (open + sealed.map(|list| list.entries.len()).sum::<usize>()) as u64
    }

    fn groups(&self, home: &Home) -> usize {
        self.open.keys().filter(|(of, _)| of == home).count()
    }

    /// Adds an entry to an open list, and returns the length of the list.
    fn add(
        &mut self,
        key: (Home, String),
        entry: Vec<u8>,
        end: PushEnd,
        now: Timestamp,
        timeout: Option<Duration>,
    ) -> usize {
        let last = &mut self.last_generation;
        let open = self.open.entry(key).or_insert_with(|| {
            *last = now.millis().unsigned_abs().max(*last + 1);
            let due = timeout.map(|timeout| now + timeout);
            OpenList { generation: *last, since: now, due, entries: VecDeque::new() }
        });
        match end {
            PushEnd::Back => open.entries.push_back(entry),
            PushEnd::Front => open.entries.push_front(entry),
        }
        open.entries.len()
    }
}

impl OpenList {
    fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.len() as u64).sum()
    }
}

impl State {
    /// Seals the lists whose time is over.
    pub(super) fn seal_old(&mut self) {
        let now = self.now;
        let old = |list: &OpenList| list.due.is_some_and(|due| due <= now);
        let keys: Vec<_> = self.batchers.open.iter().filter(|(_, list)| old(list)).collect();
        let keys: Vec<_> = keys.into_iter().map(|(key, _)| key.clone()).collect();
        for (home, group) in keys {
            self.seal(&home, &group);
        }
    }

    /// Seals the open list of a group: the batch job that stands for it is ready.
    fn seal(&mut self, home: &Home, group: &str) -> Option<JobId> {
        let list = self.batchers.open.remove(&(home.clone(), group.to_owned()))?;
        let payload = BatchPayload {
            group: group.to_owned(),
            entries: list.entries.len() as u64,
            bytes: list.bytes(),
            since: list.since.millis(),
            sealed: self.now.millis(),
        };
        let form = &self.batchers.rules.get(home)?.form;
        let id = JobId::generate_at(self.now);
        let payload = rmp_serde::to_vec_named(&payload).unwrap_or_default();
        let envelope = form.with_payload(crate::job::Format::MessagePack, &payload).ok()?;
        let envelope = envelope.with_id(id);
        let entries = list.entries.into();
        self.batchers.sealed.insert(id, SealedList { home: home.clone(), entries, waits: true });
        let new = NewJob {
            partition: &home.0,
            lane: Lane::Normal,
            due: None,
            envelope: &envelope,
            idempotent: None,
            on_duplicate: OnDuplicate::Keep,
            broadcast: false,
        };
        self.enqueue(&new, None);
        Some(id)
    }

    /// Applies the changes of a settlement to the entries of its batch.
    pub(super) fn change_batch(&mut self, number: JobNumber, changes: &[BatchChange<'_>]) {
        let id = self.jobs[&number].envelope.id();
        for change in changes {
            match change {
                BatchChange::Keep(part) => {
                    let left = self.batchers.parts.remove(&(id, (*part).to_owned()));
                    if let Some(list) = self.batchers.sealed.get_mut(&id)
                        && let Some(left) = left.filter(|left| !left.is_empty())
                    {
                        list.entries = left;
                    }
                }
                BatchChange::Bury { part, id: dead, failure } => {
                    let buried = self.batchers.parts.remove(&(id, (*part).to_owned()));
                    let mut job = self.jobs[&number].clone();
                    job.envelope = job.envelope.with_id(*dead);
                    let place = JobPlace::Dead((*failure).clone());
                    let home = self.batchers.sealed.get(&id).map(|list| list.home.clone());
                    let number = self.insert(job);
                    self.put(number, place);
                    if let (Some(home), Some(entries)) = (home, buried) {
                        let list = SealedList { home, entries, waits: false };
                        self.batchers.sealed.insert(*dead, list);
                    }
                }
            }
        }
    }

    /// Notes whether the entries of a batch wait: those of a dead one do not.
    pub(super) fn batch_waits(&mut self, number: JobNumber, waits: bool) {
        let id = self.jobs[&number].envelope.id();
        if let Some(list) = self.batchers.sealed.get_mut(&id) {
            list.waits = waits;
        }
    }
}
