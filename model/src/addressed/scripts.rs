//! The server, and the effect of each script of addressed slots on it.

use poolder_core::Lane;

use super::guards::{SlotGuard, SlotGuards};
use super::pool::PoolRecord;
use super::slot::{Hold, LaneEntry, List, MoveRecord, SLOTS, SlotData};
use crate::search::Broken;
use crate::server::{Bits, Id, Job, Name, bit};

/// Violated when a settlement or a completion ends another job than the one that was claimed.
pub const OWN_JOB: Broken = "a settlement changes no job but the one that was claimed";
/// Violated when a settlement ends a claim that another node holds.
pub const OWN_CLAIM: Broken = "a settlement ends no claim of another node";
/// Violated when a slot waits for a retry although the job that waits is not in its front.
pub const HELD_BY_FRONT: Broken = "a slot waits only for the job in its front";

/// The data in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolServer {
    /// How often the server was replaced.
    pub history: u8,
    /// The pool.
    pub pool: PoolRecord,
    /// The slots.
    pub slots: [SlotData; SLOTS],
    /// The moves that have a receipt.
    pub receipts: Bits,
    /// The jobs that are stored or were.
    pub stored: Bits,
    /// The jobs that are completed or cancelled.
    pub done: Bits,
}

/// A claimed entry, as its holder knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Held {
    /// The lane of the entry.
    pub lane: Lane,
    /// The id of the entry.
    pub id: Id,
    /// The job in the entry.
    pub job: Job,
}

/// The request of `slot_poll.lua`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Poll {
    /// The node, and the term of its lease.
    pub lease: (Name, u8),
    /// The most jobs to claim.
    pub claim: u8,
    /// True to look first for claims that the holder does not know.
    pub look: bool,
    /// The generation of the pool that the node knows.
    pub generation: u8,
    /// True when jobs of this generation may run.
    pub open: bool,
    /// The number of polls of this lease that were lost before.
    pub lost: u8,
    /// The jobs to complete.
    pub complete: List<Held>,
}

/// The reply of `slot_poll.lua`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollReply {
    /// The node does not hold the lease.
    Lost,
    /// No job was to be claimed.
    Idle,
    /// Entries were claimed.
    Claimed(List<Held>),
    /// These entries were claimed before.
    Found(List<Held>),
    /// The front waits for a retry.
    Hold,
    /// Other slots must first run older jobs, or the node does not know the slot's generation.
    Wait,
    /// No job is ready.
    Empty,
}

/// The destination of a settled job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// None: the job is completed.
    Gone,
    /// The front of the slot. With `hold` the slot waits for its retry.
    Front {
        /// True when the slot waits for the job.
        hold: bool,
    },
    /// `due`.
    Due,
    /// Another slot, where the job is stored already.
    Moved,
}

impl PoolServer {
    /// Takes the lease of a slot, as `slot_acquire.lua` does. Returns the term, or `None` when
    /// another node holds the slot.
    pub fn acquire(
        &mut self,
        guards: SlotGuards,
        slot: usize,
        node: Name,
        dead: Bits,
    ) -> Option<u8> {
        let lease = &mut self.slots[slot].lease;
        let held = lease.holder.is_some_and(|holder| holder != node && dead & bit(holder) == 0);
        if held && guards.has(SlotGuard::LivingHolder) {
            return None;
        }
        (lease.holder, lease.lost) = (Some(node), 0);
        lease.term += 1;
        Some(lease.term)
    }

    /// Releases a slot, as `slot_release.lua` does.
    pub fn release(&mut self, slot: usize, node: Name, term: u8) {
        let slot = &mut self.slots[slot];
        if slot.is_held(node, term) {
            slot.lease.holder = None;
        }
    }

    /// Stores a job for a slot, as `slot_cast.lua` does; with the id of a move, under its receipt.
    /// Returns false when the slot knows a later generation.
    pub fn cast(
        &mut self,
        guards: SlotGuards,
        slot: usize,
        generation: u8,
        job: Job,
        moved: Option<u8>,
    ) -> bool {
        if let Some(id) = moved {
            if guards.has(SlotGuard::MoveReceipt) && self.receipts & bit(id) != 0 {
                return true;
            }
            self.receipts |= bit(id);
        }
        let SlotData { lease, lanes, .. } = &mut self.slots[slot];
        if lease.generation > generation && guards.has(SlotGuard::StaleCast) {
            if let Some(id) = moved {
                self.receipts &= !bit(id);
            }
            return false;
        }
        let entry = lanes[Lane::Normal].add(job);
        if lease.generation < generation && guards.has(SlotGuard::EdgeByCast) {
            (lease.generation, lease.edge) = (generation, entry - 1);
        }
        true
    }

    /// Records a move, as `slot_move.lua` does. Returns the move as it was recorded first, or `None`
    /// when the node does not hold the lease.
    pub fn record_move(
        &mut self,
        guards: SlotGuards,
        slot: usize,
        (node, term): (Name, u8),
        plan: MoveRecord,
    ) -> Option<MoveRecord> {
        let slot = &mut self.slots[slot];
        if !slot.is_held(node, term) && guards.has(SlotGuard::MoveLease) {
            return None;
        }
        let known = slot.lease.moving.filter(|known| known.job == plan.job);
        let holds = known.filter(|_| guards.has(SlotGuard::MoveRecorded));
        slot.lease.moving = Some(holds.unwrap_or(plan));
        slot.lease.moving
    }

