//! The page of a kind: how often it ran and how its attempts ended, how long it waited and ran, its
//! errors, and which nodes can run which version.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use poolder_core::QueueName;
use poolder_core::history::{ErrorGroup, HistoryPoint, HistorySeries, TimeStats};
use poolder_core::view::Filter;

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::charts;
use super::errors;
use super::frame::Frame;
use crate::access::Access;
use crate::look::{Fleet, Past, failures};
use crate::request::{Context, Fault, encoded};
use crate::show::{Cell, Column, Table, many, micros, percent};

/// The most errors that the page shows.
const ERRORS: usize = 10;

/// Answers with the page of a kind.
pub(crate) async fn kind(
    context: Context,
    Path((queue, kind)): Path<(String, String)>,
) -> Response {
    let page = page(&context, &queue, &kind).await;
    answer(&context, page).await
}

async fn page(context: &Context, queue: &str, kind: &str) -> Result<CardsPage, Fault> {
    let name = QueueName::new(queue)?;
    context.must_see(queue)?;
    let looks = &context.shared.looks;
    let (fleet, history, groups, events) = tokio::join!(
        looks.fleet(),
        looks.history(context.range()),
        looks.errors(),
        looks.events(),
    );
    let (fleet, history) = (fleet?, history?);
    let is_this = |it: &&HistorySeries| it.queue == queue && it.kind == kind;
    let series = history.value.series.iter().find(is_this);
    let versions = versions(&fleet.value, queue, kind);
    let groups: Vec<ErrorGroup> = match &groups {
        Ok(groups) => groups.value.to_vec(),
        Err(_) => vec![],
    };
    let own = |group: &&ErrorGroup| group.sample.queue == queue && group.sample.kind == kind;
    let own: Vec<&ErrorGroup> = groups.iter().filter(own).take(ERRORS).collect();
    if series.is_none() && versions.rows.is_empty() && own.is_empty() {
        return Err(Fault::not_found(format!(
            "No kind {kind} ran in {queue} within this range, and no node says that it can run it."
        )));
    }
    let past = Past::of(&history.value, series);
    let frame = Frame::new(context, kind, "/kinds", Some(&fleet)).await;
    let path = format!("/kinds/{}/{}", encoded(queue), encoded(kind));
    let mut page = CardsPage::new(frame.with_ranges(context, &path), "", vec![]);
    page.crumbs = vec![
        ("Kinds".into(), context.link("/kinds")),
        (queue.to_owned(), context.link(&format!("/queues/{queue}"))),
    ];
    let jobs = encoded(&Filter::any().kind(kind).to_string());
    page.links = vec![("Its jobs".into(), context.link(&format!("/queues/{queue}?where={jobs}")))];
    if context.visitor.access_to(name.as_str()) >= Access::Operate {
        let path = format!("/enqueue?queue={queue}&kind={}", encoded(kind));
        page.links.push(("Enqueue…".into(), context.link(&path)));
    }
    page.charts = vec![
        charts::throughput(&past, &events),
        charts::waits(&past, &events),
        charts::runs(&past, "Run time"),
    ];
    page.cards = vec![
        Card::new("Ends of attempts", "over the range", ends(&past.total)),
        Card::new("Times", "over the range", times(&past.total)),
        Card::new(
            "Errors",
            many(own.len() as u64, "group"),
            errors::table(context, &own, fleet.value.now),
        ),
        Card::new("Versions", "that the living nodes can run", versions),
    ];
    Ok(page)
}

fn ends(total: &HistoryPoint) -> Table {
    let columns = vec![Column::text("End"), Column::number("Attempts"), Column::number("Part")];
    let mut table = Table::new("Ends of attempts", columns).or("No attempt ended in this range.");
    let counts = &total.attempts;
    let all = [
        ("done", counts.done),
        ("failed", counts.failed),
        ("took too long", counts.timeout),
        ("panicked", counts.panic),
        ("payload not read", counts.payload),
        ("node died", counts.crashed),
        ("put off", counts.snoozed),
        ("cancelled", counts.cancelled),
        ("handed back", counts.handed_back),
    ];
    let ended = counts.ended().max(1) as f64;
    for (end, count) in all.into_iter().filter(|(_, count)| *count > 0) {
        let part = percent(count as f64 / ended);
        table.row([Cell::text(end), Cell::count(count), Cell::text(part)]);
    }
    if !table.rows.is_empty() {
        let failed = percent(failures(total));
        table.row([Cell::text("failures in all"), Cell::text(""), Cell::text(failed)]);
        table.row([Cell::text("jobs that died"), Cell::count(total.died), Cell::text("")]);
    }
    table
}

fn times(total: &HistoryPoint) -> Table {
    let columns = vec![
        Column::text("Time"),
        Column::number("Measured"),
        Column::number("Mean"),
        Column::number("p50"),
        Column::number("p95"),
        Column::number("p99"),
        Column::number("Longest"),
    ];
    let mut table = Table::new("Times", columns).or("Nothing was measured in this range.");
    let rows: [(&str, TimeStats); 2] = [("wait for a slot", total.wait), ("run", total.run)];
    for (name, times) in rows.into_iter().filter(|(_, times)| times.count > 0) {
        let of = |value: u64| Cell::text(micros(value));
        table.row([
            Cell::text(name),
            Cell::count(times.count),
            of(times.mean),
            of(times.p50),
            of(times.p95),
            of(times.p99),
            of(times.max),
        ]);
    }
    table
}

/// Returns the versions of a kind with the number of living nodes that can run each.
fn versions(fleet: &Fleet, queue: &str, kind: &str) -> Table {
    let columns = vec![Column::number("Version"), Column::number("Nodes")];
    let mut table = Table::new("Versions", columns).or("No living node says that it can run it.");
    let mut versions = BTreeMap::<u16, u64>::new();
    let living = fleet.nodes.iter().filter(|node| !node.is_silent());
    for info in living.filter_map(|node| node.info.as_ref()) {
        let own = info.kinds.iter().find(|it| it.queue == queue && it.name == kind);
        own.into_iter().for_each(|it| *versions.entry(it.version).or_default() += 1);
    }
    for (version, nodes) in versions.into_iter().rev() {
        table.row([Cell::text(version.to_string()), Cell::count(nodes)]);
    }
    table
}
