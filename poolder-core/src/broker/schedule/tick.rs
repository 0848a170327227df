//! Publishing ticks. Any number of nodes may publish at once: the script publishes each tick once.

use std::time::Duration;

use redis::{Cmd, Value};
use tracing::field::Empty;

use super::{Found, Look, Wanted};
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
#[cfg(feature = "otel")]
use crate::job::spans;
use crate::job::{Error, Lane, Partition, Timestamp, clamped_millis};
use crate::schedule::{Overlap, Record, StoredState, TickPlan, spread};
use crate::stored::Envelope;

/// The most jobs that one script enqueues.
const MAX_JOBS: usize = 500;
/// The approximate most bytes of the jobs of one script, which may enqueue one job in any case.
const MAX_BYTES: usize = 1 << 20;
/// The most ticks that a schedule publishes in one script.
const MAX_TICKS: usize = 100;
/// The time after which a schedule that this version cannot read is tried again: a newer node may
/// lead by then.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// The outcome of publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// The number of schedules that were due. When it is not 0, more may be due: publish again at
    /// once.
    pub due: usize,
    /// The number of jobs that were enqueued, or wait for an earlier job of their schedule.
    pub jobs: u64,
    /// The time of the next tick of any schedule, if no schedule was due.
    pub next: Option<Timestamp>,
    /// The server's clock.
    pub now: Timestamp,
}

/// A schedule and its planned ticks, as `tick.lua` takes them.
pub(super) struct Step {
    name: String,
    revision: u64,
    before: Timestamp,
    plan: TickPlan,
    overlap: Overlap,
    lane: Lane,
    jobs: Vec<Envelope>,
}

impl Broker {
    /// Returns true when no schedule of the queue will ever tick. This check is cheaper than a
    /// publication that finds no due schedule.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn nothing_ticks(&self, partition: &Partition) -> Result<bool, Error> {
        let mut cmd = redis::cmd("ZCARD");
        cmd.arg(&self.keys(partition).schedules.next);
        Ok(reply::int(self.command(&cmd).await?)? == 0)
    }

    /// Publishes the due ticks of up to 100 schedules, in the name of a node. Must be called again
    /// while [`Publication::due`] is not 0.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. Ticks that were
    /// not published stay due.
    pub async fn publish_ticks(
        &self,
        partition: &Partition,
        node: &str,
    ) -> Result<Publication, Error> {
        self.publish_ticks_as_of(partition, node, None).await
    }

    /// Publishes due ticks as if the time were `now`; for tests.
    ///
    /// # Errors
    /// As [`Broker::publish_ticks`].
    pub async fn publish_ticks_as_of(
        &self,
        partition: &Partition,
        node: &str,
        now: Option<Timestamp>,
    ) -> Result<Publication, Error> {
        let look = self.look(partition, now, Wanted::Due).await?;
        let Look { now, head, found, .. } = look;
        let due = found.len();
        let steps: Vec<Step> =
            found.into_iter().map(|found| Step::of(partition, found, now)).collect();
        let keys = self.keys(partition);
        let mut jobs = 0;
        for group in groups(&steps) {
            let cmd = command(&keys, node, group);
            let reply = self.command_of(RedisOperation::Promote, &cmd).await?;
            let (published, unfound, at) = report(partition, group, reply)?;
            jobs += published;
            for (name, job) in unfound {
                self.look_for_holder(partition, (&name, &job), at).await?;
            }
        }
        Ok(Publication { due, jobs, next: if due == 0 { head } else { None }, now })
    }
}

impl Step {
    /// Plans the ticks of a schedule. Postpones a schedule that this version cannot read by
    /// [`RETRY_INTERVAL`].
    fn of(partition: &Partition, found: Found, now: Timestamp) -> Self {
        let Found { name, record, state, .. } = found;
        let planned = Record::decode(&record).and_then(|record| {
            let fit = (MAX_BYTES / record.schedule.job.as_bytes().len().max(1)).clamp(1, MAX_TICKS);
            let spread = spread(&name);
            let plan = record.schedule.plan(record.origin, state.last, now, spread, fit);
            let job = |at: &Timestamp| {
                let job = record.job_of_tick(&partition.queue, &name, *at, now)?;
                Ok::<_, Error>(traced(partition, &name, job))
            };
            let jobs = plan.run.iter().map(job);
            Ok((jobs.collect::<Result<Vec<_>, _>>()?, plan, record.schedule))
        });
        let (revision, before) = (state.revision, state.last);
        match planned {
            Ok((jobs, plan, schedule)) => {
                let (overlap, lane) = (schedule.overlap, schedule.lane);
                Self { name, revision, before, plan, overlap, lane, jobs }
            }
            Err(error) => {
                tracing::error!(
                    %partition, schedule = name, %error,
                    "this version cannot publish the ticks of a schedule, going on with the others"
                );
                let next = Some(now + RETRY_INTERVAL);
                let plan = TickPlan { run: vec![], last: before, missed: 0, next };
                Self::idle(name, &state, plan)
            }
        }
    }

    /// A plan of which no tick is published now.
    pub(super) fn without_jobs(found: Found, plan: TickPlan) -> Self {
        Self::idle(found.name, &found.state, plan)
    }

    fn idle(name: String, state: &StoredState, plan: TickPlan) -> Self {
        let (revision, before) = (state.revision, state.last);
        let (overlap, lane) = (Overlap::Allow, Lane::Normal);
        Self { name, revision, before, plan, overlap, lane, jobs: vec![] }
    }

