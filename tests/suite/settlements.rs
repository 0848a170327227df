//! Settlements through `settle.lua`: what each operation changes, and that a settlement whose claim
//! is lost changes nothing at all. Every test compares the whole namespace before and after.

mod addressed;
mod batch;
mod combined;
mod jobs;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use poolder::{Cause, Failure, JobId, Lane, QueueName};
use poolder_core::broker::{
    ClaimConnection, DeadLimits, NodeName, RetryPlacement, Settled, Settlement, SlotLease,
};
use poolder_core::policy::decide::{Return, Transition, Wait};
use poolder_core::{Claim, Counters, Envelope, Partition};
use redis::Value;

use crate::harness::{RawEntry, Space};

const HOUR: Duration = Duration::from_secs(60 * 60);
const BATCHER: &str = "rows";
const OWNER: &str = "me";

/// The contents of a key, without times and ids that the server chose.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Contents {
    /// The numbers of the jobs in a lane, in order, and whether each is claimed.
    Lane(Vec<(Vec<u8>, bool)>),
    /// The members of a sorted set or a set.
    Set(BTreeSet<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    List(Vec<Vec<u8>>),
    /// A string, and whether it is kept for a limited time.
    Text(Vec<u8>, bool),
}

/// A queue with one consumer, whose jobs are settled.
struct Stage {
    space: Space,
    partition: Partition,
    line: ClaimConnection,
}

/// A job as the stage stores it.
#[derive(Debug, Clone, Copy, Default)]
struct Shape<'a> {
    number: u8,
    /// True for a job of the batcher.
    batch: bool,
    /// The schedule that allows no other job while this one runs.
    alone: Option<&'a str>,
    /// True when a completion record is kept.
    kept: bool,
}

