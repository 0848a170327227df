//! The scripts of limited queues, driven by random steps of the real broker: claims, ends of every
//! kind, nodes that die, late and repeated calls, changed limits. After each step all that Redis
//! holds about the queue is compared with a model.
//!
//! `cargo xtask limits` walks longer, and leaves out each guard of the scripts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use poolder::{JobId, Lane, QueueName, Timestamp};
use poolder_core::broker::{
    Broker, ClaimConnection, DeadLimits, GroupLimits, NodeName, Precedence, PreparedJob,
    QueueLimits, Settled, Settlement, SortedUpTo, Stored,
};
use poolder_core::policy::decide::{Ending, Return, Transition, Wait, decide};
use poolder_core::{Claim, Entry, Envelope, Facts, Format, Handle, Partition, Place, Policy};

use super::check::Snapshot;
use crate::harness::Space;

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
}

impl<'a> Walk<'a> {
    /// Walks a number of steps, and then until every job has ended.
    pub(super) async fn run(space: &'a Space, seed: u64) -> Result<(), Wrong> {
        let queue = QueueName::new(format!("walk-{seed}")).unwrap();
        let partition = Partition::first(queue);
        let client = redis::Client::open(space.url()).unwrap();
        let mut walk = Self {
            space,
            broker: space.client.broker().clone(),
            partition,
            raw: client.get_multiplexed_async_connection().await.unwrap(),
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
        };
        // Half of the walks begin with a limit of the queue that is reached all the time.
        walk.limits.concurrency = (seed % 2 == 1).then_some(3);
        walk.define().await?;
        for _ in 0..3 {
            walk.start_node().await;
        }
        for step in 0..STEPS {
            let what = walk.step().await.map_err(|why| format!("step {step}: {why}"))?;
            walk.check().await.map_err(|why| format!("step {step}, {what}: {why}"))?;
        }
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
            68..78 => self.move_some(node).await.map(|()| "move"),
            78..82 => self.claim_suspect(node).await.map(|()| "claim a suspect"),
            82..86 => self.promote().await.map(|()| "promote"),
            86..89 => self.change().await.map(|()| "change limits"),
            89..92 => self.kill(node).await.map(|()| "kill"),
            92..95 => self.rescue().await.map(|()| "rescue"),
            95..98 => self.operate().await.map(|()| "operate"),
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

    async fn enqueue(&mut self) -> Result<(), Wrong> {
        for _ in 0..self.random.pick(&[1, 1, 2, 5, 12]) {
            let (group, id) = (self.group(), JobId::generate());
            let lane = self.random.pick(&[Lane::Normal, Lane::Normal, Lane::Low, Lane::High]);
            if self.random.chance(15) && lane != Lane::High {
                let (stream, kind) = (self.key(&format!("ready:{lane}")), "k");
                let mut add = redis::cmd("XADD");
                add.arg(&stream).arg("*").arg("kind").arg(kind).arg("payload").arg("{}");
                if !group.is_empty() {
                    add.arg("group").arg(&group);
                }
                let entry: String = add.query_async(&mut self.raw).await.unwrap();
                let id = self.id_of_plain(&stream, &entry).await;
                self.jobs.insert(id, Job { group, at: At::Intake, first: false, crashes: 0 });
                self.plain.insert(format!("{stream} {entry}"), id);
                continue;
            }
            let build = Envelope::build(id, "k", 1, None, Format::Json, |out| {
                out.extend(b"{}");
                Ok(())
            });
            let envelope = build.and_then(|envelope| envelope.in_group(&group)).unwrap();
            if self.random.chance(8) {
                // It comes back from `due`, and two nodes have died under it.
                let counters: &[u8] = b"\x96\x00\x02\x00\x00\x03\xc0";
                let mut add = redis::cmd("XADD");
                add.arg(self.key("ready:normal")).arg("*").arg("j").arg(envelope.as_bytes());
                add.arg("c").arg(counters).exec_async(&mut self.raw).await.unwrap();
                self.jobs.insert(id, Job { group, at: At::Intake, first: false, crashes: 2 });
                continue;
            }
            let mut new = PreparedJob::new(self.partition.clone(), envelope);
            new.lane = lane;
            let stored = self.broker.enqueue(&new).await.unwrap().stored;
            let (first, mut at) = (lane == Lane::High, At::Intake);
            // With nothing before it in its lane, it goes straight into its group.
            if let Stored::Grouped(of, _) = stored {
                must!(*of == *group && !first, "{of:?} is not {group:?}");
                let before = self.entries(Lane::Normal).await.len();
                must!(before == 0, "it goes before {before} jobs of its lane");
                self.order.entry(group.clone()).or_default().push_back(id);
                at = At::Waiting;
            }
            self.jobs.insert(id, Job { group, at, first, crashes: 0 });
        }
        Ok(())
    }

    /// Returns the UUIDv5 of a plain entry, by the server's SHA-1.
    async fn id_of_plain(&mut self, stream: &str, entry: &str) -> JobId {
        let mut ask = redis::cmd("EVAL");
        ask.arg("return redis.sha1hex(ARGV[1])").arg(0);
        ask.arg(format!("poolder job ids\0{stream}\n{entry}"));
        let digits: String = ask.query_async(&mut self.raw).await.unwrap();
        let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
        let mut bytes: [u8; 16] = std::array::from_fn(byte);
        bytes[6] = bytes[6] & 0x0f | 0x50;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        JobId::from_bytes(bytes)
    }

    async fn sort(&mut self) -> Result<(), Wrong> {
        let mut expected: Vec<Vec<JobId>> = vec![];
        for lane in [Lane::High, Lane::Normal, Lane::Low] {
            expected.push(self.entries(lane).await.into_iter().map(|entry| entry.job).collect());
        }
        let sorted = self.broker.sort(&self.partition, &mut self.up_to).await;
        let sorted = sorted.map_err(|error| error.to_string())?;
        let total: usize = expected.iter().map(Vec::len).sum();
        must!(sorted == Some(total as u64), "{sorted:?} were sorted, not {total}");
        for lane in expected {
            for id in lane.iter().rev().filter(|id| self.jobs[*id].first) {
                let group = self.jobs[id].group.clone();
                self.order.entry(group).or_default().push_front(*id);
            }
            for id in lane.iter().filter(|id| !self.jobs[*id].first) {
                let group = self.jobs[id].group.clone();
                self.order.entry(group).or_default().push_back(*id);
            }
            for id in lane {
                self.jobs.get_mut(&id).unwrap().at = At::Waiting;
            }
        }
        let again = self.broker.sort(&self.partition, &mut self.up_to).await.unwrap();
        must!(again == Some(0), "{again:?} were sorted twice");
        Ok(())
    }

    /// Cancels, deletes, puts off or buries a job that waits in its group.
    async fn operate(&mut self) -> Result<(), Wrong> {
        let waiting = self.jobs.iter().filter(|(_, job)| job.at == At::Waiting);
        let waiting: Vec<JobId> = waiting.map(|(id, _)| *id).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let id = self.random.pick(&waiting);
        let handle = Handle { partition: self.partition.clone(), job: id, place: None };
        let found = self.broker.find(&handle).await.map_err(|error| error.to_string())?;
        let found = found.ok_or("a waiting job is not found")?;
        let Some(Place::Group(group, _)) = &found.handle.place else {
            return Err(format!("{:?} is no group", found.handle));
        };
        must!(**group == *self.jobs[&id].group, "it is in {group:?}");
        let again = found.handle.to_string().parse::<Handle>().unwrap();
        let how = self.random.below(4);
        let (done, at) = match how {
            0 => (self.broker.cancel(&again).await.map(drop), At::Gone),
            1 => (self.broker.delete(&again).await, At::Gone),
            2 => (self.broker.reschedule(&again, Some(LATER)).await, At::Due),
            _ => (self.broker.bury(&again, "why").await, At::Dead),
        };
        must!(done.is_ok(), "change {how}: {done:?}");
        let job = self.jobs.get_mut(&id).unwrap();
        self.order.get_mut(&job.group).unwrap().retain(|other| *other != id);
        (job.at, job.first) = (at, job.first && at == At::Due);
        Ok(())
    }

    async fn claim(&mut self, node: usize) -> Result<(), Wrong> {
        let count = self.random.pick(&[1, 1, 2, 3, 8, 20]);
        self.admit(node, vec![], count, false).await
    }

    /// Settles and claims in one round trip.
    async fn admit(
        &mut self,
        node: usize,
        settlements: Vec<Settlement>,
        count: usize,
        woken: bool,
    ) -> Result<(), Wrong> {
        let before = self.admitted().await;
        let connection = &mut self.nodes[node].connection;
        let admitted = connection.admit(&settlements, count, woken).await;
        let (exchange, admission) = admitted.map_err(|error| error.to_string())?;
        for settled in &exchange.settled {
            must!(matches!(settled, Settled::Applied), "{settled:?}");
        }
        let claimed = exchange.claimed.map_err(|error| error.to_string())?;
        must!(claimed.undecodable.is_empty(), "{claimed:?}");
        self.note_admitted(&before).await?;
        let brought: BTreeSet<JobId> = claimed.jobs.iter().map(Claim::job_id).collect();
        for entry in self.entries(Lane::Front).await {
            let held = before.contains(&entry.job) || brought.contains(&entry.job);
            must!(held, "a job was admitted that the call has not claimed");
        }
        let left = self.unclaimed(Lane::Front).await;
        must!(left == 0 || claimed.len() == count, "{left} were left in front");
        let suspects = self.unclaimed(Lane::Suspect).await;
        must!(admission.suspects == suspects, "{} suspects, not {suspects}", admission.suspects);
        let node = &mut self.nodes[node];
        node.waits = claimed.len() < count;
        node.held.extend(claimed.jobs);
        Ok(())
    }

    /// Compares what was admitted since `before` with what may be, and notes it.
    async fn note_admitted(&mut self, before: &BTreeSet<JobId>) -> Result<(), Wrong> {
        let mut started: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
        for lane in [Lane::Front, Lane::Suspect] {
            for entry in self.entries(lane).await {
                if before.contains(&entry.job) {
                    continue;
                }
                let job = &self.jobs[&entry.job];
                must!(job.at == At::Waiting, "a job was admitted that is {:?}", job.at);
                let group = entry.group.as_deref();
                must!(group == Some(&job.group), "the permit is one of {group:?}");
                let suspect = lane.is_suspect();
                must!(suspect == (job.crashes >= 2), "after {} crashes in {lane}", job.crashes);
                started.entry(job.group.clone()).or_default().push(entry.job);
            }
        }
        let all = self.admitted().await.len();
        if !started.is_empty()
            && let Some(most) = self.limits.concurrency
        {
            must!(all <= most as usize, "over the limit of the queue: {all} of {most}");
        }
        for (group, jobs) in started {
            let order = self.order.get_mut(&group).unwrap();
            let first: BTreeSet<JobId> = order.drain(..jobs.len().min(order.len())).collect();
            let both: BTreeSet<JobId> = jobs.iter().copied().collect();
            must!(first == both, "the order of {group:?}");
            for id in jobs {
                self.jobs.get_mut(&id).unwrap().at = At::Admitted;
            }
            let running =
                self.jobs.values().filter(|job| job.group == group && job.at == At::Admitted);
            let (running, most) = (running.count(), self.limit_of(&group));
            let most = most.map_or(usize::MAX, |most| most as usize);
            must!(running <= most, "over the limit of a group: {running} of {most}");
        }
        Ok(())
    }

    pub(super) fn limit_of(&self, group: &str) -> Option<u32> {
        let own = self.own.get(group).and_then(|own| own.concurrency);
        own.or(self.limits.group_concurrency)
    }

    /// Takes some of the claims of a node, of one lane.
    fn take(&mut self, node: usize, most: usize) -> Vec<Claim> {
        let lane = self.random.pick(&[Lane::Front, Lane::Front, Lane::Front, Lane::Suspect]);
        let held = std::mem::take(&mut self.nodes[node].held);
        let (mut taken, mut rest) = (vec![], vec![]);
        for claim in held {
            let takes = claim.lane == lane && taken.len() < most && self.random.chance(75);
            if takes { taken.push(claim) } else { rest.push(claim) }
        }
        self.nodes[node].held = rest;
        taken
    }

    fn settlement(&self, node: usize, claim: &Claim, transition: Transition) -> Settlement {
        let node = &self.nodes[node];
        let history = node.connection.history();
        Settlement::new(claim.clone(), node.name.clone(), history, transition)
    }

    async fn complete(&mut self, node: usize) -> Result<(), Wrong> {
        let most = self.random.pick(&[1, 1, 2, 5, 30]);
        let claims = self.take(node, most);
        let mut settlements: Vec<_> =
            claims.iter().map(|claim| self.settlement(node, claim, Transition::Complete)).collect();
        for claim in &claims {
            self.jobs.get_mut(&claim.job_id()).unwrap().at = At::Gone;
        }
        if self.random.chance(30) {
            self.former(node, &claims);
            let count = self.random.pick(&[1, 2, 8]);
            return self.admit(node, settlements, count, false).await;
        }
        // A late call for what was settled before is refused, and changes nothing.
        let late = self.late(node);
        settlements.extend(late);
        let limits = DeadLimits::default();
        let settled = self.broker.settle(&self.partition, limits, &settlements).await;
        for (at, settled) in settled.iter().enumerate() {
            let applied = matches!(settled, Settled::Applied);
            must!(applied == (at < claims.len()), "completion {at}: {settled:?}");
        }
        if self.random.chance(20) {
            let again = self.broker.settle(&self.partition, limits, &settlements).await;
            must!(!again.iter().any(|it| matches!(it, Settled::Applied)), "completed twice");
        }
        self.former(node, &claims);
        // The nodes that wait must learn of it.
        if self.random.chance(30) { self.calm().await } else { Ok(()) }
    }

    fn former(&mut self, node: usize, claims: &[Claim]) {
        let name = self.nodes[node].name.clone();
        self.former.extend(claims.iter().map(|claim| (name.clone(), claim.clone())));
        let old = self.former.len().saturating_sub(20);
        self.former.drain(..old);
    }

    /// Returns a completion of a claim that is no longer held.
    fn late(&mut self, node: usize) -> Option<Settlement> {
        if self.former.is_empty() || !self.random.chance(30) {
            return None;
        }
        let at = self.random.below(self.former.len());
        let claim = self.former[at].1.clone();
        Some(self.settlement(node, &claim, Transition::Complete))
    }

    /// Ends attempts without completing their jobs.
    async fn move_some(&mut self, node: usize) -> Result<(), Wrong> {
        let most = self.random.pick(&[1, 2, 5]);
        let claims = self.take(node, most);
        let how = self.random.below(6);
        let name = self.nodes[node].name.clone();
        let other: NodeName = "another".into();
        for claim in &claims {
            let (transition, at, first) = transition(claim, how);
            let history = self.nodes[node].connection.history();
            let settle = |owner: &NodeName| {
                Settlement::new(claim.clone(), owner.clone(), history.clone(), transition.clone())
            };
            let limits = DeadLimits::default();
            let settlements = [settle(&other), settle(&name), settle(&name)];
            let settled = self.broker.settle(&self.partition, limits, &settlements[..1]).await;
            must!(matches!(settled[0], Settled::Fenced), "moved by another: {settled:?}");
            let settled = self.broker.settle(&self.partition, limits, &settlements[1..]).await;
            must!(
                matches!(settled[..], [Settled::Applied, Settled::Fenced]),
                "moved {how}: {settled:?}"
            );
            let job = self.jobs.get_mut(&claim.job_id()).unwrap();
            (job.at, job.first) = (at, first);
        }
        self.former(node, &claims);
        Ok(())
    }

    async fn claim_suspect(&mut self, node: usize) -> Result<(), Wrong> {
        let connection = &mut self.nodes[node].connection;
        let exchange = connection.exchange(&[], Some((Lane::Suspect, 1)), false).await.unwrap();
        self.nodes[node].held.extend(exchange.claimed.unwrap().jobs);
        Ok(())
    }

    async fn promote(&mut self) -> Result<(), Wrong> {
        self.broker.promote_as_of(&self.partition, Some(LATER)).await.unwrap();
        for job in self.jobs.values_mut().filter(|job| job.at == At::Due) {
            job.at = At::Intake;
        }
        Ok(())
    }

    async fn define(&mut self) -> Result<(), Wrong> {
        let defined = self.broker.define_limits(&self.partition, self.limits, Precedence::Given);
        must!(defined.await.map_err(|error| error.to_string())?, "the limits were not set");
        Ok(())
    }

    async fn change(&mut self) -> Result<(), Wrong> {
        match self.random.below(4) {
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
                let set = self.broker.limit_group(&self.partition, &group, own).await;
                must!(set.map_err(|error| error.to_string())?, "the own limits were not set");
                self.own.insert(group, own);
                Ok(())
            }
        }
    }

