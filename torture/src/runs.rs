//! The named runs: the storm and the smoke test.

use std::fs;
use std::path::Path;
use std::time::Duration;

use poolder_devserver::Fsync;

use crate::args::Storm;
use crate::beside::Beside;
use crate::checker::{Allowances, History, check};
use crate::ledger::{self, How};
use crate::plan::{self, Profile};
use crate::report::Report;
use crate::storm::{self, Setup};

/// The fleet of a storm.
const NODES: usize = 8;
const SLOTS: usize = 4;
const PRODUCERS: u64 = 3;
/// In a cluster each queue has one slot of a node.
const CLUSTER_SLOTS: usize = crate::reshard::QUEUES;
/// The time in which the work must end once faults are off.
const DRAIN: Duration = Duration::from_secs(60);
/// The seed of the smoke test.
const SMOKE_SEED: u64 = 20_26;

/// Runs a long run.
pub(crate) async fn storm(asked: Storm) -> Result<bool, String> {
    let (seed, span) = asked.draw();
    // Jobs keep nearly half of the slots busy, so that most faults hit a busy node. Killed and
    // paused nodes, retries and repetitions take nearly all of the rest. Behind Sentinels no job
    // can be settled for most of the time, and the backlog must be done within the time to drain.
    let share = match asked.profile {
        Profile::Standalone => 0.45,
        Profile::Sentinel => 0.1,
        Profile::Cluster => 0.25,
    };
    let slots = if asked.profile == Profile::Cluster { CLUSTER_SLOTS } else { SLOTS };
    let busy = share * span.as_secs_f64() * 1e3 * (NODES * slots) as f64;
    let millis = (busy / asked.jobs as f64).clamp(1.0, 300.0);
    // Each enqueue must wait for a replica. Bulk does not wait, so it is left out.
    let ways = match asked.profile {
        Profile::Standalone => vec![],
        Profile::Sentinel | Profile::Cluster => {
            vec![How::Plain, How::Later, How::Idempotent, How::IdempotentLater]
        }
    };
    let setup = Setup {
        profile: asked.profile,
        seed,
        span,
        plan: plan::draw(asked.profile, seed, asked.faults, span),
        jobs: asked.jobs,
        nodes: NODES,
        slots,
        producers: PRODUCERS,
        millis: millis as u64,
        killers: (asked.jobs / 4).max(1),
        ways,
        acts: vec![],
        mutation: String::new(),
        // Other load does not wait for replicas. Nothing is promised for it where a replica may
        // take over.
        beside: match asked.profile {
            Profile::Standalone => Beside::a_little(span),
            Profile::Sentinel | Profile::Cluster => Beside::default(),
        },
        fsync: asked.fsync,
        drain: DRAIN,
        folder: asked.out.join(format!("seed-{seed}")),
    };
    begin("storm", &setup, asked.keep).await
}

/// Runs a short storm for CI: smaller, with a fixed seed.
pub(crate) async fn smoke(out: &Path) -> Result<bool, String> {
    let span = Duration::from_secs(25);
    let setup = Setup {
        profile: Profile::Standalone,
        seed: SMOKE_SEED,
        span,
        plan: plan::draw(Profile::Standalone, SMOKE_SEED, 26, span),
        jobs: 2_000,
        nodes: 4,
        slots: 4,
        producers: 2,
        millis: 80,
        killers: 0,
        ways: vec![],
        acts: vec![],
        mutation: String::new(),
        beside: Beside::a_little(span),
        fsync: Fsync::Always,
        drain: DRAIN,
        folder: out.join("smoke"),
    };
    finish("smoke", &setup, false).await
}

/// Announces the run, then runs it.
pub(crate) async fn begin(name: &str, setup: &Setup, keep: bool) -> Result<bool, String> {
    let (seed, faults) = (setup.seed, setup.plan.len());
    println!("torture: seed {seed}, {faults} faults in {} s", setup.span.as_secs());
    finish(name, setup, keep).await
}

/// Runs and checks the run, and prints the results. The ledger is kept when a check failed.
async fn finish(name: &str, setup: &Setup, keep: bool) -> Result<bool, String> {
    let report = run(name, setup).await?;
    println!("{}", report.table());
    let path = setup.folder.with_extension("json");
    let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    fs::write(&path, json).map_err(|error| format!("{}: {error}", path.display()))?;
    let good = report.verdict.is_good();
    if good && !keep {
        fs::remove_dir_all(&setup.folder).map_err(|error| error.to_string())?;
    } else {
        println!("the ledger is in {}", setup.folder.display());
    }
    println!("report: {}", path.display());
    Ok(good)
}

/// Runs and checks the run.
pub(crate) async fn run(name: &str, setup: &Setup) -> Result<Report, String> {
    ledger::empty(&setup.folder)?;
    let after = storm::run(setup).await?;
    let history = History::read(&setup.folder)?;
    let allowed = Allowances {
        slots: (setup.nodes * setup.slots) as u64,
        rollbacks: setup.profile != Profile::Standalone,
        losses: setup.fsync == Fsync::EverySec && fell_behind(&history),
    };
    let mut verdict = check(&history, &after.state, allowed);
    setup.beside.check(&setup.folder, &after.state, &history.faults, &mut verdict).await?;
    Ok(Report::new(name, setup, &after, verdict))
}

/// Returns true when the server was killed while its file was behind, as the server itself had
/// reported.
fn fell_behind(history: &History) -> bool {
    let delayed = |note: &str| note.strip_prefix("aof_delayed_fsync ")?.parse::<u64>().ok();
    history
        .faults
        .iter()
        .filter(|fault| fault.kind == "server killed")
        .any(|fault| delayed(&fault.note).is_some_and(|times| times > 0))
}
