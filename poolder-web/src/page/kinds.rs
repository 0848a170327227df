//! The kinds of jobs that ran: how often, how long, and how many failed.

use axum::response::Response;
use poolder_core::history::HistorySeries;

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::frame::Frame;
use super::links::kind_link;
use crate::access::Access;
use crate::look::{Past, failures};
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, area, many, micros, percent};

/// Answers with the kinds of jobs.
pub(crate) async fn kinds(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let looks = &context.shared.looks;
    let (fleet, history) = tokio::try_join!(looks.fleet(), looks.history(context.range()))?;
    let columns = vec![
        Column::text("Kind"),
        Column::text("Queue"),
        Column::text("Done, the range").class("spark"),
        Column::number("Done"),
        Column::number("Failed"),
        Column::number("Died"),
        Column::number("Wait p95"),
        Column::number("Run p50"),
        Column::number("Run p95"),
        Column::number("Run p99"),
    ];
    let mut table = Table::new("Kinds of jobs", columns)
        .or("No attempt ended in this range. Nodes write their counts once a minute.");
    let seen = |series: &&HistorySeries| context.visitor.sees(&series.queue);
    let mut all: Vec<&HistorySeries> = history.value.series.iter().filter(seen).collect();
    all.sort_by_key(|series| std::cmp::Reverse(series.total.attempts.done));
    for series in all {
        let past = Past::of(&history.value, Some(series));
        let (total, label) = (&series.total, format!("{}, done", series.kind));
        let of = |count: u64, value: u64| {
            Cell::known(&if count > 0 { micros(value) } else { String::new() })
        };
        let failed = failures(total);
        table.row([
            Cell::text(&series.kind)
                .link(kind_link(context, &series.queue, &series.kind))
                .class("name"),
            Cell::text(&series.queue),
            Cell::markup(area(&past.rates(|point| point.attempts.done), (112, 20), &label)),
            Cell::count(total.attempts.done),
            Cell::text(percent(failed)).class(if failed >= 0.01 { "bad" } else { "" }),
            Cell::count(total.died),
            of(total.wait.count, total.wait.p95),
            of(total.run.count, total.run.p50),
            of(total.run.count, total.run.p95),
            of(total.run.count, total.run.p99),
        ]);
    }
    let about = match history.value.is_cut {
        true => format!("{}; there are more than are kept", many(table.rows.len() as u64, "kind")),
        false => many(table.rows.len() as u64, "kind"),
    };
    let frame = Frame::new(context, "Kinds", "/kinds", Some(&fleet)).await;
    let frame = frame.with_ranges(context, "/kinds");
    let mut page = CardsPage::new(frame, about, vec![Card::new("Kinds of jobs", "", table)]);
    if context.visitor.access() >= Access::Operate {
        page.links.push(("Enqueue a job…".into(), context.link("/enqueue")));
    }
    Ok(page)
}
