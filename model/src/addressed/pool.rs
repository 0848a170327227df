//! The registered pool, and the scripts that resize it (`pool_resize.lua`, `pool_report.lua`).

use super::guards::{SlotGuard, SlotGuards};
use super::slot::SlotNumber;
use crate::server::{Bits, Job, bit};

/// The hash of the pool, and the sets of slots that have reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolRecord {
    /// The number of slots.
    pub size: SlotNumber,
    /// The generation of this size.
    pub generation: u8,
    /// The number of slots that must first run the jobs from before this generation.
    pub drain: SlotNumber,
    /// The number of slots in service.
    pub tail: SlotNumber,
    /// The size before this generation.
    pub before: SlotNumber,
    /// The most slots that the pool ever had.
    pub top: SlotNumber,
    /// The slots that have drained.
    pub drained: Bits,
    /// The slots beyond the size that are empty.
    pub retired: Bits,
}

/// The progress of a slot after a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The slot has run all jobs from before the resize.
    Drained,
    /// The slot is beyond the size, and empty.
    Retired,
}

/// Returns the slot of a key of which all jobs but those in `staying` are: a key that moves with the
/// size, and one that does not.
#[must_use]
pub fn slot_of(job: Job, staying: Bits, size: SlotNumber) -> SlotNumber {
    if staying & bit(job) == 0 { size - 1 } else { 0 }
}

impl PoolRecord {
    /// Returns a pool that has had `top` slots and has `size`, all of whose slots have drained.
    #[must_use]
    pub fn begin(size: SlotNumber, top: SlotNumber) -> Self {
        Self { size, generation: 1, drain: 0, tail: size, before: top, top, drained: 0, retired: 0 }
    }

    /// Returns true when jobs of this generation may run.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.drain == 0
    }

    /// Returns what a node reads of the pool.
    #[must_use]
    pub fn seen(&self) -> Self {
        Self { drained: 0, retired: 0, drain: SlotNumber::from(!self.is_open()), ..*self }
    }

    /// Changes the size, as `pool_resize.lua` does. Returns false when slots still drain.
    pub fn resize(&mut self, guards: SlotGuards, size: SlotNumber) -> bool {
        if guards.has(SlotGuard::OneResize) && !self.is_open() {
            return false;
        }
        let in_service = self.size.max(self.tail);
        let tail = in_service.max(size);
        *self = Self {
            size,
            generation: self.generation + 1,
            drain: in_service,
            tail,
            before: self.size,
            top: self.top.max(tail),
            drained: 0,
            retired: 0,
        };
        true
    }

    /// Records the progress of a slot, as `pool_report.lua` does.
    pub fn report(
        &mut self,
        guards: SlotGuards,
        slot: SlotNumber,
        generation: u8,
        progress: Progress,
    ) {
        if guards.has(SlotGuard::ReportAge) && generation != self.generation {
            return;
        }
        let number = bit(slot);
        let count = |set: Bits| SlotNumber::try_from(set.count_ones()).unwrap_or(SlotNumber::MAX);
        match progress {
            Progress::Drained => {
                if slot >= self.drain && (guards.has(SlotGuard::NewSlots) || self.drain == 0) {
                    return;
                }
                self.drained |= number;
                if count(self.drained) >= self.drain {
                    (self.drain, self.drained) = (0, 0);
                }
            }
            Progress::Retired => {
                let too_early = !self.is_open() && guards.has(SlotGuard::RetireOpen);
                if slot < self.size || slot >= self.tail || too_early {
                    return;
                }
                self.retired |= number;
                if count(self.retired) >= self.tail - self.size {
                    (self.tail, self.retired) = (self.size, 0);
                }
            }
        }
    }
}