fn id_of(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

/// Returns the stored form of a job. The options are written by hand, since only the leader makes
/// jobs of ticks.
fn envelope(shape: Shape<'_>) -> Envelope {
    let mut options = vec![0x80];
    if shape.kept {
        options.extend(b"\xa1e\xce\x00\x36\xee\x80");
        options[0] += 1;
    }
    if let Some(schedule) = shape.alone {
        options.extend(b"\xa1s\x83\xa1n");
        options.push(0xa0 | u8::try_from(schedule.len()).unwrap());
        options.extend(schedule.as_bytes());
        options.extend(b"\xa1t\x01\xa1a\xc3");
        options[0] += 1;
    }
    let kind = if shape.batch { "poolder.batch/rows" } else { "number" };
    let mut raw = vec![1, 1];
    raw.extend(id_of(shape.number).as_bytes());
    raw.push(u8::try_from(kind.len()).unwrap());
    raw.extend(kind.as_bytes());
    raw.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    raw.extend(options);
    if shape.batch {
        // The payload ends with the time at which the batch was sealed.
        raw.extend(b"\x85\xa5group\xa0\xa7entries\x02\xa5bytes\x04\xa5since\x05\xa6sealed");
    }
    raw.push(shape.number);
    Envelope::parse(raw).unwrap()
}

impl Stage {
    async fn new(test: &str) -> Self {
        Self::at(Space::new(test), "q").await
    }

    async fn at(space: Space, queue: &str) -> Self {
        let partition = Partition::first(QueueName::new(queue).unwrap());
        let line = space.connection(queue, OWNER).await;
        Self { space, partition, line }
    }

    fn key(&self, rest: &str) -> String {
        self.space.key(self.partition.queue.as_str(), rest)
    }

    fn sealed(&self, number: u8) -> String {
        self.key(&format!("batch:sealed:{}", id_of(number)))
    }

    async fn set<T: redis::FromRedisValue>(&self, command: &str, words: &[&[u8]]) -> T {
        self.space.redis(redis::cmd(command).arg(words)).await
    }

    /// Adds jobs to a lane and claims them. A batch job gets two entries that are named by its
    /// number, and are counted as waiting.
    async fn claim_from(&mut self, lane: Lane, shapes: &[Shape<'_>]) -> Vec<Claim> {
        let key = self.key(&format!("ready:{lane}"));
        for shape in shapes {
            let envelope = envelope(*shape);
            let _: String =
                self.set("XADD", &[key.as_bytes(), b"*", b"j", envelope.as_bytes()]).await;
            if shape.batch {
                let (list, index, about) =
                    (self.sealed(shape.number), self.key("batch:index"), self.about());
                let id = id_of(shape.number);
                let (a, b) = ([b'a', shape.number], [b'b', shape.number]);
                let _: u64 = self.set("RPUSH", &[list.as_bytes(), &a, &b]).await;
                let record = format!("1 2 4 5 {} rows:", shape.number);
                let words: [&[u8]; 3] = [index.as_bytes(), id.as_bytes(), record.as_bytes()];
                let _: u64 = self.set("HSET", &words).await;
                let _: i64 = self.set("HINCRBY", &[about.as_bytes(), b"waiting", b"2"]).await;
            }
        }
        let wanted = Some((lane, shapes.len()));
        let claimed = self.line.exchange(&[], wanted, true).await.unwrap().claimed.unwrap();
        assert_eq!(claimed.jobs.len(), shapes.len());
        claimed.jobs
    }

    async fn claim(&mut self, shape: Shape<'_>) -> Claim {
        self.claim_from(Lane::Normal, &[shape]).await.remove(0)
    }

    fn about(&self) -> String {
        self.key(&format!("batch:about:{BATCHER}"))
    }

    /// Lets another consumer take over an entry.
    async fn steal(&self, claim: &Claim) {
        let key = self.key(&format!("ready:{}", claim.lane));
        let entry = claim.entry.as_bytes();
        let _: Value =
            self.set("XCLAIM", &[key.as_bytes(), b"workers", b"other", b"0", entry]).await;
    }

    async fn cancel(&self, number: u8) {
        let key = self.key("cancelled");
        let _: u64 = self.set("ZADD", &[key.as_bytes(), b"1", id_of(number).as_bytes()]).await;
    }

    /// Acquires the lease of the slot.
    async fn lease(&self) -> SlotLease {
        let lease = self.key("lease");
        let fields: [&[u8]; 5] = [lease.as_bytes(), b"holder", OWNER.as_bytes(), b"term", b"7"];
        let _: u64 = self.set("HSET", &fields).await;
        SlotLease { slot: self.partition.clone(), node: OWNER.into(), term: 7 }
    }

    async fn settle(&self, settlements: &[Settlement]) -> Vec<Settled> {
        let limits = DeadLimits { count: 100, ..DeadLimits::default() };
        self.space.client.broker().settle(&self.partition, limits, settlements).await
    }

    /// Settles a claim that still holds.
    async fn apply(&self, settlement: Settlement) {
        let settled = self.settle(&[settlement]).await;
        assert!(matches!(settled[0], Settled::Applied), "{settled:?}");
    }

    /// Settles a claim that another consumer has taken over: nothing changes.
    async fn refuses(&self, claim: &Claim, settlement: Settlement) {
        self.steal(claim).await;
        let before = self.contents().await;
        let settled = self.settle(&[settlement]).await;
        assert!(matches!(settled[0], Settled::Fenced), "{settled:?}");
        assert_eq!(self.contents().await, before);
    }

    /// Reads every key of the partition; the names are those behind the hash tag.
    async fn contents(&self) -> BTreeMap<String, Contents> {
        let prefix = self.key("");
        let pattern = prefix.replace('{', "\\{") + "*";
        let keys: Vec<String> = self.space.redis(redis::cmd("KEYS").arg(pattern)).await;
        let mut all = BTreeMap::new();
        for key in keys {
            let kind: String = self.space.redis(redis::cmd("TYPE").arg(&key)).await;
            let word = |name: &str| {
                let mut cmd = redis::cmd(name);
                cmd.arg(&key);
                cmd
            };
            let contents = match kind.as_str() {
                "stream" => Contents::Lane(self.lane(&key).await),
                "hash" => Contents::Hash(self.space.redis(&mut word("HGETALL")).await),
                "zset" => Contents::Set(self.space.redis(word("ZRANGE").arg(0).arg(-1)).await),
                "set" => Contents::Set(self.space.redis(&mut word("SMEMBERS")).await),
                "list" => Contents::List(self.space.redis(word("LRANGE").arg(0).arg(-1)).await),
                "string" => {
                    let left: i64 = self.space.redis(&mut word("PTTL")).await;
                    Contents::Text(self.space.redis(&mut word("GET")).await, left > 0)
                }
                _ => continue,
            };
            all.insert(key.strip_prefix(&prefix).unwrap().to_owned(), contents);
        }
        all
    }

    async fn lane(&self, key: &str) -> Vec<(Vec<u8>, bool)> {
        let mut all = redis::cmd("XRANGE");
        let entries: Vec<RawEntry> = self.space.redis(all.arg(key).arg("-").arg("+")).await;
        let mut pending = redis::cmd("XPENDING");
        pending.arg(key).arg("workers").arg("-").arg("+").arg(1000);
        let pending: Vec<(String, String, u64, u64)> = self.space.redis(&mut pending).await;
        let claimed = |id: &String| pending.iter().any(|one| one.0 == *id);
        let last = |fields: &Vec<(String, Vec<u8>)>| fields[0].1.clone();
        entries.iter().map(|(id, fields)| (last(fields), claimed(id))).collect()
    }

    /// Returns the numbers of the jobs in a lane, in order; a number is negative while its job is
    /// claimed.
    async fn numbers(&self, lane: Lane) -> Vec<i16> {
        let jobs = self.lane(&self.key(&format!("ready:{lane}"))).await;
        let number = |(envelope, claimed): &(Vec<u8>, bool)| {
            let number = i16::from(*envelope.last().unwrap());
            if *claimed { -number } else { number }
        };
        jobs.iter().map(number).collect()
    }

    /// Returns the fields of a hash.
    async fn hash(&self, rest: &str) -> BTreeMap<String, Vec<u8>> {
        self.space.redis(redis::cmd("HGETALL").arg(self.key(rest))).await
    }

    async fn hash_len(&self, rest: &str) -> usize {
        self.space.redis(redis::cmd("HLEN").arg(self.key(rest))).await
    }

    async fn counts(&self, rest: &str) -> BTreeMap<String, i64> {
        self.space.redis(redis::cmd("HGETALL").arg(self.key(rest))).await
    }

    /// Returns the completion record of a job, and the ms for which it is kept.
    async fn record(&self, number: u8) -> (Option<Vec<u8>>, i64) {
        let key = self.key(&format!("result:{}", id_of(number)));
        let left = self.space.redis(redis::cmd("PTTL").arg(&key)).await;
        (self.space.redis(redis::cmd("GET").arg(&key)).await, left)
    }
}

/// Returns counters of a job with one failed attempt.
fn failed(claim: &Claim) -> Counters {
    let mut counters = claim.counters.clone();
    counters.failures = 1;
    counters.last_failure = Some(Failure::new(Cause::Error, "no"));
    counters
}

fn retry(claim: &Claim) -> Transition {
    Transition::Later { delay: HOUR, counters: failed(claim), why: Wait::Retry }
}

fn release(claim: &Claim) -> Transition {
    let counters = claim.counters.clone();
    Transition::Ready { lane: Lane::Front, counters, why: Return::Release }
}

fn bury(claim: &Claim) -> Transition {
    Transition::Bury { counters: failed(claim) }
}

fn settlement(claim: &Claim, transition: Transition) -> Settlement {
    Settlement::new(claim.clone(), NodeName::from(OWNER), None, transition)
}

fn counted(counts: &[(&str, i64)]) -> BTreeMap<String, i64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}
