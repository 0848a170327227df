//! Settlements of several features in one call, drawn at random, against a reference in memory.
//!
//! `POOLDER_MACHINE_CASES=2000 cargo test -p poolder --test suite combined` runs longer.

use std::collections::{BTreeMap, BTreeSet};

use poolder::Lane;
use poolder_core::Claim;
use poolder_core::broker::{RetryPlacement, Settled, Settlement};
use poolder_core::policy::decide::{Return, Transition, Wait};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, TestRunner};

use super::batch::{bury_entries, keep};
use super::{Contents, HOUR, Shape, Stage, envelope, failed, id_of, settlement};
use crate::harness::Space;

/// The number that is added to that of a job for the job that its schedule has queued.
const QUEUED: u8 = 100;
const SCHEDULES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

/// The end of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    CompleteWith,
    Cancel,
    Retry,
    Snooze,
    Release,
    RunAgain,
    Bury,
}

/// A job and its settlement.
#[derive(Debug, Clone, Copy)]
struct Case {
    end: End,
    batch: bool,
    /// Entries of the batch are set aside: one to be kept, one to be buried.
    parts: (bool, bool),
    alone: bool,
    /// Another job of the schedule is queued.
    queued: bool,
    kept: bool,
    cancelled: bool,
    lost: bool,
}

/// One call: its jobs, and the lease with the placement of retries in an addressed slot.
#[derive(Debug, Clone)]
struct Call {
    jobs: Vec<Case>,
    slot: Option<RetryPlacement>,
    lease_lost: bool,
}

impl Call {
    /// Returns true when the claim of a job, and the lease if there is one, still hold.
    fn holds(&self, case: &Case) -> bool {
        let leased = self.slot.is_none() || !self.lease_lost;
        leased && !case.lost
    }
}

fn calls() -> impl Strategy<Value = Call> {
    use End::{Bury, Cancel, Complete, CompleteWith, Release, Retry, RunAgain, Snooze};
    let ends = vec![Complete, CompleteWith, Cancel, Retry, Snooze, Release, RunAgain, Bury];
    let flags = prop::array::uniform7(any::<bool>());
    let case = (select(ends), flags, 0..5_u8).prop_map(|(end, flags, luck)| {
        let [batch, kept_part, buried_part, alone, queued, kept, cancelled] = flags;
        let parts = (batch && kept_part, batch && buried_part);
        Case { end, batch, parts, alone, queued, kept, cancelled, lost: luck == 0 }
    });
    let slot =
        select(vec![None, Some(RetryPlacement::BlockSlot), Some(RetryPlacement::Reschedule)]);
    (prop::collection::vec(case, 1..=SCHEDULES.len()), slot, 0..8_u8)
        .prop_map(|(jobs, slot, luck)| Call { jobs, slot, lease_lost: luck == 0 })
}

/// What is compared after a call.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    /// The jobs of each lane in order; negative while claimed.
    lanes: BTreeMap<usize, Vec<i16>>,
    due: BTreeSet<u8>,
    /// The dead, and the lanes to which they would be revived.
    dead: BTreeMap<u8, u8>,
    counts: BTreeMap<String, i64>,
    batcher: BTreeMap<String, i64>,
    /// The sealed lists by the first byte of their job ids.
    lists: BTreeMap<u8, Vec<Vec<u8>>>,
    /// The index of the sealed lists: whether their entries are counted.
    index: BTreeMap<u8, u8>,
    dropped: BTreeSet<u8>,
    /// The first byte of each record.
    records: BTreeMap<u8, u8>,
    running: BTreeMap<String, u8>,
    queued: BTreeMap<String, u8>,
    cancelled: BTreeSet<u8>,
    held: bool,
}

fn add(counts: &mut BTreeMap<String, i64>, name: &str, times: i64) {
    *counts.entry(name.to_owned()).or_default() += times;
}

