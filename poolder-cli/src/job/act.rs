//! The commands that change jobs: run-now, reschedule, cancel and rm.

use std::time::Duration;

use poolder_client::Client;
use poolder_core::{Error, Handle, Timestamp};
use serde_json::{Value, json};

use super::Jobs;
use super::look::table;
use super::target::resolve;
use crate::failure::Failure;
use crate::many::Changes;
use crate::output::{Report, moment, number};

/// A change of jobs.
#[derive(Debug, Clone, Copy)]
pub(super) enum JobChange {
    RunNow,
    Reschedule(Option<Duration>, Option<Timestamp>),
    Cancel,
    Remove,
}

impl JobChange {
    /// Returns the change as a word before "3 jobs".
    fn verb(self) -> &'static str {
        match self {
            Self::RunNow => "run",
            Self::Reschedule(..) => "reschedule",
            Self::Cancel => "cancel",
            Self::Remove => "remove",
        }
    }

    /// Makes the change. Returns the fields of its JSON form, and its line.
    async fn make(self, client: &Client, handle: &Handle) -> Result<(Value, String), Error> {
        let job = client.job(handle);
        match self {
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
                    None => later(client, handle, delay.unwrap_or_default()).await?,
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
            Self::Remove => {
                job.remove().await?;
                Ok((json!({ "done": "removed" }), format!("removed {handle}")))
            }
        }
    }
}

/// Returns the moment this long after now, by the server's clock.
async fn later(client: &Client, handle: &Handle, delay: Duration) -> Result<Timestamp, Error> {
    let now = client.inspect(&handle.partition.queue).overview().await?.now.millis();
    let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp::from_millis(now.saturating_add(delay)))
}

/// Makes the change of each of the jobs.
pub(super) async fn all(
    client: &Client,
    jobs: &Jobs,
    change: JobChange,
) -> Result<Report, Failure> {
    let count = jobs.jobs.len() as u64;
    if jobs.confirm.dry_run {
        return preview(client, jobs, change).await;
    }
    let question = format!("{} {} jobs", change.verb(), number(count));
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
async fn preview(client: &Client, jobs: &Jobs, change: JobChange) -> Result<Report, Failure> {
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
        .note(format!("this would {} {} jobs", change.verb(), number(matched)));
    Ok(failures.iter().fold(report, Report::failed))
}
