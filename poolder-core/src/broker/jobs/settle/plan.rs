//! Groups settlements of one owner into commands: completions of one history together, other
//! settlements of one lease together.

use std::sync::Arc;

use redis::{Cmd, Pipeline, RedisResult, Value};

use super::encode;
use super::limits::DeadLimits;
use super::pack::{Packed, Value::Bytes};
use super::settlement::{Settled, Settlement};
use crate::broker::connection::failure::{classify, is_raised_by_script};
use crate::broker::connection::reply;
use crate::broker::keys::PartitionKeys;
use crate::broker::scripts;
use crate::job::{Error, Lane};
use crate::stored::ClaimedRange;

/// The maximum number of jobs in a call of `complete.lua`.
const MAX_COMPLETIONS: usize = 500;
/// The maximum number of jobs in a call of `settle.lua`.
const MAX_SETTLEMENTS: usize = 50;
/// The approximate maximum number of bytes that a call of `settle.lua` copies. A larger single job is
/// still moved.
const MAX_SETTLE_BYTES: usize = 1 << 20;

/// The number of waiting jobs in each lane, in the order of [`Lane::ALL`].
pub type Depths = [u64; 5];

/// The commands of a pipeline that settle claims, as the indices of the settlements in each.
pub(in crate::broker) struct SettlePipeline {
    commands: Vec<Vec<usize>>,
    total: usize,
}

impl SettlePipeline {
    /// Adds the commands that apply the settlements. Also reads the depths of the lanes if `depths`
    /// is true. `claims` says that a claim of jobs of a limited queue follows in the same round trip.
    pub(in crate::broker) fn add_to(
        pipe: &mut Pipeline,
        keys: &PartitionKeys,
        limits: DeadLimits,
        settlements: &[Settlement],
        mut depths: bool,
        claims: bool,
    ) -> Self {
        let mut plan = Self { commands: vec![], total: settlements.len() };
        for lane in Lane::ALL {
            let of_lane = |fast: bool| -> Vec<usize> {
                let wanted = |s: &Settlement| s.subject.lane == lane && s.fast().is_some() == fast;
                (0..settlements.len()).filter(|i| wanted(&settlements[*i])).collect()
            };
            for group in chunks(&of_lane(true), settlements, MAX_COMPLETIONS, usize::MAX) {
                if settlements[group[0]].subject.group.is_some() {
                    pipe.add_command(complete_limited(keys, lane, settlements, &group, claims));
                } else {
                    // Only the first command returns the depths.
                    pipe.add_command(complete(keys, lane, settlements, &group, depths));
                    depths = false;
                }
                plan.commands.push(group);
            }
            for group in chunks(&of_lane(false), settlements, MAX_SETTLEMENTS, MAX_SETTLE_BYTES) {
                let settled: Vec<_> = group.iter().map(|index| &settlements[*index]).collect();
                pipe.add_command(encode::settle(keys, lane, limits, &settled, claims));
                plan.commands.push(group);
            }
        }
        if depths {
            pipe.add_command(complete(keys, Lane::Normal, &[], &[], true));
            plan.commands.push(vec![]);
        }
        plan
    }

    /// Reads the replies to these commands, and leaves later replies in the iterator.
    pub(in crate::broker) fn read(
        &self,
        replies: &mut impl Iterator<Item = RedisResult<Value>>,
        address: &str,
    ) -> (Vec<Settled>, Option<Depths>) {
        let mut results: Vec<Option<Settled>> = (0..self.total).map(|_| None).collect();
        let mut depths = None;
        for (group, reply) in self.commands.iter().zip(replies.by_ref().take(self.commands.len())) {
            let raised = reply.as_ref().is_err_and(is_raised_by_script);
            let verdict = reply
                .map_err(|error| classify(error, address))
                .and_then(|reply| script_reply(reply, &mut depths));
            for (at, index) in group.iter().enumerate() {
                results[*index] = Some(match &verdict {
                    Ok(ScriptReply::All) => Settled::Applied,
                    Ok(ScriptReply::Epoch) => Settled::Epoch,
                    Ok(ScriptReply::Each(each)) if each.get(at) == Some(&b'1') => Settled::Applied,
                    Ok(ScriptReply::Each(_)) => Settled::Fenced,
                    Err(error) if !raised => Settled::Failed(Error::unknown(error.to_string())),
                    // Operators can grant a missing permission, so the caller must tell it apart.
                    Err(error) if error.is_auth() => {
                        Settled::Broken(Error::auth(error.to_string()))
                    }
                    Err(error) => Settled::Broken(Error::unknown(error.to_string())),
                });
            }
        }
        let lost = || Settled::Failed(Error::protocol("a reply is missing"));
        (results.into_iter().map(|result| result.unwrap_or_else(lost)).collect(), depths)
    }
}

/// The reply of `complete.lua` or `settle.lua`.
enum ScriptReply {
    /// Every settlement was applied.
    All,
    /// The server has another history. No settlement was applied.
    Epoch,
    /// A byte per settlement: `1` if it was applied.
    Each(Vec<u8>),
}

