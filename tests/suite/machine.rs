//! The real broker, driven by random steps against a simple reference kept in memory: after each
//! step everything in Redis is compared with what should be there.
//!
//! `POOLDER_MACHINE_CASES=2000 cargo test -p poolder --test suite machine` runs longer.

mod reference;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use poolder::{Config, Format, JobId, Lane, Policy, QueueName, Timestamp};
use poolder_core::broker::{
    Broker, ClaimConnection, DeadLimits, NodeName, PreparedJob, Settled, Settlement, Stored, When,
};
use poolder_core::policy::decide::{Ending, Return, Transition, Wait, decide};
use poolder_core::{Claim, Counters, Entry, Envelope, Facts, Partition};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config as Cases, TestRunner};

use crate::harness::RawEntry;
use reference::{Place, Reference, Snapshot};

const CONSUMERS: [&str; 3] = ["a", "b", "c"];
/// The earliest time of delayed jobs, in ms: a year ahead, so that the real clock does not reach it.
static LATER: LazyLock<i64> = LazyLock::new(|| (Timestamp::now() + YEAR).millis());
/// The delay of a job that goes back to `due`: longer than all times after [`LATER`].
const RETRY_DELAY: Duration = YEAR.saturating_mul(5);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A step. Its target is chosen among the jobs and claims that exist when it runs.
#[derive(Debug, Clone)]
enum Step {
    Enqueue(usize),
    EnqueueLater(usize, i64),
    EnqueueAgain(Index),
    Claim { consumer: usize, lane: usize, count: usize },
    Settle { claim: Index, how: How, carefully: bool },
    SettleAsAnother { claim: Index, how: How },
    SettleTogether(usize),
    Rescue(usize),
    Promote(i64),
    PromoteAll,
    Prune,
    Lead { node: usize, dead: Option<usize> },
    Resign(usize),
    DestroyGroup(usize),
    FlushScripts,
}

/// The settlement of a claim.
#[derive(Debug, Clone, Copy)]
enum How {
    Complete,
    CompleteWith,
    Retry,
    HandBack,
    Bury,
    Cancel,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let how = prop_oneof![
        4 => Just(How::Complete),
        1 => Just(How::CompleteWith),
        2 => Just(How::Retry),
        1 => Just(How::HandBack),
        1 => Just(How::Bury),
        1 => Just(How::Cancel),
    ];
    let pick = any::<Index>;
    let step = prop_oneof![
        6 => (2..5_usize).prop_map(Step::Enqueue),
        3 => (2..5_usize, 0..5_i64).prop_map(|(lane, at)| Step::EnqueueLater(lane, at)),
        1 => pick().prop_map(Step::EnqueueAgain),
        8 => (0..3_usize, 0..5_usize, 1..4_usize)
            .prop_map(|(consumer, lane, count)| Step::Claim { consumer, lane, count }),
        8 => (pick(), how.clone(), any::<bool>())
            .prop_map(|(claim, how, carefully)| Step::Settle { claim, how, carefully }),
        2 => (pick(), how).prop_map(|(claim, how)| Step::SettleAsAnother { claim, how }),
        2 => (0..3_usize).prop_map(Step::SettleTogether),
        2 => (0..3_usize).prop_map(Step::Rescue),
        2 => (0..5_i64).prop_map(Step::Promote),
        1 => Just(Step::PromoteAll),
        1 => Just(Step::Prune),
        1 => (0..3_usize, prop::option::of(0..3_usize))
            .prop_map(|(node, dead)| Step::Lead { node, dead }),
        1 => (0..3_usize).prop_map(Step::Resign),
        1 => (0..5_usize).prop_map(Step::DestroyGroup),
        1 => Just(Step::FlushScripts),
    ];
    prop::collection::vec(step, 1..60)
}

/// A claim that was made at some time; it may have been settled or taken over since.
#[derive(Clone)]
struct Held {
    claim: Claim,
    consumer: usize,
}

/// The broker, and the reference it is compared with.
struct Machine {
    broker: Broker,
    raw: redis::aio::MultiplexedConnection,
    partition: Partition,
    lines: Vec<ClaimConnection>,
    claims: Vec<Held>,
    jobs: Vec<PreparedJob>,
    reference: Reference,
    waits: u32,
}

