//! Ending claims: what was decided is applied, if the claim is still ours.
//!
//! Completions go many at a time through `complete.lua`, which trusts counts within the server
//! history in which the jobs were claimed. Everything else, and completions of another history,
//! goes one by one through `move.lua`, which checks the owner and the job id.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisResult, Value};

use super::failure::classify;
use super::{Broker, NodeName, reply};
use crate::counters::Counters;
use crate::decide::{Return, Transition, Wait};
use crate::error::Error;
use crate::job::JobId;
use crate::keys::PartitionKeys;
use crate::outcome::{Cause, Failure};
use crate::queue::{Lane, Partition};
use crate::scripts;
use crate::time::clamped_millis;
use crate::wire::{Claim, Death, EntryId, Undecodable, head};

/// `complete.lua` and `move.lua` take no more than this many jobs at once …
const COMPLETES: usize = 500;
const MOVES: usize = 50;
/// … and `move.lua` copies about this many bytes at most, but always at least one job.
const MOVE_BYTES: usize = 1 << 20;

/// A claim that has ended, and what shall become of its job.
#[derive(Debug, Clone)]
pub struct Settlement {
    subject: Subject,
    /// The consumer that holds the claim.
    owner: NodeName,
    /// The server history in which the job was claimed; `None` to check the owner in any case.
    history: Option<Arc<str>>,
    transition: Transition,
}

/// What of a claim is needed to end it. The envelope is kept only where the stored entry is not
/// one.
#[derive(Debug, Clone)]
struct Subject {
    lane: Lane,
    entry: EntryId,
    job: [u8; 16],
    plain: Vec<u8>,
    body: Vec<u8>,
    bytes: usize,
    raw: bool,
}

/// What became of a settlement.
#[derive(Debug)]
pub enum Settled {
    /// Applied.
    Applied,
    /// Somebody took the job back before; nothing was changed.
    Fenced,
    /// The server has another history than the claim: settle it again with
    /// [`Settlement::carefully`].
    Epoch,
    /// Not applied, or its reply was lost: settle it again.
    Failed(Error),
}

/// How many dead jobs are kept, and for how long. Default 10,000 and 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLimits {
    /// The most that are kept; the oldest go first, and are counted.
    pub count: u64,
    /// None is kept longer.
    pub age: Duration,
}

impl Default for DeadLimits {
    fn default() -> Self {
        Self { count: 10_000, age: Duration::from_secs(90 * 24 * 60 * 60) }
    }
}

impl Settlement {
    /// Ends a claim of `owner`. `history` is the one of the connection that claimed it; without
    /// one the owner and the job id are checked in any case.
    #[must_use]
    pub fn new(
        claim: Claim,
        owner: NodeName,
        history: Option<Arc<str>>,
        transition: Transition,
    ) -> Self {
        let bytes = claim.envelope.as_bytes().len();
        let job = *claim.envelope.id().as_bytes();
        let body = match claim.plain {
            Some(_) => claim.envelope.as_bytes().to_vec(),
            None => vec![],
        };
        let (lane, entry, plain) = (claim.lane, claim.entry, claim.plain.unwrap_or_default());
        let subject = Subject { lane, entry, job, plain, body, bytes, raw: false };
        Self { subject, owner, history, transition }
    }

    /// Puts an entry that cannot be read among the dead, as it is.
    #[must_use]
    pub fn bury_undecodable(found: Undecodable, owner: NodeName) -> Self {
        let mut counters = Counters::starting_in(found.lane);
        counters.last_failure = Some(found.reason);
        let subject = Subject {
            lane: found.lane,
            entry: found.entry,
            job: *found.id.as_bytes(),
            plain: found.raw.clone(),
            bytes: found.raw.len(),
            body: found.raw,
            raw: true,
        };
        Self { subject, owner, history: None, transition: Transition::Bury { counters } }
    }

    /// The same, for a server of any history: the owner and the job id are checked.
    #[must_use]
    pub fn carefully(mut self) -> Self {
        self.history = None;
        self
    }

    /// The lane and the entry that it settles.
    #[must_use]
    pub fn entry(&self) -> (Lane, &EntryId) {
        (self.subject.lane, &self.subject.entry)
    }

    /// The job.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId::from_bytes(self.subject.job)
    }

    /// What shall become of the job.
    #[must_use]
    pub fn transition(&self) -> &Transition {
        &self.transition
    }

    /// The history in which counts prove ownership, if this is a completion that may rely on it.
    fn fast(&self) -> Option<&str> {
        match self.transition {
            Transition::Complete => self.history.as_deref(),
            _ => None,
        }
    }
}

