//! The commands that show queues: ls and get.

use futures_util::future::try_join_all;
use poolder_client::Client;
use poolder_core::view::QueueView;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, duration, number, second};

pub(super) async fn list(client: &Client) -> Result<Report, Failure> {
    let queues = client.queues().await?;
    // Sent together, as few pipelines.
    let views = try_join_all(
        queues.iter().map(|queue| async move { client.inspect(queue.as_str()).overview().await }),
    );
    let views: Vec<QueueView> = views.await?;
    let mut table = Table::new(&[
        "QUEUE", "STATE", ">READY", ">OLDEST", ">RUNNING", ">LATER", ">RETRY", ">DEAD", "LEADER",
    ]);
    for view in &views {
        let oldest = view.oldest().map_or(NOTHING.to_owned(), duration);
        let leader = view.leader.as_ref().map_or(NOTHING, |leader| &leader.node);
        table.row([
            view.partition.queue.as_str().into(),
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
    let report = Report::new(&views).ids(&queues);
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
    let report = Report::new(json!(view)).ids([&name]).table(Table::of_pairs(facts(&view)));
    Ok(report.lines("\n").table(lanes(&view)))
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
        ("queue", view.partition.queue.as_str().into()),
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
    lanes
}
