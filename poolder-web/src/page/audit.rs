//! The audit: who has changed what.

use axum::response::Response;
use poolder_core::history::{AuditEntry, AuditFilter};

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::frame::Frame;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, moment};

/// The number of entries on the page.
const PAGE: usize = 100;

/// Answers with the last entries of the audit.
pub(crate) async fn audit(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    // Entries name queues that a visitor who does not see all of them must not learn of.
    if context.queues(&fleet.value).len() < fleet.value.queues.len() {
        return Err(Fault::not_found("The audit is for those who see all queues."));
    }
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
    Ok(CardsPage { frame, about, cards: vec![Card::new("Changes", "the latest first", table)] })
}
