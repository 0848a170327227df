//! A run: processes work while planned faults strike. Then faults are off, and the work must end in
//! time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use poolder_devserver::Fsync;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::beside::Beside;
use crate::child::{Common, Instructions, Producer, Worker};
use crate::final_state::{self, FinalState};
use crate::job::Act;
use crate::ledger::{How, Ledger};
use crate::plan::{Planned, Profile};
use crate::processes::Handle;
use crate::proxy::{Conditions, Proxy, Rules};
use crate::servers::Stand;
use crate::strike::Field;

/// The distance between the first job numbers of two producers.
pub(crate) const SHARE: u64 = 100_000_000;

/// Longer than it takes to declare a node dead and to check all consumers once.
const TIDY: Duration = Duration::from_secs(45);

/// The settings of a run.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) profile: Profile,
    pub(crate) seed: u64,
    /// The time during which faults strike.
    pub(crate) span: Duration,
    pub(crate) plan: Vec<Planned>,
    pub(crate) jobs: u64,
    pub(crate) nodes: usize,
    pub(crate) slots: usize,
    pub(crate) producers: u64,
    /// The average time of a job, in ms.
    pub(crate) millis: u64,
    /// One in this many jobs kills its process; 0 for none.
    pub(crate) killers: u64,
    /// The ways to enqueue; empty for all of them.
    pub(crate) ways: Vec<How>,
    /// The ends of jobs; empty for all of them.
    pub(crate) acts: Vec<Act>,
    /// The guard that the processes leave out; empty for none.
    pub(crate) mutation: String,
    /// The load beside the plain jobs.
    pub(crate) beside: Beside,
    pub(crate) fsync: Fsync,
    /// The time in which the work must end, counted from the last fault and the last enqueue.
    pub(crate) drain: Duration,
    /// The folder of the ledger.
    pub(crate) folder: PathBuf,
}

/// The results of a run besides the ledger.
#[derive(Debug)]
pub(crate) struct Aftermath {
    pub(crate) server: String,
    pub(crate) planned: usize,
    pub(crate) happened: usize,
    /// The time that the work took to end; `None` when it did not end.
    pub(crate) drained: Option<Duration>,
    /// The number of nodes that did not end after SIGTERM.
    pub(crate) stuck: usize,
    pub(crate) state: FinalState,
    pub(crate) took: Duration,
}

/// Carries out the run. Dropping the future ends every process that the run has started.
pub(crate) async fn run(setup: &Setup) -> Result<Aftermath, String> {
    let begun = Instant::now();
    let (field, keepers) = build(setup).await?;
    let field = Arc::new(field);
    let mut keepers = keepers;
    let happened = faults(setup, &field, &mut keepers).await?;
    calm(&field);
    let drained = drain(setup, &field, &mut keepers).await?;
    let stuck = dismiss(&field).await?;
    while let Some(kept) = keepers.join_next().await {
        kept.map_err(|error| error.to_string())??;
    }
    let state = final_state::read(&field.places().await?, &field.namespace).await?;
    Ok(Aftermath {
        server: field.stand.server()?.found().to_string(),
        planned: setup.plan.len(),
        happened,
        drained,
        stuck,
        state,
        took: begun.elapsed(),
    })
}

type Keepers = JoinSet<Result<(), String>>;

async fn build(setup: &Setup) -> Result<(Field, Keepers), String> {
    let (fsync, folder, profile) = (setup.fsync, setup.folder.clone(), setup.profile);
    let stand = tokio::task::spawn_blocking(move || match profile {
        Profile::Standalone => Stand::start(fsync, &folder),
        Profile::Sentinel => Stand::start_pair(fsync),
        Profile::Cluster => Stand::start_cluster(fsync),
    });
    let stand = Arc::new(stand.await.map_err(|error| error.to_string())??);
    let ledger = setup.folder.join("torture.jsonl");
    let ledger = Ledger::open(&ledger).map_err(|error| error.to_string())?;
    let namespace = format!("torture-{}", setup.seed);
    let common = |name: String| Common {
        url: stand.direct_url().unwrap_or_default(),
        namespace: namespace.clone(),
        ledger: setup.folder.clone(),
        name,
        incarnation: 0,
        mutation: setup.mutation.clone(),
        queues: stand.queues(),
    };
    let (node_losses, producer_losses) = (Arc::new(Rules::default()), Arc::new(Rules::default()));
    let (mut nodes, mut producers, mut keepers) = (vec![], vec![], JoinSet::new());
    for index in 0..setup.nodes {
        let common = common(format!("node-{index}"));
        let proxy = proxy(&common.name, &stand, &node_losses).await?;
        // Some nodes release their unfinished jobs almost at once, others drain for up to 5 s.
        let shutdown_millis = if index % 2 == 0 { 30 } else { 5_000 };
        let (slots, beside) = (setup.slots, setup.beside.clone());
        let instructions = Worker { common, slots, shutdown_millis, hangs: true, beside };
        nodes.push(Handle::start(Instructions::Worker(instructions), proxy)?);
    }
    for index in 0..setup.producers {
        let common = common(format!("producer-{index}"));
        let proxy = proxy(&common.name, &stand, &producer_losses).await?;
        let count = setup.jobs / setup.producers + u64::from(index < setup.jobs % setup.producers);
        let instructions = Producer {
            common,
            seed: setup.seed,
            first: index * SHARE,
            count,
            // A little faster than needed, so that enqueueing ends before the faults do.
            rate: count as f64 / (setup.span.as_secs_f64() * 0.9).max(1.0),
            millis: setup.millis,
            killers: setup.killers,
            ways: setup.ways.clone(),
            acts: setup.acts.clone(),
            replicas: u32::from(setup.profile != Profile::Standalone),
        };
        producers.push(Handle::start(Instructions::Producer(instructions), proxy)?);
    }
    for mut instructions in setup.beside.producers(common, setup.seed, setup.span) {
        let proxy = proxy(&instructions.common().name, &stand, &producer_losses).await?;
        producers.push(Handle::start(instructions, proxy)?);
    }
    setup.beside.begin(&stand, &namespace, &ledger).await?;
    for handle in nodes.iter().chain(&producers) {
        keepers.spawn(handle.clone().keep(ledger.clone()));
    }
    let partitions = setup.beside.partitions(stand.queues());
    let field = Field {
        stand,
        namespace,
        partitions,
        ledger,
        node_losses,
        producer_losses,
        room: Semaphore::new(setup.nodes.saturating_sub(2).max(1)),
        nodes,
        producers,
        server: Mutex::new(()),
        faults: AtomicU64::new(1),
    };
    Ok((field, keepers))
}