impl Machine {
    async fn open(broker: &Broker, raw: redis::aio::MultiplexedConnection, case: u32) -> Self {
        let queue = QueueName::new(format!("case-{case}")).unwrap();
        let partition = Partition::first(queue);
        let mut lines = vec![];
        for name in CONSUMERS {
            let limits = DeadLimits::default();
            lines.push(ClaimConnection::open(broker, &partition, name, limits).await.unwrap());
        }
        let (claims, jobs) = (vec![], vec![]);
        let (broker, reference) = (broker.clone(), Reference::default());
        Self { broker, raw, partition, lines, claims, jobs, reference, waits: 0 }
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Enqueue(lane) => {
                let place = Place::Lane(*lane, "");
                let stored = self.enqueue(Lane::ALL[*lane], When::Now, place).await;
                prop_assert!(matches!(stored, Stored::Ready(_)), "{stored:?}");
            }
            Step::EnqueueLater(lane, at) => {
                let at = *LATER + at;
                let when = When::At(Timestamp::from_millis(at));
                let place = Place::Due(at, Lane::ALL[*lane].index());
                let stored = self.enqueue(Lane::ALL[*lane], when, place).await;
                prop_assert_eq!(stored, Stored::Due(Timestamp::from_millis(at)));
            }
            Step::EnqueueAgain(pick) if !self.jobs.is_empty() => {
                let again = self.broker.enqueue(pick.get(&self.jobs)).await.unwrap();
                prop_assert_eq!(again.stored, Stored::Already);
            }
            Step::Claim { consumer, lane, count } => self.claim(*consumer, *lane, *count).await?,
            Step::Settle { claim, how, carefully } if !self.claims.is_empty() => {
                let held = claim.get(&self.claims).clone();
                let history = self.lines[held.consumer].history().filter(|_| !carefully);
                let owner = held.consumer;
                self.settle(&held, owner, history, *how).await?;
            }
            Step::SettleAsAnother { claim, how } if !self.claims.is_empty() => {
                let held = claim.get(&self.claims).clone();
                self.settle(&held, (held.consumer + 1) % CONSUMERS.len(), None, *how).await?;
            }
            Step::SettleTogether(consumer) => self.settle_together(*consumer).await?,
            Step::Rescue(consumer) => self.rescue(*consumer).await?,
            Step::Promote(at) => self.promote(*LATER + at).await?,
            Step::PromoteAll => self.promote(i64::MAX >> 12).await?,
            Step::Prune => {
                let limits = DeadLimits::default();
                let now = Timestamp::now() + limits.age + HOUR;
                let pruned = self.broker.prune_dead(&self.partition, limits, now).await.unwrap();
                prop_assert_eq!(pruned, self.reference.prune());
            }
            Step::Lead { node, dead } => {
                let name = |node: usize| CONSUMERS[node];
                let dead = dead.map(name);
                let said = self.broker.lead(&self.partition, name(*node), HOUR, dead).await;
                let said = said.unwrap();
                let expected = self.reference.lead(name(*node), dead);
                prop_assert_eq!((said.ours, said.term, said.holder.as_str()), expected);
            }
            Step::Resign(node) => {
                self.broker.resign(&self.partition, CONSUMERS[*node]).await.unwrap();
                self.reference.resign(CONSUMERS[*node]);
            }
            Step::DestroyGroup(lane) => {
                let mut destroy = redis::cmd("XGROUP");
                destroy.arg("DESTROY").arg(self.key_of(*lane)).arg("workers");
                destroy.exec_async(&mut self.raw).await.unwrap();
                self.reference.destroy_group(*lane);
            }
            Step::FlushScripts => {
                redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut self.raw).await.unwrap();
            }
            // Nothing exists yet to apply these steps to.
            Step::EnqueueAgain(_) | Step::Settle { .. } | Step::SettleAsAnother { .. } => {}
        }
        Ok(())
    }

    async fn enqueue(&mut self, lane: Lane, when: When, place: Place) -> Stored {
        let number = u128::try_from(self.jobs.len()).unwrap();
        let id = JobId::from_bytes(number.to_be_bytes());
        let write = |out: &mut Vec<u8>| {
            out.extend(number.to_string().as_bytes());
            Ok(())
        };
        let policy = Policy::default();
        let envelope = Envelope::build(id, "k", 1, Some(&policy), Format::Json, write).unwrap();
        let mut new = PreparedJob::new(self.partition.clone(), envelope);
        (new.lane, new.when, new.idempotent) = (lane, when, Some(HOUR));
        let stored = self.broker.enqueue(&new).await.unwrap().stored;
        self.jobs.push(new);
        self.reference.store(place);
        stored
    }

    /// Returns how many commands have asked for a missing script.
    async fn missed(&mut self) -> u64 {
        let mut info = redis::cmd("INFO");
        let errors: String = info.arg("errorstats").query_async(&mut self.raw).await.unwrap();
        let count = |line: &str| line.strip_prefix("errorstat_NOSCRIPT:count=")?.parse().ok();
        errors.lines().find_map(count).unwrap_or(0)
    }

    async fn claim(
        &mut self,
        consumer: usize,
        lane: usize,
        count: usize,
    ) -> Result<(), TestCaseError> {
        let wanted = Some((Lane::ALL[lane], count));
        let missed = self.missed().await;
        let is_script = self.lines[consumer].is_cautious();
        let exchange = self.lines[consumer].exchange(&[], wanted, true).await.unwrap();
        let depths = exchange.depths.unwrap().map(usize::try_from).map(Result::unwrap);
        let claimed = exchange.claimed.unwrap();
        prop_assert!(claimed.undecodable.is_empty());
        let before = self.reference.depths();
        let expected = self.reference.claim(consumer, lane, count);
        // A script that must be loaded first runs after a claim that is no script, so that its
        // depths already include the claim.
        let ran_late = self.missed().await > missed && !is_script;
        prop_assert_eq!(depths, if ran_late { self.reference.depths() } else { before });
        let brought: Vec<usize> = claimed.jobs.iter().map(number_of).collect();
        prop_assert_eq!(brought, expected);
        for claim in claimed.jobs {
            let job = number_of(&claim);
            prop_assert_eq!(numbers(&claim.counters), self.reference.numbers(job));
            self.reference.made_claim(job, &claim.entry);
            self.claims.push(Held { claim, consumer });
        }
        Ok(())
    }

    /// Returns the transition for the broker, and the matching place for the reference.
    fn transition(&mut self, claim: &Claim, how: How) -> (Transition, Place) {
        let mut counters = claim.counters.clone();
        counters.deliveries += 1;
        match how {
            How::Complete => (Transition::Complete, Place::Gone("completed")),
            How::CompleteWith => {
                (Transition::CompleteWith(b"result".to_vec()), Place::Gone("completed"))
            }
            How::Cancel => (Transition::Cancel("why".into()), Place::Gone("cancelled")),
            How::Retry => {
                self.waits += 1;
                let delay = RETRY_DELAY + HOUR * self.waits;
                counters.failures += 1;
                // The server chooses the exact time; only the order is known here.
                let place = Place::Due(*LATER * 2 + i64::from(self.waits), counters.lane().index());
                (Transition::Later { delay, counters, why: Wait::Retry }, place)
            }
            How::HandBack => {
                let lane = if counters.is_suspect() { Lane::Suspect } else { Lane::Front };
                let place = Place::Lane(lane.index(), "handed_back");
                (Transition::Ready { lane, counters, why: Return::Release }, place)
            }
            How::Bury => (Transition::Bury { counters }, Place::Dead),
        }
    }

    async fn settle(
        &mut self,
        held: &Held,
        owner: usize,
        history: Option<Arc<str>>,
        how: How,
    ) -> Result<(), TestCaseError> {
        let (transition, place) = self.transition(&held.claim, how);
        let fast = history.is_some() && matches!(how, How::Complete);
        let after = numbers_after(&held.claim, &transition);
        let name: NodeName = CONSUMERS[owner].into();
        let settlement = Settlement::new(held.claim.clone(), name, history, transition);
        let limits = DeadLimits::default();
        let settled = self.broker.settle(&self.partition, limits, &[settlement]).await;
        let claim = (held.claim.lane.index(), &*held.claim.entry);
        let expected = self.reference.settle(claim, owner, place, after, fast);
        match (&settled[0], expected) {
            (Settled::Applied, Some(true))
            | (Settled::Fenced, Some(false))
            | (Settled::Failed(_), None) => Ok(()),
            (settled, expected) => Err(TestCaseError::fail(format!(
                "{settled:?}, but expected {expected:?} of {how:?}"
            ))),
        }
    }

    /// Settles in one pipeline every claim that a consumer ever made, those that are settled
    /// already, too.
    async fn settle_together(&mut self, consumer: usize) -> Result<(), TestCaseError> {
        let history = self.lines[consumer].history();
        let name: NodeName = CONSUMERS[consumer].into();
        let mine: Vec<Held> =
            self.claims.iter().filter(|held| held.consumer == consumer).cloned().collect();
        let batch: Vec<Settlement> = mine
            .iter()
            .map(|held| {
                let (claim, history) = (held.claim.clone(), history.clone());
                Settlement::new(claim, name.clone(), history, Transition::Complete)
            })
            .collect();
        let exchange = self.lines[consumer].exchange(&batch, None, true).await.unwrap();
        for (held, settled) in mine.iter().zip(exchange.settled) {
            let claim = (held.claim.lane.index(), &*held.claim.entry);
            let after = numbers_after(&held.claim, &Transition::Complete);
            let place = Place::Gone("completed");
            let expected = self.reference.settle(claim, consumer, place, after, true);
            let applied = matches!(settled, Settled::Applied);
            prop_assert_eq!(Some(applied), expected, "{:?}", settled);
        }
        Ok(())
    }

    async fn rescue(&mut self, consumer: usize) -> Result<(), TestCaseError> {
        let name: NodeName = CONSUMERS[consumer].into();
        for lane in Lane::ALL {
            if !self.reference.has_group(lane.index()) {
                continue;
            }
            let held = self.broker.held_by(&self.partition, lane, &name, None).await.unwrap();
            let mut batch = vec![];
            for entry in held.entries {
                let Entry::Job(claim) = entry else {
                    return Err(TestCaseError::fail("everything can be read"));
                };
                let ending = Ending::Crashed(name.to_string());
                let now = Timestamp::from_millis(0);
                let fate =
                    decide(&claim.envelope.policy(), &claim.counters, ending, Facts::at(now));
                let place = match &fate {
                    Transition::Ready { lane, .. } => Place::Lane(lane.index(), "rescued"),
                    Transition::Bury { .. } => Place::Dead,
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                };
                let after = numbers_after(&claim, &fate);
                let held = (lane.index(), &*claim.entry);
                let applied = self.reference.settle(held, consumer, place, after, false);
                prop_assert_eq!(applied, Some(true));
                batch.push(Settlement::new(claim, name.clone(), None, fate));
            }
            let limits = DeadLimits::default();
            for settled in self.broker.settle(&self.partition, limits, &batch).await {
                prop_assert!(matches!(settled, Settled::Applied), "{settled:?}");
            }
            prop_assert!(self.broker.remove_consumer(&self.partition, lane, &name).await.unwrap());
        }
        Ok(())
    }

    async fn promote(&mut self, now: i64) -> Result<(), TestCaseError> {
        let as_of = Some(Timestamp::from_millis(now));
        let promotion = self.broker.promote_as_of(&self.partition, as_of).await.unwrap();
        let all = now > *LATER * 2;
        prop_assert_eq!(promotion.moved, self.reference.promote(if all { i64::MAX } else { now }));
        prop_assert_eq!(promotion.next.is_some(), self.reference.waits());
        Ok(())
    }

    fn key(&self, rest: &str) -> String {
        format!("{}:{{{}}}:{rest}", self.broker.namespace(), self.partition)
    }

    fn key_of(&self, lane: usize) -> String {
        self.key(&format!("ready:{}", Lane::ALL[lane]))
    }
}

