//! The commands that add and change a schedule.

use poolder_client::Schedules;
use poolder_core::broker::ScheduleInfo;
use poolder_core::{Error, Schedule};
use serde_json::{Value, json};

use super::look::as_json;
use super::{Options, Target};
use crate::args::Common;
use crate::failure::{Exit, Failure};
use crate::many::would_change;
use crate::output::Report;

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
) -> Result<Report, Failure> {
    // Checked before the connection, so that bad options are reported without a server.
    let schedule = options.schedule(kind)?;
    schedule.check()?;
    let schedules = schedules(common, target).await?;
    let before = schedules.get(&target.name).await?;
    if before.is_some() && !replace {
        let text = format!("queue {} has a schedule {:?}", target.queue, target.name);
        return Err(Failure::new(Exit::Refused, text)
            .hint("choose another name, use `poolder schedule change`, or add --replace"));
    }
    if target.confirm.dry_run {
        let verb = if before.is_some() { "replace" } else { "add" };
        return Ok(would(&format!("{verb} {}: {}", named(target), schedule.timing), target));
    }
    let info = schedules.put(&target.name, schedule).await?;
    Ok(done(if before.is_some() { "replaced" } else { "added" }, target, &info))
}

pub(super) async fn change(
    common: &Common,
    target: &Target,
    change: &Change<'_>,
    options: &Options,
) -> Result<Report, Failure> {
    if options.is_empty() && change.kind.is_none() && !change.no_start && !change.no_end {
        return Err(
            Failure::not_understood("nothing to change").hint("give an option such as --every 90s")
        );
    }
    let change = |schedule: &mut Schedule| {
        options.change(schedule, change.kind)?;
        if change.no_start {
            schedule.start = None;
        }
        if change.no_end {
            schedule.end = None;
        }
        Ok(())
    };
    let schedules = schedules(common, target).await?;
    if target.confirm.dry_run {
        let mut schedule = known(&schedules, target).await?.schedule;
        change(&mut schedule)?;
        schedule.check()?;
        return Ok(would(&format!("change {}: {}", named(target), schedule.timing), target));
    }
    let info = schedules.change(&target.name, change).await.map_err(advised)?;
    Ok(done("changed", target, &info))
}

fn named(target: &Target) -> String {
    format!("schedule {} of queue {}", target.name, target.queue)
}

fn would(change: &str, target: &Target) -> Report {
    let subject = json!({ "queue": target.queue, "name": target.name });
    would_change(change, subject, &target.name)
}

async fn known(schedules: &Schedules, target: &Target) -> Result<ScheduleInfo, Failure> {
    let found = schedules.get(&target.name).await?;
    found.ok_or_else(|| missing(&target.queue, &target.name))
}

/// Returns the failure for a schedule that is not there.
pub(super) fn missing(queue: &str, name: &str) -> Failure {
    advised(Error::not_found(format!("queue {queue} has no schedule {name:?}")))
}

async fn schedules(common: &Common, target: &Target) -> Result<Schedules, Failure> {
    // Checked before the connection, so that an illegal name is reported without a server.
    poolder_core::check_schedule_name(&target.name)?;
    Ok(common.client().await?.schedules(&target.queue))
}

/// Adds advice to the error for a schedule that does not exist.
pub(super) fn advised(error: Error) -> Failure {
    Failure::from(error).if_not_found("`poolder schedule list` shows all")
}

/// Returns the output of a command that has changed a schedule.
fn done(action: &str, target: &Target, info: &ScheduleInfo) -> Report {
    let (value, line) = changed(action, (&target.queue, &target.name), info);
    Report::new(value).ids([&target.name]).line(line)
}

/// Returns a change of a schedule as JSON and as a line.
pub(super) fn changed(
    action: &str,
    (queue, name): (&str, &str),
    info: &ScheduleInfo,
) -> (Value, String) {
    let mut value = as_json(info, None);
    value["done"] = action.into();
    let timing = &info.schedule.timing;
    let when = match info.next {
        Some(at) => format!("next at {}", info.schedule.zone.show(at.millis())),
        None => format!("no next tick ({})", info.status),
    };
    (value, format!("{action} {name} of queue {queue}: {timing}, {when}"))
}
