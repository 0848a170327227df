//! The drill that no planned fault can produce: the server restarts from an older file, as after a
//! failover, and the id of an entry whose job still runs is given to another job.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use poolder::Client;
use poolder_devserver::Fsync;
use redis::aio::MultiplexedConnection;

use crate::beside::Beside;
use crate::checker::{History, Job, Verdict};
use crate::child::{Common, Instructions, Worker};
use crate::job::{Act, QUEUE, Step};
use crate::ledger::Ended;
use crate::processes::Handle;
use crate::proxy::{Proxy, Rules};
use crate::servers::Stand;

const NAMESPACE: &str = "rollback";
/// The job that the server forgets while it runs, and the job that gets its id.
const FORGOTTEN: u64 = 1;
const OTHER: u64 = 2;

/// Runs the drill with one node, which then also claims the other job, or with two. The other job
/// must be completed in the end.
pub(crate) async fn run(nodes: usize, mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let stand = Stand::start(Fsync::Always, &folder)?;
    let rules = Arc::new(Rules::default());
    let node = async |index: usize| {
        let name = format!("node-{index}");
        let proxy = Proxy::start(&name, stand.address()?, Arc::clone(&rules)).await;
        let common = Common {
            url: String::new(),
            namespace: NAMESPACE.into(),
            ledger: folder.clone(),
            name,
            incarnation: 0,
            mutation: mutation.into(),
            queues: 1,
        };
        // A single node needs a second slot for the other job.
        let instructions = Worker {
            common,
            slots: 3 - nodes,
            shutdown_millis: 5_000,
            hangs: false,
            beside: Beside::default(),
        };
        Handle::start(
            Instructions::Worker(instructions),
            Some(proxy.map_err(|error| error.to_string())?),
        )
    };
    let first = node(0).await?;
    let scene = Scene::new(&stand, NAMESPACE).await?;
    scene.until_ready().await?;
    let (file, copy) = (stand.server()?.dir().join("appendonlydir"), folder.join("aof"));
    copy_folder(&file, &copy)?;

    let forgotten = Step { seq: FORGOTTEN, act: Act::Done, millis: 4_000 };
    scene.client.enqueue(forgotten).await.map_err(|error| error.to_string())?;
    until("the first job runs", || Ok(starts(&folder, FORGOTTEN)? > 0)).await?;
    let (id, _) = scene.entry(QUEUE).await?;
    stand.server()?.kill().map_err(|error| error.to_string())?;
    fs::remove_dir_all(&file).map_err(|error| error.to_string())?;
    copy_folder(&copy, &file)?;
    stand.server()?.restart().map_err(|error| error.to_string())?;

    let scene = Scene::new(&stand, NAMESPACE).await?;
    let millis = if nodes == 1 { 500 } else { 8_000 };
    let other = Step { seq: OTHER, act: Act::Done, millis };
    scene.client.enqueue(other).queue("spare").await.map_err(|error| error.to_string())?;
    let (_, fields) = scene.entry("spare").await?;
    scene.store(QUEUE, &id, fields).await?;

    let second = if nodes == 2 { Some(node(1).await?) } else { None };
    if let Some(second) = &second {
        until("the other job runs", || Ok(starts(&folder, OTHER)? > 0)).await?;
        until("the first job ends", || ended(&folder, FORGOTTEN)).await?;
        // Time for the first job's settlement to arrive, which is the subject of the drill.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        second.member.lock().await.kill().await?;
    }
    let mut verdict = Verdict::default();
    if until("the other job ends", || ended(&folder, OTHER)).await.is_err() {
        verdict.violate("lost", "the job that got the id of another".into());
    }
    first.member.lock().await.kill().await?;
    Ok(verdict)
}

/// Direct access to the server, without a proxy.
pub(crate) struct Scene {
    client: Client,
    redis: MultiplexedConnection,
    namespace: &'static str,
}

impl Scene {
    pub(crate) async fn new(stand: &Stand, namespace: &'static str) -> Result<Self, String> {
        let config = poolder::Config::new(stand.url()?).namespace(namespace);
        let client = Client::new(config).map_err(|error| error.to_string())?;
        let redis = redis::Client::open(stand.url()?).map_err(|error| error.to_string())?;
        let patience = Some(Duration::from_secs(20));
        let settings = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(patience)
            .set_response_timeout(patience);
        let redis = redis.get_multiplexed_async_connection_with_config(&settings).await;
        Ok(Self { client, redis: redis.map_err(|error| error.to_string())?, namespace })
    }

    fn stream(&self, queue: &str) -> String {
        format!("{}:{{{queue}.0}}:ready:normal", self.namespace)
    }

    /// Waits until a node has become a consumer of the queue.
    pub(crate) async fn until_ready(&self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let mut ask = redis::cmd("XINFO");
            ask.arg("CONSUMERS").arg(self.stream(QUEUE)).arg("workers");
            let consumers: redis::RedisResult<Vec<redis::Value>> =
                ask.query_async(&mut self.redis.clone()).await;
            if consumers.is_ok_and(|consumers| !consumers.is_empty()) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err("the node never claimed a job".into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns the only entry of a queue: its id and its fields.
    pub(crate) async fn entry(&self, queue: &str) -> Result<(String, Vec<Vec<u8>>), String> {
        let mut range = redis::cmd("XRANGE");
        range.arg(self.stream(queue)).arg("-").arg("+");
        let found: redis::RedisResult<Vec<(String, Vec<Vec<u8>>)>> =
            range.query_async(&mut self.redis.clone()).await;
        let found = found.map_err(|error| error.to_string())?.pop();
        found.ok_or(format!("{queue} has no entry"))
    }

    /// Stores an entry under this id.
    pub(crate) async fn store(
        &self,
        queue: &str,
        id: &str,
        fields: Vec<Vec<u8>>,
    ) -> Result<(), String> {
        let mut store = redis::cmd("XADD");
        store.arg(self.stream(queue)).arg(id).arg(fields);
        let stored: redis::RedisResult<String> = store.query_async(&mut self.redis.clone()).await;
        stored.map(drop).map_err(|error| error.to_string())
    }
}

const PATIENCE: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(50);

async fn until(what: &str, ask: impl Fn() -> Result<bool, String>) -> Result<(), String> {
    let begun = Instant::now();
    while !ask()? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("never: {what}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn starts(folder: &Path, seq: u64) -> Result<usize, String> {
    Ok(history(folder, seq)?.map_or(0, |job| job.executions.len()))
}

fn ended(folder: &Path, seq: u64) -> Result<bool, String> {
    let done = |job: Job| job.executions.iter().any(|run| run.how == Some(Ended::Done));
    Ok(history(folder, seq)?.is_some_and(done))
}

/// Returns the records of a job.
pub(crate) fn history(folder: &Path, seq: u64) -> Result<Option<Job>, String> {
    Ok(History::read(folder)?.jobs.remove(&seq))
}

/// Copies the files of a folder.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    let copy = || -> std::io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    };
    copy().map_err(|error| format!("{}: {error}", from.display()))
}
