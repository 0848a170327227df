//! The steps of fifty keys, while the pool is resized again and again, jobs fail, wait for their time,
//! die and are revived, and processes are killed. The jobs of a key run one at a time,
//! wherever they become ready, and those that are cast for now run in the order of their casts.

use std::collections::BTreeSet;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, Handle, Result};
use serde::{Deserialize, Serialize};
use tokio::process::Child;

use crate::child::itself;
use crate::harness::{Space, eventually};
use crate::ordering::completed;

const CHILD: &str = "POOLDER_SUITE_KEY_STORM";
const KEYS: u64 = 50;
/// The steps of a key that are cast for now, unless [`STEPS_VARIABLE`] says another number. After each
/// fourth of them a late one is cast.
const STEPS: u64 = 40;
/// With 160 all keys have ten thousand steps.
const STEPS_VARIABLE: &str = "POOLDER_STORM_STEPS";
/// Numbers from here on belong to late jobs.
const FIRST_LATE: u64 = 1_000;
const SIZES: [u16; 8] = [7, 2, 6, 3, 9, 1, 5, 4];
const TOP: u16 = 9;

fn steps() -> u64 {
    std::env::var(STEPS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(STEPS)
}

/// A job of a key.
#[derive(Serialize, Deserialize, Job, Clone)]
#[job(kind = "storm", queue = "q", attempts = 3, backoff = "10ms", crashes = 50)]
struct StormStep {
    key: u64,
    number: u64,
}

/// A worker that appends the start and the end of each job to the log of the key.
#[derive(Clone)]
struct Reporter {
    client: redis::Client,
    connection: Option<redis::aio::MultiplexedConnection>,
    name: String,
}

impl Reporter {
    async fn ask(&mut self, name: &str, list: String, value: String) -> Result<u64> {
        if self.connection.is_none() {
            self.connection = Some(self.client.get_multiplexed_async_connection().await?);
        }
        let connection = self.connection.as_mut().ok_or("it was opened")?;
        Ok(redis::cmd(name).arg(list).arg(value).query_async(connection).await?)
    }

    async fn note(&mut self, job: &StormStep, what: &str) -> Result<u64> {
        let line = format!("{what} {} {}", job.number, std::process::id());
        let list = format!("{}:storm:{}", self.name, job.key);
        self.ask("RPUSH", list, line).await
    }
}

impl Worker for Reporter {
    type Job = StormStep;

    async fn handle_job(&mut self, job: StormStep, cx: Context) -> Result<Outcome> {
        self.note(&job, "start").await?;
        tokio::time::sleep(Duration::from_millis(job.number % 3)).await;
        self.note(&job, "end").await?;
        let late = job.number >= FIRST_LATE;
        match job.number % 20 {
            7 if cx.attempt() == 1 => Err("the first time".into()),
            // One late job in twenty dies, and runs to its end once it was revived.
            11 if late => {
                let died = format!("{}:storm-died", self.name);
                match self.ask("SADD", died, cx.id().to_string()).await? {
                    1 => Err("dies".into()),
                    _ => Ok(Done),
                }
            }
            _ => Ok(Done),
        }
    }

    async fn handle_error(&mut self, _: StormStep, _: Context, error: &BoxError) -> Verdict {
        if error.to_string() == "dies" { Verdict::Halt } else { Verdict::Policy }
    }
}

/// The body of a child process. Returns at once when it runs as a test.
#[tokio::test]
async fn node() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let var = |name| std::env::var(name).unwrap();
    let client = redis::Client::open(var("POOLDER_REDIS_URL")).unwrap();
    let name = var("POOLDER_NAMESPACE");
    let worker = Reporter { client, connection: None, name };
    let pool = Pool::new("q").size(4).mode(Mode::Phash).worker(worker);
    Node::builder(Client::from_env().await.unwrap()).pool(pool).run().await.unwrap();
}

fn child(space: &Space) -> Child {
    itself("key_storm::node", space).env(CHILD, "1").spawn().unwrap()
}

