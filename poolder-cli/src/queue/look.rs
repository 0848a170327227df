//! The commands that show queues: ls and get.

use poolder_client::Client;
use poolder_core::view::{QueueView, Unreachable};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, duration, number, second};

pub(super) async fn list(client: &Client) -> Result<Report, Failure> {
    let views = client.overview().await?;
    let mut table = Table::new(&[
        "QUEUE", "STATE", ">READY", ">OLDEST", ">RUNNING", ">LATER", ">RETRY", ">DEAD", "LEADER",
    ]);
    for view in &views {
        let oldest = view.oldest().map_or(NOTHING.to_owned(), duration);
        let leader = view.leader.as_ref().map_or(NOTHING, |leader| &leader.node);
        table.row([
            view.queue.as_str().into(),
            state(view),
            count(view.ready()).into(),
            oldest.into(),
            count(view.running()).into(),
            count(view.due.saturating_sub(view.retrying)).into(),
            count(view.retrying).into(),
            dead(view),
            leader.into(),
        ]);
    }
    let report = views.iter().flat_map(|view| &view.unreachable).fold(Report::new(&views), away);
    let report = report.ids(views.iter().map(|view| &view.queue));
    if table.is_empty() {
        return Ok(
            report.note("no queues: a queue appears when a job is enqueued or a node starts")
        );
    }
    Ok(report.table(table))
}

pub(crate) fn state(view: &QueueView) -> Cell {
    match view.paused {
        Some(_) => Cell::new("paused").tone(Tone::Warning),
        None if view.leader.is_none() => Cell::new("no leader").tone(Tone::Bad),
        None => Cell::new("running").tone(Tone::Good),
    }
}

pub(crate) fn dead(view: &QueueView) -> Cell {
    let tone = if view.dead > 0 { Tone::Bad } else { Tone::Plain };
    Cell::new(count(view.dead)).tone(tone)
}

pub(super) async fn get(client: &Client, queue: &str) -> Result<Report, Failure> {
    let name = super::known(client, queue).await?;
    let view = client.inspect(&name).overview().await?;
    let report = view
        .unreachable
        .iter()
        .fold(Report::new(json!(view)), away)
        .ids([&name])
        .table(Table::of_pairs(facts(&view)));
    Ok(report.lines("\n").table(lanes(&view)))
}

/// Adds a remark about a partition that did not answer: its jobs are not counted.
fn away(report: Report, part: &Unreachable) -> Report {
    report.note(format!("{} could not be read, and is not counted: {}", part.partition, part.why))
}

/// Returns the facts about a queue.
pub(crate) fn facts(view: &QueueView) -> Vec<(String, Cell)> {
    let leader = match &view.leader {
        Some(leader) => format!("{}, term {}", leader.node, leader.term),
        None => "none: no node serves the queue".to_owned(),
    };
    let paused = match view.paused {
        Some(at) => format!("{}, for {}", second(Some(at)), duration(view.now.since(at))),
        None => NOTHING.to_owned(),
    };
    let later = view.due.saturating_sub(view.retrying);
    let facts: [(&str, Cell); 10] = [
        ("queue", view.queue.as_str().into()),
        ("state", state(view)),
        ("paused since", paused.into()),
        ("leader", leader.into()),
        ("waits for a slot", number(view.ready()).into()),
        ("runs", number(view.running()).into()),
        ("waits for its time", number(later).into()),
        ("waits for a retry", number(view.retrying).into()),
        ("next due", second(view.next_due).into()),
        ("dead", dead(view)),
    ];
    let counters = view.counters.iter().map(|(name, value)| (name.clone(), number(*value).into()));
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(counters).collect()
}

/// Returns the table of the lanes of a queue.
pub(crate) fn lanes(view: &QueueView) -> Table {
    let mut lanes = Table::new(&["LANE", ">READY", ">RUNNING", ">OLDEST"]);
    for lane in &view.lanes {
        let oldest = lane.oldest.map(|at| duration(view.now.since(at)));
        lanes.row([
            lane.lane.as_str().into(),
            count(lane.ready).into(),
            count(lane.running).into(),
            oldest.unwrap_or(NOTHING.to_owned()).into(),
        ]);
    }
    if view.grouped > 0 {
        lanes.row(["groups".into(), count(view.grouped).into(), NOTHING.into(), NOTHING.into()]);
    }
    lanes
}
