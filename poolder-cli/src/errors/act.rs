//! The commands that change all jobs of a group of equal errors: retry and bury.

use std::sync::Arc;

use clap::Args;
use poolder_client::{BulkReport, Client};
use poolder_core::history::ErrorGroup;
use serde_json::json;

use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::job;
use crate::output::{Progress, Report, number};

/// The group of equal errors whose jobs are changed.
#[derive(Debug, Args)]
pub(crate) struct GroupChange {
    /// The id of the group, or the beginning of one id.
    id: String,
    #[command(flatten)]
    confirm: Confirm,
}

/// Retries the jobs of a group in all queues, or buries them.
pub(super) async fn run(
    client: &Client,
    groups: &[ErrorGroup],
    change: &GroupChange,
    retry: bool,
) -> Result<Report, Failure> {
    let group = super::find(groups, &change.id)?;
    let (verb, done) = if retry { ("retry", "retried") } else { ("bury", "buried") };
    let found = client.change_errors(group, retry, true, |_| {}).await?;
    let of = format!("jobs of error {}", group.id);
    let question = format!("{verb} {} {of}", number(found.matched));
    if change.confirm.dry_run {
        let mut value = json!(found);
        (value["dry_run"], value["error"]) = (true.into(), json!(group.id));
        let report = Report::new(value).ids(found.first.iter().map(|job| &job.handle));
        let report = report.table(job::table(&found.first));
        return Ok(away(report.note(format!("this would {question}")), &found));
    }
    change.confirm.allow(found.matched, &question).await?;
    let progress = Arc::new(Progress::new(found.looked_at));
    let show = move |so_far: &BulkReport| progress.show(so_far.looked_at);
    let made = client.change_errors(group, retry, false, show).await?;
    let mut value = json!(made);
    (value["done"], value["error"]) = (done.into(), json!(group.id));
    let line = format!("{done} {} of {} {of}", number(made.changed), number(made.matched));
    Ok(away(Report::new(value).ids([group.id]).line(line), &made))
}

fn away(report: Report, of: &BulkReport) -> Report {
    of.unreachable.iter().fold(report, |report, part| {
        let text = format!("{} could not be read: {}", part.partition, part.why);
        report.failed(&Failure::new(Exit::Unreachable, text))
    })
}
