//! The commands that change jobs, one, several or all of a selection: run-now, reschedule, cancel,
//! kill, rm and edit.

use std::sync::Arc;
use std::time::Duration;

use poolder_client::words::many;
use poolder_client::{Action, BulkReport, Client};
use poolder_core::view::{Listing, Unreachable, merge_patch};
use poolder_core::{Error, Handle, QueueName, Timestamp};
use serde_json::{Value, json};

use super::Jobs;
use super::look::table;
use super::target::resolve;
use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::many::Changes;
use crate::output::{Progress, Report, moment, number};
use crate::select::Selected;

/// A change of jobs.
#[derive(Debug, Clone, Copy)]
pub(super) enum JobChange<'a> {
    Revive,
    RunNow,
    Reschedule(Option<Duration>, Option<Timestamp>),
    Cancel,
    /// Burying, for this reason.
    Bury(&'a str),
    Remove,
    /// Merging this patch into the payload.
    Edit(&'a Value),
}

impl JobChange<'_> {
    /// Returns the change as a word before "3 jobs".
    fn verb(self) -> &'static str {
        match self {
            Self::Revive => "revive",
            Self::RunNow => "run",
            Self::Reschedule(..) => "reschedule",
            Self::Cancel => "cancel",
            Self::Bury(_) => "bury",
            Self::Remove => "remove",
            Self::Edit(_) => "edit and revive",
        }
    }

    /// Returns the change as a word after it was made.
    fn done(self) -> &'static str {
        match self {
            Self::Revive => "revived",
            Self::RunNow => "enqueued",
            Self::Reschedule(..) => "rescheduled",
            Self::Cancel => "cancelled",
            Self::Bury(_) => "buried",
            Self::Remove => "removed",
            Self::Edit(_) => "revived",
        }
    }

    /// Makes the change. Returns the fields of its JSON form, and its line.
    async fn make(self, client: &Client, handle: &Handle) -> Result<(Value, String), Error> {
        let job = client.job(handle);
        match self {
            Self::Revive => {
                job.revive().await?;
                Ok((json!({ "done": "revived" }), format!("revived {handle}")))
            }
            Self::RunNow => {
                job.run_now().await?;
                Ok((
                    json!({ "done": "enqueued" }),
                    format!("{handle} runs as soon as a slot is free"),
                ))
            }
            Self::Reschedule(delay, at) => {
                let at = match at {
                    Some(at) => at,
                    None => later(client, delay.unwrap_or_default()).await?,
                };
                job.reschedule(at).await?;
                let at = moment(at);
                let line = format!("{handle} waits until {at}");
                Ok((json!({ "done": "rescheduled", "at": at }), line))
            }
            Self::Cancel => {
                let outcome = job.cancel().await?;
                let value = json!({ "done": "cancelled", "outcome": outcome });
                Ok((value, format!("{handle}: {outcome}")))
            }
            Self::Bury(reason) => {
                job.bury(reason).await?;
                Ok((json!({ "done": "buried" }), format!("buried {handle}")))
            }
            Self::Remove => {
                job.remove().await?;
                Ok((json!({ "done": "removed" }), format!("removed {handle}")))
            }
            Self::Edit(patch) => {
                let view = job.view().await?;
                let view = view.ok_or_else(|| Error::not_found("the job was not found"))?;
                let mut payload = view.payload_json()?;
                merge_patch(&mut payload, patch);
                client.job(&view.handle).edit_and_revive(&payload).await?;
                Ok((json!({ "done": "edited" }), format!("{handle} runs with another payload")))
            }
        }
    }
}

/// Returns the moment this long after now, by the server's clock.
async fn later(client: &Client, delay: Duration) -> Result<Timestamp, Error> {
    let now = client.time().await?.millis();
    let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_millis(now.saturating_add(delay)))
}

/// Makes the change of the jobs that are named or selected. `usual` is the listing of a selection
/// that names none.
pub(super) async fn run(
    client: &Client,
    jobs: &Jobs,
    change: JobChange<'_>,
    usual: Option<Listing>,
) -> Result<Report, Failure> {
    match jobs.selection.of(usual)? {
        Some(selected) => bulk(client, jobs.confirm, change, &selected).await,
        None => named(client, &jobs.jobs, jobs.confirm, change).await,
    }
}

