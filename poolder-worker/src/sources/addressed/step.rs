//! The facts that decide the next step of a slot, and the steps.

use std::collections::VecDeque;
use std::time::Duration;

use poolder_core::broker::{Report, Settlement};
use poolder_core::{Entry, EntryId};
use tokio::time::Instant;

use super::slot_context::HoldEnd;

/// The facts outside a slot that decide its next step, at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotFacts {
    /// This node was declared dead since it acquired the slot.
    pub(super) lost: bool,
    /// This node shall release the slot.
    pub(super) leaving: bool,
    /// A job has stopped the slot.
    pub(super) stopped: bool,
    /// This node may start jobs of the slot.
    pub(super) permitted: bool,
    /// The pool's generation.
    pub(super) generation: u64,
    /// Jobs stored in this generation may run.
    pub(super) open: bool,
    /// The slot is beyond the pool's size.
    pub(super) beyond: bool,
    pub(super) now: Instant,
}

/// The next step of a slot.
#[derive(Debug)]
pub(super) enum SlotStep {
    /// Run this claimed entry, or bury it when it is not a job.
    Run(Entry),
    /// Apply these settlements: that of the job that ran last, or completions that a poll must not
    /// settle.
    Settle(Vec<Settlement>),
    /// Put these claimed entries, which have not been started, back in front and in their order;
    /// behind the job that ran last, if there is one, whose settlement is applied in the same step.
    Release { behind: Vec<Settlement>, entries: VecDeque<Entry> },
    /// Settle the entries that are done, and claim up to so many entries.
    Poll { claim: usize },
    /// Wait for this time, or until a fact changes.
    Pause(Duration),
    /// Wait until an entry comes after these last ids, or a fact changes.
    Wait([EntryId; 2]),
    /// Report the progress of the slot after the resize that began this generation.
    Report(Report, u64),
    /// Count the jobs of the slot that wait for their time.
    CountDue,
    /// Stop serving the slot.
    End(HoldEnd),
}
