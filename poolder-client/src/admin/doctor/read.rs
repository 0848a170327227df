//! Reads the facts of a diagnosis, with bounded reads. Those of all partitions go to the server
//! together, so that their number hardly changes the number of round trips.

use std::collections::BTreeMap;

use futures_util::future::{try_join, try_join_all, try_join3, try_join4};
use poolder_core::broker::{LaneFacts, Membership, PartitionFacts};
use poolder_core::view::{JobView, Listing};
use poolder_core::{Error, JobId, Lane, Partition, QueueName, Timestamp};

use crate::admin::attention::attention;
use crate::admin::doctor::diagnosis::{Diagnosis, QueueMemory};
use crate::admin::doctor::facts::{PartitionSeen, QueueFacts, RunningFacts};
use crate::admin::doctor::observe::observed;
use crate::admin::doctor::{queue, server};
use crate::admin::finding::{Finding, Severity};
use crate::client::Client;

/// The most partitions of all queues that are looked at.
const MOST_PARTITIONS: usize = 1_000;
/// The waiting jobs of each lane whose kinds are looked at.
const SAMPLE: usize = 50;

impl Client {
    /// Examines the server, the nodes and all queues for faults: a server that may lose jobs, rights
    /// that are missing, queues that no node serves or leads, jobs that are overdue or of an unknown
    /// kind, damaged keys, and more; `docs/doctor.md` has them all. A server that cannot be reached
    /// is a finding. Looks at up to 1,000 partitions, and at 50 jobs of each lane.
    ///
    /// ```no_run
    /// # use poolder_client::{Client, Severity};
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let diagnosis = client.doctor().await?;
    /// println!("{diagnosis}");
    /// for finding in diagnosis.findings.iter().filter(|finding| finding.repair.is_some()) {
    ///     println!("{}", client.repair(finding).await?);
    /// }
    /// assert!(diagnosis.worst() < Some(Severity::Problem));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server goes away, or refuses a read, after it has answered.
    pub async fn doctor(&self) -> Result<Diagnosis, Error> {
        let broker = self.broker();
        let mut diagnosis = Diagnosis {
            address: broker.address().to_owned(),
            namespace: broker.namespace().to_owned(),
            server: String::new(),
            now: None,
            queues: 0,
            partitions: 0,
            nodes: 0,
            memory: vec![],
            findings: vec![],
        };
        let clock = match broker.server_clock().await {
            Ok(clock) => clock,
            Err(error) => {
                diagnosis.findings.push(unreachable(&error));
                return Ok(diagnosis);
            }
        };
        let now = clock.now;
        let read = self.read_together(|client| async move {
            let queues = async {
                let queues = client.all_queue_facts(now).await?;
                let memory = client.memory_of_queues(&queues).await?;
                Ok((queues, memory))
            };
            let broker = client.broker();
            let server = try_join(broker.server_facts(clock), broker.history_is_cut(now));
            try_join4(server, client.nodes(), queues, client.past()).await
        });
        let ((facts, is_cut), nodes, (queues, memory), past) = read.await?;
        let findings = &mut diagnosis.findings;
        diagnosis.server = server::name(&facts);
        diagnosis.now = Some(now);
        let seen = observed(&facts, &nodes, &queues, &past);
        findings.extend(attention(&seen));
        server::check(&facts, nodes.len() as u64, findings);
        match server::field(&facts, "cluster_enabled") {
            // A server that belongs to no cluster is the only one.
            Some("0") => findings.extend(server::distance(facts.latency, "server".to_owned())),
            _ => server::check_all(&self.servers().await?, findings),
        }
        if is_cut {
            findings.push(history_cut());
        }
        diagnosis.memory = memory;
        queue::check_memory(&diagnosis.memory, server::number(&facts, "maxmemory"), findings);
        for facts in &queues {
            queue::check(facts, &seen.nodes, now, findings);
        }
        let partitions = queues.iter().map(|queue| queue.partitions.len() as u64).sum();
        (diagnosis.queues, diagnosis.partitions) = (queues.len() as u64, partitions);
        diagnosis.nodes = nodes.len() as u64;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(diagnosis)
    }

