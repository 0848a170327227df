//! Reads the contents of Redis at the end of a run. Keys are written by hand here, because the key
//! format is one of the things checked.

use std::collections::{BTreeMap, BTreeSet};

use poolder::JobId;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::extremes::Extremes;
use crate::job::is_plain;
use crate::uniques::Uniques;

/// The keys of the roster that may stay, each of bounded size.
const ROSTER_KEPT: [&str; 7] =
    ["marks", "queues", "deploys", "errors", "errors:seen", "audit", "journal"];

const LANES: [&str; 5] = ["front", "suspect", "high", "normal", "low"];

/// The contents of Redis at the end of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FinalState {
    /// The counters of the plain jobs, summed over their queues.
    pub(crate) stats: BTreeMap<String, u64>,
    /// The counters of the other partitions.
    pub(crate) beside: BTreeMap<String, BTreeMap<String, u64>>,
    /// The number of nodes that were marked as dead.
    pub(crate) marked: u64,
    /// The ids of jobs that have a result.
    pub(crate) results: BTreeSet<String>,
    /// The ids of dead jobs, and the reasons of their deaths.
    pub(crate) dead: BTreeMap<String, String>,
    /// Data that should no longer exist, one line each.
    pub(crate) leftovers: Vec<String>,
}

impl FinalState {
    pub(crate) fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).copied().unwrap_or(0)
    }

    /// Returns a counter of another partition.
    pub(crate) fn stat_of(&self, partition: &str, name: &str) -> u64 {
        self.beside.get(partition).and_then(|stats| stats.get(name)).copied().unwrap_or(0)
    }

    /// Returns a counter, summed over the partitions whose names start with `beginning`.
    pub(crate) fn sum_of(&self, beginning: &str, name: &str) -> u64 {
        let of = self.beside.keys().filter(|partition| partition.starts_with(beginning));
        of.map(|partition| self.stat_of(partition, name)).sum()
    }
}

/// The servers that hold the keys of a run.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The URL of the server that holds the roster.
    pub(crate) roster: String,
    /// The partitions, written `queue.0`, each with the URL of its server.
    pub(crate) partitions: Vec<(String, String)>,
}

impl Places {
    /// Returns the servers that hold any key, each once.
    fn servers(&self) -> BTreeSet<&str> {
        let partitions = self.partitions.iter().map(|(_, url)| url.as_str());
        partitions.chain([self.roster.as_str()]).collect()
    }
}

struct Keys(String);

impl Keys {
    fn new(namespace: &str, partition: &str) -> Self {
        Self(format!("{namespace}:{{{partition}}}:"))
    }

    fn of(&self, rest: &str) -> String {
        format!("{}{rest}", self.0)
    }
}

async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    // A server may be slow on a busy machine.
    let patience = Some(std::time::Duration::from_secs(20));
    let settings = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience);
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&settings).await
}

/// Returns true when no job is ready, running or waiting.
pub(crate) async fn is_drained(places: &Places, namespace: &str) -> Result<bool, String> {
    let ask = async {
        let mut left = 0;
        for (partition, url) in &places.partitions {
            let (mut redis, keys) = (connect(url).await?, Keys::new(namespace, partition));
            left += redis.zcard::<_, u64>(keys.of("due")).await?;
            for lane in LANES {
                left += redis.xlen::<_, u64>(keys.of(&format!("ready:{lane}"))).await?;
            }
            let jobs = keys.of("limits:jobs");
            // The field of one zero byte is no job.
            let no_job: bool = redis.hexists(&jobs, "\0").await?;
            left += redis.hlen::<_, u64>(&jobs).await?.saturating_sub(no_job.into());
        }
        Ok::<bool, redis::RedisError>(left == 0)
    };
    ask.await.map_err(|error| error.to_string())
}

/// Returns true when the roster lists exactly these processes, and every consumer belongs to one of
/// them.
pub(crate) async fn is_tidy(
    places: &Places,
    namespace: &str,
    pids: &[u32],
) -> Result<bool, String> {
    let ask = async {
        let roster: Vec<String> = connect(&places.roster)
            .await?
            .zrange(format!("{namespace}:{{roster}}:nodes"), 0, -1)
            .await?;
        // The roster may still list a process that was killed a moment ago.
        let living = |name: &String| process_of(name).is_some_and(|pid| pids.contains(&pid));
        let mut tidy = roster.len() == pids.len() && roster.iter().all(living);
        for (partition, url) in &places.partitions {
            let (mut redis, keys) = (connect(url).await?, Keys::new(namespace, partition));
            for lane in LANES {
                let found = consumers(&mut redis, &keys.of(&format!("ready:{lane}"))).await;
                tidy &= found.iter().all(|name| roster.contains(name));
            }
            let members: Vec<String> = redis.zrange(keys.of("members"), 0, -1).await?;
            tidy &= members.iter().all(|name| roster.contains(name));
        }
        Ok::<bool, redis::RedisError>(tidy)
    };
    ask.await.map_err(|error| error.to_string())
}

