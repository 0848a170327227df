//! The operations of `settle.lua`, and the packed form in which the script takes them.

use std::time::Duration;

use super::hold::Hold;
use super::pack::Value::{Bytes, Flag, Nil, Number};
use super::pack::{Packed, Value};
use crate::job::{RunOutcome, UniqueKey, clamped_millis};

/// The most values of an operation.
const MAX_VALUES: usize = 5;

/// The index of a key in KEYS, from 1.
pub(super) type KeyIndex = u32;

/// One change that a settlement makes, as a handler of `settle.lua` applies it. The headers of the
/// script's parts describe the operations.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SettleOp<'a> {
    /// Adds the job to the lane that the head names.
    ToLane { head: Vec<u8> },
    /// Adds the job to the lane front or suspect, where it keeps the permit of its group.
    ToLaneHeld { head: Vec<u8>, group: &'a [u8] },
    /// Puts the job before the others of its group, and holds the group or the queue.
    ToGroup { head: Vec<u8>, hold: Hold<'a> },
    /// Lets the job have taken so many tokens, in place of its cost.
    Charge { group: &'a [u8], cost: u32, units: u32 },
    /// Gives the permit of the group back.
    Leave { group: &'a [u8] },
    /// Puts the job back to the front of its addressed slot.
    ToSlotFront { head: Vec<u8> },
    /// Lets the job wait for this time.
    ToDue { head: Vec<u8>, delay: Duration },
    /// Buries the job, with this dead record up to the head.
    ToDead { death: Vec<u8>, head: Vec<u8> },
    /// Forgets that a job of the addressed slot moves to another one.
    EndMove,
    /// Blocks the claims of the addressed slot for this time.
    HoldSlot { delay: Duration },
    /// Stores the result of the handler for a limited time.
    KeepResult { record: KeyIndex, value: Vec<u8>, kept: Duration },
    /// Stores the completion record for a limited time, and notifies the waiting callers.
    KeepCompletion { record: KeyIndex, value: Vec<u8>, kept: Duration },
    /// Removes the receipt of an idempotent enqueue.
    ForgetReceipt { receipt: KeyIndex },
    /// Raises a counter of the batcher.
    BatchCount { batcher: KeyIndex, counter: &'static str },
    /// Removes the sealed list of the batch.
    BatchDone { list: KeyIndex, batcher: KeyIndex, completed: bool, stamp: &'a str },
    /// Stops counting the entries of the sealed list as waiting.
    BatchDead { list: KeyIndex, batcher: KeyIndex, stamp: &'a str },
    /// Leaves the sealed list to the pruner.
    BatchDropped { stamp: &'a str },
    /// Reduces the sealed list to the entries of a part.
    BatchKeepRest { list: KeyIndex, batcher: KeyIndex, part: KeyIndex },
    /// Buries the entries of a part as a dead batch, given by its id and its record up to the
    /// envelope.
    BatchBuryPart {
        list: KeyIndex,
        batcher: KeyIndex,
        part: KeyIndex,
        dead_list: KeyIndex,
        dead: Vec<u8>,
    },
    /// Frees the key of the unique job, if the job of this generation holds it.
    FreeKey { holders: KeyIndex, key: UniqueKey, since: Vec<u8> },
    /// Lets the unique job hold its key for this time more.
    HoldKey { holders: KeyIndex, key: UniqueKey, since: Vec<u8>, hold: Duration },
    /// Notes how the job of the schedule has ended, and, if jobs of the schedule must not overlap,
    /// that its running job has, by the hashes of running and queued jobs.
    ScheduleDone {
        runs: KeyIndex,
        schedule: &'a str,
        outcome: RunOutcome,
        alone: Option<[KeyIndex; 2]>,
    },
}

impl SettleOp<'_> {
    /// Packs the operation: the name of its handler, then five values, of which the handler takes
    /// the first ones.
    pub(super) fn pack(&self, to: &mut Packed) {
        let mut add = |name: &str, values: &[Value<'_>]| {
            to.add(&[Bytes(name.as_bytes())]);
            to.add(values);
            to.add(&[Nil; MAX_VALUES][values.len()..]);
        };
        let key = |index: &KeyIndex| Number(i64::from(*index));
        match self {
            Self::ToLane { head } => add("to_lane", &[Bytes(head)]),
            Self::ToLaneHeld { head, group } => {
                add("to_lane_held", &[Bytes(head), Bytes(group)]);
            }
            Self::ToGroup { head, hold } => {
                let Hold { group, cost, wait, is_queue } = hold;
                let wait = Number(clamped_millis(*wait));
                let cost = Number(i64::from(*cost));
                add("to_group", &[Bytes(head), Bytes(group), cost, wait, Flag(*is_queue)]);
            }
            Self::Charge { group, cost, units } => {
                let [cost, units] = [cost, units].map(|number| Number(i64::from(*number)));
                add("charge", &[Bytes(group), cost, units]);
            }
            Self::Leave { group } => add("leave", &[Bytes(group)]),
            Self::ToSlotFront { head } => add("to_slot_front", &[Bytes(head)]),
            Self::ToDue { head, delay } => {
                add("to_due", &[Bytes(head), Number(clamped_millis(*delay))]);
            }
            Self::ToDead { death, head } => add("to_dead", &[Bytes(death), Bytes(head)]),
            Self::EndMove => add("end_move", &[]),
            Self::HoldSlot { delay } => {
                add("hold_slot", &[Number(clamped_millis(*delay))]);
            }
            Self::KeepResult { record, value, kept } => {
                let kept = Number(kept_millis(*kept));
                add("keep_result", &[key(record), Bytes(value), kept]);
            }
            Self::KeepCompletion { record, value, kept } => {
                let kept = Number(kept_millis(*kept));
                add("keep_completion", &[key(record), Bytes(value), kept]);
            }
            Self::ForgetReceipt { receipt } => add("forget_receipt", &[key(receipt)]),
            Self::BatchCount { batcher, counter } => {
                add("batch_count", &[key(batcher), Bytes(counter.as_bytes())]);
            }
            Self::BatchDone { list, batcher, completed, stamp } => {
                let stamp = Bytes(stamp.as_bytes());
                add("batch_done", &[key(list), key(batcher), Flag(*completed), stamp]);
            }
            Self::BatchDead { list, batcher, stamp } => {
                add("batch_dead", &[key(list), key(batcher), Bytes(stamp.as_bytes())]);
            }
            Self::BatchDropped { stamp } => add("batch_dropped", &[Bytes(stamp.as_bytes())]),
            Self::BatchKeepRest { list, batcher, part } => {
                add("batch_keep_rest", &[key(list), key(batcher), key(part)]);
            }
            Self::BatchBuryPart { list, batcher, part, dead_list, dead } => {
                let keys = [list, batcher, part, dead_list].map(key);
                let [list, batcher, part, dead_list] = keys;
                add("batch_bury_part", &[list, batcher, part, dead_list, Bytes(dead)]);
            }
            Self::FreeKey { holders, key: unique, since } => {
                add("free_key", &[key(holders), Bytes(unique.as_bytes()), Bytes(since)]);
            }
            Self::HoldKey { holders, key: unique, since, hold } => {
                let hold = Number(kept_millis(*hold));
                add("hold_key", &[key(holders), Bytes(unique.as_bytes()), Bytes(since), hold]);
            }
            Self::ScheduleDone { runs, schedule, outcome, alone } => {
                let outcome = Bytes(outcome.letter().as_bytes());
                let [running, queued] = match alone {
                    Some(alone) => alone.each_ref().map(key),
                    None => [Nil; 2],
                };
                let name = Bytes(schedule.as_bytes());
                add("schedule_done", &[key(runs), name, outcome, running, queued]);
            }
        }
    }
}

/// Returns the milliseconds for which a record is kept: at least 1, at most ten years.
fn kept_millis(kept: Duration) -> i64 {
    clamped_millis(kept).max(1)
}