    async fn kill(&mut self, node: usize) -> Result<(), Wrong> {
        let node = self.nodes.swap_remove(node);
        self.dead.push((node.name, node.held));
        self.start_node().await;
        Ok(())
    }

    /// Takes back what a dead node holds.
    async fn rescue(&mut self) -> Result<(), Wrong> {
        let Some((name, held)) = self.dead.pop() else { return Ok(()) };
        self.former.extend(held.into_iter().map(|claim| (name.clone(), claim)));
        for lane in [Lane::Front, Lane::Suspect] {
            let held = self.broker.held_by(&self.partition, lane, &name, None).await.unwrap();
            let mut batch = vec![];
            for entry in held.entries {
                let Entry::Job(claim) = entry else { return Err("an entry is no job".into()) };
                let facts = Facts::at(Timestamp::from_millis(0));
                let ending = Ending::Crashed(name.to_string());
                let fate = decide(&Policy::default(), &claim.counters, ending, facts);
                let job = self.jobs.get_mut(&claim.job_id()).unwrap();
                job.crashes += 1;
                if let Transition::Bury { .. } = fate {
                    job.at = At::Dead;
                }
                batch.push(Settlement::new(claim, name.clone(), None, fate));
            }
            for settled in self.broker.settle(&self.partition, Default::default(), &batch).await {
                must!(matches!(settled, Settled::Applied), "a rescue: {settled:?}");
            }
        }
        Ok(())
    }

