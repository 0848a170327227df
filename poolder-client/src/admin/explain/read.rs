//! Reads the facts about a job, with bounded reads that go to the server together: 3 to 7 round trips
//! after the job was found.

use futures_util::future::{try_join, try_join3, try_join4};
use poolder_core::broker::{LaneFacts, NodeView, PoolView};
use poolder_core::policy::dispatch::Mode;
use poolder_core::view::{JobView, Listing};
use poolder_core::{
    BatchPayload, Error, Handle, JobId, JobState, Lane, Partition, Place, QueueName, batcher_of,
    payload,
};

use crate::admin::explain::absent::{self, Traces};
use crate::admin::explain::checks::{Checks, explained};
use crate::admin::explain::decide::decide;
use crate::admin::explain::explanation::Explanation;
use crate::admin::explain::facts::{
    Facts, GroupSeen, JobSeen, LaneSeen, NodeSeen, OtherJob, QueueSeen, RunnerSeen, SlotSeen,
    UniqueSeen,
};
use crate::admin::kinds::kinds_for;
use crate::client::Client;
use crate::job::JobClient;

/// A lane with more entries than this may not have been searched whole.
const SEARCHED: u64 = 10_000;

impl JobClient {
    /// Explains why the job runs, waits, has ended, or does not run: whether it is there, dead,
    /// running and on which node, cancelled, waiting for its time, overdue without a leader; whether
    /// the queue is paused and served, and the kind known; in an addressed pool what holds up its
    /// slot; the jobs before it and the busy slots. A job that is not found is explained as well.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let job = client.job("mail.0/01936b2e-7c5b-7000-8000-00000000002a");
    /// let explanation = job.explain().await?;
    /// println!("{explanation}");
    /// if explanation.is_stuck() {
    ///     println!("{:?}: {:?}", explanation.verdict, explanation.hint);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a read.
    pub async fn explain(&self) -> Result<Explanation, Error> {
        let handle = self.handle()?;
        match self.stored().await? {
            Some(view) => self.client().explain_view(&view).await,
            None => {
                let checks = absent::decide(&self.traces(handle).await?);
                Ok(explanation(&handle.partition.queue, handle, None, checks))
            }
        }
    }

    async fn traces(&self, handle: &Handle) -> Result<Traces, Error> {
        let broker = self.client().broker();
        let (record, finished, traces, lanes) = try_join4(
            self.recorded(),
            broker.finished(handle),
            broker.job_traces(handle),
            broker.lane_facts(&handle.partition),
        )
        .await?;
        Ok(Traces {
            now: traces.now,
            record,
            finished,
            receipt: traces.receipt,
            cancelled: traces.cancelled,
            is_partial: lanes.iter().any(|lane| lane.len > SEARCHED),
        })
    }
}

impl Client {
    /// Explains a job of which only the id is known, as [`JobClient::explain`] does: it is searched in
    /// all queues, as [`Client::find`] does.
    ///
    /// # Errors
    /// As [`JobClient::explain`].
    pub async fn explain(&self, id: JobId) -> Result<Explanation, Error> {
        let found = self.find(id).await?;
        if let Some(view) = &found.job {
            return self.explain_view(view).await;
        }
        if let Some(ended) = found.ended {
            return self
                .job(Handle { partition: ended.partition, job: id, place: None })
                .explain()
                .await;
        }
        let away = found.unreachable.len() as u64;
        let checks = absent::nowhere(found.partitions, found.is_partial, away);
        Ok(explained(format!("job {id}"), (None, Some(id), None), checks))
    }

    /// Explains a job that was found.
    pub(super) async fn explain_view(&self, view: &JobView) -> Result<Explanation, Error> {
        let read = self.read_together(|client| async move { client.facts_of(view).await });
        let (facts, queue) = (read.await?, &view.handle.partition.queue);
        Ok(explanation(queue, &view.handle, Some(view.state), decide(&facts)))
    }

