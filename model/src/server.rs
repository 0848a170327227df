//! The server: one partition and the roster, and the effect of each script on them. Names follow
//! the files in `poolder-core/src/broker/scripts`.
//!
//! The model has two lanes instead of five, ordinary and suspect, with one sequence of entry ids.

use std::sync::LazyLock;

use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Counters, Facts, Lane, Policy, Timestamp};

use crate::guards::{Guard, Guards};

/// The name of one incarnation of a node; one bit in a [`Bits`].
pub type Name = u8;
/// The number of a job.
pub type Job = u8;
/// The id of a stream entry. Ids grow; after a failover they may repeat.
pub type Id = u8;
/// A set of small numbers.
pub type Bits = u16;

/// Number of jobs.
pub const JOBS: usize = 2;
/// Maximum number of entries in the stream: one more than jobs, to detect duplicates.
const ENTRIES: usize = JOBS + 1;

/// The stamp of a claim whose history is no longer trusted: settling it checks owner and job id.
pub const CAREFUL: u8 = u8::MAX;

/// A stream entry and its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The id of the entry.
    pub id: Id,
    /// The job in the entry.
    pub job: Job,
    /// Number of times that a node died while it held the job.
    pub crashes: u8,
    /// True when the entry is in the suspects' lane.
    pub suspect: bool,
    /// The name under which the entry is pending; `None` when it is not pending.
    pub owner: Option<Name>,
}

/// The data in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Server {
    /// The replication id, `master_replid`.
    pub history: u8,
    last_id: Id,
    /// The last entry that each lane's group has delivered; `>` reads the entries after it.
    delivered: [Id; 2],
    stream: [Option<Entry>; ENTRIES],
    /// Number of crashes of each job that waits in `due`; `None` for a job that does not.
    pub due: [Option<u8>; JOBS],
    /// Buried jobs.
    pub dead: Bits,
    /// Number of recorded completions of each job.
    pub completions: [u8; JOBS],
    /// Names in the roster.
    pub nodes: Bits,
    /// Names whose last heartbeat is too old.
    pub silent: Bits,
    /// Names that are marked as dead.
    pub marks: Bits,
    /// Jobs that a producer has stored.
    pub stored: Bits,
    /// Entries that a rescuer has taken back; used by the properties only.
    pub rescued: Bits,
    /// Jobs of which a completion under their own entry is recorded; used by the properties only.
    pub done: Bits,
}

/// The destination of a settled job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// None: the job is completed.
    Gone,
    /// `due`.
    Due,
    /// A lane; with the new number of crashes.
    Lane(u8),
    /// The dead jobs.
    Dead,
}

/// The server's reply to a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The settlement was applied.
    Applied,
    /// The node no longer holds the claim.
    Fenced,
    /// The server has another history; nothing was changed.
    Epoch,
    /// The destination could not be written.
    Failed,
}

/// Returns the set with only this number.
#[must_use]
pub fn bit(number: u8) -> Bits {
    1 << number
}

/// Returns the destination of a job whose node has died, as the real [`decide`] computes it.
#[must_use]
pub fn fate_of_crashed(crashes: u8) -> Fate {
    static FATES: LazyLock<[Fate; CRASHES]> = LazyLock::new(|| {
        std::array::from_fn(|crashes| {
            let counters = counters_after(crashes);
            let ending = Ending::Crashed("a node".into());
            match decide(
                &Policy::default(),
                &counters,
                ending,
                Facts::at(Timestamp::from_millis(0)),
            ) {
                Transition::Ready { lane, counters, .. } => {
                    let crashes = u8::try_from(counters.crashes).unwrap_or(u8::MAX);
                    assert_eq!(lane == Lane::Suspect, is_suspect(crashes));
                    Fate::Lane(crashes)
                }
                Transition::Bury { .. } => Fate::Dead,
                other => unreachable!("{other:?} after a crash"),
            }
        })
    });
    FATES[usize::from(crashes)]
}

