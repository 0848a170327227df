//! The `poolder` program, by which operators manage Poolder from a terminal.
//!
//! | file | contents |
//! |---|---|
//! | `args` | the tree of commands, and the options that all share: connection, form of the output |
//! | `output` | results as tables, as JSON, as lines of JSON and as ids |
//! | `failure` | exit codes, and the line and the hint of a failure |
//! | `values`, `payload` | arguments that several commands have |
//! | `select` | jobs that are selected by queue, state and conditions |
//! | `confirm` | the question before many things are changed |
//! | `many` | one change of several subjects |
//! | `explain` | the form of explanations |
//! | `health` | `status` and `doctor` |
//! | `audit`, `journal`, `log` | who has changed what; what has happened to nodes; what both share |
//! | `errors` | the commands about groups of equal errors |
//! | `past`, `stats` | the history of kinds, and the counters of queues |
//! | `queue`, `job`, `node` | the commands about queues, jobs and nodes |
//! | `batch`, `pool` | the commands about batchers, and about addressed slots |
//! | `schedule` | the commands about schedules |
//! | `top` | the screen `poolder top` |
//! | `export`, `import` | jobs, schedules and settings as lines of JSON |
//! | `metrics` | the metrics of the namespace, once or on an address |
//! | `dashboard` | the pages, on an address |
//! | `program` | the commands about the program itself |
//!
//! Commands only show what `poolder-client` returns.

mod args;
mod audit;
mod batch;
mod confirm;
#[cfg(feature = "dashboard")]
mod dashboard;
mod errors;
mod explain;
mod export;
mod failure;
mod group;
mod health;
mod import;
mod job;
mod journal;
mod limits;
mod log;
mod many;
mod metrics;
mod node;
mod output;
mod past;
mod payload;
mod pool;
mod program;
mod queue;
mod schedule;
mod select;
mod stats;
#[cfg(feature = "top")]
mod top;
mod unique;
mod values;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Noun};
use failure::{Exit, Failure};
use output::Report;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("the runtime cannot start: {error}");
            return exit(Err(Failure::new(Exit::Failed, text)));
        }
    };
    let done = runtime.block_on(run_in_time(&args));
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    exit(done.and_then(|report| {
        let written = report.print(args.common.form(), args.common.is_coloured());
        let cannot = |error| format!("standard output cannot be written: {error}");
        written.map_err(|error| Failure::new(Exit::Failed, cannot(error)))?;
        Ok(report.exit)
    }))
}

fn exit(done: Result<Exit, Failure>) -> ExitCode {
    let exit = done.unwrap_or_else(|failure| {
        output::remark(&failure.to_string());
        failure.exit
    });
    ExitCode::from(exit as u8)
}

/// Runs the command until it is done, its time is over, or the user interrupts it.
async fn run_in_time(args: &Args) -> Result<Report, Failure> {
    let limit = args.common.timeout;
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = run(args) => done,
        () = over => {
            let limit = output::duration(limit.unwrap_or_default());
            Err(Failure::new(Exit::TimedOut, format!("the command was not done within {limit}")))
        }
        Ok(()) = tokio::signal::ctrl_c() => {
            Err(Failure::new(Exit::Interrupted, "interrupted"))
        }
    }
}

async fn run(args: &Args) -> Result<Report, Failure> {
    let common = &args.common;
    match &args.noun {
        Noun::Status => health::status(common).await,
        Noun::Doctor(options) => health::doctor(common, options).await,
        Noun::Error { verb } => errors::run(common, verb).await,
        Noun::Limits { verb } => limits::run(common, verb).await,
        Noun::Group { verb } => group::run(common, verb).await,
        Noun::Unique { verb } => unique::run(common, verb).await,
        Noun::History(past) => past::history(common, past).await,
        Noun::Audit(options) => audit::run(common, options).await,
        Noun::Journal(options) => journal::run(common, options).await,
        Noun::Stats(options) => stats::run(common, options).await,
        Noun::Queue { verb } => queue::run(common, verb).await,
        Noun::Job { verb } => job::run(common, verb).await,
        Noun::Dead { verb } => job::run_dead(common, verb).await,
        Noun::Node { verb } => node::run(common, verb).await,
        #[cfg(feature = "top")]
        Noun::Top => top::run(common).await,
        Noun::Schedule { verb } => schedule::run(common, verb).await,
        Noun::Pool { verb } => pool::run(common, verb).await,
        Noun::Batch { verb } => batch::run(common, verb).await,
        #[cfg(feature = "dashboard")]
        Noun::Dashboard(args) => dashboard::run(common, args).await,
        Noun::Metrics(args) => metrics::run(common, args).await,
        Noun::Export(args) => export::run(common, args).await,
        Noun::Import(args) => import::run(common, args).await,
        Noun::Program(verb) => program::run(verb),
    }
}
