//! The scripts of limited queues, driven by random steps of the real broker: claims, ends of every
//! kind, nodes that die, late and repeated calls, changed limits. After each step all that Redis
//! holds about the queue is compared with a model.
//!
//! `cargo xtask limits` walks longer, and leaves out each guard of the scripts.

mod claims;
mod ends;
mod groups;
mod jobs;
mod rates;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use poolder::{JobId, QueueName, Timestamp};
use poolder_core::broker::{
    Broker, ClaimConnection, GroupLimits, NodeName, Precedence, QueueLimits, SortedUpTo,
};
use poolder_core::{Claim, Partition};

use super::check::Snapshot;
use crate::harness::Space;
use rates::{Buckets, RATES};

/// The groups of a walk; few, so that their limits are reached.
const GROUPS: usize = 9;
const STEPS: usize = 220;
/// A time after which all that waits in `due` is due.
const LATER: Timestamp = Timestamp::from_millis(1 << 50);

/// What a walk has found to be wrong.
pub(super) type Wrong = String;

/// Fails the walk unless the condition holds.
macro_rules! must {
    ($holds:expr, $($why:tt)*) => {
        if !$holds { return Err(format!($($why)*)); }
    };
}
pub(super) use must;

/// Numbers that a seed determines.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// In a lane from which it is put into its group.
    Intake,
    /// In its group.
    Waiting,
    /// In the lane front or suspect, claimed or not.
    Admitted,
    Due,
    Dead,
    Gone,
}

/// A job of the model.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) group: String,
    pub(super) at: At,
    /// True when it goes before the others of its group.
    first: bool,
    /// How often a node has died under it.
    crashes: u32,
    /// The tokens that it takes.
    cost: u32,
}

/// A node: its claims, and its connection while it lives.
struct Node {
    name: NodeName,
    connection: ClaimConnection,
    held: Vec<Claim>,
    /// True after a claim that has brought too little: the node waits for a token.
    waits: bool,
}

