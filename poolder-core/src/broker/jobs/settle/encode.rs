//! Builds the operations of settlements, and the call of `settle.lua` that applies them.

use std::time::Duration;

use redis::Cmd;

use super::claim_parts::HeldKey;
use super::destination::{Destination, counter};
use super::effect::{Effect, charged};
use super::limits::DeadLimits;
use super::op::{KeyIndex, SettleOp};
use super::pack::{Packed, Value};
use super::settlement::{RetryPlacement, Settlement, Subject};
use crate::broker::keys::{PartitionKeys, ScheduleKeys};
use crate::broker::scripts;
use crate::job::{Failure, JobId, Lane, RunOutcome, UniqueMode};
use crate::policy::Counters;
use crate::policy::decide::{CANCELLED_ON_REQUEST, EXPIRED, Transition};
use crate::stored::{Completion, Death, head};

/// The retention of a result when the enqueue did not ask for a completion record.
const RESULT_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// The retention of the record that leads callers to the slot to which a job was moved.
const MOVE_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The bytes of a settlement with a failure. More are possible.
const ROW_BYTES: usize = 256;
/// The number of keys that every call has.
const COMMON_KEYS: usize = 15;

/// Builds the call that settles claims of one owner on one lane, under the same lease if any.
/// `claims` says that a claim of the owner follows in the same round trip.
pub(super) fn settle(
    keys: &PartitionKeys,
    lane: Lane,
    limits: DeadLimits,
    settlements: &[&Settlement],
    claims: bool,
) -> Cmd {
    let mut builder = CallBuilder { keys, named: vec![] };
    let limited = settlements.iter().any(|settlement| settlement.subject.group.is_some());
    if limited {
        builder.named.extend(keys.limits.of_groups().map(str::to_owned));
        builder.named.push(keys.limits.jobs.clone());
    }
    let mut rows = Packed::with_capacity(settlements.len() * ROW_BYTES);
    let pack = |settlement: &&Settlement| {
        let start = rows.as_bytes().len();
        builder.row(settlement, lane, &mut rows);
        start..rows.as_bytes().len()
    };
    let ranges: Vec<_> = settlements.iter().map(pack).collect();
    if limits.hooks {
        builder.index_of(keys.dead_hooks.clone());
    }
    let first = settlements.first();
    let all = common_keys(keys, lane).into_iter().chain(builder.named.iter().map(String::as_str));
    let script = if limited { &scripts::SETTLE_LIMITED } else { &scripts::SETTLE };
    let mut cmd = scripts::call(script, all);
    cmd.arg(first.map(|first| first.owner.as_ref()).unwrap_or_default())
        .arg(limits.count)
        .arg(&keys.control)
        .arg(first.and_then(|first| first.lease()).unwrap_or_default())
        .arg(features(limits, settlements, claims));
    for range in ranges {
        cmd.arg(&rows.as_bytes()[range]);
    }
    cmd
}

/// Returns the features that the script serves for these settlements. An addressed slot is
/// recognized by its lease.
fn features(limits: DeadLimits, settlements: &[&Settlement], claims: bool) -> String {
    let batch = settlements.iter().any(|one| one.batch.is_some() || one.leaves_list.is_some());
    let schedule = settlements.iter().any(|settlement| settlement.subject.tick.is_some());
    let unique = settlements.iter().any(|settlement| settlement.subject.unique.is_some());
    let named = [
        (batch, "batch"),
        (schedule, "schedule"),
        (unique, "unique"),
        (limits.hooks, "hooks"),
        (claims, "claims"),
    ];
    let names: Vec<&str> = named.into_iter().filter(|(used, _)| *used).map(|it| it.1).collect();
    names.join(" ")
}

fn common_keys(keys: &PartitionKeys, lane: Lane) -> [&str; COMMON_KEYS] {
    let [front, suspect, high, normal, low] = &keys.ready;
    [
        keys.lane(lane),
        &keys.due,
        &keys.bodies,
        &keys.dead,
        &keys.dead_bodies,
        &keys.stats,
        front,
        suspect,
        high,
        normal,
        low,
        &keys.cancelled,
        &keys.batches,
        &keys.batches_dropped,
        &keys.lease,
    ]
}

