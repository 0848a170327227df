//! The commands that change schedules, one or several: pause, resume, remove and run.

use poolder_client::words::many;
use poolder_client::{Client, Schedules};
use poolder_core::broker::ScheduleInfo;
use serde_json::{Value, json};

use super::Targets;
use super::act::{advised, changed, missing};
use crate::args::Common;
use crate::failure::Failure;
use crate::many::Changes;
use crate::output::Report;

/// A change of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Pause,
    Resume,
    Remove,
    Run,
}

impl Verb {
    /// Returns the change as words before the name of a schedule.
    fn words(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Remove => "remove",
            Self::Run => "enqueue the job of",
        }
    }

    /// Makes the change. Returns its JSON form, its id and its line.
    async fn make(
        self,
        schedules: &Schedules,
        (queue, name): (&str, &str),
    ) -> Result<(Value, String, String), Failure> {
        let said = |(value, line): (Value, String)| (value, name.to_owned(), line);
        match self {
            Self::Pause => {
                let info = schedules.pause(name).await.map_err(advised)?;
                Ok(said(changed("paused", (queue, name), &info)))
            }
            Self::Resume => {
                let info = schedules.resume(name).await.map_err(advised)?;
                Ok(said(changed("resumed", (queue, name), &info)))
            }
            Self::Remove => remove(schedules, (queue, name)).await.map(said),
            Self::Run => {
                let receipt = schedules.run_now(name).await.map_err(advised)?;
                let (job, lane) = (receipt.job.to_string(), receipt.lane);
                let value = json!({ "done": "enqueued", "queue": queue, "name": name, "job": job });
                let line = format!("enqueued job {job} on queue {queue}, lane {lane}");
                Ok((value, job, line))
            }
        }
    }
}

/// Removes a schedule.
async fn remove(
    schedules: &Schedules,
    (queue, name): (&str, &str),
) -> Result<(Value, String), Failure> {
    // Read before the removal, since the output names the owner of the schedule.
    let before = schedules.get(name).await;
    if !schedules.remove(name).await? {
        return Err(missing(queue, name));
    }
    let declared = before.ok().flatten().filter(ScheduleInfo::is_declared);
    let mut line = format!("removed {name} of queue {queue}");
    if let Some(owner) = declared.and_then(|info| info.owner) {
        line += &format!("; {owner} declares it: it comes back when a node with {owner} starts");
    }
    Ok((json!({ "done": "removed", "queue": queue, "name": name }), line))
}

/// Changes each of the schedules.
pub(super) async fn run(common: &Common, targets: &Targets, verb: Verb) -> Result<Report, Failure> {
    // Checked before the connection, so that an illegal name is reported without a server.
    for name in &targets.names {
        poolder_core::check_schedule_name(name)?;
    }
    let client = common.client().await?;
    let named = selected(&client, targets).await?;
    let count = named.len() as u64;
    let is_gentle = matches!(verb, Verb::Pause | Verb::Resume);
    if !targets.confirm.dry_run && !is_gentle {
        let of = targets.queue.as_ref().map(|queue| format!(" of queue {queue}"));
        let (all, of) = (many(count, "schedule"), of.unwrap_or_default());
        let question = format!("{} {all}{of}", verb.words());
        targets.confirm.allow(count, &question).await?;
    }
    let mut changes = Changes::default();
    for (queue, name) in &named {
        let schedules = client.schedules(queue);
        if targets.confirm.dry_run {
            match schedules.get(name).await? {
                Some(_) => {
                    let change = format!("{} schedule {name} of queue {queue}", verb.words());
                    changes.would(&change, json!({ "queue": queue, "name": name }), name);
                }
                None => changes.failed(missing(queue, name)),
            }
            continue;
        }
        match verb.make(&schedules, (queue, name)).await {
            Ok((value, id, line)) => changes.done(value, id, line),
            Err(failure) => changes.failed(failure),
        }
    }
    changes.report()
}

/// Returns the queues and names of the schedules.
async fn selected(client: &Client, targets: &Targets) -> Result<Vec<(String, String)>, Failure> {
    if let (Some(queue), false) = (&targets.queue, targets.all) {
        return Ok(targets.names.iter().map(|name| (queue.clone(), name.clone())).collect());
    }
    let found = client.find_schedules(&targets.text).await?;
    let each = found.into_iter().map(|info| (info.partition.queue.to_string(), info.name));
    let is_meant = |queue: &str| targets.queue.as_ref().is_none_or(|only| only == queue);
    Ok(each.filter(|(queue, _)| is_meant(queue)).collect())
}