impl Broker {
    /// Settles many claims at a time. One result per settlement, in order.
    pub async fn settle(
        &self,
        partition: &Partition,
        limits: DeadLimits,
        settlements: &[Settlement],
    ) -> Vec<Settled> {
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        let plan = Plan::add_to(&mut pipe, &keys, limits, settlements);
        match self.pipeline(&pipe).await {
            Ok(replies) => plan.read(&mut replies.into_iter(), self.address()).0,
            Err(error) => settlements
                .iter()
                .map(|_| Settled::Failed(Error::unknown(error.to_string())))
                .collect(),
        }
    }
}

/// How many jobs wait in each lane, in the order of [`Lane::ALL`].
pub type Depths = [u64; 5];

/// Which settlements each command of a pipeline carries.
pub(super) struct Plan {
    commands: Vec<Vec<usize>>,
    total: usize,
    completes: bool,
}

impl Plan {
    /// Adds the commands that apply the settlements.
    pub(super) fn add_to(
        pipe: &mut Pipeline,
        keys: &PartitionKeys,
        limits: DeadLimits,
        settlements: &[Settlement],
    ) -> Self {
        let mut plan = Self { commands: vec![], total: settlements.len(), completes: false };
        for lane in Lane::ALL {
            let of_lane = |fast: bool| -> Vec<usize> {
                let wanted = |s: &Settlement| s.subject.lane == lane && s.fast().is_some() == fast;
                (0..settlements.len()).filter(|i| wanted(&settlements[*i])).collect()
            };
            for group in chunks(&of_lane(true), settlements, COMPLETES, usize::MAX) {
                pipe.add_command(complete(keys, lane, settlements, &group));
                plan.commands.push(group);
                plan.completes = true;
            }
            for group in chunks(&of_lane(false), settlements, MOVES, MOVE_BYTES) {
                pipe.add_command(relocate(keys, lane, limits, settlements, &group));
                plan.commands.push(group);
            }
        }
        plan
    }

    /// Adds a question for the depths, unless a completion brings them anyway.
    pub(super) fn ask_depths(&mut self, pipe: &mut Pipeline, keys: &PartitionKeys) {
        if !self.completes {
            pipe.add_command(complete(keys, Lane::Normal, &[], &[]));
            self.commands.push(vec![]);
        }
    }

    /// Reads their replies, and no more of them.
    pub(super) fn read(
        &self,
        replies: &mut impl Iterator<Item = RedisResult<Value>>,
        address: &str,
    ) -> (Vec<Settled>, Option<Depths>) {
        let mut results: Vec<Option<Settled>> = (0..self.total).map(|_| None).collect();
        let mut depths = None;
        for (group, reply) in self.commands.iter().zip(replies.by_ref().take(self.commands.len())) {
            let verdict = reply
                .map_err(|error| classify(error, address))
                .and_then(|reply| verdict(reply, &mut depths));
            for (at, index) in group.iter().enumerate() {
                results[*index] = Some(match &verdict {
                    Ok(Verdict::All) => Settled::Applied,
                    Ok(Verdict::Epoch) => Settled::Epoch,
                    Ok(Verdict::Each(each)) if each.get(at) == Some(&b'1') => Settled::Applied,
                    Ok(Verdict::Each(_)) => Settled::Fenced,
                    Err(error) => Settled::Failed(Error::unknown(error.to_string())),
                });
            }
        }
        let lost = || Settled::Failed(Error::protocol("a reply is missing"));
        (results.into_iter().map(|result| result.unwrap_or_else(lost)).collect(), depths)
    }
}

enum Verdict {
    All,
    Epoch,
    Each(Vec<u8>),
}

/// Reads a verdict, and the depths where they come with it.
fn verdict(reply: Value, depths: &mut Option<Depths>) -> Result<Verdict, Error> {
    let word = match reply {
        Value::Array(list) => {
            let mut list = list.into_iter();
            let word = list.next().unwrap_or_default();
            let mut waiting = [0; 5];
            for (depth, value) in waiting.iter_mut().zip(list) {
                *depth = u64::try_from(reply::int(value)?).unwrap_or(0);
            }
            *depths = Some(waiting);
            word
        }
        word => word,
    };
    let word = reply::bytes(word)?;
    Ok(match word.as_slice() {
        b"OK" => Verdict::All,
        b"EPOCH" => Verdict::Epoch,
        _ => Verdict::Each(word),
    })
}

