//! The actions behind the keys.

use poolder_client::Client;
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
    Remove(Handle),
    PauseSchedule { queue: String, name: String },
    ResumeSchedule { queue: String, name: String },
    RunSchedule { queue: String, name: String },
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