/// Reads the reply of a script, and stores the depths if the reply has them.
fn script_reply(reply: Value, depths: &mut Option<Depths>) -> Result<ScriptReply, Error> {
    let verdict = match reply {
        Value::Array(list) => {
            let mut list = list.into_iter();
            let verdict = list.next().unwrap_or_default();
            if list.len() > 0 {
                let mut waiting = [0; 5];
                for (depth, value) in waiting.iter_mut().zip(list) {
                    *depth = u64::try_from(reply::int(value)?).unwrap_or(0);
                }
                *depths = Some(waiting);
            }
            verdict
        }
        verdict => verdict,
    };
    let verdict = reply::bytes(verdict)?;
    Ok(match verdict.as_slice() {
        b"OK" => ScriptReply::All,
        b"EPOCH" => ScriptReply::Epoch,
        _ => ScriptReply::Each(verdict),
    })
}

/// Splits the settlements into groups of at most `max_count` settlements and `max_bytes` bytes; a
/// larger single settlement is a group alone, and so is an isolated one. A group has completions of
/// one history, all or none of which hold a permit, or other settlements of one lease; all are of one
/// owner.
fn chunks(
    indices: &[usize],
    settlements: &[Settlement],
    max_count: usize,
    max_bytes: usize,
) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    let mut bytes = 0_usize;
    for index in indices {
        let next = &settlements[*index];
        let fits = groups.last().is_some_and(|group: &Vec<usize>| {
            let first = group.first().map(|first| &settlements[*first]);
            group.len() < max_count
                && bytes.saturating_add(next.weight()) <= max_bytes
                && first.is_some_and(|first| {
                    !first.isolated
                        && !next.isolated
                        && first.fast() == next.fast()
                        && first.owner == next.owner
                        && match next.fast() {
                            Some(_) => {
                                first.subject.group.is_some() == next.subject.group.is_some()
                            }
                            None => first.lease() == next.lease(),
                        }
                })
        });
        if !fits {
            groups.push(vec![]);
            bytes = 0;
        }
        if let Some(group) = groups.last_mut() {
            group.push(*index);
        }
        bytes = bytes.saturating_add(next.weight());
    }
    groups
}

fn complete(
    keys: &PartitionKeys,
    lane: Lane,
    settlements: &[Settlement],
    group: &[usize],
    depths: bool,
) -> Cmd {
    let own = [keys.lane(lane), keys.stats.as_str()];
    let asked = if depths { &keys.ready[..] } else { &[] };
    let all = own.into_iter().chain(asked.iter().map(String::as_str));
    let mut cmd = scripts::call(&scripts::COMPLETE, all);
    add_entries(&mut cmd, settlements, group);
    cmd
}

/// Builds the call that removes completed jobs of a limited queue, and gives their permits back.
fn complete_limited(
    keys: &PartitionKeys,
    lane: Lane,
    settlements: &[Settlement],
    group: &[usize],
    claims: bool,
) -> Cmd {
    let all = [keys.lane(lane), &keys.stats].into_iter().chain(keys.limits.of_groups());
    let mut cmd = scripts::call(&scripts::COMPLETE_LIMITED, all);
    add_entries(&mut cmd, settlements, group);
    let names = group.iter().map(|index| settlements[*index].subject.group.as_deref());
    let mut packed = Packed::with_capacity(group.len() * 16);
    packed.add_array(group.len() + 1);
    packed.add(&[Bytes(if claims { b"1" } else { b"" })]);
    names.for_each(|name| packed.add(&[Bytes(name.unwrap_or_default())]));
    cmd.arg(packed.as_bytes());
    cmd
}

/// Adds the arguments of `complete.lua`.
fn add_entries(cmd: &mut Cmd, settlements: &[Settlement], group: &[usize]) {
    let first = group.first().map(|index| &settlements[*index]);
    let history = first.and_then(Settlement::fast).unwrap_or_default();
    let owner = first.map_or("", |settlement| &*settlement.owner);
    cmd.arg(history).arg(owner);
    match whole_range(settlements, group) {
        Some(range) => cmd.arg(range.first.as_ref()).arg(&range.after),
        None => cmd.arg("").arg(""),
    };
    for index in group {
        cmd.arg(settlements[*index].subject.entry.as_ref());
    }
}

/// Returns the claimed range of the group, if the group is exactly one whole range. The script may
/// then trim the range off the stream at once.
fn whole_range<'a>(settlements: &'a [Settlement], group: &[usize]) -> Option<&'a ClaimedRange> {
    let of = |index: &usize| settlements[*index].subject.range.as_ref();
    let range = of(group.first()?)?;
    let same = |index: &usize| of(index).is_some_and(|other| Arc::ptr_eq(other, range));
    (range.size == group.len() && group.iter().all(same)).then_some(range.as_ref())
}