    async fn facts_of(&self, view: &JobView) -> Result<Facts, Error> {
        let (broker, partition) = (self.broker(), &view.handle.partition);
        let queue = &partition.queue;
        let home = Partition::first(queue.clone());
        let is_ready = matches!(view.state, JobState::Ready);
        let entry = match &view.handle.place {
            Some(Place::Entry(_, entry)) => Some(entry.clone()),
            _ => None,
        };
        let lanes = async {
            let lanes = broker.lane_facts(partition).await?;
            let lane = lanes.iter().find(|facts| facts.lane == view.lane);
            let ahead = match (lane, &entry, is_ready) {
                (Some(lane), Some(entry), true) => {
                    let ahead = broker.ahead_in(partition, lane, entry).await?;
                    Some((ahead.jobs, ahead.exact))
                }
                _ => None,
            };
            Ok((lanes, ahead))
        };
        let slot = async {
            match broker.pool_view(queue).await?.filter(|pool| pool.mode.is_addressed()) {
                Some(pool) => self.slot_of(partition, &pool).await.map(Some),
                None => Ok(None),
            }
        };
        let longest = async {
            match is_ready {
                true => Ok(self.first_jobs(partition, (Listing::Running, None), 1).await?.pop()),
                false => Ok(None),
            }
        };
        let group = async {
            match &view.handle.place {
                Some(Place::Group(group, number)) => {
                    self.group_of(view, group, *number).await.map(Some)
                }
                _ => Ok(None),
            }
        };
        let (((lanes, ahead), slot, longest, group), (overview, nodes, commands), own) = try_join3(
            try_join4(lanes, slot, longest, group),
            try_join3(broker.overview(partition), self.nodes(), broker.commands(&home)),
            try_join4(
                self.sealed_entries_of(view),
                broker.progress(partition, view.handle.job),
                self.unique_of(view),
                self.runner_of(view),
            ),
        )
        .await?;
        let (batch, progress, unique, mut runner) = own;
        if let (Some(runner), Some(node)) = (&mut runner, &view.node) {
            let consumers = lanes.iter().flat_map(|lane| &lane.consumers);
            runner.idle = consumers.filter(|it| it.name == *node).map(|it| it.idle).min();
        }
        let leader = match &slot {
            Some(slot) => slot.holder.clone(),
            None => overview.leader.as_ref().map(|leader| leader.node.clone()),
        };
        let lane = lanes.iter().find(|facts| facts.lane == view.lane);
        let rows = Lane::ALL.map(|lane| {
            let view = overview.lanes.iter().find(|view| view.lane == lane);
            view.map_or((0, 0, None), |view| (view.ready, view.running, view.oldest))
        });
        Ok(Facts {
            now: overview.now,
            job: JobSeen { entry, progress, unique, ..job_seen(view) },
            queue: QueueSeen { paused: commands.paused, leader, lanes: rows.into() },
            nodes: nodes.iter().filter_map(|node| serves(node, queue)).collect(),
            lane: lane.map_or_else(no_lane, lane_seen),
            ahead,
            group,
            longest: longest.as_ref().and_then(other_job),
            runner,
            slot,
            batch,
        })
    }

    async fn group_of(&self, view: &JobView, name: &str, number: u64) -> Result<GroupSeen, Error> {
        let facts = self.broker().group_facts(&view.handle.partition, name).await?;
        let record = facts.record;
        Ok(GroupSeen {
            name: name.to_owned(),
            before: record.map_or(0, |record| {
                number.saturating_sub(record.head).min(u64::from(record.waiting))
            }),
            running: record.map_or(0, |record| u64::from(record.running)),
            limit: facts.limit,
            paused: facts.paused,
            queue_running: facts.queue_running,
            queue_limit: facts.queue_limit,
            turns: facts.turns,
            rate: facts.rate,
            later: facts.later,
            queue_rate: facts.queue_rate,
            queue_later: facts.queue_later,
            held: record.and_then(|record| record.held),
            queue_held: facts.queue_held,
        })
    }

    /// Returns the number of entries of the batch that a batch job stands for.
    async fn sealed_entries_of(&self, view: &JobView) -> Result<Option<u64>, Error> {
        let Some(raw) = view.payload().filter(|raw| batcher_of(raw.kind).is_some()) else {
            return Ok(None);
        };
        let Ok(payload) = payload::decode::<BatchPayload>(raw) else { return Ok(None) };
        let len = self.broker().sealed_len(&view.handle.partition, view.id(), &payload).await;
        match len {
            // The job has the id of a batch that was sealed for another job.
            Err(error) if error.is_invalid() => Ok(None),
            len => len.map(Some),
        }
    }

