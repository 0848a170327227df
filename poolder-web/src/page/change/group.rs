//! Changes of the groups of limited queues.

use poolder_client::Client;
use poolder_core::QueueName;

use super::action::Action;
use super::asked::Question;
use crate::request::{Context, Fault};
use crate::show::many;

/// Makes a change of a group. Returns the sentence that says what was done.
pub(super) async fn make(
    client: &Client,
    action: Action,
    queue: &QueueName,
    group: &str,
) -> Result<String, Fault> {
    let (limits, name) = (client.limits(queue), named(group));
    let already = |changed| if changed { "" } else { ", which it was already" };
    Ok(match action {
        Action::PauseGroup => {
            format!("Paused {name} of {queue}{}.", already(limits.pause_group(group).await?))
        }
        Action::ResumeGroup => {
            format!("Resumed {name} of {queue}{}.", already(limits.resume_group(group).await?))
        }
        _ => {
            let deleted = limits.purge_group(group).await?;
            format!("Deleted {} of {name} of {queue} that waited.", many(deleted, "job"))
        }
    })
}

/// Words the question before a purge, with the number of jobs as of now.
pub(super) async fn ask(
    context: &Context,
    queue: &QueueName,
    group: &str,
    asked: &mut Question,
) -> Result<(), Fault> {
    let count = count(context, queue, group).await?;
    let (jobs, name) = (many(count, "job"), named(group));
    asked.question = format!("Delete {jobs} of {name} of {queue} that wait?");
    asked.hidden.push(("count".into(), count.to_string()));
    (asked.typed, asked.button) = (typed(queue, group).to_owned(), "Delete");
    Ok(())
}

/// Returns the number of jobs that a purge would delete, as of now.
pub(super) async fn count(context: &Context, queue: &QueueName, group: &str) -> Result<u64, Fault> {
    let group = context.shared.client.limits(queue).group(group).await?;
    Ok(group.map_or(0, |group| group.waiting))
}

/// Returns the name that a visitor types before a purge: that of the group, or of the queue for the
/// jobs without one.
pub(super) fn typed<'a>(queue: &'a QueueName, group: &'a str) -> &'a str {
    if group.is_empty() { queue.as_str() } else { group }
}

/// Names a group in a sentence.
fn named(group: &str) -> String {
    match group {
        "" => "the jobs without a group".to_owned(),
        name => format!("group {name}"),
    }
}