    /// Completes and claims jobs, as `slot_poll.lua` does.
    ///
    /// # Errors
    /// Returns a property that the poll violates.
    pub fn poll(
        &mut self,
        guards: SlotGuards,
        slot: usize,
        poll: &Poll,
    ) -> Result<PollReply, Broken> {
        let (node, term) = poll.lease;
        let SlotData { lease, lanes, .. } = &mut self.slots[slot];
        if lease.holder != Some(node) || (lease.term != term && guards.has(SlotGuard::Term)) {
            return Ok(PollReply::Lost);
        }
        if guards.has(SlotGuard::PollNumber) {
            if poll.lost < lease.lost {
                return Ok(PollReply::Idle);
            }
            lease.lost = poll.lost;
        }
        let by_id = !poll.look || !guards.has(SlotGuard::ByJob);
        for held in poll.complete.iter().filter(|_| by_id) {
            let lane = &mut lanes[held.lane];
            let Some(entry) = lane.entry(held.id) else { continue };
            // The acknowledgement does not ask for whom the entry is pending.
            if entry.owner.is_none() && guards.has(SlotGuard::PendingOnly) {
                continue;
            }
            if entry.job != held.job {
                return Err(OWN_JOB);
            }
            lane.delete(held.id);
            self.done |= bit(held.job);
        }
        if poll.claim == 0 {
            return Ok(PollReply::Idle);
        }
        let held = |lane| move |entry: LaneEntry| Held { lane, id: entry.id, job: entry.job };
        if poll.look {
            for lane in [Lane::Front, Lane::Normal] {
                let most = if guards.has(SlotGuard::FoundTogether) { usize::MAX } else { 1 };
                let found: List<_> = lanes[lane].pending(node).take(most).map(held(lane)).collect();
                if !found.is_empty() {
                    return Ok(PollReply::Found(found));
                }
            }
        }
        if lease.generation > poll.generation && guards.has(SlotGuard::ViewAge) {
            return Ok(PollReply::Wait);
        }
        if lease.generation < poll.generation {
            (lease.generation, lease.edge) = (poll.generation, lanes[Lane::Normal].last);
        }
        let first = lanes[Lane::Front].entries.first();
        if let (Some(hold), Some(first)) = (lease.hold, first)
            && !hold.over
            && (hold.entry == first.id || !guards.has(SlotGuard::HoldEntry))
        {
            return if hold.entry == first.id { Ok(PollReply::Hold) } else { Err(HELD_BY_FRONT) };
        }
        lease.hold = None;
        let claimed = lanes[Lane::Front].claim(node, 1);
        if !claimed.is_empty() {
            return Ok(PollReply::Claimed(claimed.iter().map(held(Lane::Front)).collect()));
        }
        let mut most = usize::from(poll.claim);
        if !poll.open && guards.has(SlotGuard::OpenPool) {
            if lanes[Lane::Normal].entries.first().is_none_or(|first| first.id > lease.edge) {
                return Ok(PollReply::Wait);
            }
            most = 1;
        }
        let claimed = lanes[Lane::Normal].claim(node, most);
        Ok(match claimed.is_empty() {
            false => PollReply::Claimed(claimed.iter().map(held(Lane::Normal)).collect()),
            true => PollReply::Empty,
        })
    }

    /// Settles jobs one by one, as `settle.lua` does. Returns for each whether it was applied.
    ///
    /// # Errors
    /// Returns [`OWN_JOB`].
    pub fn settle(
        &mut self,
        guards: SlotGuards,
        slot: usize,
        (node, term): (Name, u8),
        owner: Name,
        rows: &List<(Held, Place)>,
    ) -> Result<List<bool>, Broken> {
        let mut applied = List::default();
        for (held, place) in rows.iter() {
            let data = &mut self.slots[slot];
            let checks = guards.has(SlotGuard::SameHolder);
            let lease_held = data.is_held(node, term) || !checks;
            let entry = data.lanes[held.lane].entry(held.id).filter(|entry| {
                let owned = match checks {
                    true => entry.owner == Some(owner),
                    false => entry.owner.is_some(),
                };
                lease_held && owned && (entry.job == held.job || !guards.has(SlotGuard::SameJob))
            });
            applied.push(entry.is_some());
            let Some(entry) = entry else { continue };
            if entry.job != held.job {
                return Err(OWN_JOB);
            }
            if entry.owner != Some(owner) {
                return Err(OWN_CLAIM);
            }
            match place {
                Place::Gone => self.done |= bit(held.job),
                Place::Front { hold } => {
                    let front = &mut data.lanes[Lane::Front];
                    let waiting: List<_> = match held.lane == Lane::Front {
                        true => front.entries.iter().filter(|other| other.id != held.id).collect(),
                        false => List::default(),
                    };
                    // The entry goes first, so that its copy needs no room beside it.
                    if held.lane == Lane::Front {
                        front.delete(held.id);
                    }
                    let id = front.add(held.job);
                    if guards.has(SlotGuard::FrontOrder) {
                        waiting.iter().for_each(|other| front.delete(other.id));
                        for other in waiting.iter() {
                            front.add(other.job);
                        }
                    }
                    if hold {
                        data.lease.hold = Some(Hold { entry: id, over: false });
                    }
                }
                Place::Due => data.due |= bit(held.job),
                Place::Moved => {
                    if guards.has(SlotGuard::EndMove) {
                        data.lease.moving = None;
                    }
                }
            }
            data.lanes[held.lane].delete(held.id);
        }
        Ok(applied)
    }

    /// Moves a due job into its lane, as `promote.lua` does.
    pub fn promote(&mut self, slot: usize, job: Job) {
        let data = &mut self.slots[slot];
        data.due &= !bit(job);
        data.lanes[Lane::Normal].add(job);
    }

    /// Puts a dead job back into its lane, as `revive.lua` does.
    pub fn revive(&mut self, slot: usize, job: Job) {
        let data = &mut self.slots[slot];
        data.dead &= !bit(job);
        data.lanes[Lane::Normal].add(job);
    }
}
