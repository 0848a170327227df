//! The data of a slot in Redis: its lanes, its lease, and the jobs that wait for their time. Names
//! follow the keys and fields that the scripts in `scripts/addressed` use.

use std::ops::{Index, IndexMut};

use poolder_core::Lane;

use super::few::Few;
use crate::server::{Bits, Id, Job, Name, bit};

/// Number of slots.
pub const SLOTS: usize = 2;
/// Maximum number of jobs.
pub const MAX_JOBS: usize = 3;
/// The number of a slot, or a number of slots.
pub type SlotNumber = u8;

/// A list of entries or jobs: one more than jobs, to detect duplicates.
pub type List<T> = Few<T, { MAX_JOBS + 1 }>;

/// An entry of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneEntry {
    /// The id of the entry.
    pub id: Id,
    /// The job in the entry.
    pub job: Job,
    /// The name under which the entry is pending; `None` when it is not pending.
    pub owner: Option<Name>,
}

/// A lane of a slot: a stream and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SlotLane {
    /// The entries, in order.
    pub entries: List<LaneEntry>,
    /// The last id.
    pub last: Id,
    /// The last id that the group has delivered; `>` reads the entries after it.
    pub delivered: Id,
}

impl SlotLane {
    /// Appends a job, as `XADD` does. Returns the id of the entry.
    pub fn add(&mut self, job: Job) -> Id {
        self.last += 1;
        self.entries.push(LaneEntry { id: self.last, job, owner: None });
        self.last
    }

    /// Returns the entry with this id.
    #[must_use]
    pub fn entry(&self, id: Id) -> Option<LaneEntry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// Deletes an entry and its claim, as `XDEL` and `XACK` do.
    pub fn delete(&mut self, id: Id) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Returns the entries that are pending for this name, in order.
    pub fn pending(&self, name: Name) -> impl Iterator<Item = LaneEntry> + '_ {
        self.entries.iter().filter(move |entry| entry.owner == Some(name))
    }

    /// Claims the next entries, as `XREADGROUP … >` does.
    pub fn claim(&mut self, name: Name, most: usize) -> List<LaneEntry> {
        let after = self.delivered;
        let next = self.entries.iter().filter(|entry| entry.id > after).take(most);
        let claimed: List<LaneEntry> =
            next.map(|entry| LaneEntry { owner: Some(name), ..entry }).collect();
        for claim in claimed.iter() {
            self.delivered = claim.id;
            self.entries.update(|entry| if entry.id == claim.id { claim } else { entry });
        }
        claimed
    }
}

/// The front and the normal lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SlotLanes([SlotLane; 2]);

impl Index<Lane> for SlotLanes {
    type Output = SlotLane;

    fn index(&self, lane: Lane) -> &SlotLane {
        &self.0[usize::from(lane != Lane::Front)]
    }
}

impl IndexMut<Lane> for SlotLanes {
    fn index_mut(&mut self, lane: Lane) -> &mut SlotLane {
        &mut self.0[usize::from(lane != Lane::Front)]
    }
}

/// The hash of a slot's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LeaseRecord {
    /// The node that holds the slot.
    pub holder: Option<Name>,
    /// How often the slot was taken.
    pub term: u8,
    /// The greatest number of lost polls that a poll of this lease has named.
    pub lost: u8,
    /// The latest generation of the pool that a call has named.
    pub generation: u8,
    /// The last id from before that generation, in the normal lane.
    pub edge: Id,
    /// The job for whose retry the slot waits.
    pub hold: Option<Hold>,
    /// The move that is recorded.
    pub moving: Option<MoveRecord>,
}

/// The wait of a slot for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The entry of the job in the front.
    pub entry: Id,
    /// True when its time has come.
    pub over: bool,
}

/// The record of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MoveRecord {
    /// The job that moves.
    pub job: Job,
    /// The slot to which it moves.
    pub to: SlotNumber,
    /// The id of the move, which names its receipt.
    pub id: u8,
}

/// The data of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SlotData {
    /// The lease.
    pub lease: LeaseRecord,
    /// The front and the normal lane.
    pub lanes: SlotLanes,
    /// The jobs that wait for their time.
    pub due: Bits,
    /// The dead jobs.
    pub dead: Bits,
}

impl SlotData {
    /// Returns how often the slot stores a job, the dead ones included.
    #[must_use]
    pub fn copies(&self, job: Job) -> usize {
        let entries = self.lanes.0.iter().flat_map(|lane| lane.entries.iter());
        let elsewhere = [self.due, self.dead].into_iter().filter(|jobs| jobs & bit(job) != 0);
        entries.filter(|entry| entry.job == job).count() + elsewhere.count()
    }

    /// Returns true when no job waits, runs, or waits for its time here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due == 0 && self.lanes.0.iter().all(|lane| lane.entries.is_empty())
    }

    /// Returns true when entries are pending for another node than this one.
    #[must_use]
    pub fn has_claims_of_others(&self, name: Name) -> bool {
        let mut entries = self.lanes.0.iter().flat_map(|lane| lane.entries.iter());
        entries.any(|entry| entry.owner.is_some_and(|owner| owner != name))
    }

    /// Returns true when the lease is this node's, of this term.
    #[must_use]
    pub fn is_held(&self, name: Name, term: u8) -> bool {
        self.lease.holder == Some(name) && self.lease.term == term
    }
}
