//! The commands `poolder queue …`.

mod act;
mod look;

use clap::{Args, Subcommand};
use poolder_client::Client;
use poolder_core::QueueName;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Report;
use crate::past;
#[cfg(feature = "top")]
pub(crate) use look::{dead, facts, lanes, state};

/// The commands about queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueVerb {
    /// Show all queues with the numbers of their jobs.
    Ls,
    /// Show one queue: its lanes, its jobs by state, its leader and its counters.
    Get {
        /// The queue.
        queue: String,
    },
    /// Show how many attempts of each kind of a queue ended in which way, in each period.
    History(past::PastOfQueue),
    /// Pause queues: running jobs finish, and no node claims from them until they are resumed.
    Pause(Queues),
    /// Resume paused queues.
    Resume(Queues),
    /// Change the number of slots of a pool with addressed slots while it runs.
    Resize {
        /// The queue of the pool.
        queue: String,
        /// The new number of slots.
        #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
        slots: u16,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Delete all jobs that wait in queues, for a slot or for their time. Running and dead jobs
    /// stay. Pause the queues first, or jobs that start meanwhile are not deleted.
    Drain(Queues),
    /// Delete all dead jobs of queues.
    Purge(Queues),
}

/// Queues that are changed.
#[derive(Debug, Args)]
pub(crate) struct Queues {
    /// The queues.
    #[arg(required_unless_present = "all", value_name = "QUEUE")]
    queues: Vec<String>,
    /// All queues that were ever used.
    #[arg(long, conflicts_with = "queues")]
    all: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Queues {
    /// Returns the queues. A name that was never used is a failure of its own.
    async fn found(&self, client: &Client) -> Result<Vec<Result<QueueName, Failure>>, Failure> {
        let all = client.queues().await?;
        if self.all {
            return Ok(all.into_iter().map(Ok).collect());
        }
        let find = |queue: &String| {
            let name = QueueName::new(queue)?;
            if all.contains(&name) { Ok(name) } else { Err(unknown(queue)) }
        };
        Ok(self.queues.iter().map(find).collect())
    }
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &QueueVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    match verb {
        QueueVerb::Ls => look::list(&client).await,
        QueueVerb::Get { queue } => look::get(&client, queue).await,
        QueueVerb::History(past) => past::history_of_queue(&client, past).await,
        QueueVerb::Pause(queues) => act::pause(&client, queues, true).await,
        QueueVerb::Resume(queues) => act::pause(&client, queues, false).await,
        QueueVerb::Resize { queue, slots, confirm } => {
            act::resize(&client, queue, *slots, *confirm).await
        }
        QueueVerb::Drain(queues) => act::delete(&client, queues, act::Deletion::Drain).await,
        QueueVerb::Purge(queues) => act::delete(&client, queues, act::Deletion::Purge).await,
    }
}

/// Returns the name of a queue that was ever used, so that a mistyped name is no success.
pub(crate) async fn known(client: &Client, queue: &str) -> Result<QueueName, Failure> {
    let name = QueueName::new(queue)?;
    match client.queues().await?.contains(&name) {
        true => Ok(name),
        false => Err(unknown(queue)),
    }
}

fn unknown(queue: &str) -> Failure {
    Failure::not_found(format!("there is no queue {queue}"))
        .hint("`poolder queue ls` shows all queues")
}
