//! `poolder schedule …`
//!
//! | file | what |
//! |---|---|
//! | `options` | a schedule as the command line describes it |
//! | `act` | add, change, pause, resume, remove, run |
//! | `look` | list and preview |

mod act;
mod look;
mod options;

use clap::{Args, Subcommand};
use poolder_core::Error;

use crate::args::Common;
use options::{Options, When};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a schedule for a job of any kind.
    Add {
        #[command(flatten)]
        target: Target,
        /// The kind of its job, as the workers know it.
        #[arg(long)]
        kind: String,
        #[command(flatten)]
        options: Options,
        /// Replace the one of this name, if there is one; it keeps its history and a pause.
        #[arg(long)]
        replace: bool,
    },
    /// Change what is said here, and leave the rest as it is.
    Change {
        #[command(flatten)]
        target: Target,
        /// Another kind for its job.
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        options: Options,
        /// It may tick at once.
        #[arg(long, conflicts_with = "start")]
        no_start: bool,
        /// It ticks for ever.
        #[arg(long, conflicts_with = "end")]
        no_end: bool,
    },
    /// Let it rest until it is resumed.
    Pause {
        #[command(flatten)]
        target: Target,
    },
    /// Let it tick again, from now on.
    Resume {
        #[command(flatten)]
        target: Target,
    },
    /// Remove it. One that code declares comes back when a node starts: pause it instead.
    Remove {
        #[command(flatten)]
        target: Target,
    },
    /// Enqueue its job once more, now.
    Run {
        #[command(flatten)]
        target: Target,
    },
    /// Show all schedules, with their last and next runs, and who leads their queues.
    List {
        /// Only those of this queue.
        #[arg(long)]
        queue: Option<String>,
    },
    /// Show the next ticks: of a schedule, or of an expression alone, which needs no server.
    Preview {
        /// The schedule.
        #[arg(required_unless_present_any = ["cron", "every"], conflicts_with_all = ["cron", "every"])]
        name: Option<String>,
        /// Its queue.
        #[arg(long, requires = "name")]
        queue: Option<String>,
        #[command(flatten)]
        when: When,
        /// How many ticks.
        #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
    },
}

/// Which schedule.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Its name, unique in its queue.
    name: String,
    /// The queue that it feeds.
    #[arg(long)]
    queue: String,
}

/// Does it; returns what is to be said.
pub(crate) async fn run(common: &Common, verb: &Verb) -> Result<String, Error> {
    match verb {
        Verb::Add { target, kind, options, replace } => {
            act::add(common, target, kind, options, *replace).await
        }
        Verb::Change { target, kind, options, no_start, no_end } => {
            let change =
                act::Change { kind: kind.as_deref(), no_start: *no_start, no_end: *no_end };
            act::change(common, target, &change, options).await
        }
        Verb::Pause { target } => act::pause(common, target).await,
        Verb::Resume { target } => act::resume(common, target).await,
        Verb::Remove { target } => act::remove(common, target).await,
        Verb::Run { target } => act::run(common, target).await,
        Verb::List { queue } => look::list(common, queue.as_deref()).await,
        Verb::Preview { name, queue, when, count } => {
            let count = usize::from(*count);
            match name {
                Some(name) => look::preview(common, name, queue.as_deref(), when, count).await,
                None => look::expression(common, when, count),
            }
        }
    }
}
