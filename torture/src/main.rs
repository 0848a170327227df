//! Runs Poolder under faults and checks its promises: `cargo xtask torture`.
//!
//! | file | contents |
//! |---|---|
//! | `plan` | the faults and their times, derived from a seed alone |
//! | `job` | what each job does, derived from a seed alone |
//! | `bad` | handlers that misbehave, and what is promised for each |
//! | `ledger` | append-only files outside Redis |
//! | `proxy` | loses, delays, splits and cuts the traffic between a process and its server |
//! | `servers` | the private server, and its clock |
//! | `reshard` | faults of a cluster: slots move, primaries are replaced |
//! | `processes`, `child` | nodes and producers in child processes |
//! | `strike` | carries out a fault |
//! | `storm` | a run: faults, calm, drain, end |
//! | `final_state` | the contents of Redis at the end |
//! | `checker` | checks a run from ledger and final state alone |
//! | `report` | the report of a run, as a table and as JSON |
//! | `runs`, `profiles` | the named runs |
//! | `recovery` | measures how soon the jobs of a killed or stopped node run on another |
//! | `rebalance` | measures how soon the slots of a pool find their nodes |
//! | `beside` | the load beside the plain jobs: `ticks`, `batches`, `keys`, `limits`, `uniques`, `extremes` |
//! | `guards`, `drills`, `rollback`, `emptied`, `staged`, `mutations` | one guard is left out at a time: a drill must fail |

mod args;
mod bad;
mod batches;
mod beside;
mod checker;
mod child;
mod drills;
mod emptied;
mod extremes;
mod final_state;
mod guards;
mod job;
mod keys;
mod ledger;
mod limits;
mod mutations;
mod plan;
mod processes;
mod profiles;
mod proxy;
mod random;
mod rebalance;
mod recovery;
mod report;
mod reshard;
mod rollback;
mod runs;
mod scene;
mod servers;
mod staged;
mod storm;
mod strike;
mod ticks;
mod uniques;

use std::process::ExitCode;

use args::Task;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = if words.first().is_some_and(|word| word == child::WORD) {
        child::run(&words.pop().unwrap_or_default()).map(|()| true)
    } else if words.first().is_some_and(|word| word == rebalance::WORD) {
        rebalance::node(&words[1..]).map(|()| true)
    } else {
        args::parse(words).and_then(command)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("torture: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the task until it ends or a signal arrives. A signal drops everything that was started,
/// which ends all child processes.
fn command(task: Task) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = act(task) => outcome,
            () = interrupted() => Err("interrupted, and cleaned up".into()),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

async fn act(task: Task) -> Result<bool, String> {
    match task {
        Task::Storm(storm) => runs::storm(storm).await,
        Task::Schedules(storm) => profiles::schedules(storm).await,
        Task::Limits(storm) => profiles::limits(storm).await,
        Task::Batches(storm) => profiles::batches(storm).await,
        Task::Hung(storm) => profiles::hung(storm).await,
        Task::Unique(storm) => profiles::unique(storm).await,
        Task::Smoke(out) => runs::smoke(&out).await,
        Task::Mutations(out, names) => mutations::run(&out, &names).await,
        Task::Recovery(out) => recovery::run(&out, 5).await,
        Task::Rebalance(out) => rebalance::run(&out, 3).await,
        Task::Help => {
            println!("{}", args::USAGE);
            Ok(true)
        }
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
