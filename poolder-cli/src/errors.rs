//! The commands `poolder error …`.

mod act;
mod mute;

use std::time::Duration;

use clap::Subcommand;
use poolder_client::Client;
use poolder_core::history::{ErrorGroup, HistoryRange};
use serde_json::json;

use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, cut, number, second};
use crate::past::Range;

/// The commands about groups of equal errors.
#[derive(Debug, Subcommand)]
pub(crate) enum ErrorVerb {
    /// Show the groups of equal errors, the one seen last first.
    Ls {
        /// Only those seen since this long ago: 1h, 8h, 7d [default: all that are kept].
        #[arg(long, value_name = "TIME", value_parser = poolder_cron::span)]
        since: Option<Duration>,
    },
    /// Show one group of equal errors, and how often it was seen.
    Get {
        /// The id of the group, or the beginning of one id.
        id: String,
        #[command(flatten)]
        range: Range,
    },
    /// Retry the jobs that died of an error, and those that wait for another attempt after it.
    Retry(act::GroupChange),
    /// Bury the jobs that wait for another attempt after an error.
    Bury(act::GroupChange),
    /// Mute errors: until the mute ends, they are left out of what needs a person. Their jobs are
    /// retried and die as before, and they are counted.
    Mute(mute::Mute),
    /// End the mutes of errors.
    Unmute(act::GroupChange),
}

/// Runs a command about errors and returns its output.
pub(crate) async fn run(common: &Common, verb: &ErrorVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    let groups = client.errors().await?;
    match verb {
        ErrorVerb::Retry(change) => act::run(&client, &groups, change, true).await,
        ErrorVerb::Bury(change) => act::run(&client, &groups, change, false).await,
        ErrorVerb::Mute(mute) => mute::mute(&client, &groups, mute).await,
        ErrorVerb::Unmute(change) => mute::unmute(&client, &groups, change).await,
        ErrorVerb::Ls { since: None } => Ok(list(&groups)),
        ErrorVerb::Ls { since: Some(since) } => {
            let now = client.time().await?;
            let recent = groups.into_iter().filter(|group| now.since(group.last_seen) <= *since);
            Ok(list(&recent.collect::<Vec<_>>()))
        }
        ErrorVerb::Get { id, range } => get(&client, &groups, id, range).await,
    }
}

fn list(groups: &[ErrorGroup]) -> Report {
    let mut table = Table::new(&[
        "ID",
        ">LAST HOUR",
        "LAST SEEN",
        "FIRST SEEN",
        "MUTED UNTIL",
        "KIND",
        "CAUSE",
        "MESSAGE",
    ]);
    for group in groups {
        table.row([
            group.id.to_string().into(),
            count(group.last_hour).into(),
            second(Some(group.last_seen)).into(),
            second(Some(group.first_seen)).into(),
            muted(group),
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
    let group = find(groups, text)?;
    let seen = client.error_history(group.id, HistoryRange::last(range.since)).await?;
    let mut times = Table::new(&["FROM", ">SEEN"]);
    for (at, times_seen) in &seen {
        times.row([second(Some(*at)).into(), number(*times_seen).into()]);
    }
    let mut value = json!(group);
    value["seen"] = json!(seen);
    let report = Report::new(value).ids([group.id]).table(Table::of_pairs(facts(group)));
    Ok(if times.is_empty() { report } else { report.lines("\n").table(times) })
}

/// Returns the group whose id this text is, or begins.
fn find<'a>(groups: &'a [ErrorGroup], text: &str) -> Result<&'a ErrorGroup, Failure> {
    let begins = |group: &&ErrorGroup| group.id.to_string().starts_with(text);
    let found: Vec<&ErrorGroup> = groups.iter().filter(begins).collect();
    match found.as_slice() {
        [group] => Ok(group),
        [] => Err(Failure::not_found(format!("no group of errors has the id {text}"))
            .hint("`poolder error ls` shows all")),
        several => {
            let text = format!("{} groups have ids that begin with {text}", several.len());
            Err(Failure::not_understood(text).hint("write more of the id"))
        }
    }
}

/// Returns until when a group is muted, in a tone that tells whether the mute has an effect now.
fn muted(group: &ErrorGroup) -> Cell {
    let until = second(group.mute.as_ref().map(|mute| mute.until));
    Cell::new(until).tone(if group.is_muted() { Tone::Faint } else { Tone::Warning })
}

/// Returns the mute of a group in words.
fn mute_in_words(group: &ErrorGroup) -> String {
    let Some(mute) = &group.mute else { return NOTHING.to_owned() };
    let mut text = format!("until {}", second(Some(mute.until)));
    for part in [mute.to_string(), format!("by {}", mute.by), mute.reason.clone()] {
        if !part.is_empty() {
            text += &format!(", {part}");
        }
    }
    if !group.is_muted() {
        text += "; it was seen more often than that, so that the mute has no effect now";
    }
    text
}

/// Returns the facts about a group of equal errors.
pub(crate) fn facts(group: &ErrorGroup) -> Vec<(String, Cell)> {
    let facts: [(&str, Cell); 12] = [
        ("id", group.id.to_string().into()),
        ("message", Cell::new(&group.sample.message).tone(Tone::Bad)),
        ("cause", group.sample.cause.to_string().into()),
        ("kind", (&group.sample.kind).into()),
        ("queue", (&group.sample.queue).into()),
        ("last hour", number(group.last_hour).into()),
        ("first seen", second(Some(group.first_seen)).into()),
        ("last seen", second(Some(group.last_seen)).into()),
        ("muted", mute_in_words(group).into()),
        ("job", (&group.sample.job).into()),
        ("node", (&group.sample.node).into()),
        ("deploy", (&group.sample.deploy).into()),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
