//! The command `poolder audit`: who has changed what.

use clap::Args;
use poolder_core::history::{AuditEntry, AuditFilter, AuditOutcome, LogId};

use crate::args::Common;
use crate::failure::Failure;
use crate::log::{self, Part};
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, second};

/// The entries of the audit that are shown.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    part: Part,
    /// Only changes of this actor.
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// Only this action, or those that begin so: queue.drain, 'queue.*'.
    #[arg(long)]
    action: Option<String>,
    /// Only changes of targets that contain this text, such as a queue or the id of a job.
    #[arg(long, value_name = "TEXT")]
    target: Option<String>,
}

/// Shows the audit, the latest entry first.
pub(crate) async fn run(common: &Common, audit: &Audit) -> Result<Report, Failure> {
    let client = common.client().await?;
    let mut filter = AuditFilter::default();
    if let Some(since) = audit.part.since {
        filter = filter.since(client.time().await? - since);
    }
    filter = audit.of.iter().fold(filter, AuditFilter::actor);
    filter = audit.action.iter().fold(filter, AuditFilter::action);
    filter = audit.target.iter().fold(filter, AuditFilter::target);
    let read = async |after: Option<LogId>, before, most| {
        let filter = after.into_iter().fold(filter.clone(), AuditFilter::after);
        client.audit(&filter, before, most).await
    };
    log::run(common, &audit.part, read, |entry| entry.id, report).await
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
