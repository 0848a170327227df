//! The actions behind the keys.

use poolder_client::Client;
use poolder_client::words::many;
use poolder_core::history::ErrorId;
use poolder_core::{Error, Handle};

use super::view::Subject;
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
    /// Returns the change of a subject that this letter stands for, if it stands for one.
    pub(super) fn of(letter: char, subject: Subject) -> Option<Self> {
        Some(match (letter, subject) {
            ('p', Subject::Queue(queue)) => Self::Pause(queue),
            ('r', Subject::Queue(queue)) => Self::Resume(queue),
            ('D', Subject::Queue(queue)) => Self::Drain(queue),
            ('P', Subject::Queue(queue)) => Self::Purge(queue),
            ('r', Subject::Job(handle)) => Self::RunNow(handle),
            ('C', Subject::Job(handle)) => Self::Cancel(handle),
            ('K', Subject::Job(handle)) => Self::Bury(handle),
            ('X', Subject::Job(handle)) => Self::Remove(handle),
            ('R', Subject::Error(id)) => Self::RetryError(id),
            ('B', Subject::Error(id)) => Self::BuryError(id),
            ('Q', Subject::Node(node)) => Self::QuietNode(node),
            ('r', Subject::Node(node)) => Self::ResumeNode(node),
            ('S', Subject::Node(node)) => Self::StopNode(node),
            ('p', Subject::Schedule { queue, name }) => Self::PauseSchedule { queue, name },
            ('r', Subject::Schedule { queue, name }) => Self::ResumeSchedule { queue, name },
            ('e', Subject::Schedule { queue, name }) => Self::RunSchedule { queue, name },
            _ => return None,
        })
    }

    /// Returns the words for the change of several subjects: what is to be done, what was done, and
    /// the name of the subjects.
    fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Pause(_) => ("Pause", "paused", "queue"),
            Self::Resume(_) => ("Resume", "resumed", "queue"),
            Self::Drain(_) => ("Delete all waiting jobs of", "drained", "queue"),
            Self::Purge(_) => ("Delete all dead jobs of", "purged", "queue"),
            Self::RunNow(_) => ("Run or revive", "made ready", "job"),
            Self::Cancel(_) => ("Cancel", "cancelled", "job"),
            Self::Bury(_) => ("Bury", "buried", "job"),
            Self::Remove(_) => ("Remove", "removed", "job"),
            Self::RetryError(_) => ("Retry all jobs of", "retried", "error"),
            Self::BuryError(_) => ("Bury the waiting jobs of", "buried", "error"),
            Self::QuietNode(_) => ("Quiet", "quieted", "node"),
            Self::ResumeNode(_) => ("Resume", "resumed", "node"),
            Self::StopNode(_) => ("Stop", "stopped", "node"),
            Self::PauseSchedule { .. } => ("Pause", "paused", "schedule"),
            Self::ResumeSchedule { .. } => ("Resume", "resumed", "schedule"),
            Self::RunSchedule { .. } => ("Enqueue once the jobs of", "enqueued", "schedule"),
        }
    }

    /// Returns the question before the action, and the answer that goes on; `None` for an action
    /// that needs no question.
    fn question(&self) -> Option<(String, String)> {
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

/// Returns the question before these changes, which are of one sort, and the answer that goes on.
/// That of several subjects is asked in any case, and answered with their number.
pub(super) fn question(actions: &[Action]) -> Option<(String, String)> {
    match actions {
        [] => None,
        [one] => one.question(),
        [first, ..] => {
            let (verb, _, subject) = first.words();
            let subjects = many(actions.len() as u64, subject);
            Some((format!("{verb} {subjects}? Type their number:"), actions.len().to_string()))
        }
    }
}

/// Makes the changes. Returns a line about them, or about the first that was not made.
pub(super) async fn run(client: &Client, actions: &[Action]) -> Result<String, String> {
    if let [action] = actions {
        return one(client, action).await.map_err(|error| error.to_string());
    }
    let (mut made, mut refused) = (0, None);
    for action in actions {
        match one(client, action).await {
            Ok(_) => made += 1,
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let (_, done, subject) = actions.first().map_or(("", "", ""), Action::words);
    let subjects = many(actions.len() as u64, subject);
    match refused {
        None => Ok(format!("{done} {subjects}")),
        Some(error) => Err(format!("{done} {} of {subjects}: {error}", number(made))),
    }
}

/// Makes a change. Returns a line about it.
async fn one(client: &Client, action: &Action) -> Result<String, Error> {
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
            format!("deleted {} of {queue}", many(deleted, "waiting job"))
        }
        Action::Purge(queue) => {
            let deleted = client.inspect(queue).purge_dead().await?;
            format!("deleted {} of {queue}", many(deleted, "dead job"))
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
    Ok(format!("{done} {} of error {id}", many(report.changed, "job")))
}
