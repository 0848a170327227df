//! The blast radius of a job whose nodes died: those nodes, and the jobs that they held beside it.

use axum::extract::Path;
use axum::response::Response;
use poolder_client::BlastRadius;
use poolder_core::{Handle, Partition, Timestamp};

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::frame::{Frame, short};
use super::job::tone;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, many, moment, number};

/// Answers with the blast radius of a job.
pub(crate) async fn blast_radius(context: Context, Path(handle): Path<String>) -> Response {
    let page = page(&context, &handle).await;
    answer(&context, page).await
}

async fn page(context: &Context, text: &str) -> Result<CardsPage, Fault> {
    let handle: Handle = text.parse()?;
    let queue = handle.partition.queue.as_str();
    context.must_see(queue)?;
    let radius = context.shared.client.job(&handle).blast_radius().await?;
    let fleet = context.shared.looks.fleet().await?;
    let frame = Frame::new(context, "Blast radius", "/jobs", Some(&fleet)).await;
    let about = format!(
        "{} died while it ran; {} wait or run in the queue",
        many(radius.crashes.len() as u64, "node"),
        many(radius.suspects, "suspect")
    );
    let looked = format!("of {} that were looked at", number(radius.looked_at));
    let cards = vec![
        Card::new("Nodes that died", "", crashes(&radius, fleet.value.now)),
        Card::new("Held beside it", looked, neighbours(context, &handle.partition, &radius)),
    ];
    let mut page = CardsPage::new(frame, about, cards);
    let to_queue = context.link(&format!("/queues/{queue}"));
    let job = context.link(&format!("/job/{handle}"));
    page.crumbs = vec![(queue.to_owned(), to_queue), (short(handle.job), job)];
    Ok(page)
}

fn crashes(radius: &BlastRadius, now: Timestamp) -> Table {
    let columns = vec![Column::text("Node"), Column::text("Its jobs were taken back")];
    let mut table = Table::new("Nodes that died", columns).or("No node died while it ran.");
    for crash in &radius.crashes {
        let at = Cell::markup(moment(crash.at, now)).class("muted");
        table.row([Cell::text(&crash.node).class("name"), at]);
    }
    table
}

fn neighbours(context: &Context, partition: &Partition, radius: &BlastRadius) -> Table {
    let columns = vec![
        Column::text("Job"),
        Column::text("Kind"),
        Column::text("State"),
        Column::number("Crashes"),
        Column::text("Node"),
    ];
    let mut table =
        Table::new("Held beside it", columns).or("No job that was held beside it is left.");
    for job in &radius.neighbours {
        table.row([
            Cell::text(short(job.job))
                .link(context.link(&format!("/job/{partition}/{}", job.job)))
                .class("mono job"),
            Cell::known(&job.kind),
            Cell::text("").chip(job.state.as_str(), job.state.as_str(), tone(Some(job.state))),
            Cell::count(job.crashes.into()),
            Cell::text(&job.node),
        ]);
    }
    table
}