    /// Lets nothing happen but wakes and claims: then nothing may be left that could start while a
    /// node waits.
    async fn calm(&mut self) -> Result<(), Wrong> {
        for _ in 0..60 {
            let waits: Vec<usize> =
                (0..self.nodes.len()).filter(|node| self.nodes[*node].waits).collect();
            if waits.is_empty() {
                return Ok(());
            }
            let mut pop = redis::cmd("LPOP");
            pop.arg(self.key("limits:wake"));
            let token: Option<String> = pop.query_async(&mut self.raw).await.unwrap();
            if token.is_none() {
                break;
            }
            let (node, count) = (self.random.pick(&waits), self.random.pick(&[1, 2, 3]));
            self.admit(node, vec![], count, true).await?;
        }
        let full = match self.limits.concurrency {
            Some(most) => self.admitted().await.len() >= most as usize,
            None => false,
        };
        let waits = self.nodes.iter().any(|node| node.waits);
        let snapshot = Snapshot::read(self).await;
        must!(
            !waits || full || snapshot.turns.is_empty(),
            "a node waits, {:?} could start, and no token is there",
            snapshot.turns
        );
        Ok(())
    }

    async fn check(&mut self) -> Result<(), Wrong> {
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
        }
        for _ in 0..200 {
            while !self.dead.is_empty() {
                self.rescue().await?;
            }
            self.promote().await?;
            self.sort().await?;
            for node in 0..self.nodes.len() {
                self.admit(node, vec![], 30, false).await?;
                self.claim_suspect(node).await?;
                let claims = std::mem::take(&mut self.nodes[node].held);
                let complete = |claim| self.settlement(node, claim, Transition::Complete);
                let batch: Vec<_> = claims.iter().map(complete).collect();
                let settled = self.broker.settle(&self.partition, Default::default(), &batch).await;
                must!(settled.iter().all(|it| matches!(it, Settled::Applied)), "{settled:?}");
                for claim in claims {
                    self.jobs.get_mut(&claim.job_id()).unwrap().at = At::Gone;
                }
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

/// Returns a transition, where it puts the job, and whether the job then goes before the others.
fn transition(claim: &Claim, how: usize) -> (Transition, At, bool) {
    let mut counters = claim.counters.clone();
    counters.deliveries += 1;
    let year = std::time::Duration::from_secs(365 * 24 * 60 * 60);
    let failed = counters.failures > 0;
    match how {
        0 => (Transition::Bury { counters }, At::Dead, false),
        1 => (Transition::Cancel("why".into()), At::Gone, false),
        2 => {
            counters.failures += 1;
            (Transition::Later { delay: year, counters, why: Wait::Retry }, At::Due, true)
        }
        3 => {
            let first = failed || counters.home() == Lane::High;
            (Transition::Later { delay: year, counters, why: Wait::Snooze }, At::Due, first)
        }
        4 => (Transition::CompleteWith(b"result".to_vec()), At::Gone, false),
        _ => {
            let lane = if counters.is_suspect() { Lane::Suspect } else { Lane::Front };
            (Transition::Ready { lane, counters, why: Return::Release }, At::Admitted, false)
        }
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
