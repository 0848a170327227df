//! The table of queues, and its page.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use poolder_client::Drain;
use poolder_core::history::History;
use poolder_core::view::QueueView;

use super::answer::answer;
use super::frame::{Frame, as_of};
use crate::look::{Fleet, Past, Rate, failures};
use crate::request::{Context, Fault};
use crate::show::{
    Cell, Column, Table, UNKNOWN, area, escaped, meter, micros, number, percent, rate, span,
};

/// The page of all queues.
#[derive(Debug, Template)]
#[template(path = "queues.html")]
struct QueuesPage {
    frame: Frame,
    as_of: String,
    table: Table,
}

/// Answers with the page of all queues.
pub(crate) async fn queues(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<QueuesPage, Fault> {
    let looks = &context.shared.looks;
    let (fleet, history) = tokio::try_join!(looks.fleet(), looks.history(context.range()))?;
    let frame = Frame::new(context, "Queues", "/queues", Some(&fleet)).await;
    Ok(QueuesPage {
        frame: frame.with_ranges(context, "/queues"),
        as_of: as_of(&fleet),
        table: table(context, &fleet.value, &history.value, "/queues"),
    })
}

/// A queue with all that its row shows.
struct Row<'a> {
    view: &'a QueueView,
    past: Past,
    rate: Option<&'a Rate>,
    done: f64,
    slots: u64,
    nodes: u64,
}

/// The orders of the table: the name in a query, the column, and the value by which rows are sorted.
const ORDERS: [(&str, &str); 7] = [
    ("done", "Done/s"),
    ("failed", "Failed"),
    ("wait", "Wait p95"),
    ("waiting", "Waiting"),
    ("running", "Running"),
    ("retrying", "Retrying"),
    ("dead", "Dead"),
];

fn key(row: &Row<'_>, order: &str) -> f64 {
    match order {
        "failed" => failures(&row.past.total),
        "wait" => row.past.total.wait.p95 as f64,
        "waiting" => row.view.ready() as f64,
        "running" => row.view.running() as f64,
        "retrying" => row.view.retrying as f64,
        "dead" => row.view.dead as f64,
        _ => row.done,
    }
}

/// Returns the table of the queues that the visitor sees, those with the most work first unless the
/// query says otherwise.
pub(super) fn table(context: &Context, fleet: &Fleet, history: &History, path: &str) -> Table {
    let order = context.query("sort");
    let order = ORDERS.iter().find(|(name, _)| *name == order).map_or("done", |(name, _)| name);
    let mut rows: Vec<Row<'_>> =
        context.queues(fleet).into_iter().map(|view| row(view, fleet, history)).collect();
    rows.sort_by(|a, b| {
        key(b, order).total_cmp(&key(a, order)).then_with(|| a.view.queue.cmp(&b.view.queue))
    });
    let column = |name: &'static str| {
        let by = ORDERS.iter().find(|(_, column)| *column == name);
        let column = if name == "Running" { Column::text(name) } else { Column::number(name) };
        match by {
            Some((by, _)) => column.sort(
                format!("{}?sort={by}", context.link(path)),
                if *by == order { "descending" } else { "" },
            ),
            None => column,
        }
    };
    let columns = vec![
        Column::text("Queue"),
        Column::text("Done, the range").class("spark"),
        column("Done/s"),
        column("Failed"),
        column("Wait p95"),
        column("Waiting"),
        column("Drains in"),
        column("Running"),
        column("Later"),
        column("Retrying"),
        column("Dead"),
        column("Nodes"),
    ];
    let mut table = Table::new("Queues", columns).or("No queue was used yet.");
    rows.iter().for_each(|row| table.row(cells(context, row)));
    table
}

fn row<'a>(view: &'a QueueView, fleet: &'a Fleet, history: &History) -> Row<'a> {
    let name = view.queue.as_str();
    let past = Past::of(history, history.queues.iter().find(|series| series.queue == name));
    let rate = fleet.rates.get(name);
    let done = rate.map_or_else(|| past.last_rate(|point| point.attempts.done), |rate| rate.done);
    let (slots, nodes) = served(fleet, view);
    Row { view, past, rate, done, slots, nodes }
}

