//! What Redis holds when everything is over. Keys are spelled by hand here: their spelling is part
//! of what is checked.

use std::collections::{BTreeMap, BTreeSet};

use poolder::JobId;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::job::QUEUE;

const LANES: [&str; 5] = ["front", "suspect", "high", "normal", "low"];

/// The last state.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FinalState {
    /// The queue's counters.
    pub(crate) stats: BTreeMap<String, u64>,
    /// Jobs that have a result.
    pub(crate) results: BTreeSet<String>,
    /// Jobs among the dead, and why they died.
    pub(crate) dead: BTreeMap<String, String>,
    /// What should not be there any more, one line each.
    pub(crate) leftovers: Vec<String>,
}

impl FinalState {
    pub(crate) fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).copied().unwrap_or(0)
    }
}

struct Keys(String);

impl Keys {
    fn new(namespace: &str) -> Self {
        Self(format!("{namespace}:{{{QUEUE}.0}}:"))
    }

    fn of(&self, rest: &str) -> String {
        format!("{}{rest}", self.0)
    }
}

async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    // Nothing is wrong with a server that is slow on a busy machine.
    let patience = Some(std::time::Duration::from_secs(20));
    let settings = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience);
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&settings).await
}

/// True when no job is ready, running or waiting.
pub(crate) async fn is_drained(url: &str, namespace: &str) -> Result<bool, String> {
    let ask = async {
        let (mut redis, keys) = (connect(url).await?, Keys::new(namespace));
        let mut left: u64 = redis.zcard(keys.of("due")).await?;
        for lane in LANES {
            left += redis.xlen::<_, u64>(keys.of(&format!("ready:{lane}"))).await?;
        }
        Ok::<bool, redis::RedisError>(left == 0)
    };
    ask.await.map_err(|error| error.to_string())
}

/// True when these processes stand in the roster and nobody else, and all consumers are theirs.
pub(crate) async fn is_tidy(url: &str, namespace: &str, pids: &[u32]) -> Result<bool, String> {
    let ask = async {
        let (mut redis, keys) = (connect(url).await?, Keys::new(namespace));
        let roster: Vec<String> =
            redis.zrange(format!("{namespace}:{{roster}}:nodes"), 0, -1).await?;
        // A node's name is host:pid:random. One that was killed a moment ago stands there, too.
        let pid = |name: &String| name.split(':').nth(1).and_then(|pid| pid.parse().ok());
        let living = |name: &String| pid(name).is_some_and(|pid| pids.contains(&pid));
        let mut tidy = roster.len() == pids.len() && roster.iter().all(living);
        for lane in LANES {
            let found = consumers(&mut redis, &keys.of(&format!("ready:{lane}"))).await;
            tidy &= found.iter().all(|name| roster.contains(name));
        }
        Ok::<bool, redis::RedisError>(tidy)
    };
    ask.await.map_err(|error| error.to_string())
}

/// The consumers of a stream; none of one that was never used.
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

/// Reads it.
pub(crate) async fn read(url: &str, namespace: &str) -> Result<FinalState, String> {
    let ask = async {
        let (mut redis, keys) = (connect(url).await?, Keys::new(namespace));
        let mut state =
            FinalState { stats: redis.hgetall(keys.of("stats")).await?, ..FinalState::default() };
        let records: Vec<(Vec<u8>, Vec<u8>)> = redis.hgetall(keys.of("dead:bodies")).await?;
        for (id, record) in records {
            let why = String::from_utf8_lossy(&record).into_owned();
            state.dead.insert(spell(&id), why);
        }
        let listed: Vec<Vec<u8>> = redis.zrange(keys.of("dead"), 0, -1).await?;
        if listed.len() != state.dead.len() {
            state.leftovers.push(format!(
                "{} dead are listed, {} are kept",
                listed.len(),
                state.dead.len()
            ));
        }
        lanes(&mut redis, &keys, &mut state).await?;
        keys_left(&mut redis, namespace, &keys, &mut state).await?;
        Ok::<FinalState, redis::RedisError>(state)
    };
    ask.await.map_err(|error| error.to_string())
}

/// A job id as everybody else shows it.
fn spell(id: &[u8]) -> String {
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
            state.leftovers.push(format!("{entries} entries in {lane}"));
        }
        let consumers = consumers(redis, &stream).await;
        if !consumers.is_empty() {
            let names = consumers.join(", ");
            state.leftovers.push(format!("{} consumers in {lane}: {names}", consumers.len()));
        }
    }
    Ok(())
}

async fn keys_left(
    redis: &mut MultiplexedConnection,
    namespace: &str,
    keys: &Keys,
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
    let (sent, result) = (keys.of("sent:"), keys.of("result:"));
    let roster = |rest: &str| format!("{namespace}:{{roster}}:{rest}");
    for key in &found {
        if let Some(id) = key.strip_prefix(&result) {
            state.results.insert(id.to_owned());
        } else if !key.starts_with(&sent) && !expected(key, namespace, keys) {
            state.leftovers.push(format!("the key {key}"));
        } else if key.starts_with(&sent) && redis.ttl::<_, i64>(key).await? < 0 {
            state.leftovers.push(format!("the key {key}, which does not expire"));
        }
    }
    for rest in ["nodes", "about"] {
        let len: u64 = match rest {
            "nodes" => redis.zcard(roster(rest)).await?,
            _ => redis.hlen(roster(rest)).await?,
        };
        if len > 0 {
            state.leftovers.push(format!("{len} in the roster's {rest}"));
        }
    }
    let until: Option<f64> = redis.hget(keys.of("lease"), "until").await?;
    if until.is_some_and(|until| until > 0.0) {
        state.leftovers.push("a lease that nobody resigned".into());
    }
    Ok(())
}

/// Keys that stay, each of them bounded.
fn expected(key: &str, namespace: &str, keys: &Keys) -> bool {
    let own = ["stats", "lease", "dead", "dead:bodies"].iter().any(|rest| key == keys.of(rest))
        || LANES.iter().any(|lane| key == keys.of(&format!("ready:{lane}")));
    let shared = ["marks", "queues"];
    own || shared.iter().any(|rest| key == format!("{namespace}:{{roster}}:{rest}"))
}
