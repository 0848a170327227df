//! Makes changes, and says what was done.

use poolder_client::{Action as JobChange, Client};
use poolder_core::view::merge_patch;
use poolder_core::{Error, Handle, MAX_PAYLOAD, QueueName};
use serde_json::Value;

use super::action::Action;
use super::actor::client;
use super::fleet;
use super::group;
use super::inputs::read_time;
use super::mute;
use super::question::shown;
use super::subject::{Subject, whole};
use crate::request::{Context, Fault, Fields};
use crate::show::{full, many, preview};

/// Makes a change. Returns the sentence that says what was done.
pub(super) async fn make(
    context: &Context,
    action: Action,
    subject: &Subject,
    fields: &Fields,
) -> Result<String, Fault> {
    let client = client(context);
    match subject {
        Subject::Fleet(_) => fleet::make(context, &client, action).await,
        Subject::Queue(queue) => of_queue(&client, action, queue, fields).await,
        Subject::Job(handle) => of_job(context, &client, action, handle, fields).await,
        Subject::Node(name) => of_node(&client, action, name).await,
        Subject::Schedule(queue, name) => of_schedule(&client, action, queue, name).await,
        Subject::Pool(queue, slot) => of_pool(&client, action, queue, *slot).await,
        Subject::List { queue, batcher, group } => {
            of_list(&client, action, (queue, batcher, group), fields).await
        }
        Subject::Error(id, _) => mute::make(context, &client, action, *id, fields).await,
        Subject::Group(queue, group) => group::make(&client, action, queue, group).await,
        Subject::Key(queue, key) => {
            let inspector = client.inspect(queue);
            let Some(seen) = inspector.unique_key(*key).await? else {
                return Ok(format!("Key {key} of {queue} was free already."));
            };
            Ok(match inspector.release_unique_key(&seen).await? {
                true => format!("Released key {key} of {queue}."),
                false => format!("Another job holds key {key} of {queue} meanwhile: it was kept."),
            })
        }
    }
}

async fn of_queue(
    client: &Client,
    action: Action,
    queue: &QueueName,
    fields: &Fields,
) -> Result<String, Fault> {
    let already = |changed| if changed { "" } else { ", which it was already" };
    Ok(match action {
        Action::Pause => format!("Paused {queue}{}.", already(client.pause(queue).await?)),
        Action::Resume => format!("Resumed {queue}{}.", already(client.resume(queue).await?)),
        Action::Resize => {
            let size: u16 = whole(fields.get("size"), "slots")?;
            client.pool::<()>(queue).resize(size).await?;
            format!("{queue} has {} now.", many(size.into(), "slot"))
        }
        Action::Drain => {
            let deleted = client.inspect(queue).drain().await?;
            format!("Deleted {} of {queue} that waited.", many(deleted, "job"))
        }
        _ => {
            let deleted = client.inspect(queue).purge_dead().await?;
            format!("Deleted {} of {queue} that had died.", many(deleted, "job"))
        }
    })
}

async fn of_job(
    context: &Context,
    client: &Client,
    action: Action,
    handle: &Handle,
    fields: &Fields,
) -> Result<String, Fault> {
    let change = match action {
        Action::Edit => return edit(context, client, handle, fields).await,
        Action::Reschedule => match read_time(context, fields).await? {
            Some(at) => JobChange::Reschedule(at),
            None => return Err(Fault::invalid("Say when it shall run.")),
        },
        Action::RunNow => JobChange::RunNow,
        Action::Revive => JobChange::Revive,
        Action::Cancel => JobChange::Cancel,
        Action::Bury => JobChange::Bury(BURIED.into()),
        _ => JobChange::Delete,
    };
    Ok(format!("Job {}: {}.", handle.job, change_job(client, handle, &change).await?))
}

/// The reason of jobs that visitors bury.
pub(in crate::page) const BURIED: &str = "buried on the dashboard";

/// Changes one job. Returns what was done, in words.
pub(in crate::page) async fn change_job(
    client: &Client,
    handle: &Handle,
    change: &JobChange,
) -> Result<String, Error> {
    let job = client.job(handle);
    Ok(match change {
        JobChange::RunNow => {
            job.run_now().await?;
            "runs as soon as a slot is free".into()
        }
        JobChange::Revive => {
            job.revive().await?;
            "revived".into()
        }
        JobChange::Reschedule(at) => {
            job.reschedule(*at).await?;
            format!("waits until {}", full(*at))
        }
        JobChange::Cancel => job.cancel().await?.to_string(),
        JobChange::Bury(reason) => {
            job.bury(reason).await?;
            "buried".into()
        }
        JobChange::Edit(patch) => {
            let view =
                job.view().await?.ok_or_else(|| Error::not_found("the job was not found"))?;
            let mut payload = view.payload_json()?;
            merge_patch(&mut payload, patch);
            job.edit_and_revive(&payload).await?;
            "edited and revived".into()
        }
        _ => {
            job.remove().await?;
            "deleted".into()
        }
    })
}

