//! The command `poolder audit`: who has changed what.

use std::time::Duration;

use clap::Args;
use poolder_core::history::{AuditEntry, AuditFilter, AuditOutcome, LogId};

use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, number, second, write};

/// How often new entries are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// The most entries of one look for new ones.
const FOLLOWED: usize = 500;

/// The entries of the audit that are shown.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Only changes since this long ago: 1h, 8h, 7d.
    #[arg(long, value_name = "TIME", value_parser = poolder_cron::span)]
    since: Option<Duration>,
    /// Only changes of this actor.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// Only this action, or those that begin so: queue.drain, 'queue.*'.
    #[arg(long)]
    action: Option<String>,
    /// Only changes of targets that contain this text, such as a queue or the id of a job.
    #[arg(long, value_name = "TEXT")]
    target: Option<String>,
    /// The most entries that are shown.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Go on behind the page that ended with this entry.
    #[arg(long, value_name = "ENTRY", conflicts_with = "follow")]
    before: Option<LogId>,
    /// Show new entries as they are written, until the command is interrupted.
    #[arg(long)]
    follow: bool,
}

/// Shows the audit, the latest entry first.
pub(crate) async fn run(common: &Common, audit: &Audit) -> Result<Report, Failure> {
    let client = common.client().await?;
    let mut filter = AuditFilter::default();
    if let Some(since) = audit.since {
        filter = filter.since(client.time().await? - since);
    }
    filter = audit.of.iter().fold(filter, AuditFilter::actor);
    filter = audit.action.iter().fold(filter, AuditFilter::action);
    filter = audit.target.iter().fold(filter, AuditFilter::target);
    let page = client.audit(&filter, audit.before, audit.limit.into()).await?;
    let report = report(&page.entries);
    if audit.follow {
        let mut last = page.entries.first().map(|entry| entry.id);
        // The latest entry stands at the end, where the next ones follow.
        let mut entries = page.entries;
        loop {
            entries.reverse();
            show(common, &entries)?;
            tokio::time::sleep(EVERY).await;
            let newer = last.map_or_else(|| filter.clone(), |last| filter.clone().after(last));
            entries = client.audit(&newer, None, FOLLOWED).await?.entries;
            last = entries.first().map(|entry| entry.id).or(last);
        }
    }
    let mut note = format!("{} entries", number(page.entries.len() as u64));
    if let Some(next) = page.next {
        note += &format!("; --before {next} goes on");
    }
    Ok(report.note(note))
}

/// Writes some entries, in the form that was asked for.
fn show(common: &Common, entries: &[AuditEntry]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    let text = report(entries).show(common.form(), common.is_coloured());
    write(&text).map_err(|error| {
        let text = format!("standard output cannot be written: {error}");
        Failure::new(crate::failure::Exit::Failed, text)
    })
}

fn report(entries: &[AuditEntry]) -> Report {
    let mut table =
        Table::new(&["AT", "ACTOR", "VIA", "ACTION", "TARGET", ">CHANGED", "OUTCOME", "MORE"]);
    for entry in entries {
        let record = &entry.record;
        let (outcome, tone) = match record.outcome {
            AuditOutcome::Begun => ("begun", Tone::Faint),
            AuditOutcome::Done => ("done", Tone::Good),
            AuditOutcome::Failed => ("failed", Tone::Bad),
            _ => ("unknown", Tone::Warning),
        };
        let more: Vec<&str> = [record.detail.as_str(), record.reason.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        table.row([
            second(Some(entry.at)).into(),
            (&record.actor).into(),
            (&record.via).into(),
            (&record.action).into(),
            (&record.target).into(),
            count(record.changed).into(),
            Cell::new(outcome).tone(tone),
            if more.is_empty() { NOTHING.into() } else { more.join("; ").into() },
        ]);
    }
    Report::new(entries).ids(entries.iter().map(|entry| entry.id)).table(table)
}
