//! The commands `poolder group …`: the groups of limited queues.

mod act;

use clap::{Args, Subcommand, ValueEnum};
use poolder_client::Client;
use poolder_core::QueueName;
use poolder_core::broker::{GroupState, GroupView};

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::limits::{Most, most};
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, moment, number, one_line, second};
use crate::queue::known;

/// The commands about groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupVerb {
    /// Show the groups of a queue, those in which most jobs wait first.
    Ls {
        /// The queue.
        queue: String,
        /// Only groups of this state.
        #[arg(short, long)]
        state: Option<StateName>,
        /// The most groups to show.
        #[arg(short, long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show one group: its jobs, its state and its limits.
    Get {
        /// The queue.
        queue: String,
        /// The group; '' for that of the jobs without one.
        group: String,
    },
    /// Pause groups: running jobs finish, and none of their jobs starts until they are resumed.
    Pause(Groups),
    /// Resume paused groups.
    Resume(Groups),
    /// Delete all jobs that wait in groups. Those that run, or wait for their time, stay. Pause the
    /// groups first, or jobs that start meanwhile are not deleted.
    Purge(Groups),
    /// Give a group limits of its own. Those that are not named stay as they are; none stands for
    /// that of the queue.
    Limit(Limit),
}

/// Groups that are changed.
#[derive(Debug, Args)]
pub(crate) struct Groups {
    /// The queue.
    queue: String,
    /// The groups; '' for that of the jobs without one.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    confirm: Confirm,
}

/// The own limits of a group.
#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// The queue.
    queue: String,
    /// The group; '' for that of the jobs without one.
    group: String,
    /// How many of its jobs run at a time in all nodes together: 1 to 1,000,000, or none.
    #[arg(long, value_name = "N|none", value_parser = most)]
    concurrency: Option<Most>,
    /// How many jobs it starts in its turn, while others start one: 1 to 100, or none.
    #[arg(long, value_name = "N|none", value_parser = most)]
    weight: Option<Most>,
    #[command(flatten)]
    confirm: Confirm,
}

/// The state of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateName {
    Startable,
    Full,
    Later,
    Paused,
    Empty,
}

impl StateName {
    fn state(self) -> GroupState {
        match self {
            Self::Startable => GroupState::Turn,
            Self::Full => GroupState::Full,
            Self::Later => GroupState::Later,
            Self::Paused => GroupState::Paused,
            Self::Empty => GroupState::Empty,
        }
    }
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &GroupVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    match verb {
        GroupVerb::Ls { queue, state, limit } => {
            list(&client, &known(&client, queue).await?, *state, *limit).await
        }
        GroupVerb::Get { queue, group } => {
            let found = find(&client, &known(&client, queue).await?, group).await?;
            let report = Report::new(&found).ids([id(&found.name)]);
            Ok(report.table(Table::of_pairs(facts(&found))))
        }
        GroupVerb::Pause(groups) => act::pause(&client, groups, true).await,
        GroupVerb::Resume(groups) => act::pause(&client, groups, false).await,
        GroupVerb::Purge(groups) => act::purge(&client, groups).await,
        GroupVerb::Limit(limit) => act::limit(&client, limit).await,
    }
}

async fn list(
    client: &Client,
    queue: &QueueName,
    state: Option<StateName>,
    limit: usize,
) -> Result<Report, Failure> {
    let is_wanted = |group: &GroupView| state.is_none_or(|state| group.state == state.state());
    // One more says whether there are others.
    let found = client.limits(queue).largest_groups(limit.saturating_add(1), is_wanted).await?;
    let is_cut = found.groups.len() > limit;
    let groups = &found.groups[..found.groups.len().min(limit)];
    let mut table = Table::new(&[
        "GROUP",
        "STATE",
        ">WAITING",
        ">RUNNING",
        ">LIMIT",
        ">WEIGHT",
        "PAUSED SINCE",
    ]);
    for group in groups {
        table.row([
            shown(&group.name).into(),
            coloured(group.state),
            count(group.waiting).into(),
            count(group.running).into(),
            limit_of(group.concurrency).into(),
            number(group.weight.into()).into(),
            second(group.paused).into(),
        ]);
    }
    let report = Report::new(groups).ids(groups.iter().map(|group| id(&group.name)));
    let report = match table.is_empty() {
        true => report.note(format!("no such group of queue {queue} has jobs, or own limits")),
        false => report.table(table),
    };
    let report = match is_cut {
        true => report.note(format!("only {limit} groups are shown")),
        false => report,
    };
    Ok(match found.is_partial {
        true => report.note(format!("looked at {} groups only", number(found.looked_at))),
        false => report,
    })
}

async fn find(client: &Client, queue: &QueueName, group: &str) -> Result<GroupView, Failure> {
    let found = client.limits(queue).group(group).await?;
    found.ok_or_else(|| {
        Failure::not_found(format!("no job of {} waits or runs", named(queue, group)))
            .hint(format!("`poolder group ls {queue}` shows the groups of the queue"))
    })
}

fn facts(group: &GroupView) -> [(&'static str, Cell); 8] {
    let own = |limit: Option<u32>| limit_of(limit).into();
    [
        ("group", shown(&group.name).into()),
        ("state", coloured(group.state)),
        ("paused since", group.paused.map_or_else(|| NOTHING.to_owned(), moment).into()),
        ("jobs that wait", number(group.waiting).into()),
        ("jobs that run", number(group.running).into()),
        ("jobs at a time", own(group.concurrency)),
        ("own limit", own(group.own.concurrency)),
        ("weight", number(group.weight.into()).into()),
    ]
}

fn coloured(state: GroupState) -> Cell {
    let tone = match state {
        GroupState::Turn => Tone::Good,
        GroupState::Full | GroupState::Later | GroupState::Paused => Tone::Warning,
        _ => Tone::Faint,
    };
    Cell::new(state.as_str()).tone(tone)
}

fn limit_of(limit: Option<u32>) -> String {
    limit.map_or_else(|| NOTHING.to_owned(), |limit| number(limit.into()))
}

/// Returns the name of a group as a table shows it: an empty one as it is written in a command.
fn shown(group: &str) -> &str {
    if group.is_empty() { "''" } else { group }
}

/// Returns the name of a group as an argument of another command. One that another program has given
/// control characters is made safe to print.
fn id(group: &str) -> String {
    match group.chars().any(char::is_control) {
        true => one_line(group),
        false => group.to_owned(),
    }
}

/// Names a group in a sentence.
fn named(queue: &QueueName, group: &str) -> String {
    format!("group {} of queue {queue}", shown(group))
}
