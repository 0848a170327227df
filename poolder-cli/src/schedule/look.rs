//! The commands that show schedules and their ticks: list, get and preview.

use futures_util::future::{try_join_all, try_join3};
use poolder_client::Client;
use poolder_core::broker::ScheduleInfo;
use poolder_core::view::{LeaderView, to_json};
use poolder_core::{Error, RunOutcome, ScheduleRun, Status, Timestamp, Zone, ZoneData};
use serde_json::{Value, json};

use super::When;
use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, duration, moment, number, second};

pub(super) async fn list(common: &Common, queue: Option<&str>) -> Result<Report, Failure> {
    let client = common.client().await?;
    let queues: Vec<String> = match queue {
        Some(queue) => vec![queue.to_owned()],
        None => client.queues().await?.iter().map(ToString::to_string).collect(),
    };
    let mut table = Table::new(&HEADS);
    let (mut values, mut names) = (vec![], vec![]);
    let (mut leaders, mut notes) = (String::new(), vec![]);
    let read = client.read_together(|client| async move {
        let of_queue = |queue: String| {
            let client = &client;
            async move {
                let schedules = client.schedules(&queue);
                let leader = async { Ok(client.inspect(&queue).overview().await?.state.leader) };
                let read = try_join3(schedules.list(), schedules.count(), leader);
                let (all, count, leader) = read.await?;
                Ok::<_, Error>((queue, all, count, leader))
            }
        };
        try_join_all(queues.into_iter().map(of_queue)).await
    });
    for (queue, all, count, leader) in read.await? {
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

pub(super) async fn get(common: &Common, name: &str, queue: &str) -> Result<Report, Failure> {
    let client = common.client().await?;
    let info = one(&client, queue, name).await?;
    let leader = client.inspect(queue).overview().await?.state.leader;
    let facts = Table::of_pairs(facts_of(&info));
    let mut runs = Table::new(&RUN_HEADS);
    info.last_runs.iter().for_each(|run| runs.row(run_row(run)));
    let report = Report::new(as_json(&info, leader.as_ref())).ids([&info.name]).table(facts);
    if runs.is_empty() {
        return Ok(report.note("no runs yet"));
    }
    Ok(report.lines("\n").table(runs))
}

async fn one(client: &Client, queue: &str, name: &str) -> Result<ScheduleInfo, Failure> {
    let found = client.schedules(queue).get(name).await?;
    found.ok_or_else(|| {
        Failure::not_found(format!("queue {queue} has no schedule {name:?}"))
            .hint("`poolder schedule list` shows all")
    })
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
    let info = one(&common.client().await?, queue, name).await?;
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

const RUN_HEADS: [&str; 8] = ["TICK", "PUBLISHED", "BY", "JOB", "END", "ENDED", "NODE", ">MISSED"];

const HEADS: [&str; 11] = [
    "QUEUE", "NAME", "STATUS", "TIMING", "ZONE", "KIND", "LAST RUN", "END", "NEXT", ">RUNS",
    ">MISSED",
];

/// Returns the status of a schedule as a cell.
pub(crate) fn status(status: Status) -> Cell {
    let tone = if status == Status::Active { Tone::Good } else { Tone::Warning };
    Cell::new(status.to_string()).tone(tone)
}

fn row(info: &ScheduleInfo) -> [Cell; 11] {
    [
        info.partition.queue.as_str().into(),
        (&info.name).into(),
        status(info.status),
        info.schedule.timing.to_string().into(),
        info.schedule.zone.to_string().into(),
        info.schedule.job.kind().into(),
        second(info.last_run).into(),
        info.last_runs.first().map_or(NOTHING.into(), end_of),
        second(info.next).into(),
        number(info.runs).into(),
        number(info.missed).into(),
    ]
}

/// Returns the facts about a schedule that do not change with time, and its next three ticks.
pub(crate) fn facts_of(info: &ScheduleInfo) -> Vec<(&'static str, Cell)> {
    let schedule = &info.schedule;
    let mut facts = vec![
        ("schedule", (&info.name).into()),
        ("queue", info.partition.queue.as_str().into()),
        ("status", status(info.status)),
        ("timing", format!("{} {}", schedule.timing, schedule.zone).into()),
        ("kind", schedule.job.kind().into()),
        ("lane", schedule.lane.as_str().into()),
        ("missed ticks", schedule.missed.to_string().into()),
        ("overlap", schedule.overlap.to_string().into()),
    ];
    let mut name = "next three";
    for at in info.upcoming().take(3) {
        let in_words = duration(at.since(info.now));
        facts.push((name, format!("{}, in {in_words}", schedule.zone.show(at.millis())).into()));
        name = "";
    }
    facts.extend(info.owner.as_ref().map(|owner| ("declared by", owner.into())));
    facts
}

/// Returns how a run has ended, in a word.
pub(crate) fn end_of(run: &ScheduleRun) -> Cell {
    match &run.end {
        None => Cell::new("not ended"),
        Some(end) => Cell::new(end.how.to_string()).tone(match end.how {
            RunOutcome::Completed => Tone::Good,
            RunOutcome::Dead => Tone::Bad,
            _ => Tone::Warning,
        }),
    }
}

fn run_row(run: &ScheduleRun) -> [Cell; 8] {
    let end = run.end.as_ref();
    [
        second(Some(run.tick)).into(),
        second(Some(run.published)).into(),
        (&run.published_by).into(),
        run.job.to_string().into(),
        end_of(run),
        second(end.map(|end| end.at)).into(),
        end.and_then(|end| end.node.as_deref()).unwrap_or(NOTHING).into(),
        number(run.missed).into(),
    ]
}

fn run_json(run: &ScheduleRun) -> Value {
    json!({
        "job": run.job.to_string(),
        "tick": moment(run.tick),
        "published": moment(run.published),
        "published_by": run.published_by,
        "missed": run.missed,
        "end": run.end.as_ref().map(|end| json!({
            "how": end.how,
            "at": moment(end.at),
            "node": end.node,
        })),
    })
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
        "last_runs": info.last_runs.iter().map(run_json).collect::<Vec<_>>(),
        "running": info.running,
        "queued": info.queued,
        "leader": leader.map(|leader| json!({
            "node": leader.node,
            "term": leader.term,
            "until": moment(leader.until),
        })),
    })
}
