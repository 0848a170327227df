//! The actions behind the keys.

use poolder_client::Client;
use poolder_core::history::ErrorId;
use poolder_core::{Error, Handle};

use crate::output::number;

/// A change that a key makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Pause(String),
    Resume(String),
    Drain(String),
    Purge(String),
    RunNow(Handle),
    Cancel(Handle),
    Bury(Handle),
    Remove(Handle),
    /// Retries all jobs of a group of equal errors.
    RetryError(ErrorId),
    /// Buries all jobs of a group of equal errors that wait for another attempt.
    BuryError(ErrorId),
    QuietNode(String),
    ResumeNode(String),
    StopNode(String),
    PauseSchedule {
        queue: String,
        name: String,
    },
    ResumeSchedule {
        queue: String,
        name: String,
    },
    RunSchedule {
        queue: String,
        name: String,
    },
}

impl Action {
    /// Returns the question before the action, and the answer that goes on; `None` for an action
    /// that needs no question.
    pub(super) fn question(&self) -> Option<(String, String)> {
        match self {
            Self::Drain(queue) => Some((
                format!("Delete all waiting jobs of {queue}? Type the name of the queue:"),
                queue.clone(),
            )),
            Self::Purge(queue) => Some((
                format!("Delete all dead jobs of {queue}? Type the name of the queue:"),
                queue.clone(),
            )),
            Self::RetryError(id) => {
                Some((format!("Retry all jobs of error {id}? Type y:"), "y".into()))
            }
            Self::BuryError(id) => Some((
                format!("Bury all jobs of error {id} that wait for another attempt? Type y:"),
                "y".into(),
            )),
            Self::QuietNode(node) => Some((
                format!("Let {node} take no more jobs until it is resumed? Type y:"),
                "y".into(),
            )),
            Self::StopNode(node) => Some((format!("Stop {node}? Type y:"), "y".into())),
            Self::Bury(handle) => Some((format!("Bury job {}? Type y:", handle.job), "y".into())),
            Self::Cancel(handle) => {
                Some((format!("Cancel job {}? Type y:", handle.job), "y".into()))
            }
            Self::Remove(handle) => {
                Some((format!("Remove job {}? Type y:", handle.job), "y".into()))
            }
            _ => None,
        }
    }
}

/// Makes the change. Returns a line about it.
pub(super) async fn run(client: &Client, action: &Action) -> Result<String, Error> {
    Ok(match action {
        Action::Pause(queue) => match client.pause(queue).await? {
            true => format!("paused {queue}"),
            false => format!("{queue} is paused already"),
        },
        Action::Resume(queue) => match client.resume(queue).await? {
            true => format!("resumed {queue}"),
            false => format!("{queue} is not paused"),
        },
        Action::Drain(queue) => {
            let deleted = client.inspect(queue).drain().await?;
            format!("deleted {} waiting jobs of {queue}", number(deleted))
        }
        Action::Purge(queue) => {
            let deleted = client.inspect(queue).purge_dead().await?;
            format!("deleted {} dead jobs of {queue}", number(deleted))
        }
        Action::RunNow(handle) => {
            client.job(handle).run_now().await?;
            format!("{} runs as soon as a slot is free", handle.job)
        }
        Action::Cancel(handle) => {
            let outcome = client.job(handle).cancel().await?;
            format!("{}: {outcome}", handle.job)
        }
        Action::Bury(handle) => {
            client.job(handle).bury("").await?;
            format!("buried {}", handle.job)
        }
        Action::RetryError(id) => of_group(client, *id, true).await?,
        Action::BuryError(id) => of_group(client, *id, false).await?,
        Action::QuietNode(node) => {
            client.quiet_node(node).await?;
            format!("{node} takes no more jobs")
        }
        Action::ResumeNode(node) => {
            client.resume_node(node).await?;
            format!("{node} takes jobs again")
        }
        Action::StopNode(node) => {
            client.stop_node(node).await?;
            format!("{node} stops")
        }
        Action::Remove(handle) => {
            client.job(handle).remove().await?;
            format!("removed {}", handle.job)
        }
        Action::PauseSchedule { queue, name } => {
            client.schedules(queue).pause(name).await?;
            format!("paused {name} of queue {queue}")
        }
        Action::ResumeSchedule { queue, name } => {
            client.schedules(queue).resume(name).await?;
            format!("resumed {name} of queue {queue}")
        }
        Action::RunSchedule { queue, name } => {
            let receipt = client.schedules(queue).run_now(name).await?;
            format!("enqueued job {} on queue {queue}", receipt.job)
        }
    })
}

/// Changes all jobs of a group of equal errors. Returns a line about it.
async fn of_group(client: &Client, id: ErrorId, retry: bool) -> Result<String, Error> {
    let groups = client.errors().await?;
    let Some(group) = groups.iter().find(|group| group.id == id) else {
        return Err(Error::not_found(format!("error {id} is no longer kept")));
    };
    let report = match retry {
        true => client.retry_errors(group).await?,
        false => client.bury_errors(group).await?,
    };
    let done = if retry { "retried" } else { "buried" };
    Ok(format!("{done} {} jobs of error {id}", number(report.changed)))
}
