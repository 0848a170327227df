//! The command line: its commands, and the options that they share.

use std::time::Duration;

use clap::{Parser, Subcommand};
use poolder_client::Client;
use poolder_core::Error;
use poolder_core::broker::Config;
use poolder_core::history::Actor;

#[cfg(feature = "dashboard")]
use crate::dashboard;
use crate::output::{Colour, Form};
use crate::{
    audit, batch, errors, export, group, health, import, job, journal, limits, metrics, node, past,
    pool, program, queue, schedule, stats, unique,
};

/// Operates the queues of Poolder.
///
/// Connects to the server of --redis, else of POOLDER_REDIS_URL, else of REDIS_URL, else to the
/// local one. Data goes to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "poolder", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 not understood, 3 not found, 4 Redis not reachable or not permitted, \
5 refused without --yes, 6 a check failed, 7 timed out, 130 interrupted.";

/// The subjects of commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Show the fleet in short, and what needs a person. Exits with 6 when something does.
    Status,
    /// Examine the server and the fleet for faults. Exits with 6 when there is a problem.
    Doctor(health::Doctor),
    /// Queues: ls, get, history, pause, resume, resize, drain, purge.
    Queue {
        #[command(subcommand)]
        verb: queue::QueueVerb,
    },
    /// Jobs: ls, get, explain, blast-radius, run-now, reschedule, cancel, kill, rm, edit, wait,
    /// enqueue.
    Job {
        #[command(subcommand)]
        verb: Box<job::JobVerb>,
    },
    /// Jobs that recur: add, change, pause, resume, remove, run, list and preview schedules.
    Schedule {
        #[command(subcommand)]
        verb: Box<schedule::ScheduleVerb>,
    },
    /// Pools with addressed slots: get, slots, key, stop, start.
    Pool {
        #[command(subcommand)]
        verb: pool::PoolVerb,
    },
    /// Dead jobs: ls, retry, rm.
    Dead {
        #[command(subcommand)]
        verb: job::DeadVerb,
    },
    /// Groups of equal errors: ls, get, retry, bury, mute, unmute.
    Error {
        #[command(subcommand)]
        verb: errors::ErrorVerb,
    },
    /// How many jobs of a queue, and of each of its groups, run at a time: get, set, end.
    Limits {
        #[command(subcommand)]
        verb: limits::LimitsVerb,
    },
    /// Groups of limited queues: ls, get, pause, resume, purge, limit.
    Group {
        #[command(subcommand)]
        verb: group::GroupVerb,
    },
    /// Keys of unique jobs: ls, get, release.
    Unique {
        #[command(subcommand)]
        verb: unique::UniqueVerb,
    },
    /// Show how many attempts of each kind ended in which way, and how long they waited and ran.
    History(past::Past),
    /// Show who has changed what, the latest change first.
    Audit(audit::Audit),
    /// Show what has happened to the nodes of the fleet, the latest event first.
    Journal(journal::Journal),
    /// Show what has happened in each queue since it was first used.
    Stats(stats::Stats),
    /// Nodes: ls, get, quiet, resume, stop, forget.
    Node {
        #[command(subcommand)]
        verb: node::NodeVerb,
    },
    /// Watch queues, jobs, schedules and nodes, and act on them, on the whole terminal.
    #[cfg(feature = "top")]
    Top,
    /// Batchers and their batches: ls, get, explain, flush, pop.
    Batch {
        #[command(subcommand)]
        verb: batch::BatchVerb,
    },
    /// Serve the pages on which queues, jobs and nodes are watched and changed.
    #[cfg(feature = "dashboard")]
    Dashboard(dashboard::DashboardArgs),
    /// The metrics of the namespace, in the text format of Prometheus.
    Metrics(metrics::MetricsArgs),
    /// Write the settings, schedules and jobs of queues as lines of JSON, which import stores again.
    Export(export::ExportArgs),
    /// Store the settings, schedules and jobs of an export, but those that are there already.
    Import(import::ImportArgs),
    #[command(flatten)]
    Program(program::ProgramVerb),
}

