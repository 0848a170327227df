//! The rates of the machine test: the bucket of each group and of the queue is compared with what has
//! started, by the server's clock.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder::{JobId, Rate};
use poolder_core::broker::{Effect, Settled};
use poolder_core::policy::decide::{Transition, Wait};

use super::super::check::Record;
use super::{At, Walk, Wrong, must};

/// The rates of the walks: short enough that their tokens come back during a walk.
pub(super) const RATES: [Option<Rate>; 4] = [
    None,
    Some(Rate::per(9, Duration::from_millis(60)).burst(2)),
    Some(Rate::per(20, Duration::from_millis(100)).burst(5)),
    Some(Rate::per(30, Duration::from_millis(100)).bucket(3)),
];

/// The rate of each group at the end of a walk, so that all jobs start soon.
const FAST: Rate = Rate::per(1_000, Duration::from_millis(1_000)).burst(3);

/// How far the clock goes back.
const BACK: u64 = 3_600_000_000;

/// When the buckets are full again, in µs: those of the groups, and that of the queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets {
    pub(super) now: u64,
    groups: BTreeMap<String, u64>,
    /// The groups that wait for their time.
    later: Vec<String>,
    queue: u64,
}

/// Returns the time of a token, and of a full bucket and of the window, in µs.
fn times(rate: Rate) -> (u64, u64, u64) {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap();
    let tokens = if rate.is_loose { rate.count } else { rate.count - rate.burst + 1 };
    let step = micros(rate.window).div_ceil(u64::from(tokens));
    (step, step * u64::from(rate.burst), micros(rate.window))
}

/// Returns when a bucket is full after so many units were taken at this time.
fn taken(rate: Rate, full_at: u64, now: u64, units: u64) -> u64 {
    let (step, full, window) = times(rate);
    let before = if full_at > now + full + window { now + full } else { full_at };
    before.max(now) + units * step
}

