//! The commands that change groups: pause, resume, purge and limit.

use poolder_client::Client;
use poolder_core::broker::GroupLimits;
use poolder_core::{Error, QueueName};
use serde_json::json;

use super::{Groups, Limit, find, id, named};
use crate::failure::Failure;
use crate::job;
use crate::limits::Most;
use crate::many::{Changes, would_change};
use crate::output::{Report, number};
use crate::queue::known;

/// The number of jobs that a dry run shows.
const SHOWN: usize = 10;

/// Pauses groups, or resumes them.
pub(super) async fn pause(
    client: &Client,
    groups: &Groups,
    pause: bool,
) -> Result<Report, Failure> {
    let queue = known(client, &groups.queue).await?;
    let limits = client.limits(&queue);
    let mut changes = Changes::default();
    for group in &groups.groups {
        let (name, subject) = (named(&queue, group), json!({ "queue": queue, "group": group }));
        if groups.confirm.dry_run {
            let verb = if pause { "pause" } else { "resume" };
            changes.would(&format!("{verb} {name}"), subject, id(group));
            continue;
        }
        let changed = match pause {
            true => limits.pause_group(group).await,
            false => limits.resume_group(group).await,
        };
        match changed {
            Ok(changed) => {
                let done = if pause { "paused" } else { "resumed" };
                let was = if changed { "" } else { ", which it was already" };
                let mut value = subject;
                (value["done"], value["changed"]) = (done.into(), changed.into());
                changes.done(value, id(group), format!("{done} {name}{was}"));
            }
            Err(error) => changes.failed(error),
        }
    }
    changes.report()
}

/// Deletes the waiting jobs of groups.
pub(super) async fn purge(client: &Client, groups: &Groups) -> Result<Report, Failure> {
    let queue = known(client, &groups.queue).await?;
    let limits = client.limits(&queue);
    let mut count = 0_u64;
    for group in &groups.groups {
        count = count.saturating_add(find(client, &queue, group).await?.waiting);
    }
    let names: Vec<String> = groups.groups.iter().map(|group| named(&queue, group)).collect();
    let what = format!("{} waiting jobs of {}", number(count), names.join(", "));
    if groups.confirm.dry_run {
        let mut jobs = vec![];
        for group in &groups.groups {
            if jobs.len() < SHOWN {
                jobs.extend(limits.first_of_group(group, SHOWN - jobs.len()).await?);
            }
        }
        let value = json!({ "dry_run": true, "matched": count, "first": jobs });
        let report = Report::new(value).ids(jobs.iter().map(|job| &job.handle));
        return Ok(report.table(job::table(&jobs)).note(format!("{what} would be deleted")));
    }
    groups.confirm.allow(count, &format!("delete {what}")).await?;
    let mut changes = Changes::default();
    for (group, name) in groups.groups.iter().zip(&names) {
        match limits.purge_group(group).await {
            Ok(deleted) => {
                let value = json!({
                    "done": "purged", "queue": queue, "group": group, "changed": deleted,
                });
                let line = format!("deleted {} waiting jobs of {name}", number(deleted));
                changes.done(value, id(group), line);
            }
            Err(error) => changes.failed(error),
        }
    }
    changes.report()
}

/// Gives a group limits of its own.
pub(super) async fn limit(client: &Client, limit: &Limit) -> Result<Report, Failure> {
    let queue = known(client, &limit.queue).await?;
    let handle = client.limits(&queue);
    let before = handle.group(&limit.group).await?;
    let mut own = before.map_or_else(GroupLimits::new, |group| group.own);
    for (most, limit) in
        [(limit.concurrency, &mut own.concurrency), (limit.weight, &mut own.weight)]
    {
        if let Some(Most(most)) = most {
            *limit = most;
        }
    }
    let text = format!("{} to {}", named(&queue, &limit.group), said(own));
    let mut value = json!({ "queue": queue, "group": limit.group, "own": own });
    if limit.confirm.dry_run {
        return Ok(would_change(&format!("limit {text}"), value, id(&limit.group)));
    }
    if !handle.set_group(&limit.group, own).await? {
        return Err(no_limits(&queue).into());
    }
    value["done"] = "limited".into();
    Ok(Report::new(value).ids([id(&limit.group)]).line(format!("limited {text}")))
}

/// Returns limits as a sentence says them.
fn said(own: GroupLimits) -> String {
    let jobs = own.concurrency.map(|jobs| format!("{} jobs at a time", number(jobs.into())));
    let weight = own.weight.map(|weight| format!("weight {weight}"));
    let all: Vec<String> = jobs.into_iter().chain(weight).collect();
    if all.is_empty() { "the limits of the queue".to_owned() } else { all.join(", ") }
}

fn no_limits(queue: &QueueName) -> Error {
    Error::not_found(format!("queue {queue} has no limits, and so no groups"))
}