/// Makes the change of all jobs that are selected, in steps, with a line of progress.
pub(super) async fn bulk(
    client: &Client,
    confirm: Confirm,
    change: JobChange<'_>,
    selected: &Selected<'_>,
) -> Result<Report, Failure> {
    let mut queues = vec![];
    for queue in selected.queues {
        queues.push(crate::queue::known(client, queue).await?);
    }
    queues.sort();
    queues.dedup();
    let action = match change {
        JobChange::Revive => Action::Revive,
        JobChange::RunNow => Action::RunNow,
        JobChange::Cancel => Action::Cancel,
        JobChange::Bury(reason) => Action::Bury(reason.to_owned()),
        JobChange::Remove => Action::Delete,
        JobChange::Edit(patch) => Action::Edit(patch.clone()),
        JobChange::Reschedule(delay, at) => Action::Reschedule(match at {
            Some(at) => at,
            None => later(client, delay.unwrap_or_default()).await?,
        }),
    };
    let Selected { listing, filter, .. } = selected;
    let each = |queue| client.inspect(queue).bulk(*listing, filter, action.clone());
    let mut first = BulkReport::default();
    for queue in &queues {
        first = first.plus(&each(queue).dry_run().await?);
    }
    let names: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
    let (noun, of) = (format!("{listing} job"), names.join(", "));
    let question = format!("{} {} of {of}", change.verb(), many(first.matched, &noun));
    if confirm.dry_run {
        let mut value = json!(first);
        value["dry_run"] = true.into();
        let ids = first.first.iter().map(|job| &job.handle);
        let report = Report::new(value).ids(ids).table(table(&first.first));
        return Ok(report.note(format!("this would {question}")));
    }
    confirm.allow(first.matched, &question).await?;
    let (progress, mut done) = (Arc::new(Progress::new(first.of)), BulkReport::default());
    for queue in &queues {
        let (progress, before) = (Arc::clone(&progress), done.looked_at);
        let show = move |so_far: &BulkReport| progress.show(before + so_far.looked_at);
        done = done.plus(&each(queue).progress(show).await?);
    }
    let mut value = json!(done);
    value["done"] = change.done().into();
    let (changed, matched) = (number(done.changed), many(done.matched, &noun));
    let line = format!("{} {changed} of {matched} of {of}", change.done());
    let report = Report::new(value).ids(&queues).line(line);
    let away = |report: Report, part: &Unreachable| {
        let text = format!("{} could not be read: {}", part.partition, part.why);
        report.failed(&Failure::new(Exit::Unreachable, text))
    };
    Ok(done.unreachable.iter().fold(report, away))
}

/// Makes the change of each of the jobs that are named.
pub(super) async fn named(
    client: &Client,
    jobs: &[String],
    confirm: Confirm,
    change: JobChange<'_>,
) -> Result<Report, Failure> {
    let count = jobs.len() as u64;
    if confirm.dry_run {
        return preview(client, jobs, change).await;
    }
    let question = format!("{} {}", change.verb(), many(count, "job"));
    confirm.allow(count, &question).await?;
    let mut changes = Changes::default();
    for text in jobs {
        let changed = match resolve(client, text).await {
            Ok(handle) => {
                change.make(client, &handle).await.map(|done| (handle, done)).map_err(Failure::from)
            }
            Err(failure) => Err(failure),
        };
        match changed {
            Ok((handle, (mut value, line))) => {
                value["handle"] = json!(handle);
                changes.done(value, handle.to_string(), line);
            }
            Err(failure) => changes.failed(failure),
        }
    }
    changes.report()
}

/// Returns the jobs that would be changed.
async fn preview(
    client: &Client,
    jobs: &[String],
    change: JobChange<'_>,
) -> Result<Report, Failure> {
    let (mut found, mut failures) = (vec![], vec![]);
    for text in jobs {
        let view = match resolve(client, text).await {
            Ok(handle) => client.job(&handle).view().await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match view {
            Ok(Some(view)) => found.push(view),
            Ok(None) => failures.push(super::target::missing(text)),
            Err(failure) => failures.push(failure),
        }
    }
    let matched = found.len() as u64;
    let report = Report::new(json!({ "dry_run": true, "matched": matched, "first": found }))
        .ids(found.iter().map(|job| &job.handle))
        .table(table(&found))
        .note(format!("this would {} {}", change.verb(), many(matched, "job")));
    Ok(failures.iter().fold(report, Report::failed))
}