impl Walk<'_> {
    /// Returns the rate of a group.
    pub(in super::super) fn rate_of(&self, group: &str) -> Option<Rate> {
        self.own.get(group).and_then(|own| own.rate).or(self.limits.group_rate)
    }

    pub(super) async fn buckets(&mut self) -> Buckets {
        type Reply = ((u64, u64), Vec<(Vec<u8>, Vec<u8>)>, Option<u64>);
        let (now, groups, queue): Reply = redis::pipe()
            .cmd("TIME")
            .cmd("HGETALL")
            .arg(self.key("limits:groups"))
            .cmd("HGET")
            .arg(self.key("limits"))
            .arg("full_at")
            .query_async(&mut self.raw)
            .await
            .unwrap();
        let mut later = vec![];
        let records = groups.into_iter().filter(|(name, _)| name != b"\0");
        let mut full = |(name, record): (Vec<u8>, Vec<u8>)| {
            let (name, record) = (String::from_utf8(name).unwrap(), Record::read(&record));
            if record.state == 3 {
                later.push(name.clone());
            }
            (name, record.full_at)
        };
        let groups = records.map(&mut full).collect();
        Buckets { now: now.0 * 1_000_000 + now.1, groups, later, queue: queue.unwrap_or(0) }
    }

    /// Compares the buckets with what has started since `before`: all of it has taken its tokens,
    /// once, and there were enough.
    pub(super) async fn check_taken(
        &mut self,
        before: &Buckets,
        started: &BTreeMap<String, Vec<JobId>>,
    ) -> Result<(), Wrong> {
        let after = self.buckets().await;
        let mut costs = vec![];
        for (group, jobs) in started {
            let of_group: Vec<u32> = jobs.iter().map(|id| self.jobs[id].cost).collect();
            if let Some(rate) = self.rate_of(group) {
                let full = |all: &Buckets| all.groups.get(group).copied().unwrap_or(0);
                compare(group, rate, &of_group, (before, full(before)), (&after, full(&after)))?;
            }
            costs.extend(of_group);
        }
        if let Some(rate) = self.limits.rate
            && !costs.is_empty()
        {
            compare("the queue", rate, &costs, (before, before.queue), (&after, after.queue))?;
        }
        self.know(after);
        Ok(())
    }

    /// Notes the buckets as they are, after they have changed for another reason than a start.
    pub(super) async fn note_buckets(&mut self) {
        let buckets = self.buckets().await;
        self.know(buckets);
    }

    /// Notes buckets, but not those of groups that no step has read since the clock went back: they
    /// are cut by the step that reads them next.
    fn know(&mut self, mut buckets: Buckets) {
        let now = buckets.now;
        buckets.groups.retain(|_, full| *full < now + BACK / 2);
        self.full = buckets;
    }

    /// Compares the buckets with those after the last start: none forgets what was taken, and none is
    /// emptier than empty.
    pub(super) async fn check_buckets(&mut self) -> Result<(), Wrong> {
        let known = std::mem::take(&mut self.full);
        let now = self.buckets().await;
        for (group, full) in &known.groups {
            let found = now.groups.get(group).copied().unwrap_or(0);
            let rated = self.rate_of(group).is_some();
            let same = found == *full || *full <= now.now || !rated;
            must!(same, "the bucket of {group:?} is full at {found}, not {full}");
        }
        let same = now.queue == known.queue || known.queue <= now.now;
        must!(same || self.limits.rate.is_none(), "the bucket of the queue was forgotten");
        for group in &now.later {
            let (Some(rate), full) = (self.rate_of(group), now.groups[group]) else { continue };
            let (_, all, window) = times(rate);
            let most = now.now + all + window;
            must!(full <= most, "the bucket of {group:?} is emptier than empty: {full} > {most}");
        }
        self.full = known;
        Ok(())
    }

    /// Lets attempts meet a limit of another system: their jobs go back before the others of their
    /// groups, which are held, or the queue is.
    pub(super) async fn meet_limit(&mut self, node: usize) -> Result<(), Wrong> {
        let claims = self.take(node, 2);
        let (wait, is_queue) = (Duration::from_millis(15), self.random.chance(30));
        for claim in &claims {
            let why = if is_queue { Wait::HoldQueue } else { Wait::HoldGroup };
            let counters = claim.counters.clone();
            let later = Transition::Later { delay: wait, counters, why };
            let now = self.buckets().await.now;
            let settlements = [later.clone(), later].map(|it| self.settlement(node, claim, it));
            let limits = Default::default();
            let settled = self.broker.settle(&self.partition, limits, &settlements).await;
            must!(
                matches!(settled[..], [Settled::Applied, Settled::Fenced]),
                "a limit was met: {settled:?}"
            );
            let job = self.jobs.get_mut(&claim.job_id()).unwrap();
            job.at = At::Waiting;
            let group = job.group.clone();
            self.order.entry(group.clone()).or_default().push_front(claim.job_id());
            self.held.insert((!is_queue).then_some(group), now / 1_000 + 15);
        }
        self.former(node, &claims);
        Ok(())
    }

    /// Compares the groups that have started jobs with those that are held.
    pub(super) fn check_held<'a>(
        &self,
        started: impl Iterator<Item = &'a String>,
    ) -> Result<(), Wrong> {
        let now = self.full.now / 1_000;
        for group in started {
            for held in [None, Some(group.clone())] {
                let until = self.held.get(&held).copied().unwrap_or(0);
                must!(until <= now, "{group:?} has started at {now}, and is held until {until}");
            }
        }
        Ok(())
    }

    /// Completes a job that has cost another number of tokens than it has taken.
    pub(super) async fn charge(&mut self, node: usize) -> Result<(), Wrong> {
        let units = self.random.pick(&[0, 1, 3, 400]);
        for claim in self.take(node, 1) {
            let before = self.buckets().await;
            let settle = || {
                let done = self.settlement(node, &claim, Transition::Complete);
                done.with_effect(Effect::Charge(units))
            };
            let both = [settle(), settle()];
            let settled = self.broker.settle(&self.partition, Default::default(), &both).await;
            must!(
                matches!(settled[..], [Settled::Applied, Settled::Fenced]),
                "a charge: {settled:?}"
            );
            let job = self.jobs.get_mut(&claim.job_id()).unwrap();
            job.at = At::Gone;
            let (group, cost) = (job.group.clone(), job.cost);
            let after = self.buckets().await;
            if let Some(rate) = self.rate_of(&group) {
                let full = |all: &Buckets| all.groups.get(&group).copied().unwrap_or(0);
                let of = (full(&before), full(&after));
                compare_charge(&group, rate, (cost, units), of, (&before, &after))?;
            }
            if let Some(rate) = self.limits.rate {
                let of = (before.queue, after.queue);
                compare_charge("the queue", rate, (cost, units), of, (&before, &after))?;
            }
            self.full = after;
            self.former(node, &[claim]);
        }
        Ok(())
    }

    /// Lets the server's clock go back by an hour: all times that it has written are an hour ahead
    /// then. The leader looks at them.
    pub(super) async fn turn_clock_back(&mut self) -> Result<(), Wrong> {
        type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
        let (groups, timers): (Pairs, Vec<(Vec<u8>, f64)>) = redis::pipe()
            .cmd("HGETALL")
            .arg(self.key("limits:groups"))
            .cmd("ZRANGE")
            .arg(self.key("limits:timers"))
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES")
            .query_async(&mut self.raw)
            .await
            .unwrap();
        let mut pipe = redis::pipe();
        for (name, record) in groups.iter().filter(|(_, record)| record.len() == 39) {
            let ahead = Record::read(record).full_at + BACK;
            let new = [&record[..26], &ahead.to_be_bytes()[1..], &record[33..]].concat();
            pipe.cmd("HSET").arg(self.key("limits:groups")).arg(name).arg(new).ignore();
        }
        for (name, at) in timers {
            let ahead = at + (BACK / 1_000) as f64;
            pipe.cmd("ZADD").arg(self.key("limits:timers")).arg(ahead).arg(name).ignore();
        }
        if self.full.queue > 0 {
            let ahead = self.buckets().await.queue + BACK;
            pipe.cmd("HSET").arg(self.key("limits")).arg("full_at").arg(ahead).ignore();
        }
        if !pipe.is_empty() {
            let (): () = pipe.query_async(&mut self.raw).await.unwrap();
        }
        let checked = self.broker.check_times_of_groups(&self.partition).await;
        must!(checked.is_ok(), "the times were not looked at: {checked:?}");
        self.note_buckets().await;
        self.full.queue = 0;
        Ok(())
    }

    /// Gives turns to groups whose time has come, and says whether the leader knows when to look
    /// again.
    pub(super) async fn pass_time(&mut self) -> Result<Option<Duration>, Wrong> {
        let times = self.broker.start_groups_on_time(&self.partition).await;
        Ok(times.map_err(|error| error.to_string())?.next)
    }

    /// Lets jobs of all groups start and end, with all limits and faster rates, until none waits.
    pub(super) async fn wait_out_rates(&mut self) -> Result<(), Wrong> {
        for group in std::mem::take(&mut self.paused) {
            self.broker.resume_group(&self.partition, &group).await.unwrap();
        }
        for rate in [&mut self.limits.rate, &mut self.limits.group_rate] {
            *rate = rate.map(|_| FAST);
        }
        self.define().await?;
        for (group, mut own) in self.own.clone() {
            own.rate = own.rate.map(|_| FAST);
            self.broker.limit_group(&self.partition, &group, own).await.unwrap();
            self.own.insert(group, own);
        }
        self.note_buckets().await;
        for _ in 0..300 {
            while !self.dead.is_empty() {
                self.rescue().await?;
            }
            self.sort().await?;
            let next = self.pass_time().await?;
            let mut ended = 0;
            for node in 0..self.nodes.len() {
                self.admit(node, vec![], 30, false).await?;
                self.claim_suspect(node).await?;
                ended += self.complete_all(node).await?;
            }
            let here = |at| matches!(at, At::Intake | At::Waiting | At::Admitted);
            if !self.jobs.values().any(|job| here(job.at)) {
                self.check().await.map_err(|why| format!("when rates have held: {why}"))?;
                return Ok(());
            }
            if ended == 0 {
                let next = next.unwrap_or(Duration::ZERO).max(Duration::from_millis(1));
                tokio::time::sleep(next.min(Duration::from_millis(5))).await;
            }
        }
        Err("jobs wait for rates without an end".into())
    }

    /// Completes all that a node holds; returns how many jobs.
    pub(super) async fn complete_all(&mut self, node: usize) -> Result<usize, Wrong> {
        let claims = std::mem::take(&mut self.nodes[node].held);
        let complete = |claim| self.settlement(node, claim, Transition::Complete);
        let batch: Vec<_> = claims.iter().map(complete).collect();
        let settled = self.broker.settle(&self.partition, Default::default(), &batch).await;
        must!(settled.iter().all(|it| matches!(it, Settled::Applied)), "{settled:?}");
        for claim in &claims {
            self.jobs.get_mut(&claim.job_id()).unwrap().at = At::Gone;
        }
        Ok(claims.len())
    }
}