    /// Returns who holds the key of a unique job.
    async fn unique_of(&self, view: &JobView) -> Result<Option<UniqueSeen>, Error> {
        let Some((key, mode)) = view.unique_key().zip(view.unique_mode()) else { return Ok(None) };
        let holder = self.broker().key_holder(&view.handle.partition, key).await?;
        let holder = holder.map(|held| held.job.job);
        Ok(Some(UniqueSeen { key, mode, holder, is_behind: view.waits_behind() }))
    }

    /// Returns the state of the node that runs a job.
    async fn runner_of(&self, view: &JobView) -> Result<Option<RunnerSeen>, Error> {
        match (&view.node, view.state) {
            (Some(node), JobState::Running) => self.runner(node).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn runner(&self, node: &str) -> Result<RunnerSeen, Error> {
        let times = self.broker().roster_times(node).await?;
        Ok(RunnerSeen { beat: times.beat, marked: times.marked, idle: None })
    }

    async fn slot_of(&self, slot: &Partition, pool: &PoolView) -> Result<SlotSeen, Error> {
        let broker = self.broker();
        let (lease, front) = try_join(broker.slot_facts(slot), self.first_in_slot(slot)).await?;
        let holder_seen = match &lease.holder {
            Some(holder) => Some(self.runner(holder).await?),
            None => None,
        };
        Ok(SlotSeen {
            index: slot.index,
            pool_stopped: pool.stopped,
            size: pool.size,
            tail: pool.tail,
            open: pool.open,
            is_keyed: pool.mode == Mode::Phash,
            stopped: lease.stopped,
            holder: lease.holder,
            holder_seen,
            hold: lease.hold,
            held: lease.held,
            edge: lease.edge,
            front,
        })
    }

    /// Returns the first job that waits in a slot.
    async fn first_in_slot(&self, slot: &Partition) -> Result<Option<OtherJob>, Error> {
        let first = |lane| self.first_jobs(slot, (Listing::Ready, Some(lane)), 1);
        let (front, normal) = try_join(first(Lane::Front), first(Lane::Normal)).await?;
        Ok(front.first().or(normal.first()).and_then(other_job))
    }
}

fn explanation(
    queue: &QueueName,
    handle: &Handle,
    state: Option<JobState>,
    checks: Checks,
) -> Explanation {
    let subject = format!("job {} of queue {queue}", handle.job);
    explained(subject, (Some(queue.clone()), Some(handle.job), state), checks)
}

fn job_seen(view: &JobView) -> JobSeen {
    JobSeen {
        id: view.id(),
        state: view.state,
        lane: view.lane,
        at: view.at,
        entry: None,
        node: view.node.clone(),
        kind: view.payload().map(|raw| (raw.kind.to_owned(), raw.version)),
        attempt: view.attempt(),
        failures: view.counters.failures,
        crashes: view.counters.crashes,
        deliveries: view.counters.deliveries,
        cancelling: view.cancelling,
        expires_at: view.expires_at(),
        policy: view.own_policy().map(|policy| (policy.attempts, policy.timeout)),
        key: view.key(),
        unique: None,
        failure: view.failure().map(ToString::to_string),
        error: view.error(),
        progress: None,
    }
}

fn other_job(view: &JobView) -> Option<OtherJob> {
    Some(OtherJob {
        id: view.id(),
        kind: view.kind()?.to_owned(),
        key: view.key(),
        node: view.node.clone(),
        since: view.at,
    })
}

/// Returns what a node says about itself, if it serves the queue.
fn serves(node: &NodeView, queue: &QueueName) -> Option<NodeSeen> {
    let info = node.info.as_ref()?;
    let (_, slots) = info.pools.iter().find(|(name, _)| name == queue.as_str())?;
    Some(NodeSeen {
        name: node.name.clone(),
        silent: node.silent,
        is_silent: node.is_silent(),
        slots: *slots as u64,
        kinds: kinds_for(info, queue),
    })
}

fn lane_seen(facts: &LaneFacts) -> LaneSeen {
    LaneSeen {
        is_stream: facts.is_stream,
        has_group: facts.has_group,
        consumers: facts.consumers.len() as u64,
        idle: facts.consumers.iter().map(|consumer| consumer.idle).min(),
    }
}

const fn no_lane() -> LaneSeen {
    LaneSeen { is_stream: true, has_group: false, consumers: 0, idle: None }
}
