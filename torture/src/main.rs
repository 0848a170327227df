//! Torments Poolder and checks what it promises: `cargo xtask torture`.
//!
//! | file | what |
//! |---|---|
//! | `plan` | which fault strikes when; pure, from a seed |
//! | `job` | what each job shall do; pure, from a seed |
//! | `ledger` | append-only files outside Redis |
//! | `proxy` | loses, delays, chops and cuts what goes between a process and its server |
//! | `servers` | the private server, and its clock |
//! | `reshard` | what happens to a cluster: slots move, primaries are replaced |
//! | `processes`, `child` | nodes and producers in processes of their own |
//! | `strike` | carries out a fault |
//! | `storm` | a run: faults, calm, drain, end |
//! | `final_state` | what Redis holds in the end |
//! | `checker` | reads ledger and final state, and nothing else |
//! | `report` | a table, and JSON |
//! | `runs`, `profiles` | the runs that have names |
//! | `recovery` | how soon the jobs of a node that goes run elsewhere |
//! | `rebalance` | how soon the slots of a pool find their nodes |
//! | `beside` | what runs besides the plain jobs: `ticks`, `batches`, `keys` |
//! | `drills`, `rollback`, `mutations` | one guard left out at a time: somebody must notice |

mod args;
mod batches;
mod beside;
mod checker;
mod child;
mod drills;
mod final_state;
mod job;
mod keys;
mod ledger;
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
mod storm;
mod strike;
mod ticks;

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

/// Does it, unless a signal comes first: then everything that was started is dropped, and with it
/// ends.
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
        Task::Batches(storm) => profiles::batches(storm).await,
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