fn number_of(claim: &Claim) -> usize {
    usize::try_from(u128::from_be_bytes(*claim.job_id().as_bytes())).unwrap()
}

/// Returns failures, crashes and deliveries.
fn numbers(counters: &Counters) -> [u64; 3] {
    [counters.failures.into(), counters.crashes.into(), counters.deliveries]
}

/// Returns failures, crashes and deliveries of a job after this settlement of its claim.
fn numbers_after(claim: &Claim, fate: &Transition) -> [u64; 3] {
    match fate {
        Transition::Later { counters, .. }
        | Transition::Ready { counters, .. }
        | Transition::Bury { counters } => numbers(counters),
        _ => numbers(&claim.counters),
    }
}

/// Reads the contents of Redis without the code under test.
impl Machine {
    async fn snapshot(&mut self) -> Snapshot {
        let mut lanes = vec![];
        for lane in 0..Lane::ALL.len() {
            lanes.push(self.lane(lane).await);
        }
        let number = |id: &Vec<u8>| {
            usize::try_from(u128::from_be_bytes(id.as_slice().try_into().unwrap())).unwrap()
        };
        let (due, dead, bodies, dead_bodies, mut counts) = redis::pipe()
            .cmd("ZRANGE")
            .arg(self.key("due"))
            .arg(0)
            .arg(-1)
            .cmd("ZRANGE")
            .arg(self.key("dead"))
            .arg(0)
            .arg(-1)
            .hlen(self.key("bodies"))
            .hlen(self.key("dead:bodies"))
            .hgetall(self.key("stats"))
            .query_async::<(Vec<Vec<u8>>, Vec<Vec<u8>>, usize, usize, BTreeMap<String, u64>)>(
                &mut self.raw,
            )
            .await
            .unwrap();
        Snapshot {
            lanes,
            due: due.iter().map(number).collect(),
            bodies,
            dead: dead.iter().map(number).collect(),
            dead_bodies,
            retrying: counts.remove("retrying").unwrap_or(0),
            counts,
        }
    }