    /// Returns the memory of each queue, the greatest first; nothing when the user may not ask.
    async fn memory_of_queues(&self, queues: &[QueueFacts]) -> Result<Vec<QueueMemory>, Error> {
        let all = queues.iter().flat_map(|queue| &queue.partitions);
        let all: Vec<Partition> = all.map(|part| part.partition.clone()).collect();
        let Some(bytes) = self.broker().memory_of(&all).await? else { return Ok(vec![]) };
        let mut sums: BTreeMap<&QueueName, u64> = BTreeMap::new();
        for (partition, bytes) in all.iter().zip(bytes) {
            *sums.entry(&partition.queue).or_default() += bytes;
        }
        let memory =
            |(queue, bytes): (&QueueName, u64)| QueueMemory { queue: queue.clone(), bytes };
        let mut sums: Vec<QueueMemory> = sums.into_iter().map(memory).collect();
        sums.sort_by_key(|queue| std::cmp::Reverse(queue.bytes));
        Ok(sums)
    }

    /// Reads the facts of all queues, of up to 1,000 partitions: all queues at the same time.
    pub(in crate::admin) async fn all_queue_facts(
        &self,
        now: Timestamp,
    ) -> Result<Vec<QueueFacts>, Error> {
        let queues = self.queues().await?;
        let homes = try_join_all(queues.iter().map(|queue| self.home_seen(queue, now))).await?;
        let mut left = MOST_PARTITIONS;
        let facts = homes.into_iter().map(|(facts, slots)| {
            let slots = slots.min(left);
            left -= slots;
            self.with_partitions(facts, slots, now)
        });
        try_join_all(facts).await
    }

    /// Reads what the first partition of a queue knows of it. Returns the number of its partitions as
    /// well; 0 where a key of the first one is damaged, since nothing else can be read then.
    async fn home_seen(
        &self,
        queue: &QueueName,
        now: Timestamp,
    ) -> Result<(QueueFacts, usize), Error> {
        let broker = self.broker();
        let home = Partition::first(queue.clone());
        let mut facts = QueueFacts {
            queue: queue.clone(),
            is_addressed: false,
            is_limited: false,
            paused_groups: vec![],
            paused: None,
            kinds: vec![],
            largest: None,
            partitions: vec![],
        };
        let faults = broker.partition_facts(&home, now).await?;
        if !faults.wrong_types.is_empty() {
            facts.partitions.push(damaged(&home, faults));
            return Ok((facts, 0));
        }
        let (pool, commands) = try_join(broker.pool_view(queue), broker.commands(&home)).await?;
        let pool = pool.filter(|pool| pool.mode.is_addressed());
        facts.is_addressed = pool.is_some();
        (facts.paused, facts.is_limited) = (commands.paused, commands.limited);
        if facts.is_limited {
            facts.paused_groups = broker.paused_groups(&home).await?;
        }
        Ok((facts, pool.map_or(1, |pool| usize::from(pool.top).max(1))))
    }

    /// Adds what is known of the first partitions of a queue.
    async fn with_partitions(
        &self,
        mut facts: QueueFacts,
        slots: usize,
        now: Timestamp,
    ) -> Result<QueueFacts, Error> {
        let all = (0..slots).filter_map(|index| u16::try_from(index).ok());
        let all = all.map(|index| Partition { queue: facts.queue.clone(), index });
        let is_slot = facts.is_addressed;
        let read = all.map(|partition| self.partition_seen(partition, is_slot, now));
        let mut kinds = BTreeMap::new();
        for (seen, jobs) in try_join_all(read).await? {
            facts.partitions.push(seen);
            for ((kind, job), bytes) in jobs {
                *kinds.entry(kind).or_insert(0) += 1;
                if facts.largest.is_none_or(|(_, most)| bytes > most) {
                    facts.largest = Some((job, bytes));
                }
            }
        }
        facts.kinds = kinds.into_iter().collect();
        Ok(facts)
    }

