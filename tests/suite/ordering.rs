//! Order by key: while jobs run, one process is killed and one is added. Every key stays in order.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder::Result;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::process::Child;

use crate::child::{itself, signal};
use crate::harness::{Space, eventually};

const CHILD: &str = "POOLDER_SUITE_ORDERING";
const KEYS: u64 = 100;
const JOBS: u64 = 200;
const SLOTS: u16 = 12;

/// A job of a key, numbered from 0.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "step", queue = "q")]
pub(crate) struct Step {
    pub(crate) key: u64,
    pub(crate) number: u64,
}

/// A worker that appends each start to the log of the key, with its fence.
#[derive(Clone)]
pub(crate) struct Scribe {
    client: redis::Client,
    connection: Option<redis::aio::MultiplexedConnection>,
    name: String,
    /// One job in `fails` fails the first time.
    fails: u64,
}

impl Scribe {
    pub(crate) fn new(url: &str, name: &str, fails: u64) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self { client, connection: None, name: name.to_owned(), fails }
    }
}

impl Worker for Scribe {
    type Job = Step;

    async fn handle_init(&mut self) -> Result<()> {
        self.connection = Some(self.client.get_multiplexed_async_connection().await?);
        Ok(())
    }

    async fn handle_job(&mut self, job: Step, cx: Context) -> Result<Outcome> {
        let connection = self.connection.as_mut().ok_or("handle_init was not called")?;
        let log = format!("{}:log:{}", self.name, job.key);
        let line = format!("{} {}", job.number, cx.fence());
        let _: u64 = redis::cmd("RPUSH").arg(log).arg(line).query_async(connection).await?;
        if job.number % self.fails == self.fails / 2 && cx.attempt() == 1 {
            return Err("the first time".into());
        }
        Ok(Done)
    }
}

/// Returns the log of a key: numbers and fences.
pub(crate) async fn log(space: &Space, key: u64) -> Vec<(u64, u64)> {
    let mut read = redis::cmd("LRANGE");
    read.arg(format!("{}:log:{key}", space.name())).arg(0).arg(-1);
    let lines: Vec<String> = space.redis(&mut read).await;
    let words = |line: &String| {
        let (number, fence) = line.split_once(' ').unwrap();
        (number.parse().unwrap(), fence.parse().unwrap())
    };
    lines.iter().map(words).collect()
}

/// Returns the sum of the completed counters of all slots.
pub(crate) async fn completed(space: &Space, slots: u16) -> u64 {
    let mut sum = 0;
    for slot in 0..slots {
        let key = format!("{}:{{q.{slot}}}:stats", space.name());
        let mut get = redis::cmd("HGET");
        sum += space.redis::<Option<u64>>(get.arg(key).arg("completed")).await.unwrap_or(0);
    }
    sum
}

