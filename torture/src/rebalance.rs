//! How soon the slots of an addressed pool find their nodes when one joins, leaves or is killed,
//! how few move, and that a handler which blocks its thread for a minute keeps its slot:
//! `--rebalance`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{Config, Partition, PoolClient, QueueName, SlotView};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::processes::{program, signal};
use crate::scene::{Stage, row, told, until};

/// The word by which the program knows that it is one of the nodes.
pub(crate) const WORD: &str = "rebalance-node";
const QUEUE: &str = "seats";
const SLOTS: u16 = 64;
/// Nodes before one joins.
const NODES: usize = 3;
/// How long a handler blocks its thread.
const BLOCK: Duration = Duration::from_secs(60);

/// A job that sleeps, or keeps its thread.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "seat.turn", queue = "seats")]
struct SlotPoll {
    millis: u64,
    blocks: bool,
}

type Told<T> = Result<T, String>;

/// Runs as a node: its words are the server, the namespace, and the number of threads.
pub(crate) fn node(words: &[String]) -> Told<()> {
    let [url, namespace, threads] = words else { return Err("three words".into()) };
    let mut runtime = match threads.as_str() {
        "1" => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let worker = worker_fn(|job: SlotPoll, _: Context| async move {
        let time = Duration::from_millis(job.millis);
        if job.blocks {
            std::thread::sleep(time);
        } else {
            tokio::time::sleep(time).await;
        }
        Ok(Done)
    });
    let pool = Pool::new(QUEUE).size(SLOTS.into()).mode(Mode::Phash).worker(worker);
    let client = Client::new(Config::new(url).namespace(namespace)).map_err(told)?;
    let running = async { Node::builder(client).pool(pool).run().await };
    runtime.enable_all().build().map_err(told)?.block_on(running).map_err(told)
}

/// What is timed, and in how many s it must be over.
const SCENES: [(&str, f64); 3] =
    [("a fourth node starts", 5.0), ("SIGTERM of a node", 5.0), ("SIGKILL of a node", 15.0)];

/// Plays all scenes so many times; true when each kept to its target, and no slot moved in vain.
pub(crate) async fn run(out: &Path, rounds: usize) -> Told<bool> {
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut moved: [Vec<usize>; 3] = Default::default();
    let mut good = true;
    for round in 0..rounds {
        let fleet = Fleet::start(out, &format!("rebalance-{round}")).await?;
        let mut nodes = (0..NODES).map(|_| fleet.node(2)).collect::<Told<Vec<_>>>()?;
        let mut before = fleet.settled(NODES, None).await?;
        let casting = tokio::spawn(cast(fleet.pool.clone()));
        for scene in 0..SCENES.len() {
            let (begun, mut gone) = (Instant::now(), None);
            let members = match scene {
                0 => {
                    nodes.push(fleet.node(2)?);
                    NODES + 1
                }
                1 => {
                    signal(pid(&nodes[0])?, "TERM").await?;
                    NODES
                }
                _ => {
                    gone = nodes[1].id();
                    signal(pid(&nodes[1])?, "KILL").await?;
                    NODES - 1
                }
            };
            let after = fleet.settled(members, gone).await?;
            times[scene].push(begun.elapsed().as_secs_f64());
            let new_home = |(a, b): &(&SlotView, &SlotView)| a.node != b.node;
            let new_term = |(a, b): &(&SlotView, &SlotView)| a.term != b.term;
            let homes = before.iter().zip(&after).filter(new_home).count();
            let terms = before.iter().zip(&after).filter(new_term).count();
            good &= homes == terms;
            moved[scene].push(terms);
            before = after;
        }
        casting.abort();
    }
    println!("every slot lived where it belongs after, in s, with jobs running:\n");
    println!("| scene | rounds | least | median | most | target | slots that moved, of {SLOTS} |");
    println!("|---|---|---|---|---|---|---|");
    for ((title, target), (times, moved)) in SCENES.iter().zip(times.iter_mut().zip(&moved)) {
        let (text, kept) = row(title, times, *target);
        good &= kept;
        println!("{text} {moved:?} |");
    }
    let kept = blocked(out).await?;
    println!("\na handler that blocks the only thread of its node for {BLOCK:?}: {kept}");
    Ok(good && kept == "its slot stays, the job runs once")
}

/// A node of one thread runs a job that keeps it, while another node stands by.
async fn blocked(out: &Path) -> Told<&'static str> {
    let fleet = Fleet::start(out, "rebalance-blocked").await?;
    let _blocked = fleet.node(1)?;
    let before = fleet.settled(1, None).await?;
    let millis = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
    let slot = fleet.pool.slot(0);
    slot.cast(SlotPoll { millis, blocks: true }).await.map_err(told)?;
    until("the job starts", async || Ok(slot.inspect().await.map_err(told)?.running.is_some()))
        .await?;
    let _other = fleet.node(2)?;
    let term = before[0].term;
    let mut stays = true;
    until("the job ends", async || {
        let view = slot.inspect().await.map_err(told)?;
        stays &= view.term == term || view.running.is_none();
        Ok(view.running.is_none())
    })
    .await?;
    let stats = fleet.stage.client.inspect(QUEUE).map_err(told)?.overview().await.map_err(told)?;
    Ok(match (stays, stats.counter("completed"), stats.counter("rescued")) {
        (true, 1, 0) => "its slot stays, the job runs once",
        _ => "FAILED: somebody else took its slot",
    })
}

/// Jobs for all slots, one after another, until it is aborted.
async fn cast(pool: PoolClient<SlotPoll>) {
    for n in 0_u64.. {
        // What cannot be stored is not what is measured.
        let _ = pool.cast(SlotPoll { millis: 30, blocks: false }).key(n.to_string()).await;
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

struct Fleet {
    stage: Stage,
    pool: PoolClient<SlotPoll>,
}

impl Fleet {
    async fn start(out: &Path, name: &str) -> Told<Self> {
        let stage = Stage::set(&out.join(name)).await?;
        let pool = stage.client.pool::<SlotPoll>(QUEUE);
        Ok(Self { stage, pool })
    }

    fn node(&self, threads: usize) -> Told<Child> {
        let mut command = Command::new(program()?);
        command.args([WORD, &self.stage.url, &self.stage.namespace, &threads.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command.spawn().map_err(told)
    }

    /// Waits until that many nodes serve the pool, and each slot lives at the one where it belongs.
    /// A process that was killed stays in the list for a while, though nothing of it is left.
    async fn settled(&self, nodes: usize, killed: Option<u32>) -> Told<Vec<SlotView>> {
        // Where it is in a node's name.
        let killed = killed.map(|pid| format!(":{pid}:"));
        let mut slots = vec![];
        until("every slot finds its node", async || {
            let Ok(mut view) = self.pool.inspect().await else { return Ok(false) };
            view.members.retain(|name| killed.as_ref().is_none_or(|pid| !name.contains(pid)));
            slots = self.pool.slots().await.map_err(told)?;
            let queue = QueueName::new(QUEUE).map_err(told)?;
            let homes: BTreeMap<u16, Option<&str>> = (0..SLOTS)
                .map(|index| {
                    let place = Partition { queue: queue.clone(), index };
                    let members = view.members.iter().map(String::as_str);
                    (index, poolder::dispatch::holder(&place, members))
                })
                .collect();
            let home = |slot: &SlotView| slot.node.as_deref() == homes[&slot.index];
            Ok(view.members.len() == nodes && slots.iter().all(home))
        })
        .await?;
        Ok(slots)
    }
}

fn pid(child: &Child) -> Told<u32> {
    child.id().ok_or("it has ended".into())
}
