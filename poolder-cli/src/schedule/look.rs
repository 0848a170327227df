//! The commands that show schedules and their next ticks: list and preview.

use poolder_core::broker::ScheduleInfo;
use poolder_core::view::{LeaderView, to_json};
use poolder_core::{Error, Timestamp, Zone, ZoneData};
use serde_json::{Value, json};

use super::When;
use super::act::advised;
use crate::args::Common;
use crate::show;

pub(super) async fn list(common: &Common, queue: Option<&str>) -> Result<String, Error> {
    let client = common.client().await?;
    let queues: Vec<String> = match queue {
        Some(queue) => vec![queue.to_owned()],
        None => client.queues().await?.iter().map(ToString::to_string).collect(),
    };
    let (mut rows, mut values, mut leaders) = (vec![], vec![], vec![]);
    for queue in queues {
        let schedules = client.schedules(&queue);
        let all = schedules.list().await?;
        let count = schedules.count().await?;
        if count > all.len() as u64 {
            // The schedules have changed between the two calls, or a newer version of Poolder has
            // stored some of them.
            eprintln!(
                "poolder: queue {queue} has {count} schedules, {} of them can be read",
                all.len()
            );
        }
        if all.is_empty() {
            continue;
        }
        let leader = client.inspect(&queue).overview().await?.leader;
        rows.extend(all.iter().map(|info| row(&queue, info)));
        values.extend(all.iter().map(|info| as_json(info, leader.as_ref())));
        leaders.push(match leader {
            Some(leader) => format!("{queue} is led by {}, term {}\n", leader.node, leader.term),
            None => format!("{queue} has no leader: it does not tick until a node serves it\n"),
        });
    }
    if common.json {
        return Ok(show::json(&values.into()));
    }
    if rows.is_empty() {
        return Ok("no schedules\n".into());
    }
    let heads =
        ["QUEUE", "NAME", "STATUS", "TIMING", "ZONE", "KIND", "LAST RUN", "NEXT", "RUNS", "MISSED"];
    Ok(format!("{}\n{}", show::table(&heads, &rows), leaders.concat()))
}

pub(super) async fn preview(
    common: &Common,
    name: &str,
    queue: Option<&str>,
    when: &When,
    count: usize,
) -> Result<String, Error> {
    if when.zone.is_some() {
        return Err(Error::invalid("a schedule has its own zone: leave --zone out"));
    }
    let queue = queue.ok_or_else(|| {
        Error::invalid(format!("the queue of schedule {name:?} is missing: give it with --queue"))
    })?;
    let schedules = common.client().await?.schedules(queue);
    let Some(info) = schedules.get(name).await? else {
        let none = format!("queue {queue} has no schedule {name:?}");
        return Err(advised(Error::not_found(none)));
    };
    let ticks: Vec<Timestamp> = info.upcoming().take(count).collect();
    Ok(ticks_of(common, &ticks, info.schedule.zone))
}

/// Returns the next ticks of a timing from the command line. This needs no server.
pub(super) fn expression(common: &Common, when: &When, count: usize) -> Result<String, Error> {
    let Some(timing) = when.timing()? else {
        return Err(Error::invalid("nothing to preview: give a name, --cron or --every"));
    };
    let zone = when.zone.unwrap_or_default();
    let now = Timestamp::now().millis();
    let next = |after: &i64| timing.next(zone, now, *after);
    let ticks = std::iter::successors(next(&now), next).take(count);
    let ticks: Vec<Timestamp> = ticks.map(Timestamp::from_millis).collect();
    Ok(ticks_of(common, &ticks, zone))
}

fn ticks_of(common: &Common, ticks: &[Timestamp], zone: Zone) -> String {
    if common.json {
        let all: Vec<Value> = ticks.iter().map(|at| show::moment(*at).into()).collect();
        return show::json(&all.into());
    }
    if ticks.is_empty() {
        return "it never ticks again\n".into();
    }
    let row = |at: &Timestamp| vec![zone.show(at.millis()), show::moment(*at)];
    let table = show::table(&["LOCAL", "UTC"], &ticks.iter().map(row).collect::<Vec<_>>());
    format!("{table}time zones: {}\n", ZoneData::current())
}

fn row(queue: &str, info: &ScheduleInfo) -> Vec<String> {
    vec![
        queue.to_owned(),
        info.name.clone(),
        info.status.to_string(),
        info.schedule.timing.to_string(),
        info.schedule.zone.to_string(),
        info.schedule.job.kind().to_owned(),
        show::second(info.last_run),
        show::second(info.next),
        info.runs.to_string(),
        info.missed.to_string(),
    ]
}

/// Returns a schedule and its state as JSON.
pub(super) fn as_json(info: &ScheduleInfo, leader: Option<&LeaderView>) -> Value {
    let schedule = &info.schedule;
    let moment = |at: Option<Timestamp>| at.map(show::moment);
    json!({
        "queue": info.partition.queue.as_str(),
        "name": info.name,
        "status": info.status.to_string(),
        "timing": schedule.timing.to_string(),
        "zone": schedule.zone.to_string(),
        "kind": schedule.job.kind(),
        "version": schedule.job.version(),
        "payload": to_json(schedule.job.raw_job()).ok(),
        "lane": schedule.lane.as_str(),
        "missed_policy": schedule.missed.to_string(),
        "overlap": schedule.overlap.to_string(),
        "jitter_ms": u64::try_from(schedule.jitter.as_millis()).unwrap_or(u64::MAX),
        "start": moment(schedule.start),
        "end": moment(schedule.end),
        "owner": info.owner,
        "deploy": info.deploy,
        "revision": info.revision,
        "last_run": moment(info.last_run),
        "last_job": info.last_job.map(|job| job.to_string()),
        "next": moment(info.next),
        "runs": info.runs,
        "missed": info.missed,
        "running": info.running,
        "queued": info.queued,
        "leader": leader.map(|leader| json!({
            "node": leader.node,
            "term": leader.term,
            "until": show::moment(leader.until),
        })),
    })
}