/// Casts the jobs of every key, each key's in order, many keys at once.
pub(crate) async fn cast_all(space: &Space, keys: u64, numbers: std::ops::Range<u64>) {
    let tasks: Vec<_> = (0..keys)
        .map(|key| {
            let (pool, numbers) = (space.client.pool::<Step>("q"), numbers.clone());
            tokio::spawn(async move {
                for number in numbers {
                    pool.cast(Step { key, number }).key(format!("key {key}")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Checks that no number is skipped and that none starts again once its successor has started.
pub(crate) fn assert_in_order(key: u64, log: &[(u64, u64)], jobs: u64) {
    let mut next = 0;
    for (at, (number, _)) in log.iter().enumerate() {
        let again = next > 0 && *number == next - 1;
        assert!(*number == next || again, "key {key} at {at}: {number}, not {next}: {log:?}");
        next = next.max(number + 1);
    }
    assert_eq!(next, jobs, "key {key} has a gap at its end");
    let fences: Vec<u64> = log.iter().map(|(_, fence)| *fence).collect();
    assert!(fences.is_sorted(), "key {key}: {fences:?}");
}

fn child(space: &Space) -> Child {
    itself("ordering::node", space).env(CHILD, "1").spawn().unwrap()
}

/// The body of a child process. Returns at once when it runs as a test.
#[tokio::test]
async fn node() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
        .with_writer(std::io::stderr)
        .try_init();
    let var = |name| std::env::var(name).unwrap();
    let scribe = Scribe::new(&var("POOLDER_REDIS_URL"), &var("POOLDER_NAMESPACE"), 100);
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(20)));
    let pool = Pool::new("q").size(SLOTS).mode(Mode::Phash).policy(policy).worker(scribe);
    Node::builder(Client::from_env().await.unwrap()).pool(pool).run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_stays_in_order_while_processes_come_and_are_killed() {
    let space = Space::new("ordering");
    let mut children: Vec<Child> = (0..3).map(|_| child(&space)).collect();
    let pool = space.client.pool::<Step>("q");
    let members = |count| {
        let pool = pool.clone();
        async move { pool.view().await.is_ok_and(|view| view.members.len() == count) }
    };
    eventually("three serve", || members(3)).await;
    cast_all(&space, KEYS, 0..JOBS / 2).await;
    let quarter = KEYS * JOBS / 4;
    eventually("some are done", || async { completed(&space, SLOTS).await >= quarter }).await;
    // Casts go on while a process with running jobs is killed.
    let casting = {
        let client = space.client.clone();
        let space = Space::beside(&space, client);
        tokio::spawn(async move { cast_all(&space, KEYS, JOBS / 2..JOBS).await })
    };
    children[0].start_kill().unwrap();
    children.push(child(&space));
    casting.await.unwrap();
    let all = KEYS * JOBS;
    eventually("all are done", || async { completed(&space, SLOTS).await >= all }).await;
    let mut starts = BTreeMap::new();
    for key in 0..KEYS {
        let log = log(&space, key).await;
        assert_in_order(key, &log, JOBS);
        *starts.entry(log.len() as u64 - JOBS).or_insert(0) += 1;
    }
    assert_eq!(completed(&space, SLOTS).await, all, "no completion is recorded twice");
    let slots = pool.slots().await.unwrap();
    assert!(slots.iter().all(|slot| slot.backlog == 0 && slot.running.is_none()), "{slots:?}");
    // Each key fails twice on purpose; a crash adds at most one start per slot of the killed node.
    let extra: u64 = starts.iter().map(|(extra, keys)| extra * keys).sum();
    assert!((KEYS * 2..=KEYS * 2 + u64::from(SLOTS)).contains(&extra), "{starts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_paused_loses_its_slots_and_what_it_does_late_has_a_lower_fence() {
    let space = Space::new("ordering-pause");
    let paused = child(&space);
    let pool = space.client.pool::<Step>("q");
    let members = |count| {
        let pool = pool.clone();
        async move { pool.view().await.is_ok_and(|view| view.members.len() == count) }
    };
    eventually("one serves", || members(1)).await;
    let (keys, jobs) = (20, 100);
    cast_all(&space, keys, 0..jobs / 2).await;
    let some = keys * jobs / 8;
    eventually("some are done", || async { completed(&space, SLOTS).await >= some }).await;
    signal(&paused, "STOP").await;
    let _other = child(&space);
    cast_all(&space, keys, jobs / 2..jobs).await;
    let all = keys * jobs;
    eventually("all are done", || async { completed(&space, SLOTS).await >= all }).await;
    signal(&paused, "CONT").await;
    eventually("it serves again, under another name", || members(2)).await;
    for key in 0..keys {
        let mut highest = 0;
        let mut in_time = log(&space, key).await;
        // Drops the starts of a holder that had lost its lease unnoticed: the new holder had
        // already started jobs with a higher fence.
        in_time.retain(|(_, fence)| {
            highest = highest.max(*fence);
            *fence == highest
        });
        assert_in_order(key, &in_time, jobs);
    }
    assert_eq!(completed(&space, SLOTS).await, all, "no completion is recorded twice");
}

/// A worker that sends, at the start of each job, how many jobs the slot's stream still holds.
#[derive(Clone)]
struct Witness {
    client: redis::Client,
    stream: String,
    tell: tokio::sync::mpsc::Sender<(u64, u64)>,
}

impl Worker for Witness {
    type Job = Step;

    async fn handle_job(&mut self, job: Step, _: Context) -> Result<Outcome> {
        // Blocking calls without an await, so that the slot treats its jobs as quick ones.
        let mut connection = self.client.get_connection()?;
        let left: u64 = redis::cmd("XLEN").arg(&self.stream).query(&mut connection)?;
        self.tell.try_send((job.number, left))?;
        Ok(Done)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_starts_only_once_the_one_before_it_of_its_key_is_settled() {
    let space = Space::new("ordering-settles");
    let (tell, mut told) = tokio::sync::mpsc::channel(1_000);
    let client = redis::Client::open(space.url()).unwrap();
    let witness = Witness { client, stream: space.key("q", "ready:normal"), tell };
    let queue = poolder::QueueName::new("q").unwrap();
    space.client.broker().define_pool(&queue, Mode::Phash, 1).await.unwrap();
    let (keys, jobs) = (5, 200);
    let pool = space.client.pool::<Step>("q");
    for number in 0..jobs {
        let key = number % keys;
        pool.cast(Step { key, number }).key(format!("key {key}")).await.unwrap();
    }
    let node = Pool::new("q").size(1).mode(Mode::Phash).worker(witness);
    let node = crate::harness::start(space.node().pool(node));
    let mut together = 0;
    for number in 0..jobs {
        let (started, left) = crate::harness::within(told.recv()).await.unwrap();
        assert_eq!(started, number);
        // All jobs up to the previous one of the same key have left the stream.
        let unsettled = left - (jobs - number);
        assert!(unsettled < keys, "{number} starts while {unsettled} before it are not settled");
        together = together.max(unsettled);
    }
    assert!(together > 0, "jobs of several keys share a poll");
    node.stop().await;
}