/// Returns the consumers of a stream; none for a stream that does not exist.
async fn consumers(redis: &mut MultiplexedConnection, stream: &str) -> Vec<String> {
    let mut ask = redis::cmd("XINFO");
    ask.arg("CONSUMERS").arg(stream).arg("workers");
    let found: Vec<BTreeMap<String, redis::Value>> =
        ask.query_async(redis).await.unwrap_or_default();
    let name = |consumer: &BTreeMap<String, redis::Value>| match consumer.get("name") {
        Some(redis::Value::BulkString(name)) => String::from_utf8_lossy(name).into_owned(),
        other => format!("{other:?}"),
    };
    found.iter().map(name).collect()
}

/// Returns the process that leads a partition.
pub(crate) async fn leader(places: &Places, namespace: &str, partition: &str) -> Option<u32> {
    let (_, url) = places.partitions.iter().find(|(name, _)| name == partition)?;
    let ask = async {
        let key = Keys::new(namespace, partition).of("leader");
        connect(url).await?.get::<_, Option<String>>(key).await
    };
    // The value is the term, followed by the name of the node.
    process_of(&ask.await.ok()??)
}

/// Returns the process of a node whose name is host:pid:random.
fn process_of(name: &str) -> Option<u32> {
    name.split(':').nth(1)?.parse().ok()
}

/// Reads the contents.
pub(crate) async fn read(places: &Places, namespace: &str) -> Result<FinalState, String> {
    let ask = async {
        let (mut state, mut every) = (FinalState::default(), vec![]);
        let marks = Keys::new(namespace, "roster").of("marks");
        state.marked = connect(&places.roster).await?.zcard(marks).await?;
        for (partition, url) in &places.partitions {
            let (mut redis, keys) = (connect(url).await?, Keys::new(namespace, partition));
            let stats: BTreeMap<String, u64> = redis.hgetall(keys.of("stats")).await?;
            if is_plain(partition) {
                for (name, value) in stats {
                    *state.stats.entry(name).or_default() += value;
                }
            } else {
                state.beside.insert(partition.clone(), stats);
            }
            dead(&mut redis, partition, &keys, &mut state).await?;
            lanes(&mut redis, &keys, &mut state).await?;
            held(&mut redis, &keys, &mut state).await?;
            every.push(keys);
        }
        for url in places.servers() {
            keys_left(&mut connect(url).await?, namespace, &every, &mut state).await?;
        }
        roster(&mut connect(&places.roster).await?, namespace, &mut state).await?;
        Ok::<FinalState, redis::RedisError>(state)
    };
    ask.await.map_err(|error| error.to_string())
}

async fn dead(
    redis: &mut MultiplexedConnection,
    partition: &str,
    keys: &Keys,
    state: &mut FinalState,
) -> redis::RedisResult<()> {
    let records: Vec<(Vec<u8>, Vec<u8>)> = redis.hgetall(keys.of("dead:bodies")).await?;
    let listed: Vec<Vec<u8>> = redis.zrange(keys.of("dead"), 0, -1).await?;
    if listed.len() != records.len() {
        let (listed, kept) = (listed.len(), records.len());
        state.leftovers.push(format!("{listed} dead are listed in {}, {kept} are kept", keys.0));
    }
    let may_die = is_plain(partition) || Extremes::owns(partition) || Uniques::owns(partition);
    if !records.is_empty() && !may_die {
        state.leftovers.push(format!("{} dead in {}", records.len(), keys.0));
    }
    for (id, record) in records {
        state.dead.insert(written(&id), String::from_utf8_lossy(&record).into_owned());
    }
    Ok(())
}

/// Returns a job id in its usual written form.
fn written(id: &[u8]) -> String {
    match <[u8; 16]>::try_from(id) {
        Ok(bytes) => JobId::from_bytes(bytes).to_string(),
        Err(_) => String::from_utf8_lossy(id).into_owned(),
    }
}

async fn lanes(
    redis: &mut MultiplexedConnection,
    keys: &Keys,
    state: &mut FinalState,
) -> redis::RedisResult<()> {
    for lane in LANES {
        let stream = keys.of(&format!("ready:{lane}"));
        let entries: u64 = redis.xlen(&stream).await?;
        if entries > 0 {
            state.leftovers.push(format!("{entries} entries in {stream}"));
        }
        let consumers = consumers(redis, &stream).await;
        if !consumers.is_empty() {
            let names = consumers.join(", ");
            state.leftovers.push(format!("{} consumers in {stream}: {names}", consumers.len()));
        }
    }
    Ok(())
}

