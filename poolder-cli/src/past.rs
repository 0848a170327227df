//! The commands `poolder error …` and `poolder history`.

use std::time::Duration;

use clap::{Args, Subcommand};
use poolder_client::Client;
use poolder_core::history::{ErrorGroup, HistoryPoint, HistoryRange};
use serde_json::json;

use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, cut, duration, number, second};

/// The commands about groups of equal errors.
#[derive(Debug, Subcommand)]
pub(crate) enum ErrorVerb {
    /// Show the groups of equal errors, the one seen last first.
    Ls,
    /// Show one group of equal errors, and how often it was seen.
    Get {
        /// The id of the group, or the beginning of one id.
        id: String,
        #[command(flatten)]
        range: Range,
    },
}

/// The time that is looked back.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// How far to look back: 1h, 8h, 7d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = poolder_cron::span)]
    since: Duration,
}

/// The kinds whose history is shown.
#[derive(Debug, Args)]
pub(crate) struct Past {
    /// Only the kinds of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only this kind.
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    range: Range,
}

/// Shows how many attempts of each kind ended in which way, and how long they waited and ran.
pub(crate) async fn history(common: &Common, past: &Past) -> Result<Report, Failure> {
    let client = common.client().await?;
    let (queue, kind) = (past.queue.as_deref(), past.kind.as_deref());
    let history = client.history(queue, kind, HistoryRange::last(past.range.since)).await?;
    let mut table = Table::new(&[
        "QUEUE", "KIND", ">DONE", ">FAILED", ">DIED", ">WAIT95", ">RUN50", ">RUN95", ">RUN MAX",
    ]);
    for series in &history.series {
        let HistoryPoint { attempts, died, run, wait, .. } = &series.total;
        let failed = Cell::new(count(attempts.failures()));
        table.row([
            (&series.queue).into(),
            (&series.kind).into(),
            count(attempts.done).into(),
            if attempts.failures() > 0 { failed.tone(Tone::Bad) } else { failed },
            count(*died).into(),
            time(wait.count, wait.p95).into(),
            time(run.count, run.p50).into(),
            time(run.count, run.p95).into(),
            time(run.count, run.max).into(),
        ]);
    }
    let ids = history.series.iter().map(|series| format!("{}/{}", series.queue, series.kind));
    let report = Report::new(&history).items("series").ids(ids);
    let report = match history.is_cut {
        true => report.note("there are more kinds than are kept: some are left out"),
        false => report,
    };
    if table.is_empty() {
        return Ok(report.note("no attempts in this time; nodes write their counts once a minute"));
    }
    Ok(report.table(table))
}

/// Returns a time in microseconds, a dash where nothing was measured.
fn time(measured: u64, micros: u64) -> String {
    if measured == 0 { NOTHING.to_owned() } else { duration(Duration::from_micros(micros)) }
}

/// Runs a command about errors and returns its output.
pub(crate) async fn errors(common: &Common, verb: &ErrorVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    let groups = client.errors().await?;
    match verb {
        ErrorVerb::Ls => Ok(list(&groups)),
        ErrorVerb::Get { id, range } => get(&client, &groups, id, range).await,
    }
}

fn list(groups: &[ErrorGroup]) -> Report {
    let mut table =
        Table::new(&["ID", ">LAST HOUR", "LAST SEEN", "FIRST SEEN", "KIND", "CAUSE", "MESSAGE"]);
    for group in groups {
        table.row([
            group.id.to_string().into(),
            count(group.last_hour).into(),
            second(Some(group.last_seen)).into(),
            second(Some(group.first_seen)).into(),
            (&group.sample.kind).into(),
            group.sample.cause.to_string().into(),
            cut(&group.sample.message, 80).into(),
        ]);
    }
    let report = Report::new(groups).ids(groups.iter().map(|group| group.id));
    match table.is_empty() {
        true => report.note("no errors; nodes write them once a minute"),
        false => report.table(table),
    }
}

async fn get(
    client: &Client,
    groups: &[ErrorGroup],
    text: &str,
    range: &Range,
) -> Result<Report, Failure> {
    let begins = |group: &&ErrorGroup| group.id.to_string().starts_with(text);
    let found: Vec<&ErrorGroup> = groups.iter().filter(begins).collect();
    let group = match found.as_slice() {
        [group] => group,
        [] => {
            return Err(Failure::not_found(format!("no group of errors has the id {text}"))
                .hint("`poolder error ls` shows all"));
        }
        several => {
            let text = format!("{} groups have ids that begin with {text}", several.len());
            return Err(Failure::not_understood(text).hint("write more of the id"));
        }
    };
    let seen = client.error_history(group.id, HistoryRange::last(range.since)).await?;
    let facts = [
        ("id", group.id.to_string().into()),
        ("message", Cell::new(&group.sample.message).tone(Tone::Bad)),
        ("cause", group.sample.cause.to_string().into()),
        ("kind", (&group.sample.kind).into()),
        ("queue", (&group.sample.queue).into()),
        ("last hour", number(group.last_hour).into()),
        ("first seen", second(Some(group.first_seen)).into()),
        ("last seen", second(Some(group.last_seen)).into()),
        ("job", (&group.sample.job).into()),
        ("node", (&group.sample.node).into()),
        ("deploy", (&group.sample.deploy).into()),
    ];
    let mut times = Table::new(&["FROM", ">SEEN"]);
    for (at, times_seen) in &seen {
        times.row([second(Some(*at)).into(), number(*times_seen).into()]);
    }
    let mut value = json!(group);
    value["seen"] = json!(seen);
    let report = Report::new(value).ids([group.id]).table(Table::of_pairs(facts));
    Ok(if times.is_empty() { report } else { report.lines("\n").table(times) })
}