    async fn partition_seen(
        &self,
        partition: Partition,
        is_slot: bool,
        now: Timestamp,
    ) -> Result<(PartitionSeen, Vec<SampledJob>), Error> {
        let (broker, partition) = (self.broker(), &partition);
        let faults = broker.partition_facts(partition, now).await?;
        if !faults.wrong_types.is_empty() {
            return Ok((damaged(partition, faults), vec![]));
        }
        let holder = async {
            match is_slot {
                true => Ok(broker.slot_facts(partition).await?.holder),
                false => Ok(None),
            }
        };
        let (view, lanes, holder) =
            try_join3(broker.overview(partition), broker.lane_facts(partition), holder).await?;
        let names: Vec<String> = names(&lanes, holder.as_ref());
        let states = async {
            match names.is_empty() {
                true => Ok(vec![]),
                false => broker.membership(&names).await,
            }
        };
        let waiting = lanes.iter().filter(|lane| lane.is_stream && lane.len > lane.pending);
        let listings = waiting.map(|lane| (Listing::Ready, Some(lane.lane)));
        let listings = listings.chain((view.due > 0).then_some((Listing::Due, None)));
        let jobs = try_join_all(listings.map(|listing| self.sample(partition, listing)));
        let first = async {
            match view.running() > 0 {
                true => Ok(self.first_jobs(partition, (Listing::Running, None), 1).await?.pop()),
                false => Ok(None),
            }
        };
        let (states, jobs, first) = try_join3(states, jobs, first).await?;
        let members: Vec<(String, Membership)> = names.into_iter().zip(states).collect();
        let state = |name: &String| members.iter().find(|(it, _)| it == name).map(|it| it.1);
        let holder = holder.and_then(|name| state(&name).map(|state| (name, state)));
        let suspects = view.lanes.iter().filter(|lane| lane.lane.is_suspect());
        let seen = PartitionSeen {
            partition: partition.clone(),
            ready: view.ready(),
            running: view.running(),
            oldest: view.lanes.iter().filter_map(|lane| lane.oldest).min(),
            due: view.due,
            retrying: view.retrying,
            suspects: suspects.map(|lane| lane.ready + lane.running).sum(),
            dead: view.dead,
            dropped: view.counters.get("dead_dropped").copied().unwrap_or(0),
            leader: view.state.leader.map(|leader| leader.node),
            lanes,
            faults,
            holder,
            members,
            first_running: first.as_ref().map(running),
        };
        Ok((seen, jobs.concat()))
    }

    /// Returns the kinds and sizes of some of the first jobs of a listing of a partition.
    async fn sample(
        &self,
        partition: &Partition,
        listing: (Listing, Option<Lane>),
    ) -> Result<Vec<SampledJob>, Error> {
        let jobs = self.first_jobs(partition, listing, SAMPLE).await?;
        let sampled = |job: &JobView| {
            let raw = job.payload()?;
            Some((((raw.kind.to_owned(), raw.version), job.id()), raw.payload.len()))
        };
        Ok(jobs.iter().filter_map(sampled).collect())
    }
}

/// A job that was looked at: its kind and version, its id, and the bytes of its payload.
type SampledJob = (((String, u16), JobId), usize);

/// The finding of a history that has no room for all kinds.
fn history_cut() -> Finding {
    let what = "more kinds or errors were seen in a minute than the history has room for";
    let why = "the others are added up without their names, and the history does not show them";
    let cure = "give fewer kinds their own names, or look at the metrics of the nodes";
    Finding::new("history_cut", Severity::Note, "history".into(), (what.into(), why, cure))
}

/// Returns what is known of a partition of which a key holds a value of a wrong type.
fn damaged(partition: &Partition, faults: PartitionFacts) -> PartitionSeen {
    PartitionSeen {
        partition: partition.clone(),
        ready: 0,
        running: 0,
        oldest: None,
        due: 0,
        retrying: 0,
        suspects: 0,
        dead: 0,
        dropped: 0,
        leader: None,
        lanes: vec![],
        faults,
        holder: None,
        members: vec![],
        first_running: None,
    }
}

fn names(lanes: &[LaneFacts], holder: Option<&String>) -> Vec<String> {
    let consumers = lanes.iter().flat_map(|lane| &lane.consumers).map(|it| &it.name);
    let mut names: Vec<String> = consumers.chain(holder).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn running(job: &JobView) -> RunningFacts {
    RunningFacts {
        id: job.id(),
        node: job.node.clone().unwrap_or_default(),
        since: job.at,
        timeout: job.own_policy().and_then(|policy| policy.timeout),
    }
}

/// The finding of a server that does not answer, or refuses the user.
fn unreachable(error: &Error) -> Finding {
    let (code, why, cure) = match error.is_auth() {
        true => (
            "login",
            "no program with this user and password can enqueue or run jobs",
            "correct the user and the password of the URL, or the rules of the user \
             (docs/access.md)",
        ),
        false => (
            "unreachable",
            "no job can be enqueued, and none runs",
            "check the address, the network, and that the server runs",
        ),
    };
    let texts = (error.to_string(), why, cure);
    Finding::new(code, Severity::Problem, "server".into(), texts)
}
