//! The groups of equal errors.

use axum::response::Response;
use poolder_core::Timestamp;
use poolder_core::history::ErrorGroup;
use poolder_core::view::Filter;

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::frame::Frame;
use super::links::kind_link;
use crate::request::{Context, Fault, encoded};
use crate::show::{Cell, Column, Table, escaped, many, moment};

/// Answers with the groups of equal errors.
pub(crate) async fn errors(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let looks = &context.shared.looks;
    let (fleet, errors) = tokio::try_join!(looks.fleet(), looks.errors())?;
    let seen = |group: &&ErrorGroup| context.visitor.sees(&group.sample.queue);
    let groups: Vec<&ErrorGroup> = errors.value.iter().filter(seen).collect();
    let table = table(context, &groups, fleet.value.now);
    let muted = groups.iter().filter(|group| group.is_muted()).count() as u64;
    let muted = if muted > 0 { format!(", {muted} muted") } else { String::new() };
    let about = format!("{}{muted}", many(table.rows.len() as u64, "group"));
    let frame = Frame::new(context, "Errors", "/errors", Some(&fleet)).await;
    let card = Card::new("Groups of equal errors", "the one seen last first", table);
    Ok(CardsPage::new(frame, about, vec![card]))
}

/// Returns the table of some groups.
pub(super) fn table(context: &Context, groups: &[&ErrorGroup], now: Timestamp) -> Table {
    let columns = vec![
        Column::text("Message").class("w-err"),
        Column::text("Kind"),
        Column::text("Queue"),
        Column::number("Last hour"),
        Column::text("First seen"),
        Column::text("Last seen"),
        Column::text("Deploy"),
        Column::text("Left behind"),
    ];
    let mut table = Table::new("Groups of equal errors", columns)
        .or("There is no error. Nodes write theirs once a minute.");
    for group in groups {
        let sample = &group.sample;
        let filter = encoded(&Filter::any().error(group.id).to_string());
        let jobs = |state: &str| {
            let path = format!("/queues/{}?state={state}&where={filter}", sample.queue);
            format!("<a class=\"link\" href=\"{}\">{state}</a>", escaped(&context.link(&path)))
        };
        let message = match sample.message.as_str() {
            "" => sample.cause.to_string(),
            message => message.to_owned(),
        };
        let muted = group.is_muted();
        let message = Cell::text(message).link(context.link(&format!("/errors/{}", group.id)));
        let message = message.class(if muted { "cut mono muted" } else { "cut mono bad" });
        table.row([
            if muted { message.chip("pause", "muted", "") } else { message },
            Cell::text(&sample.kind).link(kind_link(context, &sample.queue, &sample.kind)),
            Cell::text(&sample.queue).link(context.link(&format!("/queues/{}", sample.queue))),
            Cell::count(group.last_hour),
            Cell::markup(moment(group.first_seen, now)).class("muted"),
            Cell::markup(moment(group.last_seen, now)).class("muted"),
            Cell::known(&sample.deploy).class("muted"),
            Cell::markup(format!("{} {}", jobs("retrying"), jobs("dead"))),
        ]);
    }
    table
}
