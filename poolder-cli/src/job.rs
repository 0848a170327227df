//! The commands `poolder job …`.

mod act;
mod change;
mod enqueue;
mod look;
mod target;

use std::time::Duration;

use clap::{Args, Subcommand};
use poolder_core::Timestamp;
use poolder_core::view::Listing;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Report;
use crate::select::Selection;
use crate::values::moment;
pub(crate) use look::table;
#[cfg(feature = "top")]
pub(crate) use look::{facts, state};

/// The commands about jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobVerb {
    /// Show the jobs of a queue.
    Ls(look::List),
    /// Show a job: its state, its payload, its attempts.
    Get {
        /// The job: a handle such as mail.0/019e…, queue/id, queue/own-id, or an id.
        job: String,
    },
    /// Explain why a job does not run. Exits with 6 when it does not run until a person acts.
    Explain {
        /// The job.
        job: String,
    },
    /// Show the nodes that died with a job, and the jobs that were rescued beside it.
    BlastRadius {
        /// The job.
        job: String,
    },
    /// Make jobs run now that wait for their time or for another attempt. Dead ones are revived.
    RunNow(Jobs),
    /// Make waiting jobs wait until another time.
    Reschedule {
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        when: Later,
    },
    /// Cancel jobs: waiting ones are removed, running ones are asked to stop, on whichever node.
    Cancel(Jobs),
    /// Bury jobs that wait: they are dead then, and can be looked into, edited and revived.
    /// --reason is shown as the error of a job that has not failed before.
    Kill(Jobs),
    /// Remove jobs that wait or are dead.
    Rm(Jobs),
    /// Change the payloads of jobs that wait or are dead, and let the jobs run with them, with all
    /// attempts restored.
    Edit(change::Edit),
    /// Wait until a job has ended, and write its result. Exits with 6 when it has died or was
    /// cancelled, with 7 after --timeout.
    Wait {
        /// The job.
        job: String,
    },
    /// Enqueue a job of any kind.
    Enqueue(enqueue::New),
}

/// The jobs that a command changes.
#[derive(Debug, Args)]
pub(crate) struct Jobs {
    /// The jobs: handles such as mail.0/019e…, queue/id, queue/own-id, or ids.
    #[arg(required_unless_present = "all", value_name = "JOB")]
    jobs: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    confirm: Confirm,
}

/// Another time for a job.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Later {
    /// This long from now: 90s, 2h.
    #[arg(long = "in", value_name = "TIME", value_parser = poolder_cron::span)]
    delay: Option<Duration>,
    /// At this moment: 2026-12-01T08:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    at: Option<Timestamp>,
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &JobVerb) -> Result<Report, Failure> {
    let client = || common.client();
    match verb {
        JobVerb::Ls(list) => look::list(&client().await?, list).await,
        JobVerb::Get { job } => look::get(&client().await?, job).await,
        JobVerb::Explain { job } => look::explain(&client().await?, job).await,
        JobVerb::BlastRadius { job } => look::blast_radius(&client().await?, job).await,
        JobVerb::RunNow(jobs) => {
            act::run(&client().await?, jobs, act::JobChange::RunNow, None).await
        }
        JobVerb::Reschedule { jobs, when } => {
            let change = act::JobChange::Reschedule(when.delay, when.at);
            act::run(&client().await?, jobs, change, None).await
        }
        JobVerb::Cancel(jobs) => {
            act::run(&client().await?, jobs, act::JobChange::Cancel, None).await
        }
        JobVerb::Kill(jobs) => {
            let change = act::JobChange::Bury(common.reason());
            act::run(&client().await?, jobs, change, None).await
        }
        JobVerb::Rm(jobs) => act::run(&client().await?, jobs, act::JobChange::Remove, None).await,
        JobVerb::Edit(edit) => change::run(common, edit).await,
        JobVerb::Wait { job } => look::wait(&client().await?, job, common.timeout).await,
        JobVerb::Enqueue(new) => enqueue::run(common, new).await,
    }
}

/// The commands about dead jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadVerb {
    /// Show the dead jobs of a queue, the last to die first.
    Ls(look::ListDead),
    /// Revive dead jobs: they return to their lanes with all attempts restored.
    Retry(Jobs),
    /// Delete dead jobs.
    Rm(Jobs),
}

/// Runs a command about dead jobs and returns its output.
pub(crate) async fn run_dead(common: &Common, verb: &DeadVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    let dead = Some(Listing::Dead);
    match verb {
        DeadVerb::Ls(list) => look::list_dead(&client, list).await,
        DeadVerb::Retry(jobs) => act::run(&client, jobs, act::JobChange::Revive, dead).await,
        DeadVerb::Rm(jobs) => act::run(&client, jobs, act::JobChange::Remove, dead).await,
    }
}
