//! The commands that change jobs: run-now, reschedule, cancel, kill and rm.

use std::time::Duration;

use poolder_client::words::many;
use poolder_client::{Action, Client};
use poolder_core::view::{Listing, Unreachable};
use poolder_core::{Error, Handle, Timestamp};
use serde_json::{Value, json};

use super::Jobs;
use super::look::table;
use super::target::resolve;
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
        Some(selected) => bulk(client, jobs, change, &selected).await,
        None => named(client, jobs, change).await,
    }
}

/// Makes the change of all jobs that are selected, in steps, with a line of progress.
async fn bulk(
    client: &Client,
    jobs: &Jobs,
    change: JobChange<'_>,
    selected: &Selected<'_>,
) -> Result<Report, Failure> {
    let queue = crate::queue::known(client, selected.queue).await?;
    let inspector = client.inspect(&queue);
    let action = match change {
        JobChange::Revive => Action::Revive,
        JobChange::RunNow => Action::RunNow,
        JobChange::Cancel => Action::Cancel,
        JobChange::Bury(reason) => Action::Bury(reason.to_owned()),
        JobChange::Remove => Action::Delete,
        JobChange::Reschedule(delay, at) => Action::Reschedule(match at {
            Some(at) => at,
            None => later(client, delay.unwrap_or_default()).await?,
        }),
    };
    let Selected { listing, filter, .. } = selected;
    let first = inspector.bulk(*listing, filter, action.clone()).dry_run().await?;
    let noun = format!("{listing} job");
    let question = format!("{} {} of {queue}", change.verb(), many(first.matched, &noun));
    if jobs.confirm.dry_run {
        let mut value = json!(first);
        value["dry_run"] = true.into();
        let ids = first.first.iter().map(|job| &job.handle);
        let report = Report::new(value).ids(ids).table(table(&first.first));
        return Ok(report.note(format!("this would {question}")));
    }
    jobs.confirm.allow(first.matched, &question).await?;
    let progress = Progress::new(first.of);
    let change_all = inspector.bulk(*listing, filter, action);
    let done = change_all.progress(move |so_far| progress.show(so_far.looked_at)).await?;
    let mut value = json!(done);
    value["done"] = change.done().into();
    let line = format!(
        "{} {} of {} of {queue}",
        change.done(),
        number(done.changed),
        many(done.matched, &noun)
    );
    let report = Report::new(value).ids([&queue]).line(line);
    let away = |report: Report, part: &Unreachable| {
        let text = format!("{} could not be read: {}", part.partition, part.why);
        report.failed(&Failure::new(Exit::Unreachable, text))
    };
    Ok(done.unreachable.iter().fold(report, away))
}

/// Makes the change of each of the jobs that are named.
async fn named(client: &Client, jobs: &Jobs, change: JobChange<'_>) -> Result<Report, Failure> {
    let count = jobs.jobs.len() as u64;
    if jobs.confirm.dry_run {
        return preview(client, jobs, change).await;
    }
    let question = format!("{} {}", change.verb(), many(count, "job"));
    jobs.confirm.allow(count, &question).await?;
    let mut changes = Changes::default();
    for text in &jobs.jobs {
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
async fn preview(client: &Client, jobs: &Jobs, change: JobChange<'_>) -> Result<Report, Failure> {
    let (mut found, mut failures) = (vec![], vec![]);
    for text in &jobs.jobs {
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