/// Compares when a bucket is full after a charge with when it was before.
fn compare_charge(
    what: &str,
    rate: Rate,
    (cost, units): (u32, u32),
    (full_before, full_after): (u64, u64),
    (before, after): (&Buckets, &Buckets),
) -> Result<(), Wrong> {
    let (step, full, window) = times(rate);
    let (cost, units) = (u64::from(cost.min(rate.burst)), u64::from(units));
    let at = |now: u64| {
        let known = if full_before > now + full + window { now + full } else { full_before };
        let charged = match units.checked_sub(cost) {
            Some(0) => known,
            Some(more) => known.max(now) + more * step,
            None => known.saturating_sub((cost - units) * step),
        };
        if charged <= now { 0 } else { charged.min(now + full + window) }
    };
    let (one, other) = (at(before.now), at(after.now));
    let range = one.min(other)..=one.max(other);
    // A bucket that is full by now is not full at a time that is known.
    let same = range.contains(&full_after) || full_after == 0 && one <= after.now;
    must!(same, "{what} is full at {full_after} after a charge, not at {range:?}");
    Ok(())
}

/// Compares when a bucket is full after jobs of these costs have started, with when it was before.
fn compare(
    what: &str,
    rate: Rate,
    costs: &[u32],
    (before, full_before): (&Buckets, u64),
    (after, full_after): (&Buckets, u64),
) -> Result<(), Wrong> {
    let units: u64 = costs.iter().map(|cost| u64::from(*cost.min(&rate.burst))).sum();
    let least = taken(rate, full_before, before.now, units);
    let most = taken(rate, full_before, after.now, units);
    must!(
        (least..=most).contains(&full_after),
        "{what} is full at {full_after} after {units} units, not at {least} to {most}"
    );
    let empty = after.now + times(rate).1;
    must!(full_after <= empty, "{what} has started {units} units without tokens");
    Ok(())
}