/// Groups of at most that many settlements and that many bytes: completions of one history, moves
/// of one owner.
fn chunks(
    indices: &[usize],
    settlements: &[Settlement],
    most: usize,
    most_bytes: usize,
) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    let mut bytes = 0_usize;
    for index in indices {
        let next = &settlements[*index];
        let fits = groups.last().is_some_and(|group: &Vec<usize>| {
            let first = group.first().map(|first| &settlements[*first]);
            group.len() < most
                && bytes.saturating_add(next.subject.bytes) <= most_bytes
                && first.is_some_and(|first| {
                    first.fast() == next.fast()
                        && (next.fast().is_some() || first.owner == next.owner)
                })
        });
        if !fits {
            groups.push(vec![]);
            bytes = 0;
        }
        if let Some(group) = groups.last_mut() {
            group.push(*index);
        }
        bytes = bytes.saturating_add(next.subject.bytes);
    }
    groups
}

fn complete(keys: &PartitionKeys, lane: Lane, settlements: &[Settlement], group: &[usize]) -> Cmd {
    let history = group.first().and_then(|index| settlements[*index].fast()).unwrap_or_default();
    let own = [keys.lane(lane), keys.stats.as_str()];
    let all = own.into_iter().chain(keys.ready.iter().map(String::as_str));
    let mut cmd = scripts::call(&scripts::COMPLETE, all);
    cmd.arg(history);
    for index in group {
        cmd.arg(settlements[*index].subject.entry.as_ref());
    }
    cmd
}

fn relocate(
    keys: &PartitionKeys,
    lane: Lane,
    limits: DeadLimits,
    settlements: &[Settlement],
    group: &[usize],
) -> Cmd {
    let owner = group.first().map(|index| settlements[*index].owner.as_ref()).unwrap_or_default();
    let own =
        [keys.lane(lane), &keys.due, &keys.bodies, &keys.dead, &keys.dead_bodies, &keys.stats];
    let all = own.into_iter().chain(keys.ready.iter().map(String::as_str));
    let mut cmd = scripts::call(&scripts::MOVE, all);
    cmd.arg(owner).arg(limits.count).arg(&keys.control);
    for index in group {
        let Settlement { subject, transition, .. } = &settlements[*index];
        let to = Destination::of(transition, lane, owner, subject.raw);
        cmd.arg(subject.entry.as_ref())
            .arg(&subject.job)
            .arg(&subject.plain)
            .arg(to.name)
            .arg(to.delay)
            .arg(to.head)
            .arg(&subject.body)
            .arg(to.death)
            .arg(to.counter);
    }
    cmd
}

/// A transition in the words of `move.lua`.
struct Destination {
    name: &'static str,
    counter: &'static str,
    delay: i64,
    head: Vec<u8>,
    death: Vec<u8>,
}

impl Destination {
    fn of(transition: &Transition, lane: Lane, node: &str, raw: bool) -> Self {
        let to = |name, counter| Self { name, counter, delay: 0, head: vec![], death: vec![] };
        match transition {
            Transition::Complete => to("gone", "completed"),
            Transition::Cancel(_) => to("gone", "cancelled"),
            Transition::Later { delay, counters, why } => {
                let counter = match why {
                    Wait::Retry => "retried",
                    Wait::Snooze => "snoozed",
                    Wait::NotForUs => "not_for_us",
                };
                let head = head(counters.lane(), counters);
                Self { delay: clamped_millis(*delay), head, ..to("due", counter) }
            }
            Transition::Ready { lane, counters, why } => {
                let counter = match why {
                    Return::Rescue => "rescued",
                    Return::HandBack => "handed_back",
                };
                Self { head: head(*lane, counters), ..to("lane", counter) }
            }
            Transition::Bury { counters } => {
                let unknown = || Failure::new(Cause::Error, "no reason was recorded");
                let failure = counters.last_failure.clone().unwrap_or_else(unknown);
                let death = Death { failure, node: node.to_owned(), raw };
                let head = head(counters.home(), counters);
                Self { head, death: death.encode(), ..to("dead", "buried") }
            }
            // Running again moves nothing; should it ever be asked for, the job keeps its place in
            // front and its history.
            Transition::RunAgain(counters) => {
                let front = if lane == Lane::Suspect { Lane::Suspect } else { Lane::Front };
                Self { head: head(front, counters), ..to("lane", "retried") }
            }
        }
    }
}