impl Facts {
    /// Returns the facts before the call, and applies the call to them.
    fn after(call: &Call) -> Self {
        let mut facts = Self::default();
        for lane in 0..Lane::ALL.len() {
            facts.lanes.insert(lane, vec![]);
        }
        for (at, case) in call.jobs.iter().enumerate() {
            facts.prepare(u8::try_from(at).unwrap() + 1, SCHEDULES[at], case);
        }
        for (at, case) in call.jobs.iter().enumerate() {
            if call.holds(case) {
                facts.settle(u8::try_from(at).unwrap() + 1, SCHEDULES[at], case, call.slot);
            }
        }
        facts.batcher.retain(|_, count| *count != 0);
        facts
    }

    fn prepare(&mut self, job: u8, schedule: &str, case: &Case) {
        self.lane(Lane::Normal).push(-i16::from(job));
        if case.batch {
            self.lists.insert(job, vec![vec![b'a', job], vec![b'b', job]]);
            self.index.insert(job, b'1');
            add(&mut self.batcher, "waiting", 2);
        }
        if case.alone {
            self.running.insert(schedule.into(), job);
            if case.queued {
                self.queued.insert(schedule.into(), job + QUEUED);
            }
        }
        if case.cancelled {
            self.cancelled.insert(job);
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Vec<i16> {
        self.lanes.entry(lane.index()).or_default()
    }

    fn settle(&mut self, job: u8, schedule: &str, case: &Case, slot: Option<RetryPlacement>) {
        use End::{Bury, Cancel, Complete, CompleteWith, Release, Retry, RunAgain, Snooze};
        let goes_on = matches!(case.end, Retry | Snooze | Release | RunAgain);
        // Other jobs may have the ids of these cases, so that their cancellations stay.
        let cancelled = self.cancelled.contains(&job) && goes_on;
        self.lane(Lane::Normal).retain(|one| *one != -i16::from(job));
        if case.batch && !cancelled {
            self.parts(job, case);
        }
        let counter = match case.end {
            _ if cancelled => "cancelled",
            Complete | CompleteWith => "completed",
            Cancel => "cancelled",
            Retry | RunAgain => "retried",
            Snooze => "snoozed",
            Release => "handed_back",
            Bury => "buried",
        };
        add(&mut self.counts, counter, 1);
        match case.end {
            _ if cancelled => {}
            Complete | CompleteWith | Cancel => {}
            Retry | Snooze if slot == Some(RetryPlacement::BlockSlot) => {
                self.lane(Lane::Front).push(job.into());
                self.held = true;
            }
            Retry | Snooze => {
                self.due.insert(job);
                if case.end == Retry {
                    add(&mut self.counts, "retrying", 1);
                }
            }
            Release | RunAgain => self.lane(Lane::Front).push(job.into()),
            Bury => {
                self.dead.insert(job, 3);
            }
        }
        if case.batch {
            self.end_batch(job, case, cancelled, counter);
        }
        let ends = cancelled || !goes_on;
        if ends && case.alone {
            match self.queued.remove(schedule) {
                Some(next) => {
                    self.running.insert(schedule.into(), next);
                    self.lane(Lane::Low).push(next.into());
                }
                None => {
                    self.running.remove(schedule);
                }
            }
        }
        let tag = match case.end {
            _ if cancelled => b'c',
            Complete => b'd',
            CompleteWith => b'r',
            Cancel => b'c',
            _ => b'x',
        };
        if ends && (case.kept || case.end == CompleteWith) {
            self.records.insert(job, tag);
        }
    }

    /// Buries one entry of the batch, and keeps another.
    fn parts(&mut self, job: u8, case: &Case) {
        let (keeps, buries) = case.parts;
        if buries {
            let part = job | 0x80;
            self.lists.insert(part, vec![vec![b'b', job]]);
            self.index.insert(part, b'0');
            self.dead.insert(part, 3);
            add(&mut self.counts, "buried", 1);
            add(&mut self.batcher, "entries_buried", 1);
        }
        if keeps {
            self.lists.insert(job, vec![vec![b'a', job]]);
            add(&mut self.batcher, "waiting", -1);
            add(&mut self.batcher, "entries_retried", 1);
            add(&mut self.batcher, "completed_entries", 1 - i64::from(buries));
        }
    }

    fn end_batch(&mut self, job: u8, case: &Case, cancelled: bool, counter: &str) {
        let entries = i64::try_from(self.lists[&job].len()).unwrap();
        if matches!(counter, "completed" | "cancelled" | "retried" | "buried") {
            add(&mut self.batcher, counter, 1);
        }
        match case.end {
            _ if cancelled => {
                self.dropped.insert(job);
            }
            End::Complete | End::CompleteWith | End::Cancel => {
                self.lists.remove(&job);
                self.index.remove(&job);
                add(&mut self.batcher, "waiting", -entries);
                if case.end != End::Cancel {
                    let buried = i64::from(case.parts.1);
                    add(&mut self.batcher, "completed_entries", entries - buried);
                }
            }
            End::Bury => {
                self.index.insert(job, b'0');
                add(&mut self.batcher, "waiting", -entries);
            }
            End::Retry | End::Snooze | End::Release | End::RunAgain => {}
        }
    }
}

impl Stage {
    /// Reads the facts from Redis.
    async fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for lane in Lane::ALL {
            facts.lanes.insert(lane.index(), self.numbers(lane).await);
        }
        for (key, contents) in self.contents().await {
            let first = |id: &Vec<u8>| id[0];
            match (key.as_str(), contents) {
                ("due", Contents::Set(ids)) => facts.due = ids.iter().map(first).collect(),
                ("dead:bodies", Contents::Hash(records)) => {
                    let lane = |record: &Vec<u8>| {
                        record[2 + usize::from(u16::from_be_bytes([record[0], record[1]]))]
                    };
                    facts.dead = records.iter().map(|(id, it)| (id[0], lane(it))).collect();
                }
                ("batch:index", Contents::Hash(index)) => {
                    facts.index = index.iter().map(|(id, record)| (id[0], record[0])).collect();
                }
                ("batch:dropped", Contents::Set(ids)) => {
                    facts.dropped = ids.iter().map(first).collect();
                }
                ("cancelled", Contents::Set(ids)) => {
                    facts.cancelled = ids.iter().map(first).collect();
                }
                ("schedules:running", Contents::Hash(jobs)) => {
                    let name = |name: &Vec<u8>| String::from_utf8(name.clone()).unwrap();
                    facts.running = jobs.iter().map(|(key, job)| (name(key), job[0])).collect();
                }
                ("schedules:queued", Contents::Hash(jobs)) => {
                    let name = |name: &Vec<u8>| String::from_utf8(name.clone()).unwrap();
                    facts.queued = jobs.iter().map(|(key, job)| (name(key), job[3])).collect();
                }
                ("lease", Contents::Hash(lease)) => {
                    facts.held = lease.contains_key(b"hold".as_slice());
                }
                (key, Contents::List(entries)) if key.starts_with("batch:sealed:") => {
                    let id = &key["batch:sealed:".len()..][..2];
                    facts.lists.insert(u8::from_str_radix(id, 16).unwrap(), entries);
                }
                (key, Contents::Text(record, true)) if key.starts_with("result:") => {
                    let id = &key["result:".len()..][..2];
                    facts.records.insert(u8::from_str_radix(id, 16).unwrap(), record[0]);
                }
                _ => {}
            }
        }
        assert_eq!(self.hash_len("bodies").await, facts.due.len());
        facts.counts = self.counts("stats").await;
        facts.batcher = self.counts("batch:about:rows").await;
        facts.batcher.retain(|_, count| *count != 0);
        facts
    }

    /// Stores and claims the jobs of a call, and settles them together.
    async fn play(&mut self, call: &Call) -> Vec<Settled> {
        let lease = self.lease().await;
        let shape = |(at, case): (usize, &Case)| Shape {
            number: u8::try_from(at).unwrap() + 1,
            batch: case.batch,
            alone: case.alone.then(|| SCHEDULES[at]),
            kept: case.kept,
        };
        let shapes: Vec<_> = call.jobs.iter().enumerate().map(shape).collect();
        let claims = self.claim_from(Lane::Normal, &shapes).await;
        let mut settlements = vec![];
        for ((claim, shape), case) in claims.iter().zip(&shapes).zip(&call.jobs) {
            let mut one = settlement(claim, transition(claim, case.end));
            if case.parts.1 {
                self.set_aside(shape.number, "buried", &[vec![b'b', shape.number]]).await;
                one = bury_entries(one, shape.number);
            }
            if case.parts.0 {
                self.set_aside(shape.number, "kept", &[vec![b'a', shape.number]]).await;
                one = keep(one);
            }
            self.outside(*shape, case, claim).await;
            settlements.push(match call.slot {
                Some(placement) => under(one, &lease, placement, call.lease_lost),
                None => one,
            });
        }
        self.settle(&settlements).await
    }

    /// Notes the schedule of a job, and what others did while it ran.
    async fn outside(&self, shape: Shape<'_>, case: &Case, claim: &Claim) {
        if let Some(schedule) = shape.alone {
            let (running, queued) = (self.key("schedules:running"), self.key("schedules:queued"));
            let holder = [id_of(shape.number).as_bytes().as_slice(), b"\x031-1"].concat();
            let _: u64 =
                self.set("HSET", &[running.as_bytes(), schedule.as_bytes(), &holder]).await;
            if case.queued {
                let next = Shape { number: shape.number + QUEUED, ..shape };
                let next = [&[4], envelope(next).as_bytes()].concat();
                let _: u64 =
                    self.set("HSET", &[queued.as_bytes(), schedule.as_bytes(), &next]).await;
            }
        }
        if case.cancelled {
            self.cancel(shape.number).await;
        }
        if case.lost {
            self.steal(claim).await;
        }
    }
}

fn under(
    settlement: Settlement,
    lease: &poolder_core::broker::SlotLease,
    placement: RetryPlacement,
    lost: bool,
) -> Settlement {
    let term = if lost { lease.term - 1 } else { lease.term };
    settlement.under_lease(&poolder_core::broker::SlotLease { term, ..lease.clone() }, placement)
}

fn transition(claim: &Claim, end: End) -> Transition {
    let counters = claim.counters.clone();
    match end {
        End::Complete => Transition::Complete,
        End::CompleteWith => Transition::CompleteWith(b"1".to_vec()),
        End::Cancel => Transition::Cancel("why".into()),
        End::Retry => Transition::Later { delay: HOUR, counters: failed(claim), why: Wait::Retry },
        End::Snooze => Transition::Later { delay: HOUR, counters, why: Wait::Snooze },
        End::Release => Transition::Ready { lane: Lane::Front, counters, why: Return::Release },
        End::RunAgain => Transition::RunAgain(counters),
        End::Bury => Transition::Bury { counters: failed(claim) },
    }
}

#[test]
fn features_that_meet_in_one_settlement_do_not_disturb_each_other() {
    let server = poolder_devserver::Server::start().unwrap_or_else(|error| panic!("{error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = std::env::var("POOLDER_MACHINE_CASES").ok().and_then(|cases| cases.parse().ok());
    let config =
        Cases { cases: cases.unwrap_or(60), failure_persistence: None, ..Cases::default() };
    let number = std::cell::Cell::new(0);
    let outcome = TestRunner::new(config).run(&calls(), |call| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let space = Space::on(server.url(), "combined");
            let mut stage = Stage::at(space, &format!("case-{}", number.get())).await;
            let settled = stage.play(&call).await;
            for (settled, case) in settled.iter().zip(&call.jobs) {
                match settled {
                    Settled::Applied => prop_assert!(call.holds(case)),
                    Settled::Fenced => prop_assert!(!call.holds(case)),
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                }
            }
            prop_assert_eq!(stage.facts().await, Facts::after(&call));
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