/// The options for the server and the form of the output.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The server: redis://user:password@host:6379/0. Put a password into POOLDER_REDIS_URL
    /// instead: other users of the host can see command lines.
    #[arg(long, global = true, value_name = "URL", help_heading = SHARED)]
    redis: Option<String>,
    /// The first part of every key [default: POOLDER_NAMESPACE, else poolder].
    #[arg(long, global = true, value_name = "NAME", help_heading = SHARED)]
    namespace: Option<String>,
    /// The form of the output.
    #[arg(short, long, global = true, value_name = "FORM", default_value = "table", help_heading = SHARED)]
    output: Form,
    /// Write one JSON document: the same as --output json.
    #[arg(long, global = true, help_heading = SHARED)]
    json: bool,
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = SHARED)]
    color: Colour,
    /// The time after which the command gives up, such as 30s [default: none].
    #[arg(long, global = true, value_name = "TIME", value_parser = poolder_cron::span, help_heading = SHARED)]
    pub(crate) timeout: Option<Duration>,
    /// The name under which changes are recorded in the audit [default: your user name and the
    /// host].
    #[arg(long, global = true, value_name = "NAME", help_heading = SHARED)]
    actor: Option<String>,
    /// The reason that is recorded with changes.
    #[arg(long, global = true, value_name = "TEXT", help_heading = SHARED)]
    reason: Option<String>,
}

const SHARED: &str = "Options of all commands";

impl Common {
    /// Connects and pings the server, so that an unreachable server is reported before the command
    /// starts.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        let client = self.lazy_client()?;
        client.ping().await?;
        Ok(client)
    }

    /// Returns a client that connects on first use.
    pub(crate) fn lazy_client(&self) -> Result<Client, Error> {
        let mut config = Config::from_env();
        if let Some(url) = &self.redis {
            config = Config::new(url);
        }
        if let Some(name) = self.own_namespace() {
            config = config.namespace(name);
        }
        Ok(Client::new(config)?.acting_as(self.actor()))
    }

    /// Returns the reason that is recorded with changes; empty for none.
    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// Returns who makes the changes of the command.
    fn actor(&self) -> Actor {
        let actor = self.actor.as_ref().map_or_else(Actor::user, Actor::new).via("command");
        self.reason.iter().fold(actor, Actor::reason)
    }

    /// Returns the namespace, unless it is the default one.
    pub(crate) fn own_namespace(&self) -> Option<String> {
        self.namespace.clone().or_else(|| set("POOLDER_NAMESPACE"))
    }

    /// Returns the form of the output.
    pub(crate) fn form(&self) -> Form {
        if self.json { Form::Json } else { self.output }
    }

    /// Returns true when standard output is to be coloured.
    pub(crate) fn is_coloured(&self) -> bool {
        self.color.is_on()
    }
}

impl std::fmt::Debug for Common {
    /// Leaves the URL out, since it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The commands that change nothing in Redis.
    const READS: &[&str] = &[
        "status",
        "stats",
        "audit",
        "journal",
        "history",
        "metrics",
        "export",
        "top",
        "dashboard",
        "completion",
        "man",
        "version",
        "ls",
        "list",
        "get",
        "explain",
        "blast-radius",
        "wait",
        "preview",
        "slots",
        "key",
    ];

    #[test]
    fn the_tree_of_commands_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn each_command_that_changes_something_has_a_dry_run() {
        let (mut open, mut changes) = (vec![Args::command()], 0);
        while let Some(command) = open.pop() {
            if command.has_subcommands() {
                open.extend(command.get_subcommands().cloned());
                continue;
            }
            let has = |name: &str| command.get_arguments().any(|it| it.get_id() == name);
            let changing = !READS.contains(&command.get_name());
            assert_eq!(
                (has("dry_run"), has("yes")),
                (changing, changing),
                "{}",
                command.get_name()
            );
            changes += usize::from(changing);
        }
        assert!(changes > 20, "{changes}");
    }
}