/// Edits a job and lets it run again.
async fn edit(
    context: &Context,
    client: &Client,
    handle: &Handle,
    fields: &Fields,
) -> Result<String, Fault> {
    let job = client.job(handle);
    let view = job.view().await?;
    let view = view.ok_or_else(|| Fault::not_found(format!("Job {handle} was not found.")))?;
    let (_, is_whole) = shown(context, &view)?;
    let payload = match fields.get("payload") {
        text if is_whole => json(text)?,
        _ => {
            let mut payload = view.payload_json()?;
            merge_patch(&mut payload, &json(fields.get("patch"))?);
            payload
        }
    };
    if payload.to_string().len() > MAX_PAYLOAD {
        return Err(Fault::invalid("A payload has at most 1 MiB."));
    }
    client.job(&view.handle).edit_and_revive(&payload).await?;
    Ok(format!("Edited job {}, and let it run again.", handle.job))
}

/// Reads JSON that a visitor has written.
pub(in crate::page) fn json(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text)
        .map_err(|error| Fault::invalid(format!("This is not JSON: {error}.")))
}

async fn of_node(client: &Client, action: Action, name: &str) -> Result<String, Fault> {
    Ok(match action {
        Action::QuietNode => {
            client.quiet_node(name).await?;
            format!("{name} takes no more jobs.")
        }
        Action::ResumeNode => {
            client.resume_node(name).await?;
            format!("{name} takes jobs again.")
        }
        Action::StopNode => {
            client.stop_node(name).await?;
            format!("{name} stops.")
        }
        _ => {
            client.forget_node(name).await?;
            format!("{name} is forgotten: its jobs are taken over.")
        }
    })
}

async fn of_schedule(
    client: &Client,
    action: Action,
    queue: &QueueName,
    name: &str,
) -> Result<String, Fault> {
    let schedules = client.schedules(queue);
    Ok(match action {
        Action::RunSchedule => {
            let receipt = schedules.run_now(name).await?;
            format!("Enqueued job {} of schedule {name}.", receipt.job)
        }
        Action::PauseSchedule => {
            schedules.pause(name).await?;
            format!("Paused schedule {name} of {queue}.")
        }
        Action::ResumeSchedule => {
            schedules.resume(name).await?;
            format!("Resumed schedule {name} of {queue}.")
        }
        _ => match schedules.remove(name).await? {
            true => format!("Removed schedule {name} of {queue}."),
            false => return Err(Fault::not_found(format!("{queue} has no schedule {name}."))),
        },
    })
}

async fn of_pool(
    client: &Client,
    action: Action,
    queue: &QueueName,
    slot: Option<u16>,
) -> Result<String, Fault> {
    let pool = client.pool::<()>(queue);
    let of = slot.map_or_else(|| queue.to_string(), |slot| format!("slot {slot} of {queue}"));
    Ok(match (action, slot) {
        (Action::StopPool, None) => {
            pool.stop().await?;
            format!("Stopped {of}.")
        }
        (Action::StopPool, Some(slot)) => {
            pool.slot(slot).stop().await?;
            format!("Stopped {of}.")
        }
        (_, None) => {
            pool.start().await?;
            format!("Started {of}.")
        }
        (_, Some(slot)) => {
            pool.slot(slot).start().await?;
            format!("Started {of}.")
        }
    })
}

async fn of_list(
    client: &Client,
    action: Action,
    (queue, batcher, group): (&QueueName, &str, &str),
    fields: &Fields,
) -> Result<String, Fault> {
    let list = client.batcher_on::<Value>(queue, batcher).group(group);
    if action == Action::FlushBatch {
        return Ok(match list.flush().await? {
            Some(job) => format!("Sealed batch {job} of {batcher}."),
            None => "No entries wait there: nothing was sealed.".into(),
        });
    }
    let index = whole(fields.get("index"), "entry")?;
    let generation = whole(fields.get("generation"), "generation")?;
    // Another entry may have taken its place since the page was read.
    let seen = list.list(index).await?;
    if seen.entries.first().map(preview).as_deref() != Some(fields.get("entry")) {
        return Err(Fault::new(
            axum::http::StatusCode::CONFLICT,
            "It has moved on",
            "Another entry is at this place now. Nothing was taken out.",
        ));
    }
    list.pop(index).in_generation(generation).await?;
    Ok(format!("Took entry {index} out of {batcher}."))
}
