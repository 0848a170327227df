//! The commands that change queues: pause, resume, resize, drain and purge.

use poolder_client::{Client, Inspector};
use poolder_core::view::JobView;
use poolder_core::{Error, Lane};
use serde_json::json;

use super::Queues;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::job;
use crate::many::{Changes, would_change};
use crate::output::{Report, number};

/// The number of jobs that a dry run shows.
const SHOWN: usize = 10;

/// Pauses the queues, or resumes them.
pub(super) async fn pause(
    client: &Client,
    queues: &Queues,
    pause: bool,
) -> Result<Report, Failure> {
    let mut changes = Changes::default();
    for queue in &queues.queues {
        match pause_one(client, queue, pause, queues.confirm.dry_run).await {
            Ok(None) => {
                let verb = if pause { "pause" } else { "resume" };
                changes.would(&format!("{verb} {queue}"), json!({ "queue": queue }), queue);
            }
            Ok(Some(changed)) => {
                let done = if pause { "paused" } else { "resumed" };
                let was = if changed { "" } else { ", which it was already" };
                let value = json!({ "done": done, "queue": queue, "changed": changed });
                changes.done(value, queue, format!("{done} {queue}{was}"));
            }
            Err(failure) => changes.failed(failure),
        }
    }
    changes.report()
}

/// Returns whether the queue was changed; `None` for a dry run.
async fn pause_one(
    client: &Client,
    queue: &str,
    pause: bool,
    dry_run: bool,
) -> Result<Option<bool>, Failure> {
    let name = super::known(client, queue).await?;
    Ok(match (dry_run, pause) {
        (true, _) => None,
        (false, true) => Some(client.pause(&name).await?),
        (false, false) => Some(client.resume(&name).await?),
    })
}

pub(super) async fn resize(
    client: &Client,
    queue: &str,
    slots: u16,
    confirm: Confirm,
) -> Result<Report, Failure> {
    let pool = client.pool::<()>(queue);
    let before = pool.view().await.map_err(no_pool)?.size;
    let change = format!("{queue} from {before} to {slots} slots");
    let mut value = json!({ "queue": queue, "before": before, "slots": slots });
    if confirm.dry_run {
        return Ok(would_change(&format!("resize {change}"), value, queue));
    }
    pool.resize(slots).await.map_err(no_pool)?;
    value["done"] = "resized".into();
    Ok(Report::new(value).ids([queue]).line(format!("resized {change}")))
}

fn no_pool(error: Error) -> Failure {
    Failure::from(error).if_not_found(
        "only pools with addressed slots have a size in the fleet; another pool has the slots that \
         its nodes give it",
    )
}

pub(super) async fn drain(
    client: &Client,
    queue: &str,
    confirm: Confirm,
) -> Result<Report, Failure> {
    let queue = super::known(client, queue).await?;
    let inspector = client.inspect(&queue);
    let view = inspector.overview().await?;
    let count = view.ready().saturating_add(view.due);
    if confirm.dry_run {
        let jobs = first_waiting(&inspector).await?;
        return Ok(preview(&jobs, count, &format!("waiting jobs of {queue} would be deleted")));
    }
    confirm.allow(count, &format!("delete {} waiting jobs of {queue}", number(count))).await?;
    let deleted = inspector.drain().await?;
    Ok(deleted_jobs(queue.as_str(), deleted, "waiting"))
}

/// Returns the first jobs that wait, in the order of lanes, then those that wait for their time.
async fn first_waiting(inspector: &Inspector) -> Result<Vec<JobView>, Error> {
    let mut jobs = vec![];
    for lane in Lane::ALL {
        if jobs.len() < SHOWN {
            jobs.extend(inspector.ready(lane, None, SHOWN - jobs.len()).await?.jobs);
        }
    }
    if jobs.len() < SHOWN {
        jobs.extend(inspector.due(None, SHOWN - jobs.len()).await?.jobs);
    }
    Ok(jobs)
}

pub(super) async fn purge(
    client: &Client,
    queue: &str,
    confirm: Confirm,
) -> Result<Report, Failure> {
    let queue = super::known(client, queue).await?;
    let inspector = client.inspect(&queue);
    let count = inspector.overview().await?.dead;
    if confirm.dry_run {
        let jobs = inspector.dead(None, SHOWN).await?.jobs;
        return Ok(preview(&jobs, count, &format!("dead jobs of {queue} would be deleted")));
    }
    confirm.allow(count, &format!("delete {} dead jobs of {queue}", number(count))).await?;
    let deleted = inspector.purge_dead().await?;
    Ok(deleted_jobs(queue.as_str(), deleted, "dead"))
}

fn preview(jobs: &[JobView], count: u64, what: &str) -> Report {
    let value = json!({ "dry_run": true, "matched": count, "first": jobs });
    Report::new(value)
        .ids(jobs.iter().map(|job| &job.handle))
        .table(job::table(jobs))
        .note(format!("{} {what}", number(count)))
}

fn deleted_jobs(queue: &str, deleted: u64, which: &str) -> Report {
    let value = json!({ "done": "deleted", "queue": queue, "changed": deleted });
    let line = format!("deleted {} {which} jobs of {queue}", number(deleted));
    Report::new(value).ids([queue]).line(line)
}
