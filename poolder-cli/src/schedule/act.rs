//! The commands that act on a schedule: add, change, pause, resume, remove and run.

use poolder_client::Schedules;
use poolder_core::Error;
use poolder_core::broker::ScheduleInfo;
use serde_json::json;

use super::look::as_json;
use super::{Options, Target};
use crate::args::Common;
use crate::show;

/// The options of `change` that `Options` does not have.
pub(super) struct Change<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) no_start: bool,
    pub(super) no_end: bool,
}

pub(super) async fn add(
    common: &Common,
    target: &Target,
    kind: &str,
    options: &Options,
    replace: bool,
) -> Result<String, Error> {
    // Checked before the connection, so that bad options are reported without a server.
    let schedule = options.schedule(kind)?;
    schedule.check()?;
    let schedules = schedules(common, target).await?;
    let before = schedules.get(&target.name).await?;
    if before.is_some() && !replace {
        return Err(Error::invalid(format!(
            "queue {} has a schedule {:?}: choose another name, use `poolder schedule change`, or \
             add --replace",
            target.queue, target.name
        )));
    }
    let info = schedules.put(&target.name, schedule).await?;
    Ok(done(common, if before.is_some() { "replaced" } else { "added" }, target, &info))
}

pub(super) async fn change(
    common: &Common,
    target: &Target,
    change: &Change<'_>,
    options: &Options,
) -> Result<String, Error> {
    if options.is_empty() && change.kind.is_none() && !change.no_start && !change.no_end {
        return Err(Error::invalid("nothing to change: give an option such as --every 90s"));
    }
    let schedules = schedules(common, target).await?;
    let changed = schedules.change(&target.name, |schedule| {
        options.change(schedule, change.kind)?;
        if change.no_start {
            schedule.start = None;
        }
        if change.no_end {
            schedule.end = None;
        }
        Ok(())
    });
    let info = changed.await.map_err(advised)?;
    Ok(done(common, "changed", target, &info))
}

pub(super) async fn pause(common: &Common, target: &Target) -> Result<String, Error> {
    let schedules = schedules(common, target).await?;
    let info = schedules.pause(&target.name).await.map_err(advised)?;
    Ok(done(common, "paused", target, &info))
}

pub(super) async fn resume(common: &Common, target: &Target) -> Result<String, Error> {
    let schedules = schedules(common, target).await?;
    let info = schedules.resume(&target.name).await.map_err(advised)?;
    Ok(done(common, "resumed", target, &info))
}

pub(super) async fn remove(common: &Common, target: &Target) -> Result<String, Error> {
    let schedules = schedules(common, target).await?;
    // Read before the removal, since the output names the owner of the schedule.
    let before = schedules.get(&target.name).await;
    if !schedules.remove(&target.name).await? {
        let none = format!("queue {} has no schedule {:?}", target.queue, target.name);
        return Err(advised(Error::not_found(none)));
    }
    let declared = before.ok().flatten().filter(ScheduleInfo::is_declared);
    if common.json {
        let (queue, name) = (&target.queue, &target.name);
        return Ok(show::json(&json!({ "done": "removed", "queue": queue, "name": name })));
    }
    let mut text = format!("removed {} of queue {}\n", target.name, target.queue);
    if let Some(owner) = declared.and_then(|info| info.owner) {
        text += &format!("{owner} declares it: it comes back when a node with {owner} starts\n");
    }
    Ok(text)
}

pub(super) async fn run(common: &Common, target: &Target) -> Result<String, Error> {
    let schedules = schedules(common, target).await?;
    let run = schedules.run_now(&target.name).await;
    let receipt = run.map_err(advised)?;
    let (queue, job) = (&target.queue, receipt.job.to_string());
    if common.json {
        let name = &target.name;
        return Ok(show::json(
            &json!({ "done": "enqueued", "queue": queue, "name": name, "job": job }),
        ));
    }
    Ok(format!("enqueued job {job} on queue {queue}, lane {}\n", receipt.lane))
}

async fn schedules(common: &Common, target: &Target) -> Result<Schedules, Error> {
    // Checked before the connection, so that an illegal name is reported without a server.
    poolder_core::check_schedule_name(&target.name)?;
    Ok(common.client().await?.schedules(&target.queue))
}

/// Adds advice to the error for a schedule that does not exist.
pub(super) fn advised(error: Error) -> Error {
    if !error.is_not_found() {
        return error;
    }
    Error::not_found(format!("{error}: `poolder schedule list` shows all"))
}

/// Returns the output of a command that has changed a schedule.
fn done(common: &Common, action: &str, target: &Target, info: &ScheduleInfo) -> String {
    if common.json {
        let mut value = as_json(info, None);
        value["done"] = action.into();
        return show::json(&value);
    }
    let (name, queue, timing) = (&target.name, &target.queue, &info.schedule.timing);
    let when = match info.next {
        Some(at) => format!("next at {}", info.schedule.zone.show(at.millis())),
        None => format!("no next tick ({})", info.status),
    };
    format!("{action} {name} of queue {queue}: {timing}, {when}\n")
}
