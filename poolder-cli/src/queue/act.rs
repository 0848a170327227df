//! The commands that change queues: pause, resume, resize, drain and purge.

use poolder_client::words::many;
use poolder_client::{Client, Inspector};
use poolder_core::view::JobView;
use poolder_core::{Error, QueueName};
use serde_json::json;

use super::Queues;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::job;
use crate::many::{Changes, would_change};
use crate::output::Report;

/// The number of jobs that a dry run shows.
const SHOWN: usize = 10;

/// Pauses the queues, or resumes them.
pub(super) async fn pause(
    client: &Client,
    queues: &Queues,
    pause: bool,
) -> Result<Report, Failure> {
    let mut changes = Changes::default();
    for queue in queues.found(client).await? {
        match pause_one(client, queue, pause, queues.confirm.dry_run).await {
            Ok((queue, None)) => {
                let verb = if pause { "pause" } else { "resume" };
                changes.would(
                    &format!("{verb} {queue}"),
                    json!({ "queue": queue }),
                    queue.as_str(),
                );
            }
            Ok((queue, Some(changed))) => {
                let done = if pause { "paused" } else { "resumed" };
                let was = if changed { "" } else { ", which it was already" };
                let value = json!({ "done": done, "queue": queue, "changed": changed });
                changes.done(value, queue.as_str(), format!("{done} {queue}{was}"));
            }
            Err(failure) => changes.failed(failure),
        }
    }
    changes.report()
}

/// Returns the queue, and whether it was changed; `None` for a dry run.
async fn pause_one(
    client: &Client,
    queue: Result<QueueName, Failure>,
    pause: bool,
    dry_run: bool,
) -> Result<(QueueName, Option<bool>), Failure> {
    let name = queue?;
    let changed = match (dry_run, pause) {
        (true, _) => None,
        (false, true) => Some(client.pause(&name).await?),
        (false, false) => Some(client.resume(&name).await?),
    };
    Ok((name, changed))
}

pub(super) async fn resize(
    client: &Client,
    queue: &str,
    slots: u16,
    confirm: Confirm,
) -> Result<Report, Failure> {
    let pool = client.pool::<()>(queue);
    let before = pool.view().await.map_err(no_pool)?.size;
    let change = format!("{queue} from {before} to {}", many(slots.into(), "slot"));
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

/// The jobs that are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    /// Those that wait.
    Drain,
    /// The dead.
    Purge,
}

impl Deletion {
    /// Returns the name of one of the jobs.
    fn noun(self) -> &'static str {
        if self == Self::Drain { "waiting job" } else { "dead job" }
    }

    /// Returns how many jobs of a queue would be deleted.
    async fn count(self, inspector: &Inspector) -> Result<u64, Error> {
        let view = inspector.overview().await?;
        Ok(if self == Self::Drain { view.ready().saturating_add(view.due) } else { view.dead })
    }

    /// Returns the first of them: those that wait for a slot in the order of lanes, then those in
    /// groups, then those that wait for their time.
    async fn first(self, inspector: &Inspector, most: usize) -> Result<Vec<JobView>, Error> {
        if self == Self::Purge {
            return Ok(inspector.dead(None, most).await?.jobs);
        }
        let mut jobs = vec![];
        let mut after = None;
        while jobs.len() < most {
            let page = inspector.waiting(after.as_ref(), most - jobs.len()).await?;
            jobs.extend(page.jobs);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if jobs.len() < most {
            jobs.extend(inspector.due(None, most - jobs.len()).await?.jobs);
        }
        Ok(jobs)
    }

    async fn make(self, inspector: &Inspector) -> Result<u64, Error> {
        match self {
            Self::Drain => inspector.drain().await,
            Self::Purge => inspector.purge_dead().await,
        }
    }
}

/// Deletes jobs of queues.
pub(super) async fn delete(
    client: &Client,
    queues: &Queues,
    deletion: Deletion,
) -> Result<Report, Failure> {
    let (mut known, mut failures, mut count) = (vec![], vec![], 0_u64);
    for queue in queues.found(client).await? {
        let counted = match queue {
            Ok(queue) => {
                let of = deletion.count(&client.inspect(&queue)).await;
                of.map(|of| (queue, of)).map_err(Failure::from)
            }
            Err(failure) => Err(failure),
        };
        match counted {
            Ok((queue, of)) => {
                count = count.saturating_add(of);
                known.push(queue);
            }
            Err(failure) => failures.push(failure),
        }
    }
    if known.is_empty() && failures.len() == 1 {
        return Err(failures.remove(0));
    }
    let names: Vec<&str> = known.iter().map(QueueName::as_str).collect();
    let what = format!("{} of {}", many(count, deletion.noun()), names.join(", "));
    let report = match queues.confirm.dry_run {
        true => {
            preview(client, &known, deletion, count).await?.note(format!("{what} would be deleted"))
        }
        false => {
            queues.confirm.allow(count, &format!("delete {what}")).await?;
            delete_all(client, &known, deletion, &mut failures).await
        }
    };
    Ok(failures.iter().fold(report, Report::failed))
}

/// Returns the first jobs that would be deleted.
async fn preview(
    client: &Client,
    queues: &[QueueName],
    deletion: Deletion,
    count: u64,
) -> Result<Report, Failure> {
    let mut jobs = vec![];
    for queue in queues {
        if jobs.len() < SHOWN {
            jobs.extend(deletion.first(&client.inspect(queue), SHOWN - jobs.len()).await?);
        }
    }
    let value = json!({ "dry_run": true, "matched": count, "first": jobs });
    Ok(Report::new(value).ids(jobs.iter().map(|job| &job.handle)).table(job::table(&jobs)))
}

async fn delete_all(
    client: &Client,
    queues: &[QueueName],
    deletion: Deletion,
    failures: &mut Vec<Failure>,
) -> Report {
    let (mut each, mut lines, mut changed) = (vec![], vec![], 0_u64);
    for queue in queues {
        match deletion.make(&client.inspect(queue)).await {
            Ok(deleted) => {
                changed = changed.saturating_add(deleted);
                each.push(json!({ "queue": queue, "changed": deleted }));
                lines.push(format!("deleted {} of {queue}", many(deleted, deletion.noun())));
            }
            Err(error) => failures.push(error.into()),
        }
    }
    let report = Report::new(json!({ "done": "deleted", "changed": changed, "queues": each }));
    let report = report.ids(each.iter().filter_map(|one| one["queue"].as_str()));
    lines.iter().fold(report, Report::line)
}