/// Returns the slots that a queue has in the fleet, and the nodes that serve it. Each node of an
/// addressed pool says the slots of the whole pool.
pub(super) fn served(fleet: &Fleet, view: &QueueView) -> (u64, u64) {
    let name = view.queue.as_str();
    let living = fleet.nodes.iter().filter(|node| !node.is_silent());
    let pools = living.filter_map(|node| node.info.as_ref()).filter_map(|info| {
        info.pools.iter().find(|(queue, _)| queue == name).map(|(_, slots)| *slots as u64)
    });
    let (mut sum, mut most, mut nodes) = (0, 0, 0);
    for slots in pools {
        (sum, most, nodes) = (sum + slots, most.max(slots), nodes + 1);
    }
    (if view.partitions.len() > 1 { most } else { sum }, nodes)
}

/// Returns when a queue is drained, in words, and whether that is bad.
pub(super) fn drains(view: &QueueView, rate: Option<&Rate>) -> (String, &'static str) {
    if view.ready() == 0 {
        return (UNKNOWN.into(), "zero");
    }
    if view.paused.is_some() {
        return ("when it goes on".into(), "muted");
    }
    match rate.map(|rate| rate.flow.drains()) {
        None => (UNKNOWN.into(), "zero"),
        Some(Drain::Never) => ("never".into(), "warn"),
        Some(Drain::In(time)) if time < Duration::from_secs(1) => ("under 1 s".into(), ""),
        Some(Drain::In(time)) => (span(time), ""),
        Some(_) => ("now".into(), ""),
    }
}

fn cells(context: &Context, row: &Row<'_>) -> Vec<Cell> {
    let (view, name) = (row.view, row.view.queue.as_str());
    let mut first = Cell::text(name).link(context.link(&format!("/queues/{name}"))).class("name");
    if view.partitions.len() > 1 {
        first = first.small(&format!("{} slots by key or number", view.partitions.len()), "faint");
    }
    if let Some(since) = view.paused {
        first = first.chip("pause", "paused", "");
        first.after += &format!(
            " <span class=\"small faint\">{}</span>",
            crate::show::moment(since, view.now)
        );
    } else if row.nodes == 0 && view.ready() > 0 {
        first = first.chip("errors", "no node", "bad");
    }
    let failed = failures(&row.past.total);
    let failed_tone = if failed >= 0.01 {
        "bad"
    } else if failed > 0.0 {
        "warn"
    } else {
        "zero"
    };
    let wait = row.past.total.wait;
    let (drains, drains_tone) = drains(view, row.rate);
    let part = view.running() as f64 / (row.slots.max(1)) as f64;
    let slots = if row.slots > 0 { format!(" of {}", number(row.slots)) } else { String::new() };
    let dead = Cell::count(view.dead).link(context.link(&format!("/queues/{name}?state=dead")));
    vec![
        first,
        Cell::markup(area(
            &row.past.rates(|point| point.attempts.done),
            (112, 20),
            &format!("{name}, done"),
        )),
        Cell::text(rate(row.done)).class(if row.done > 0.0 { "" } else { "zero" }),
        Cell::text(percent(failed)).class(failed_tone),
        if wait.count > 0 { Cell::text(micros(wait.p95)) } else { Cell::known("") },
        Cell::count(view.ready()),
        Cell::text(drains).class(drains_tone),
        Cell::text(number(view.running()))
            .before(meter(part, (56, 6)))
            .after(format!("<span class=\"faint\">{}</span>", escaped(&slots)))
            .class("cell"),
        Cell::count(view.due.saturating_sub(view.retrying)),
        Cell::count(view.retrying),
        if view.dead > 0 { dead.class("bad") } else { dead },
        Cell::count(row.nodes),
    ]
}