/// A walk, and its model.
pub(super) struct Walk<'a> {
    space: &'a Space,
    broker: Broker,
    pub(super) partition: Partition,
    pub(super) raw: redis::aio::MultiplexedConnection,
    random: Random,
    up_to: SortedUpTo,
    nodes: Vec<Node>,
    /// The nodes that have died, and what they hold.
    dead: Vec<(NodeName, Vec<Claim>)>,
    named: usize,
    /// Claims that were settled or taken over.
    former: Vec<(NodeName, Claim)>,
    pub(super) jobs: BTreeMap<JobId, Job>,
    /// The ids of plain entries, by stream and entry.
    pub(super) plain: BTreeMap<String, JobId>,
    pub(super) order: BTreeMap<String, VecDeque<JobId>>,
    pub(super) limits: QueueLimits,
    pub(super) own: BTreeMap<String, GroupLimits>,
    /// The buckets after the last start.
    full: Buckets,
    /// Until when groups, and the queue, are held at least, in ms.
    held: BTreeMap<Option<String>, u64>,
    pub(super) paused: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    /// Walks a number of steps, and then until every job has ended.
    pub(super) async fn run(space: &'a Space, seed: u64) -> Result<(), Wrong> {
        let queue = QueueName::new(format!("walk-{seed}")).unwrap();
        let partition = Partition::first(queue);
        let client = redis::Client::open(space.url()).unwrap();
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let mut walk = Self {
            space,
            broker: space.client.broker().clone(),
            partition,
            raw: client.get_multiplexed_async_connection_with_config(&patient).await.unwrap(),
            random: Random(seed),
            up_to: SortedUpTo::default(),
            nodes: vec![],
            dead: vec![],
            named: 0,
            former: vec![],
            jobs: BTreeMap::new(),
            plain: BTreeMap::new(),
            order: BTreeMap::new(),
            limits: QueueLimits::default(),
            own: BTreeMap::new(),
            full: Buckets::default(),
            held: BTreeMap::new(),
            paused: BTreeSet::new(),
        };
        // Half of the walks begin with a limit of the queue that is reached all the time.
        walk.limits.concurrency = (seed % 2 == 1).then_some(3);
        // A third begins with a rate of each group, another one with a rate of the queue.
        match seed % 3 {
            1 => walk.limits.group_rate = RATES[1],
            2 => walk.limits.rate = RATES[2],
            _ => {}
        }
        walk.define().await?;
        for _ in 0..3 {
            walk.start_node().await;
        }
        for step in 0..STEPS {
            let what = walk.step().await.map_err(|why| format!("step {step}: {why}"))?;
            walk.check().await.map_err(|why| format!("step {step}, {what}: {why}"))?;
        }
        walk.wait_out_rates().await?;
        walk.end().await
    }

    pub(super) fn key(&self, rest: &str) -> String {
        self.space.key(self.partition.queue.as_str(), rest)
    }

    async fn step(&mut self) -> Result<&'static str, Wrong> {
        let node = self.random.below(self.nodes.len());
        let waiting = self.jobs.values().filter(|job| job.at == At::Waiting).count();
        match self.random.below(100) {
            0..22 if waiting < 60 => self.enqueue().await.map(|()| "enqueue"),
            0..30 => self.sort().await.map(|()| "sort"),
            30..52 => self.claim(node).await.map(|()| "claim"),
            52..68 => self.complete(node).await.map(|()| "complete"),
            68..76 => self.move_some(node).await.map(|()| "move"),
            76 => self.meet_limit(node).await.map(|()| "meet a limit"),
            77 => self.charge(node).await.map(|()| "charge"),
            78..82 => self.claim_suspect(node).await.map(|()| "claim a suspect"),
            82..86 => self.promote().await.map(|()| "promote"),
            86..88 => self.change().await.map(|()| "change limits"),
            88..89 => self.operate_group().await,
            89..92 => self.kill(node).await.map(|()| "kill"),
            92..95 => self.rescue().await.map(|()| "rescue"),
            95..97 => self.operate().await.map(|()| "operate"),
            97 => self.turn_clock_back().await.map(|()| "turn the clock back"),
            98 => self.operate_group().await,
            _ => self.calm().await.map(|()| "calm"),
        }
    }

    async fn start_node(&mut self) {
        self.named += 1;
        let name = format!("node-{}", self.named);
        let connection = self.space.connection(self.partition.queue.as_str(), &name).await;
        self.nodes.push(Node { name: name.into(), connection, held: vec![], waits: false });
    }

    fn group(&mut self) -> String {
        let (one, other) = (self.random.below(GROUPS), self.random.below(GROUPS));
        match one.min(other) {
            0 => String::new(),
            n => format!("g{n}"),
        }
    }

    pub(super) fn limit_of(&self, group: &str) -> Option<u32> {
        let own = self.own.get(group).and_then(|own| own.concurrency);
        own.or(self.limits.group_concurrency)
    }

    async fn define(&mut self) -> Result<(), Wrong> {
        let defined = self.broker.define_limits(&self.partition, self.limits, Precedence::Given);
        must!(defined.await.map_err(|error| error.to_string())?, "the limits were not set");
        self.note_buckets().await;
        Ok(())
    }

    async fn change(&mut self) -> Result<(), Wrong> {
        match self.random.below(6) {
            2 => {
                self.limits.group_rate = self.random.pick(&RATES);
                self.define().await
            }
            3 => {
                self.limits.rate = self.random.pick(&RATES);
                self.define().await
            }
            0 => {
                self.limits.group_concurrency =
                    self.random.pick(&[None, Some(1), Some(2), Some(5)]);
                self.define().await
            }
            1 => {
                self.limits.concurrency = self.random.pick(&[None, Some(3), Some(10)]);
                self.define().await
            }
            _ => {
                let group = self.group();
                let mut own = GroupLimits::default();
                own.concurrency = self.random.pick(&[None, Some(1), Some(3)]);
                own.weight = self.random.pick(&[None, Some(2), Some(5)]);
                own.rate = self.random.pick(&RATES);
                let set = self.broker.limit_group(&self.partition, &group, own).await;
                must!(set.map_err(|error| error.to_string())?, "the own limits were not set");
                self.own.insert(group, own);
                self.note_buckets().await;
                Ok(())
            }
        }
    }

    async fn check(&mut self) -> Result<(), Wrong> {
        self.check_buckets().await?;
        let snapshot = Snapshot::read(self).await;
        snapshot.compare(self)
    }

    /// Lets every job end, without limits.
    async fn end(&mut self) -> Result<(), Wrong> {
        self.limits = QueueLimits::default();
        self.own.clear();
        self.define().await?;
        for n in 0..GROUPS {
            let group = if n == 0 { String::new() } else { format!("g{n}") };
            let own = GroupLimits::default();
            self.broker.limit_group(&self.partition, &group, own).await.unwrap();
            self.broker.resume_group(&self.partition, &group).await.unwrap();
        }
        self.paused.clear();
        for _ in 0..200 {
            while !self.dead.is_empty() {
                self.rescue().await?;
            }
            self.promote().await?;
            self.sort().await?;
            for node in 0..self.nodes.len() {
                self.admit(node, vec![], 30, false).await?;
                self.claim_suspect(node).await?;
                self.complete_all(node).await?;
            }
            self.check().await.map_err(|why| format!("in the end: {why}"))?;
            if self.jobs.values().all(|job| matches!(job.at, At::Gone | At::Dead)) {
                let groups = Snapshot::read(self).await.groups.len();
                must!(groups == 0, "{groups} groups are left");
                return Ok(());
            }
        }
        Err("not every job has ended".into())
    }
}

#[tokio::test]
async fn limits_hold_and_nothing_is_lost_in_any_order_of_steps() {
    let walks = std::env::var("POOLDER_LIMIT_WALKS").ok().and_then(|text| text.parse().ok());
    let space = Space::new("limits-machine");
    for seed in 0..walks.unwrap_or(5) {
        Walk::run(&space, seed).await.unwrap_or_else(|why| panic!("walk {seed}: {why}"));
    }
}
