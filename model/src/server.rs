//! The server's side: one partition and the roster, and what each script does to them. Names follow
//! the files in `poolder-core/src/broker/scripts`.
//!
//! The five lanes are two here, ordinary and suspect, and share one sequence of entry ids.

use std::sync::LazyLock;

use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Counters, Lane, Policy, Timestamp};

use crate::guards::{Guard, Guards};

/// An incarnation of a node. In a [`Bits`] it is one bit.
pub type Name = u8;
/// A job, by number.
pub type Job = u8;
/// A stream entry's id. Ids grow; after a failover they may repeat.
pub type Id = u8;
/// A set of small numbers.
pub type Bits = u16;

/// How many jobs there are.
pub const JOBS: usize = 2;
/// How many entries a stream can have at once: one more than there are jobs, to see doubles.
const ENTRIES: usize = JOBS + 1;

/// The stamp of a claim whose history is not trusted any more.
pub const CAREFUL: u8 = u8::MAX;

/// A stream entry, and who holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its id.
    pub id: Id,
    /// The job in it.
    pub job: Job,
    /// How often the job's node died.
    pub crashes: u8,
    /// In the suspects' lane.
    pub suspect: bool,
    /// Pending under this name.
    pub owner: Option<Name>,
}

/// Everything in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Server {
    /// `master_replid`.
    pub history: u8,
    last_id: Id,
    /// The last entry that each lane's group has delivered: `>` begins behind it.
    delivered: [Id; 2],
    stream: [Option<Entry>; ENTRIES],
    /// Jobs that wait for their time, and their crashes.
    pub due: [Option<u8>; JOBS],
    /// Buried jobs.
    pub dead: Bits,
    /// Recorded completions of each job.
    pub completions: [u8; JOBS],
    /// Names in the roster.
    pub nodes: Bits,
    /// Names whose last beat is too long ago.
    pub silent: Bits,
    /// Names that were declared dead.
    pub marks: Bits,
    /// Jobs that were stored.
    pub stored: Bits,
    /// For the properties only: entries that were taken back from their holders.
    pub rescued: Bits,
    /// For the properties only: jobs of which a completion of their own was recorded.
    pub done: Bits,
}

/// Where a settlement puts the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nowhere: it is completed.
    Gone,
    /// Later.
    Due,
    /// Back into a lane, with so many crashes.
    Lane(u8),
    /// Among the dead.
    Dead,
}

/// What the server says to a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Applied.
    Applied,
    /// Not ours any more.
    Fenced,
    /// Another history; nothing was touched.
    Epoch,
    /// The destination could not be written.
    Failed,
}

/// One bit.
#[must_use]
pub fn bit(number: u8) -> Bits {
    1 << number
}

/// What becomes of a job whose node died, by the real [`decide`].
#[must_use]
pub fn fate_of_crashed(crashes: u8) -> Fate {
    static FATES: LazyLock<[Fate; CRASHES]> = LazyLock::new(|| {
        std::array::from_fn(|crashes| {
            let counters = after(crashes);
            let ending = Ending::Crashed("a node".into());
            match decide(&Policy::default(), &counters, ending, Timestamp::from_millis(0), 0.0) {
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
        LazyLock::new(|| std::array::from_fn(|crashes| after(crashes).is_suspect()));
    SUSPECTS[usize::from(crashes)]
}

/// No job lives to see so many crashes.
const CRASHES: usize = 8;

fn after(crashes: usize) -> Counters {
    let mut counters = Counters::starting_in(Lane::Normal);
    counters.crashes = u32::try_from(crashes).unwrap_or(u32::MAX);
    counters
}

impl Server {
    /// The entries of the stream.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.stream.iter().flatten()
    }

    /// The entry with this id.
    #[must_use]
    pub fn entry(&self, id: Id) -> Option<&Entry> {
        self.entries().find(|entry| entry.id == id)
    }

    /// True when somebody can get the entry: it is pending, or yet to be delivered.
    #[must_use]
    pub fn in_sight(&self, entry: &Entry) -> bool {
        entry.owner.is_some() || entry.id > self.delivered[usize::from(entry.suspect)]
    }

    /// `XADD` of a new job, or `enqueue.lua`.
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

    /// `XREADGROUP … >` of one lane: the next entry that nobody has.
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

    /// `complete.lua`.
    pub fn complete(&mut self, guards: Guards, batch: &[(Id, Job)], stamp: u8) -> Vec<Answer> {
        if guards.has(Guard::Epoch) && stamp != self.history {
            return vec![Answer::Epoch; batch.len()];
        }
        // XACK of all …
        let mut acked = 0;
        for (id, _) in batch {
            if let Some(entry) = self.entry_mut(*id)
                && entry.owner.take().is_some()
            {
                acked += 1;
            }
        }
        // … and XDEL: of all, or one by one, to see what was still there.
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

    /// `move.lua` for one job. `refuses` when the destination cannot be written: a key of another
    /// type, or no memory.
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
        // The stored envelope moves, with the counters that the caller computed.
        match fate {
            Fate::Gone => {
                self.completions[usize::from(job)] += 1;
                if entry.job == job {
                    self.done |= bit(job);
                }
            }
            Fate::Due => self.due[usize::from(entry.job)] = Some(entry.crashes),
            Fate::Lane(crashes) if !guards.has(Guard::NewEntry) => {
                // As `XCLAIM` by the next holder would: the entry keeps its id.
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

    /// `promote.lua` for one job.
    pub fn promote(&mut self, job: Job) {
        if let Some(crashes) = self.due[usize::from(job)].take() {
            self.add(job, crashes);
        }
    }

    /// `ack_missing.lua`: ends the claim of an entry that was found to be gone.
    pub fn ack_missing(&mut self, guards: Guards, id: Id) {
        // A pending id without an entry is not kept here: only another job's claim can be hit.
        if !guards.has(Guard::LookAgain)
            && let Some(entry) = self.entry_mut(id)
        {
            entry.owner = None;
        }
    }

    /// `consumer_remove.lua`: removes a consumer, and with it whatever it holds.
    pub fn forget(&mut self, guards: Guards, name: Name) {
        if guards.has(Guard::ForgetEmpty) {
            return;
        }
        for entry in self.stream.iter_mut().flatten().filter(|e| e.owner == Some(name)) {
            entry.owner = None;
        }
    }

    /// `node_beat.lua`. Returns false when the node is dead.
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

    /// `node_mark_dead.lua`. `changed` when the node has given a sign of life since it was found silent.
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
