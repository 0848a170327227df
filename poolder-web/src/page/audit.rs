//! The audit, who has changed what, and the journal, what has happened to nodes.

use axum::response::Response;
use poolder_core::Timestamp;
use poolder_core::history::{AuditEntry, AuditFilter, JournalEntry, JournalFilter};

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::frame::Frame;
use super::links::node_link;
use crate::look::{Fleet, Seen};
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, moment};

/// The number of entries on a page.
const PAGE: usize = 100;

/// Answers with the last entries of the audit.
pub(crate) async fn audit(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

/// Answers with the last entries of the journal.
pub(crate) async fn journal(context: Context) -> Response {
    let page = events(&context).await;
    answer(&context, page).await
}

/// Returns the fleet, for a visitor who sees all its queues: entries name queues, of which others
/// must not learn.
async fn fleet(context: &Context, what: &str) -> Result<Seen<Fleet>, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    if context.queues(&fleet.value).len() < fleet.value.queues.len() {
        return Err(Fault::not_found(format!("The {what} is for those who see all queues.")));
    }
    Ok(fleet)
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let fleet = fleet(context, "audit").await?;
    let filter = AuditFilter::default();
    let entries = context.shared.client.audit(&filter, None, PAGE).await?.entries;
    let columns = vec![
        Column::text("When"),
        Column::text("Who"),
        Column::text("By"),
        Column::text("Action"),
        Column::text("Subject").class("cut w-err"),
        Column::text("End"),
        Column::number("Changed"),
        Column::text("Detail").class("cut"),
    ];
    let mut table = Table::new("Changes", columns).or("Nothing was changed yet.");
    for AuditEntry { at, record, .. } in &entries {
        table.row([
            Cell::markup(moment(*at, fleet.value.now)).class("muted"),
            Cell::known(&record.actor).class("name"),
            Cell::known(&record.via).class("muted"),
            Cell::text(&record.action),
            Cell::text(&record.target).class("mono"),
            Cell::text(format!("{:?}", record.outcome).to_lowercase()),
            Cell::count(record.changed),
            Cell::known(&record.detail).class("muted"),
        ]);
    }
    let frame = Frame::new(context, "Audit", "/audit", Some(&fleet)).await;
    let about = format!("the last {PAGE} changes; poolder audit shows more");
    Ok(CardsPage::new(frame, about, vec![Card::new("Changes", "the latest first", table)]))
}

async fn events(context: &Context) -> Result<CardsPage, Fault> {
    let fleet = fleet(context, "journal").await?;
    let filter = JournalFilter::default();
    let entries = context.shared.client.journal(&filter, None, PAGE).await?.entries;
    let table = journal_table(context, &entries, fleet.value.now);
    let frame = Frame::new(context, "Journal", "/journal", Some(&fleet)).await;
    let about = format!("the last {PAGE} events; poolder journal shows more");
    Ok(CardsPage::new(frame, about, vec![Card::new("Events", "the latest first", table)]))
}

/// Returns the table of some events.
pub(super) fn journal_table(context: &Context, entries: &[JournalEntry], now: Timestamp) -> Table {
    let columns = vec![
        Column::text("When"),
        Column::text("Event"),
        Column::text("Node"),
        Column::text("Partition"),
        Column::text("Job"),
        Column::number("Count"),
        Column::text("Detail").class("cut"),
        Column::text("Told by"),
    ];
    let mut table = Table::new("Events", columns).or("Nothing has happened yet.");
    for JournalEntry { at, record, .. } in entries {
        table.row([
            Cell::markup(moment(*at, now)).class("muted"),
            Cell::text(record.event.to_string().replace('_', " ")),
            node(context, &record.node),
            Cell::known(&record.partition).class("mono"),
            Cell::known(&record.job).class("mono"),
            Cell::count(record.count),
            Cell::known(&record.detail).class("muted"),
            Cell::known(&record.by).class("muted"),
        ]);
    }
    table
}

fn node(context: &Context, name: &str) -> Cell {
    match name {
        "" => Cell::known(""),
        name => Cell::text(name).link(node_link(context, name)).class("name"),
    }
}
