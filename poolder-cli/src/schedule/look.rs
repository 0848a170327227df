//! The commands that show schedules and their next ticks: list and preview.

use futures_util::future::{try_join, try_join_all};
use poolder_core::broker::ScheduleInfo;
use poolder_core::view::{LeaderView, to_json};
use poolder_core::{Error, Status, Timestamp, Zone, ZoneData};
use serde_json::{Value, json};

use super::When;
use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Cell, Report, Table, Tone, moment, number, second};

pub(super) async fn list(common: &Common, queue: Option<&str>) -> Result<Report, Failure> {
    let client = common.client().await?;
    let queues: Vec<String> = match queue {
        Some(queue) => vec![queue.to_owned()],
        None => client.queues().await?.iter().map(ToString::to_string).collect(),
    };
    let mut table = Table::new(&HEADS);
    let (mut values, mut names) = (vec![], vec![]);
    let (mut leaders, mut notes) = (String::new(), vec![]);
    // The queues are read together.
    let read = queues.into_iter().map(|queue| {
        let client = &client;
        async move {
            let schedules = client.schedules(&queue);
            let (all, count) = try_join(schedules.list(), schedules.count()).await?;
            let leader = match all.is_empty() {
                true => None,
                false => client.inspect(&queue).overview().await?.leader,
            };
            Ok::<_, Error>((queue, all, count, leader))
        }
    });
    for (queue, all, count, leader) in try_join_all(read).await? {
        if count > all.len() as u64 {
            // The schedules have changed between the two calls, or a newer version of Poolder has
            // stored some of them.
            let readable = all.len();
            notes.push(format!("queue {queue} has {count} schedules, {readable} can be read"));
        }
        if all.is_empty() {
            continue;
        }
        all.iter().for_each(|info| table.row(row(info)));
        names.extend(all.iter().map(|info| info.name.clone()));
        values.extend(all.iter().map(|info| as_json(info, leader.as_ref())));
        leaders += &match leader {
            Some(leader) => format!("{queue} is led by {}, term {}\n", leader.node, leader.term),
            None => format!("{queue} has no leader: it does not tick until a node serves it\n"),
        };
    }
    let report = Report::new(&values).ids(names);
    let report = notes.iter().fold(report, Report::note);
    if table.is_empty() {
        return Ok(report.note("no schedules"));
    }
    Ok(report.table(table).lines(format!("\n{leaders}")))
}

pub(super) async fn preview(
    common: &Common,
    name: &str,
    queue: Option<&str>,
    when: &When,
    count: usize,
) -> Result<Report, Failure> {
    if when.zone.is_some() {
        return Err(Failure::not_understood("a schedule has its own zone").hint("leave --zone out"));
    }
    let queue = queue.ok_or_else(|| {
        Failure::not_understood(format!("the queue of schedule {name:?} is missing"))
            .hint("give it with --queue")
    })?;
    let schedules = common.client().await?.schedules(queue);
    let Some(info) = schedules.get(name).await? else {
        let none = format!("queue {queue} has no schedule {name:?}");
        return Err(Failure::not_found(none).hint("`poolder schedule list` shows all"));
    };
    let ticks: Vec<Timestamp> = info.upcoming().take(count).collect();
    Ok(ticks_of(&ticks, info.schedule.zone))
}

/// Returns the next ticks of a timing from the command line. This needs no server.
pub(super) fn expression(when: &When, count: usize) -> Result<Report, Failure> {
    let Some(timing) = when.timing()? else {
        return Err(
            Failure::not_understood("nothing to preview").hint("give a name, --cron or --every")
        );
    };
    let zone = when.zone.unwrap_or_default();
    let now = Timestamp::now().millis();
    let next = |after: &i64| timing.next(zone, now, *after);
    let ticks = std::iter::successors(next(&now), next).take(count);
    let ticks: Vec<Timestamp> = ticks.map(Timestamp::from_millis).collect();
    Ok(ticks_of(&ticks, zone))
}

fn ticks_of(ticks: &[Timestamp], zone: Zone) -> Report {
    let moments: Vec<String> = ticks.iter().map(|at| moment(*at)).collect();
    let report = Report::new(&moments).ids(&moments);
    if ticks.is_empty() {
        return report.note("it never ticks again");
    }
    let mut table = Table::new(&["LOCAL", "UTC"]);
    for (at, utc) in ticks.iter().zip(&moments) {
        table.row([zone.show(at.millis()).into(), utc.into()]);
    }
    report.table(table).note(format!("time zones: {}", ZoneData::current()))
}

const HEADS: [&str; 10] =
    ["QUEUE", "NAME", "STATUS", "TIMING", "ZONE", "KIND", "LAST RUN", "NEXT", ">RUNS", ">MISSED"];

/// Returns the status of a schedule as a cell.
pub(crate) fn status(status: Status) -> Cell {
    let tone = if status == Status::Active { Tone::Good } else { Tone::Warning };
    Cell::new(status.to_string()).tone(tone)
}

fn row(info: &ScheduleInfo) -> [Cell; 10] {
    [
        info.partition.queue.as_str().into(),
        (&info.name).into(),
        status(info.status),
        info.schedule.timing.to_string().into(),
        info.schedule.zone.to_string().into(),
        info.schedule.job.kind().into(),
        second(info.last_run).into(),
        second(info.next).into(),
        number(info.runs).into(),
        number(info.missed).into(),
    ]
}

/// Returns a schedule and its state as JSON.
pub(super) fn as_json(info: &ScheduleInfo, leader: Option<&LeaderView>) -> Value {
    let schedule = &info.schedule;
    let when = |at: Option<Timestamp>| at.map(moment);
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
        "start": when(schedule.start),
        "end": when(schedule.end),
        "owner": info.owner,
        "deploy": info.deploy,
        "revision": info.revision,
        "last_run": when(info.last_run),
        "last_job": info.last_job.map(|job| job.to_string()),
        "next": when(info.next),
        "runs": info.runs,
        "missed": info.missed,
        "running": info.running,
        "queued": info.queued,
        "leader": leader.map(|leader| json!({
            "node": leader.node,
            "term": leader.term,
            "until": moment(leader.until),
        })),
    })
}
