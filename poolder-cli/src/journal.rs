//! The command `poolder journal`: what has happened to the nodes of the fleet.

use clap::Args;
use poolder_core::history::{JournalEntry, JournalEvent, JournalFilter, LogId};

use crate::args::Common;
use crate::failure::Failure;
use crate::log::{self, Part};
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, second};

/// The entries of the journal that are shown.
#[derive(Debug, Args)]
pub(crate) struct Journal {
    #[command(flatten)]
    part: Part,
    /// Only this event, such as node_died or rescued; several of them with several options.
    #[arg(long, value_parser = event)]
    event: Vec<JournalEvent>,
    /// Only what concerns the node, the partition or the job that contains this text.
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
}

/// Reads the name of an event. The error for another text lists all names.
fn event(text: &str) -> Result<JournalEvent, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// Shows the journal, the latest entry first.
pub(crate) async fn run(common: &Common, journal: &Journal) -> Result<Report, Failure> {
    let client = common.client().await?;
    let mut filter = JournalFilter::default();
    if let Some(since) = journal.part.since {
        filter = filter.since(client.time().await? - since);
    }
    filter = journal.event.iter().copied().fold(filter, JournalFilter::event);
    filter = journal.about.iter().fold(filter, JournalFilter::about);
    let read = async |after: Option<LogId>, before, most| {
        let filter = after.into_iter().fold(filter.clone(), JournalFilter::after);
        client.journal(&filter, before, most).await
    };
    log::run(common, &journal.part, read, |entry| entry.id, report).await
}

fn report(entries: &[JournalEntry]) -> Report {
    let mut table =
        Table::new(&["AT", "EVENT", "NODE", "PARTITION", "JOB", ">COUNT", "DETAIL", "BY"]);
    let text = |text: &str| Cell::from(if text.is_empty() { NOTHING } else { text });
    for entry in entries {
        let record = &entry.record;
        let tone = match record.event {
            JournalEvent::NodeDied | JournalEvent::CrashBuried => Tone::Bad,
            JournalEvent::Suspect | JournalEvent::SettlementRefused | JournalEvent::Lost => {
                Tone::Warning
            }
            _ => Tone::Plain,
        };
        table.row([
            second(Some(entry.at)).into(),
            Cell::new(record.event.to_string()).tone(tone),
            text(&record.node),
            text(&record.partition),
            text(&record.job),
            count(record.count).into(),
            text(&record.detail),
            // A node that tells of itself needs no second name.
            text(if record.by == record.node { "" } else { &record.by }),
        ]);
    }
    Report::new(entries).ids(entries.iter().map(|entry| entry.id)).table(table)
}