async fn keys_left(
    redis: &mut MultiplexedConnection,
    namespace: &str,
    every: &[Keys],
    state: &mut FinalState,
) -> redis::RedisResult<()> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    {
        let options = redis::ScanOptions::default().with_count(1_000);
        let mut scan = redis.scan_options::<String>(options).await?;
        while let Some(key) = scan.next_item().await {
            found.insert(key?);
        }
    }
    let roster = |rest: &str| format!("{namespace}:{{roster}}:{rest}");
    for key in &found {
        let own = every.iter().find_map(|keys| key.strip_prefix(&keys.0));
        let kept = own.is_some_and(is_kept)
            || Extremes::keeps(key, namespace)
            || Uniques::keeps(key, namespace);
        if let Some(id) = own.and_then(|rest| rest.strip_prefix("result:")) {
            state.results.insert(id.to_owned());
        } else if own == Some("unique") {
            let held: BTreeMap<Vec<u8>, Vec<u8>> = redis.hgetall(key).await?;
            let lasting =
                held.values().filter(|record| !Uniques::is_over_by_itself(record)).count();
            if lasting > 0 {
                state.leftovers.push(format!("{lasting} held keys in {key}"));
            }
        } else if !kept && own == Some("cancelled") {
            // A cancellation of an id that is derived from a name stays for 7 days.
            let ids: Vec<Vec<u8>> = redis.zrange(key, 0, -1).await?;
            if ids.iter().any(|id| is_generated(id)) {
                state.leftovers.push(format!("the key {key}"));
            }
        } else if own.is_some_and(is_receipt) || key.starts_with(&roster("history:")) {
            if redis.ttl::<_, i64>(key).await? < 0 {
                state.leftovers.push(format!("the key {key}, which does not expire"));
            }
        } else if !kept && !ROSTER_KEPT.iter().any(|rest| *key == roster(rest)) {
            state.leftovers.push(format!("the key {key}"));
        }
    }
    Ok(())
}

/// Checks that the roster is empty.
async fn roster(
    redis: &mut MultiplexedConnection,
    namespace: &str,
    state: &mut FinalState,
) -> redis::RedisResult<()> {
    let roster = |rest: &str| format!("{namespace}:{{roster}}:{rest}");
    for rest in ["nodes", "about"] {
        let len: u64 = match rest {
            "nodes" => redis.zcard(roster(rest)).await?,
            _ => redis.hlen(roster(rest)).await?,
        };
        if len > 0 {
            state.leftovers.push(format!("{len} in the roster's {rest}"));
        }
    }
    Ok(())
}

/// Checks that no slot of a partition is held, and that its batcher counts no waiting entry.
async fn held(
    redis: &mut MultiplexedConnection,
    keys: &Keys,
    state: &mut FinalState,
) -> redis::RedisResult<()> {
    // After all schedules are removed only the count of their revisions stays.
    let schedules: u64 = redis.hlen(keys.of("schedules:state")).await?;
    if schedules > 1 {
        state.leftovers.push(format!("{schedules} fields in {}", keys.of("schedules:state")));
    }
    // The lease of an addressed slot. The key of a leader is deleted when it resigns.
    let holder: Option<String> = redis.hget(keys.of("lease"), "holder").await?;
    if holder.is_some_and(|holder| !holder.is_empty()) {
        state.leftovers.push(format!("the lease of a slot, {}", keys.of("lease")));
    }
    let waiting: Option<u64> = redis.hget(keys.of("batch:about:batches"), "waiting").await?;
    if waiting.is_some_and(|entries| entries > 0) {
        let key = keys.of("batch:about:batches");
        state.leftovers.push(format!("{waiting:?} entries by the count of {key}"));
    }
    Ok(())
}

/// Returns true for an id that was not derived from a name: a UUID of version 7.
fn is_generated(id: &[u8]) -> bool {
    id.get(6).is_some_and(|byte| byte >> 4 == 7)
}

/// Returns true for keys of a partition that expire: the tokens of a limited queue do so once its limits
/// have ended.
fn is_receipt(rest: &str) -> bool {
    rest.starts_with("sent:") || rest.starts_with("batch:token:") || rest == "limits:wake"
}

/// The keys of a partition that may stay, each of bounded size: after a resize also the slots beyond
/// the size of the pool; the permits to wait of nodes that were killed a moment before the end, which
/// the next node that asks for one removes.
const KEPT: [&str; 9] = [
    "stats",
    "lease",
    "meta",
    "dead",
    "dead:bodies",
    "schedules:state",
    "retired",
    "waiting",
    "resting",
];

/// Returns true for keys of a partition that may stay. Open and sealed batches, schedules and leaders
/// must be gone; the only field of the schedules' state is the count of revisions.
fn is_kept(rest: &str) -> bool {
    KEPT.contains(&rest)
        || rest.starts_with("batch:about:")
        || LANES.iter().any(|lane| rest.strip_prefix("ready:") == Some(lane))
}