    /// Returns the size of the jobs in bytes.
    fn bytes(&self) -> usize {
        self.jobs.iter().map(|job| job.as_bytes().len()).sum()
    }
}

/// Makes the job of a tick part of the trace that is active, in a span of its own, unless the
/// schedule has a trace.
fn traced(partition: &Partition, schedule: &str, job: Envelope) -> Envelope {
    let span = tracing::debug_span!(
        target: "poolder::span", "tick", schedule, queue = %partition.queue, job = %job.id(),
        otel.name = Empty, otel.kind = Empty,
    );
    #[cfg(feature = "otel")]
    {
        spans::describe(&span, spans::Operation::Tick, schedule, partition.queue.as_str());
        if job.trace_parent().is_none()
            && let Some(parent) = spans::context(&span)
        {
            // A job whose options have no room for it is sent without.
            return job.with_trace_parent(parent).unwrap_or(job);
        }
    }
    span.in_scope(|| job)
}

/// Splits steps into groups that one script can take.
pub(super) fn groups(steps: &[Step]) -> Vec<&[Step]> {
    let mut groups = vec![];
    let (mut start, mut jobs, mut bytes) = (0, 0, 0);
    for (at, step) in steps.iter().enumerate() {
        let (more, heavier) = (jobs + step.jobs.len(), bytes + step.bytes());
        if at > start && (more > MAX_JOBS || heavier > MAX_BYTES) {
            groups.push(&steps[start..at]);
            (start, jobs, bytes) = (at, step.jobs.len(), step.bytes());
        } else {
            (jobs, bytes) = (more, heavier);
        }
    }
    if start < steps.len() {
        groups.push(&steps[start..]);
    }
    groups
}

/// Builds the call of `tick.lua` by which a node publishes a group of steps.
pub(super) fn command(keys: &PartitionKeys, node: &str, steps: &[Step]) -> Cmd {
    let own = &keys.schedules;
    let first = [&own.states, &own.next, &own.running, &own.queued, &keys.due];
    let all = first.into_iter().chain(&keys.ready).chain([&keys.unique, &keys.bodies, &own.runs]);
    let all = all.chain([&keys.limits.groups, &keys.limits.jobs]);
    let mut cmd = scripts::call(&scripts::TICK, all.map(String::as_str));
    cmd.arg(node);
    for step in steps {
        let overlap = match step.overlap {
            Overlap::Allow => "allow",
            Overlap::Skip => "skip",
            Overlap::QueueOne => "queue",
        };
        cmd.arg(&step.name)
            .arg(step.revision)
            .arg(step.before.millis())
            .arg(step.plan.last.millis())
            .arg(step.plan.next.map(|next| next.millis().to_string()).unwrap_or_default())
            .arg(step.plan.missed)
            .arg(overlap)
            .arg(step.lane.index());
        // All jobs of a schedule have one payload.
        match step.jobs.first().and_then(Envelope::unique) {
            None => cmd.arg("").arg(0).arg(0),
            Some(held) => {
                cmd.arg(held.key.as_bytes()).arg(clamped_millis(held.hold)).arg(held.mode.number())
            }
        };
        cmd.arg(step.jobs.first().and_then(Envelope::group).unwrap_or_default());
        cmd.arg(step.jobs.len());
        for (job, tick) in step.jobs.iter().zip(&step.plan.run) {
            cmd.arg(job.as_bytes()).arg(tick.millis());
        }
    }
    cmd
}

/// The names of schedules, and the ids of their running jobs.
type Holders = Vec<(Vec<u8>, Vec<u8>)>;

/// Reads the reply and logs each schedule's ticks, missed ticks and dropped ticks. Returns the
/// number of jobs, the schedules whose running jobs were not found, and the server's clock.
pub(super) fn report(
    partition: &Partition,
    steps: &[Step],
    reply: Value,
) -> Result<(u64, Holders, Timestamp), Error> {
    let mut items = reply::array(reply)?.into_iter();
    let now = Timestamp::from_millis(reply::int(items.next().unwrap_or_default())?);
    let mut all = 0;
    for (step, item) in steps.iter().zip(items.by_ref()) {
        let Ok(jobs) = u64::try_from(reply::int(item)?) else {
            tracing::debug!(
                %partition, schedule = step.name,
                "the schedule was changed, or another node published its ticks"
            );
            continue;
        };
        all += jobs;
        if step.plan.missed > 0 {
            tracing::warn!(
                %partition, schedule = step.name, ticks = step.plan.missed,
                "ticks were missed, and no jobs are enqueued for them"
            );
        }
        let overlapping = (step.jobs.len() as u64).saturating_sub(jobs);
        if overlapping > 0 {
            tracing::info!(
                %partition, schedule = step.name, ticks = overlapping,
                "ticks were dropped: an earlier job of the schedule is under way, or another one holds \
                 its unique key"
            );
        }
        let late = step.plan.run.first().map(|first| now.since(*first));
        tracing::debug!(%partition, schedule = step.name, jobs, ?late, "ticked");
    }
    let mut unfound = vec![];
    while let (Some(name), Some(job)) = (items.next(), items.next()) {
        unfound.push((reply::bytes(name)?, reply::bytes(job)?));
    }
    Ok((all, unfound, now))
}
