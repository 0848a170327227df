//! The commands `poolder schedule …`.
//!
//! | file | contents |
//! |---|---|
//! | `options` | the options that describe a schedule |
//! | `act` | add and change |
//! | `many` | pause, resume, remove and run, of one schedule or several |
//! | `look` | list, get and preview |

mod act;
mod look;
mod many;
mod options;

use clap::{Args, Subcommand};

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::output::Report;
#[cfg(feature = "top")]
pub(crate) use look::{end_of, facts_of, status};
use options::{Options, When};

/// The commands about schedules.
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleVerb {
    /// Add a schedule for a job of any kind.
    Add {
        #[command(flatten)]
        target: Target,
        /// The kind of the job, as its worker declares it.
        #[arg(long)]
        kind: String,
        #[command(flatten)]
        options: Options,
        /// Replace a schedule of this name, if there is one; its history and a pause are kept.
        #[arg(long)]
        replace: bool,
    },
    /// Change the given settings of a schedule, and leave the others as they are.
    Change {
        #[command(flatten)]
        target: Target,
        /// Another kind for the job.
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        options: Options,
        /// Remove the start: the schedule may tick at once.
        #[arg(long, conflicts_with = "start")]
        no_start: bool,
        /// Remove the end: the schedule ticks without end.
        #[arg(long, conflicts_with = "end")]
        no_end: bool,
    },
    /// Pause schedules until they are resumed.
    Pause(Targets),
    /// Let paused or stopped schedules tick again, from now on.
    Resume(Targets),
    /// Remove schedules. A schedule that code declares comes back when a node starts: pause it
    /// instead.
    Remove(Targets),
    /// Enqueue the jobs of schedules once more, now.
    Run(Targets),
    /// Show all schedules with their last and next runs, and the leaders of their queues.
    #[command(visible_alias = "ls")]
    List {
        /// Show only the schedules of this queue.
        #[arg(long)]
        queue: Option<String>,
    },
    /// Show one schedule, with its next ticks and its last ten runs.
    Get {
        /// The name of the schedule, unique in its queue.
        name: String,
        /// The queue into which the schedule enqueues jobs.
        #[arg(long)]
        queue: String,
    },
    /// Show the next ticks of a schedule, or of a given timing, which needs no server.
    Preview {
        /// The name of the schedule.
        #[arg(required_unless_present_any = ["cron", "every"], conflicts_with_all = ["cron", "every"])]
        name: Option<String>,
        /// The queue of the schedule.
        #[arg(long, requires = "name")]
        queue: Option<String>,
        #[command(flatten)]
        when: When,
        /// The number of ticks to show.
        #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
    },
}

/// The schedule that a command is about.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The name of the schedule, unique in its queue.
    name: String,
    /// The queue into which the schedule enqueues jobs.
    #[arg(long)]
    queue: String,
    #[command(flatten)]
    confirm: Confirm,
}

/// The schedules that a command changes.
#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// The names of the schedules, unique in their queue.
    #[arg(required_unless_present = "all", value_name = "NAME")]
    names: Vec<String>,
    /// All schedules, or those of the queue.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// With --all, only schedules whose name, queue or kind contains this text.
    #[arg(
        long = "match",
        value_name = "TEXT",
        requires = "all",
        conflicts_with = "names",
        default_value = ""
    )]
    text: String,
    /// The queue into which the schedules enqueue jobs.
    #[arg(long, required_unless_present = "all")]
    queue: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &ScheduleVerb) -> Result<Report, Failure> {
    match verb {
        ScheduleVerb::Add { target, kind, options, replace } => {
            act::add(common, target, kind, options, *replace).await
        }
        ScheduleVerb::Change { target, kind, options, no_start, no_end } => {
            let change =
                act::Change { kind: kind.as_deref(), no_start: *no_start, no_end: *no_end };
            act::change(common, target, &change, options).await
        }
        ScheduleVerb::Pause(targets) => many::run(common, targets, many::Verb::Pause).await,
        ScheduleVerb::Resume(targets) => many::run(common, targets, many::Verb::Resume).await,
        ScheduleVerb::Remove(targets) => many::run(common, targets, many::Verb::Remove).await,
        ScheduleVerb::Run(targets) => many::run(common, targets, many::Verb::Run).await,
        ScheduleVerb::List { queue } => look::list(common, queue.as_deref()).await,
        ScheduleVerb::Get { name, queue } => look::get(common, name, queue).await,
        ScheduleVerb::Preview { name, queue, when, count } => {
            let count = usize::from(*count);
            match name {
                Some(name) => look::preview(common, name, queue.as_deref(), when, count).await,
                None => look::expression(when, count),
            }
        }
    }
}
