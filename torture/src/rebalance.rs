//! Measures how soon the slots of an addressed pool find their nodes when a node joins, leaves or
//! is killed, and how few slots move. Also checks that a handler which blocks its thread for a
//! minute keeps its slot: `--rebalance`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{Config, Partition, PoolClient, QueueName, SlotView};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::processes::{program, signal};
use crate::scene::{Stage, error_text, row, until};

/// The first argument of a process that runs as one of the nodes.
pub(crate) const WORD: &str = "rebalance-node";
const QUEUE: &str = "rebalance";
const SLOTS: u16 = 64;
/// The number of nodes before another joins.
const NODES: usize = 3;
/// The time for which a handler blocks its thread.
const BLOCK: Duration = Duration::from_secs(60);

/// A job that sleeps, or blocks its thread.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "rebalance.sleep", queue = "rebalance")]
struct Sleep {
    millis: u64,
    blocks: bool,
}

type Fallible<T> = Result<T, String>;

/// Runs as a node. The arguments are the server, the namespace, and the number of threads.
pub(crate) fn node(words: &[String]) -> Fallible<()> {
    let [url, namespace, threads] = words else { return Err("three words".into()) };
    let mut runtime = match threads.as_str() {
        "1" => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let worker = worker_fn(|job: Sleep, _: Context| async move {
        let time = Duration::from_millis(job.millis);
        if job.blocks {
            std::thread::sleep(time);
        } else {
            tokio::time::sleep(time).await;
        }
        Done
    });
    let pool = Pool::new(QUEUE).size(SLOTS).mode(Mode::Phash).worker(worker);
    let client = Client::new(Config::new(url).namespace(namespace)).map_err(error_text)?;
    let running = async { Node::builder(client).pool(pool).run().await };
    runtime.enable_all().build().map_err(error_text)?.block_on(running).map_err(error_text)
}

/// The scenes, each with its time limit in s.
const SCENES: [(&str, f64); 3] =
    [("a fourth node starts", 5.0), ("SIGTERM of a node", 5.0), ("SIGKILL of a node", 15.0)];

/// Runs all scenes `rounds` times. Returns true when every scene kept its time limit and every slot
/// with a new lease also has a new node.
pub(crate) async fn run(out: &Path, rounds: usize) -> Fallible<bool> {
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut moved: [Vec<usize>; 3] = Default::default();
    let mut good = true;
    for round in 0..rounds {
        let fleet = Fleet::start(out, &format!("rebalance-{round}")).await?;
        let mut nodes = (0..NODES).map(|_| fleet.node(2)).collect::<Fallible<Vec<_>>>()?;
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

/// Runs a job that blocks the only thread of its node, while another node could take the slot.
async fn blocked(out: &Path) -> Fallible<&'static str> {
    let fleet = Fleet::start(out, "rebalance-blocked").await?;
    let _blocked = fleet.node(1)?;
    let before = fleet.settled(1, None).await?;
    let millis = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
    let slot = fleet.pool.slot(0);
    slot.cast(Sleep { millis, blocks: true }).await.map_err(error_text)?;
    until("the job starts", async || Ok(slot.view().await.map_err(error_text)?.running.is_some()))
        .await?;
    let _other = fleet.node(2)?;
    let term = before[0].term;
    let mut stays = true;
    until("the job ends", async || {
        let view = slot.view().await.map_err(error_text)?;
        stays &= view.term == term || view.running.is_none();
        Ok(view.running.is_none())
    })
    .await?;
    let stats = fleet.stage.client.inspect(QUEUE).overview().await.map_err(error_text)?;
    Ok(match (stays, stats.counter("completed"), stats.counter("rescued")) {
        (true, 1, 0) => "its slot stays, the job runs once",
        _ => "FAILED: another node took its slot",
    })
}

/// Casts jobs for all slots until the task is aborted.
async fn cast(pool: PoolClient<Sleep>) {
    for n in 0_u64.. {
        // A failed cast is ignored: only the slots are measured.
        let _ = pool.cast(Sleep { millis: 30, blocks: false }).key(n.to_string()).await;
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

struct Fleet {
    stage: Stage,
    pool: PoolClient<Sleep>,
}

impl Fleet {
    async fn start(out: &Path, name: &str) -> Fallible<Self> {
        let stage = Stage::set(&out.join(name)).await?;
        let pool = stage.client.pool::<Sleep>(QUEUE);
        Ok(Self { stage, pool })
    }

    fn node(&self, threads: usize) -> Fallible<Child> {
        let mut command = Command::new(program()?);
        command.args([WORD, &self.stage.url, &self.stage.namespace, &threads.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command.spawn().map_err(error_text)
    }

    /// Waits until `nodes` nodes serve the pool, and each slot is held by the node to which it
    /// belongs. The pool may list a killed process for a while, which is ignored.
    async fn settled(&self, nodes: usize, killed: Option<u32>) -> Fallible<Vec<SlotView>> {
        // The process id as it stands in a node's name.
        let killed = killed.map(|pid| format!(":{pid}:"));
        let mut slots = vec![];
        until("every slot finds its node", async || {
            let Ok(mut view) = self.pool.view().await else { return Ok(false) };
            view.members.retain(|name| killed.as_ref().is_none_or(|pid| !name.contains(pid)));
            slots = self.pool.slots().await.map_err(error_text)?;
            let queue = QueueName::new(QUEUE).map_err(error_text)?;
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

fn pid(child: &Child) -> Fallible<u32> {
    child.id().ok_or("it has ended".into())
}