/// Builds the operations of a call, and declares the keys that they name.
struct CallBuilder<'a> {
    keys: &'a PartitionKeys,
    named: Vec<String>,
}

impl CallBuilder<'_> {
    fn index_of(&mut self, key: String) -> KeyIndex {
        self.named.push(key);
        u32::try_from(COMMON_KEYS + self.named.len()).unwrap_or(KeyIndex::MAX)
    }

    /// Packs a settlement as `settle.lua` takes it.
    fn row(&mut self, settlement: &Settlement, lane: Lane, to: &mut Packed) {
        let Subject { entry, job, plain, unread, body, .. } = &settlement.subject;
        let (ops, if_cancelled) = self.operations(settlement, lane);
        let number = |count: usize| Value::Number(i64::try_from(count).unwrap_or(i64::MAX));
        let number_of = |ops: &Vec<_>| number(ops.len());
        let text = plain.as_deref().map_or(Value::Nil, Value::Bytes);
        to.add(&[
            Value::Bytes(entry.as_bytes()),
            Value::Bytes(job),
            Value::Bytes(match settlement.moved_to {
                Some(_) => b"moved",
                None => counter(&settlement.transition).as_bytes(),
            }),
            number_of(&ops),
            if_cancelled.as_ref().map_or(Value::Nil, number_of),
            unread.map_or(text, number),
            body.as_deref().map_or(Value::Nil, Value::Bytes),
        ]);
        ops.iter().chain(if_cancelled.iter().flatten()).for_each(|op| op.pack(to));
    }

    /// Returns the operations of a settlement, and those that take their place if the job was
    /// cancelled meanwhile; `None` when the settlement stands all the same, since it ends the job.
    /// In their order an error between two operations does no harm: the job is still claimed, and
    /// the settlement is repeated.
    fn operations<'a>(
        &mut self,
        settlement: &'a Settlement,
        lane: Lane,
    ) -> (Vec<SettleOp<'a>>, Option<Vec<SettleOp<'a>>>) {
        let Settlement { subject, transition, addressed, owner, .. } = settlement;
        if let Some(slot) = settlement.moved_to {
            let record = self.index_of(self.keys.result(settlement.job_id()));
            let (value, kept) = (Completion::Moved(slot).encode(), MOVE_RETENTION);
            return (
                vec![SettleOp::KeepCompletion { record, value, kept }, SettleOp::EndMove],
                None,
            );
        }
        let batch = settlement
            .batch
            .as_ref()
            .map(|batch| (self.index_of(self.keys.batcher(&batch.batcher)), &*batch.stamp));
        let mut ops = vec![];
        if let Some(batch) = batch {
            self.before_move(settlement, batch, &mut ops);
        }
        let destination = match addressed {
            Some(addressed) => Destination::in_addressed_slot(transition, addressed.retry),
            None => Destination::on_shared_queue(transition, lane),
        };
        let group = subject.group.as_deref();
        let destination = match group {
            Some(group) => destination.on_limited_queue(transition, group, subject.cost),
            None => destination,
        };
        let holds = matches!(destination, Destination::Held(..));
        ops.extend(destination.op(owner, subject.raw));
        ops.extend(hold(settlement));
        let ends = transition.ends();
        ops.extend((!ends).then(|| self.hold_key(settlement)).flatten());
        // The operations that follow from the end of the job.
        let mut ending = vec![];
        ending.extend(self.forget_receipt(settlement));
        ending.extend(self.schedule_done(settlement));
        ending.extend(self.free_key(settlement));
        ending.extend(self.record(settlement));
        if let Some(stamp) = &settlement.leaves_list
            && !matches!(transition, Transition::Bury { .. })
        {
            ending.push(SettleOp::BatchDropped { stamp });
        }
        if let Some(batch) = batch {
            self.after_move(settlement, batch, &mut ops, &mut ending);
        }
        if let Some(group) = group {
            let charge = |units| SettleOp::Charge { group, cost: subject.cost, units };
            let charged = charged(&settlement.effects);
            ops.extend(charged.filter(|_| !ends).map(charge));
            ending.extend(charged.map(charge));
            if !holds && !ends {
                ops.push(SettleOp::Leave { group });
            }
            ending.push(SettleOp::Leave { group });
        }
        if ends {
            ops.append(&mut ending);
            (ops, None)
        } else {
            (ops, Some(ending))
        }
    }

    /// Returns the operation that removes the receipt of a job that is cancelled on request, so that
    /// its id does not stay taken. Only an id that is derived from a name is enqueued again.
    fn forget_receipt<'a>(&mut self, settlement: &Settlement) -> Option<SettleOp<'a>> {
        let job = settlement.job_id();
        let forgets = is_cancelled(settlement) && job.generated_at().is_none();
        forgets.then(|| SettleOp::ForgetReceipt { receipt: self.index_of(self.keys.sent(job)) })
    }

    /// Returns the end of the job of a schedule.
    fn schedule_done<'a>(&mut self, settlement: &'a Settlement) -> Option<SettleOp<'a>> {
        let tick = settlement.subject.tick.as_deref()?;
        let outcome = match settlement.transition {
            Transition::Complete | Transition::CompleteWith(_) => RunOutcome::Completed,
            Transition::Bury { .. } => RunOutcome::Dead,
            // The job goes on, unless it was cancelled meanwhile.
            Transition::Cancel(_)
            | Transition::Expire
            | Transition::Later { .. }
            | Transition::Ready { .. }
            | Transition::RunAgain(_) => RunOutcome::Cancelled,
        };
        let ScheduleKeys { running, queued, runs, .. } = &self.keys.schedules;
        let runs = self.index_of(runs.clone());
        let alone = tick.is_alone();
        let alone = alone.then(|| [running, queued].map(|key| self.index_of(key.clone())));
        Some(SettleOp::ScheduleDone { runs, schedule: tick.schedule(), outcome, alone })
    }

    /// Returns the operation that frees the key of a unique job that has ended. A window is over when
    /// its time is, unless its job is cancelled on request.
    fn free_key<'a>(&mut self, settlement: &Settlement) -> Option<SettleOp<'a>> {
        let HeldKey { held, since } = settlement.subject.unique.as_deref()?;
        let frees = held.mode != UniqueMode::Window || is_cancelled(settlement);
        let op = |holders| SettleOp::FreeKey { holders, key: held.key, since: since.clone() };
        frees.then(|| op(self.index_of(self.keys.unique.clone())))
    }

    /// Returns the operation that lets a unique job hold its key while it goes on.
    fn hold_key<'a>(&mut self, settlement: &Settlement) -> Option<SettleOp<'a>> {
        let HeldKey { held, since } = settlement.subject.unique.as_deref()?;
        let delay = match settlement.transition {
            Transition::Later { delay, .. } => delay,
            _ => Duration::ZERO,
        };
        let (key, since, hold) = (held.key, since.clone(), held.hold.saturating_add(delay));
        let holders = self.index_of(self.keys.unique.clone());
        Some(SettleOp::HoldKey { holders, key, since, hold })
    }

    /// Returns the operation that records the end of the job, if the record is kept.
    fn record<'a>(&mut self, settlement: &Settlement) -> Option<SettleOp<'a>> {
        let end = match &settlement.transition {
            Transition::Complete => Completion::Done,
            Transition::CompleteWith(result) => Completion::DoneWith(result.clone()),
            Transition::Cancel(reason) => Completion::Cancelled(reason.clone()),
            Transition::Expire => Completion::Cancelled(EXPIRED.into()),
            Transition::Bury { counters } => Completion::Dead(counters.reason()),
            // The job goes on, unless it was cancelled meanwhile.
            Transition::Later { .. } | Transition::Ready { .. } | Transition::RunAgain(_) => {
                Completion::Cancelled(CANCELLED_ON_REQUEST.into())
            }
        };
        let mut record = || (self.index_of(self.keys.result(settlement.job_id())), end.encode());
        match (settlement.completion_kept, &end) {
            (Some(kept), _) => {
                let (record, value) = record();
                Some(SettleOp::KeepCompletion { record, value, kept })
            }
            // The enqueue asked for no completion record, so no hint is published.
            (None, Completion::DoneWith(_)) => {
                let (record, value) = record();
                Some(SettleOp::KeepResult { record, value, kept: RESULT_RETENTION })
            }
            (None, _) => None,
        }
    }

    /// Adds the operations on the entries of a batch that stay with it or are buried, and on the
    /// list of a batch that is buried.
    fn before_move<'a>(
        &mut self,
        settlement: &'a Settlement,
        (batcher, stamp): (KeyIndex, &'a str),
        ops: &mut Vec<SettleOp<'a>>,
    ) {
        let (keys, job) = (self.keys, settlement.job_id());
        for effect in &settlement.effects {
            ops.push(match effect {
                // It belongs to the group, and goes with the permit.
                Effect::Charge(_) => continue,
                Effect::KeepEntries(part) => SettleOp::BatchKeepRest {
                    list: self.index_of(keys.batch_sealed(job)),
                    batcher,
                    part: self.index_of(keys.batch_rest(job, part)),
                },
                Effect::BuryEntries { part, id, failure } => SettleOp::BatchBuryPart {
                    list: self.index_of(keys.batch_sealed(job)),
                    batcher,
                    part: self.index_of(keys.batch_rest(job, part)),
                    dead_list: self.index_of(keys.batch_sealed(*id)),
                    dead: dead_entries(*id, failure, settlement.owner.as_ref()),
                },
            });
        }
        if let Transition::Bury { .. } = settlement.transition {
            let list = self.index_of(keys.batch_sealed(job));
            ops.push(SettleOp::BatchDead { list, batcher, stamp });
        }
    }

    /// Adds the operations that end the list of a batch, and count the batch.
    fn after_move<'a>(
        &mut self,
        settlement: &'a Settlement,
        (batcher, stamp): (KeyIndex, &'a str),
        ops: &mut Vec<SettleOp<'a>>,
        ending: &mut Vec<SettleOp<'a>>,
    ) {
        let count = |counter| SettleOp::BatchCount { batcher, counter };
        let mut done = |completed| {
            let list = self.index_of(self.keys.batch_sealed(settlement.job_id()));
            SettleOp::BatchDone { list, batcher, completed, stamp }
        };
        match &settlement.transition {
            Transition::Complete | Transition::CompleteWith(_) => {
                ending.extend([done(true), count("completed")]);
            }
            Transition::Cancel(_) | Transition::Expire => {
                ending.extend([done(false), count("cancelled")]);
            }
            Transition::Bury { .. } => ending.push(count("buried")),
            Transition::Later { .. } | Transition::Ready { .. } | Transition::RunAgain(_) => {
                // A batch that was snoozed, rescued or released is not counted.
                if counter(&settlement.transition) == "retried" {
                    ops.push(count("retried"));
                }
                ending.extend([SettleOp::BatchDropped { stamp }, count("cancelled")]);
            }
        }
    }
}

/// Returns whether the settlement ends its job because of a request, or its operations for a job
/// that was cancelled meanwhile do.
fn is_cancelled(settlement: &Settlement) -> bool {
    match &settlement.transition {
        Transition::Cancel(reason) => reason == CANCELLED_ON_REQUEST,
        other => !other.ends(),
    }
}

/// Returns the operation that blocks an addressed slot while its front waits for a retry.
fn hold<'a>(settlement: &Settlement) -> Option<SettleOp<'a>> {
    let Transition::Later { delay, .. } = settlement.transition else { return None };
    let blocks = settlement.addressed.as_ref()?.retry == RetryPlacement::BlockSlot;
    blocks.then_some(SettleOp::HoldSlot { delay })
}

/// Returns the id of the job of buried entries, and its dead record up to the envelope.
fn dead_entries(id: JobId, failure: &Failure, node: &str) -> Vec<u8> {
    let mut counters = Counters::starting_in(Lane::Normal);
    counters.last_failure = Some(failure.clone());
    let mut dead = id.as_bytes().to_vec();
    dead.extend(Death::new(failure.clone(), node, false).encode());
    dead.extend(head(Lane::Normal, &counters));
    dead
}
