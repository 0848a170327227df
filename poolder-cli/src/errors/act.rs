//! The commands that change all jobs of a group of equal errors: retry and bury.

use std::sync::Arc;

use clap::Args;
use poolder_client::words::many;
use poolder_client::{BulkReport, Client};
use poolder_core::history::ErrorGroup;
use serde_json::json;

use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::job;
use crate::output::{Progress, Report, number};

/// The groups of equal errors whose jobs are changed.
#[derive(Debug, Args)]
pub(crate) struct GroupChange {
    /// The ids of the groups, or the beginning of one id each.
    #[arg(required = true, value_name = "ID")]
    pub(super) ids: Vec<String>,
    #[command(flatten)]
    pub(super) confirm: Confirm,
}

/// Retries the jobs of groups in all queues, or buries them.
pub(super) async fn run(
    client: &Client,
    groups: &[ErrorGroup],
    change: &GroupChange,
    retry: bool,
) -> Result<Report, Failure> {
    let (mut named, mut failures) = (vec![], vec![]);
    for id in &change.ids {
        match super::find(groups, id) {
            Ok(group) => named.push(group),
            Err(failure) => failures.push(failure),
        }
    }
    if named.is_empty() && failures.len() == 1 {
        return Err(failures.remove(0));
    }
    let (verb, done) = if retry { ("retry", "retried") } else { ("bury", "buried") };
    let mut found = BulkReport::default();
    for group in &named {
        found = found.plus(&client.change_errors(group, retry, true, |_| {}).await?);
    }
    let ids: Vec<String> = named.iter().map(|group| group.id.to_string()).collect();
    let of = format!("of error {}", ids.join(", "));
    let question = format!("{verb} {} {of}", many(found.matched, "job"));
    let report = if change.confirm.dry_run {
        let mut value = json!(found);
        (value["dry_run"], value["errors"]) = (true.into(), json!(ids));
        let report = Report::new(value).ids(found.first.iter().map(|job| &job.handle));
        let report = report.table(job::table(&found.first));
        away(report.note(format!("this would {question}")), &found)
    } else {
        change.confirm.allow(found.matched, &question).await?;
        let progress = Arc::new(Progress::new(found.looked_at));
        let mut made = BulkReport::default();
        for group in &named {
            let (progress, before) = (Arc::clone(&progress), made.looked_at);
            let show = move |so_far: &BulkReport| progress.show(before + so_far.looked_at);
            made = made.plus(&client.change_errors(group, retry, false, show).await?);
        }
        let mut value = json!(made);
        (value["done"], value["errors"]) = (done.into(), json!(ids));
        let line = format!("{done} {} of {} {of}", number(made.changed), many(made.matched, "job"));
        away(Report::new(value).ids(ids).line(line), &made)
    };
    Ok(failures.iter().fold(report, Report::failed))
}

fn away(report: Report, of: &BulkReport) -> Report {
    of.unreachable.iter().fold(report, |report, part| {
        let text = format!("{} could not be read: {}", part.partition, part.why);
        report.failed(&Failure::new(Exit::Unreachable, text))
    })
}