/// Casts the steps of a key. Returns the handles of the jobs that will die.
async fn cast(space: Client, key: u64) -> Vec<Handle> {
    let (pool, name) = (space.pool::<StormStep>("q"), format!("key {key}"));
    let mut dying = vec![];
    for number in 0..steps() {
        pool.cast(StormStep { key, number }).key(&name).await.unwrap();
        if number % 4 == 3 {
            let number = FIRST_LATE + number / 4;
            let delay = Duration::from_millis(number * 37 % 3_000);
            let cast = pool.cast(StormStep { key, number }).key(&name).after(delay);
            let receipt = cast.await.unwrap();
            if number % 20 == 11 {
                dying.push(Handle::from(&receipt));
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    dying
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_in_two_slots_or_out_of_order_whatever_becomes_of_its_jobs() {
    let space = Space::new("key-storm");
    let mut children: Vec<Child> = (0..3).map(|_| child(&space)).collect();
    let pool = space.client.pool::<StormStep>("q");
    eventually("three serve", || async {
        pool.view().await.is_ok_and(|view| view.members.len() == 3)
    })
    .await;
    let casts: Vec<_> =
        (0..KEYS).map(|key| tokio::spawn(cast(space.client.clone(), key))).collect();
    let (mut killed, mut sizes) = (BTreeSet::new(), SIZES.iter().cycle());
    let mut resizes = 0;
    for round in 0_u64.. {
        if casts.iter().all(tokio::task::JoinHandle::is_finished) && resizes >= 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        if pool.view().await.unwrap().open {
            pool.resize(*sizes.next().unwrap()).await.unwrap();
            resizes += 1;
        }
        if round % 12 == 5 {
            let pid = children[0].id().unwrap();
            children[0].kill().await.unwrap();
            killed.insert(pid.to_string());
            age(&space, pid).await;
            children[0] = child(&space);
            children.rotate_left(1);
        }
    }
    for dying in casts {
        for handle in dying.await.unwrap() {
            eventually("it died, and is revived", || async {
                space.client.job(&handle).revive().await.is_ok()
            })
            .await;
        }
    }
    let all = KEYS * (steps() + steps() / 4);
    let mut done = 0;
    // As long as some jobs end, the others are waited for.
    loop {
        let before = done;
        let ended = async {
            while done == before {
                tokio::time::sleep(Duration::from_millis(50)).await;
                done = completed(&space, TOP).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(40), ended).await;
        if done >= all || done == before {
            break;
        }
    }
    let mut violations = vec![];
    for key in 0..KEYS {
        violations.extend(check(key, &log(&space, key).await, &killed));
    }
    assert!(violations.is_empty(), "{} violations: {violations:#?}", violations.len());
    assert_eq!(completed(&space, TOP).await, all, "after {resizes} resizes, {killed:?} killed");
    assert!(killed.len() >= 2, "{killed:?}");
}

/// Moves the last beat of a process into the past.
async fn age(space: &Space, pid: u32) {
    let roster = format!("{}:{{roster}}:nodes", space.name());
    let nodes: Vec<String> = space.redis(redis::cmd("ZRANGE").arg(&roster).arg(0).arg(-1)).await;
    for node in nodes.iter().filter(|node| node.contains(&format!(":{pid}:"))) {
        space.redis::<f64>(redis::cmd("ZINCRBY").arg(&roster).arg(-10_000).arg(node)).await;
    }
}

async fn log(space: &Space, key: u64) -> Vec<(String, u64, String)> {
    let mut read = redis::cmd("LRANGE");
    read.arg(format!("{}:storm:{key}", space.name())).arg(0).arg(-1);
    let lines: Vec<String> = space.redis(&mut read).await;
    let words = |line: &String| {
        let mut words = line.split(' ').map(str::to_owned);
        let (what, number) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        (what, number, words.next().unwrap())
    };
    lines.iter().map(words).collect()
}

/// Returns the violations in the log of a key: jobs that ran at the same time, and steps that were
/// cast for now and started out of order.
fn check(key: u64, log: &[(String, u64, String)], killed: &BTreeSet<String>) -> Vec<String> {
    let (mut running, mut next, mut wrong) = (None::<(u64, &String)>, 0, vec![]);
    for (what, number, pid) in log {
        if what == "end" {
            running = None;
            continue;
        }
        if let Some((other, process)) = running.replace((*number, pid))
            && !killed.contains(process)
        {
            wrong.push(format!("key {key}: {other} in {process} and {number} in {pid}"));
        }
        if *number < FIRST_LATE {
            if *number != next && *number + 1 != next {
                wrong.push(format!("key {key}: {number} where {next} was due"));
            }
            next = next.max(number + 1);
        }
    }
    let steps = steps();
    if next != steps {
        wrong.push(format!("key {key}: {next} steps of {steps}"));
    }
    wrong
}