/// Starts a proxy for a process, where a proxy is possible.
async fn proxy(name: &str, stand: &Stand, rules: &Arc<Rules>) -> Result<Option<Proxy>, String> {
    if stand.direct_url().is_some() {
        return Ok(None);
    }
    let proxy = Proxy::start(name, stand.address()?, Arc::clone(rules)).await;
    proxy.map(Some).map_err(|error| error.to_string())
}

/// Lets every fault strike at its time, and waits until all are over.
async fn faults(setup: &Setup, field: &Arc<Field>, keepers: &mut Keepers) -> Result<usize, String> {
    let begun = tokio::time::Instant::now();
    let mut strikes = JoinSet::new();
    let mut said = Instant::now();
    for planned in &setup.plan {
        tokio::time::sleep_until(begun + planned.at).await;
        let (struck, fault) = (Arc::clone(field), planned.fault.clone());
        let aimed = setup.beside.aim_at_leader;
        strikes.spawn(async move {
            let fault = if aimed { struck.at_leader(fault).await } else { fault };
            struck.strike(fault).await
        });
        kept(keepers)?;
        if said.elapsed() > Duration::from_secs(30) {
            said = Instant::now();
            let done = field.faults.load(std::sync::atomic::Ordering::Relaxed) - 1;
            eprintln!("torture: {done} faults after {} s", begun.elapsed().as_secs());
        }
    }
    tokio::time::sleep_until(begun + setup.span).await;
    let mut happened = 0;
    while let Some(struck) = strikes.join_next().await {
        happened += usize::from(struck.map_err(|error| error.to_string())??);
    }
    Ok(happened)
}

/// Ends the run if a keeper has failed.
fn kept(keepers: &mut Keepers) -> Result<(), String> {
    while let Some(kept) = keepers.try_join_next() {
        kept.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// Turns all faults off.
fn calm(field: &Field) {
    field.node_losses.forgive();
    field.producer_losses.forgive();
    for handle in field.nodes.iter().chain(&field.producers) {
        if let Ok(proxy) = handle.proxy() {
            proxy.set(clear_conditions);
        }
    }
}

fn clear_conditions(conditions: &mut Conditions) {
    conditions.delay = Duration::ZERO;
    conditions.dribble = false;
    conditions.frozen = false;
}

/// Waits until the producers are done and the queue is empty; `None` if that takes too long.
async fn drain(
    setup: &Setup,
    field: &Field,
    keepers: &mut Keepers,
) -> Result<Option<Duration>, String> {
    let patience = Duration::from_secs(120);
    let begun = Instant::now();
    loop {
        let mut all = true;
        for producer in &field.producers {
            all &= producer.member.lock().await.is_finished();
        }
        if all {
            break;
        }
        if begun.elapsed() > patience {
            return Err("the producers did not end within two minutes of calm".into());
        }
        kept(keepers)?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let Field { stand, namespace, ledger, .. } = field;
    setup.beside.conclude(stand, namespace, ledger).await?;
    let begun = Instant::now();
    while begun.elapsed() < setup.drain {
        // A server whose role has just changed may close the connection once more.
        if is_drained(field).await.unwrap_or(false) {
            let drained = begun.elapsed();
            tidy(field).await;
            return Ok(Some(drained));
        }
        kept(keepers)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(None)
}

/// Waits until living nodes have cleaned up after the dead ones: only nodes do that.
async fn tidy(field: &Field) {
    let begun = Instant::now();
    while begun.elapsed() < TIDY && !is_tidy(field).await.unwrap_or(false) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn is_drained(field: &Field) -> Result<bool, String> {
    final_state::is_drained(&field.places().await?, &field.namespace).await
}

async fn is_tidy(field: &Field) -> Result<bool, String> {
    let mut pids = vec![];
    for node in &field.nodes {
        pids.extend(node.member.lock().await.pid());
    }
    final_state::is_tidy(&field.places().await?, &field.namespace, &pids).await
}

/// Stops every node. Returns the number of nodes that had to be killed.
async fn dismiss(field: &Field) -> Result<usize, String> {
    for node in &field.nodes {
        let mut member = node.member.lock().await;
        member.dismiss();
        member.signal("TERM").await?;
    }
    let mut stuck = 0;
    for node in &field.nodes {
        let mut member = node.member.lock().await;
        if !member.await_end(Duration::from_secs(40)).await {
            stuck += 1;
            member.kill().await?;
        }
    }
    Ok(stuck)
}