fn is_suspect(crashes: u8) -> bool {
    static SUSPECTS: LazyLock<[bool; CRASHES]> =
        LazyLock::new(|| std::array::from_fn(|crashes| counters_after(crashes).is_suspect()));
    SUSPECTS[usize::from(crashes)]
}

/// Upper bound of the number of crashes: a job is buried before it reaches this many.
const CRASHES: usize = 8;

fn counters_after(crashes: usize) -> Counters {
    let mut counters = Counters::starting_in(Lane::Normal);
    counters.crashes = u32::try_from(crashes).unwrap_or(u32::MAX);
    counters
}

impl Server {
    /// Returns the entries of the stream.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.stream.iter().flatten()
    }

    /// Returns the entry with this id.
    #[must_use]
    pub fn entry(&self, id: Id) -> Option<&Entry> {
        self.entries().find(|entry| entry.id == id)
    }

    /// Returns true when a node can get the entry: it is pending, or will still be delivered.
    #[must_use]
    pub fn in_sight(&self, entry: &Entry) -> bool {
        entry.owner.is_some() || entry.id > self.delivered[usize::from(entry.suspect)]
    }

    /// Stores a new job, as `XADD` or `enqueue.lua` does.
    pub fn enqueue(&mut self, job: Job) {
        self.stored |= bit(job);
        self.add(job, 0);
    }

    fn add(&mut self, job: Job, crashes: u8) {
        self.last_id += 1;
        let suspect = is_suspect(crashes);
        let entry = Entry { id: self.last_id, job, crashes, suspect, owner: None };
        if let Some(free) = self.stream.iter_mut().find(|place| place.is_none()) {
            *free = Some(entry);
        }
        self.stream.sort_unstable_by_key(|place| place.map_or(Id::MAX, |entry| entry.id));
    }

    fn delete(&mut self, id: Id) -> Option<Entry> {
        let place = self.stream.iter_mut().find(|place| place.is_some_and(|e| e.id == id))?;
        let entry = place.take();
        self.stream.sort_unstable_by_key(|place| place.map_or(Id::MAX, |entry| entry.id));
        entry
    }

    fn entry_mut(&mut self, id: Id) -> Option<&mut Entry> {
        self.stream.iter_mut().flatten().find(|entry| entry.id == id)
    }

    /// Claims the next undelivered entry of a lane, as `XREADGROUP … >` does.
    pub fn claim(&mut self, name: Name, suspect: bool) -> Option<Entry> {
        let after = self.delivered[usize::from(suspect)];
        let next = |entry: &&mut Entry| {
            entry.suspect == suspect && entry.id > after && entry.owner.is_none()
        };
        let entry = self.stream.iter_mut().flatten().find(next)?;
        entry.owner = Some(name);
        let entry = *entry;
        self.delivered[usize::from(suspect)] = entry.id;
        self.rescued &= !bit(entry.id);
        Some(entry)
    }

    /// Completes jobs, as `complete.lua` does. Returns a reply for each of them.
    pub fn complete(&mut self, guards: Guards, batch: &[(Id, Job)], stamp: u8) -> Vec<Answer> {
        if guards.has(Guard::Epoch) && stamp != self.history {
            return vec![Answer::Epoch; batch.len()];
        }
        // XACK of all entries.
        let mut acked = 0;
        for (id, _) in batch {
            if let Some(entry) = self.entry_mut(*id)
                && entry.owner.take().is_some()
            {
                acked += 1;
            }
        }
        // XDEL of all entries at once, or one by one to find out which of them still existed.
        let whole = acked == batch.len() || !guards.has(Guard::Count);
        let mut answers = vec![];
        for (id, job) in batch {
            let gone = self.delete(*id);
            if !whole && gone.is_none() {
                answers.push(Answer::Fenced);
                continue;
            }
            self.completions[usize::from(*job)] += 1;
            if gone.is_some_and(|entry| entry.job == *job) {
                self.done |= bit(*job);
            }
            answers.push(Answer::Applied);
        }
        answers
    }

    /// Settles one job, as `settle.lua` does. `refuses` means that the destination cannot be written:
    /// its key has another type, or the server is out of memory.
    pub fn relocate(
        &mut self,
        guards: Guards,
        (id, job, owner): (Id, Job, Name),
        fate: Fate,
        refuses: bool,
    ) -> Answer {
        let Some(entry) = self.entry(id).copied() else { return Answer::Fenced };
        let Some(holder) = entry.owner else { return Answer::Fenced };
        if (guards.has(Guard::Owner) && holder != owner)
            || (guards.has(Guard::JobId) && entry.job != job)
        {
            return Answer::Fenced;
        }
        if refuses && fate != Fate::Gone {
            if !guards.has(Guard::DestinationFirst) {
                self.delete(id);
            }
            return Answer::Failed;
        }
        // The stored envelope moves, with the counters that the caller has computed.
        match fate {
            Fate::Gone => {
                self.completions[usize::from(job)] += 1;
                if entry.job == job {
                    self.done |= bit(job);
                }
            }
            Fate::Due => self.due[usize::from(entry.job)] = Some(entry.crashes),
            Fate::Lane(crashes) if !guards.has(Guard::NewEntry) => {
                // The entry keeps its id, as with an `XCLAIM` by the next holder.
                if let Some(entry) = self.entry_mut(id) {
                    (entry.crashes, entry.owner) = (crashes, None);
                }
                let lane = &mut self.delivered[usize::from(entry.suspect)];
                *lane = (*lane).min(id - 1);
                self.rescued |= bit(id);
                return Answer::Applied;
            }
            Fate::Lane(crashes) => {
                self.delete(id);
                self.add(entry.job, crashes);
                self.rescued |= bit(id);
                return Answer::Applied;
            }
            Fate::Dead => {
                self.dead |= bit(entry.job);
                self.rescued |= bit(id);
            }
        }
        self.delete(id);
        Answer::Applied
    }

    /// Moves one due job into its lane, as `promote.lua` does.
    pub fn promote(&mut self, job: Job) {
        if let Some(crashes) = self.due[usize::from(job)].take() {
            self.add(job, crashes);
        }
    }

    /// Acknowledges the claim of an entry that was found missing, as `ack_missing.lua` does.
    pub fn ack_missing(&mut self, guards: Guards, id: Id) {
        // The model keeps no pending id without an entry, so only the claim of another job can be
        // affected.
        if !guards.has(Guard::LookAgain)
            && let Some(entry) = self.entry_mut(id)
        {
            entry.owner = None;
        }
    }

    /// Removes a consumer, as `consumer_remove.lua` does. Without the guard its pending entries
    /// lose their holder.
    pub fn forget(&mut self, guards: Guards, name: Name) {
        if guards.has(Guard::ForgetEmpty) {
            return;
        }
        for entry in self.stream.iter_mut().flatten().filter(|e| e.owner == Some(name)) {
            entry.owner = None;
        }
    }

    /// Records a heartbeat, as `node_beat.lua` does. Returns false when the node is marked as dead.
    pub fn beat(&mut self, guards: Guards, name: Name) -> bool {
        if self.nodes & bit(name) == 0 && self.marks & bit(name) != 0 {
            if guards.has(Guard::Sticky) {
                return false;
            }
            self.marks &= !bit(name);
        }
        self.nodes |= bit(name);
        self.silent &= !bit(name);
        true
    }

    /// Marks a node as dead, as `node_mark_dead.lua` does; returns whether it did. `changed` means
    /// that the node has sent a heartbeat since it was found silent.
    pub fn mark(&mut self, guards: Guards, name: Name, changed: bool) -> bool {
        if self.nodes & bit(name) == 0 || (changed && guards.has(Guard::CompareAndSet)) {
            return false;
        }
        self.marks |= bit(name);
        self.nodes &= !bit(name);
        self.silent &= !bit(name);
        true
    }
}