    async fn lane(&mut self, lane: usize) -> Vec<(usize, Option<usize>)> {
        let key = self.key_of(lane);
        let mut all = redis::cmd("XRANGE");
        all.arg(&key).arg("-").arg("+");
        let entries: Vec<RawEntry> = all.query_async(&mut self.raw).await.unwrap();
        let mut pending = redis::cmd("XPENDING");
        pending.arg(&key).arg("workers").arg("-").arg("+").arg(1000);
        // Without a group no entry is pending.
        let pending: Vec<(String, String, u64, u64)> =
            pending.query_async(&mut self.raw).await.unwrap_or_default();
        let holder = |id: &str| {
            let consumer = &pending.iter().find(|one| one.0 == id)?.1;
            CONSUMERS.iter().position(|name| name == consumer)
        };
        assert!(pending.iter().all(|one| entries.iter().any(|entry| entry.0 == one.0)));
        entries
            .iter()
            .map(|(id, fields)| {
                let job: [u8; 16] = fields[0].1[2..18].try_into().unwrap();
                (usize::try_from(u128::from_be_bytes(job)).unwrap(), holder(id))
            })
            .collect()
    }
}

#[test]
fn the_broker_does_what_a_simple_reference_does() {
    let server = poolder_devserver::Server::start().unwrap_or_else(|error| panic!("{error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = std::env::var("POOLDER_MACHINE_CASES").ok().and_then(|cases| cases.parse().ok());
    let config =
        Cases { cases: cases.unwrap_or(40), failure_persistence: None, ..Cases::default() };
    let (broker, raw) = runtime.block_on(async {
        let client = redis::Client::open(server.url()).unwrap();
        let raw = client.get_multiplexed_async_connection().await.unwrap();
        (Broker::new(Config::new(server.url()).namespace("machine")).unwrap(), raw)
    });
    let case = std::cell::Cell::new(0);
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        case.set(case.get() + 1);
        runtime.block_on(async {
            let mut machine = Machine::open(&broker, raw.clone(), case.get()).await;
            for step in &steps {
                machine.step(step).await?;
                let found = machine.snapshot().await;
                prop_assert_eq!(found, machine.reference.snapshot(), "after {:?}", step);
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
