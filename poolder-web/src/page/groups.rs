//! The groups of a limited queue, those in which most jobs wait first.

use axum::extract::Path;
use axum::response::Response;
use poolder_client::LargestGroups;
use poolder_core::broker::{GroupState, GroupView, QueueLimits};
use poolder_core::{QueueName, Timestamp};

use super::answer::answer;
use super::cards::{Ask, Card, CardsPage};
use super::change::{Action, Buttons, Subject};
use super::frame::Frame;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, UNKNOWN, many, moment, number};

/// The number of groups on the page.
const MOST: usize = 100;

/// Answers with the groups of a queue.
pub(crate) async fn groups(context: Context, Path(queue): Path<String>) -> Response {
    let page = page(&context, &queue).await;
    answer(&context, page).await
}

async fn page(context: &Context, name: &str) -> Result<CardsPage, Fault> {
    let queue = QueueName::new(name)?;
    context.must_see(name)?;
    let fleet = context.shared.looks.fleet().await?;
    let handle = context.shared.client.limits(&queue);
    let (limits, counts) = (handle.get().await?, handle.groups(None, 1).await?);
    let asked = context.query("group");
    let (groups, about) = match asked {
        "" => {
            let largest = handle.largest_groups(MOST, |_| true).await?;
            let about = about(&largest);
            (largest.groups, about)
        }
        group => (handle.group(group).await?.into_iter().collect(), String::new()),
    };
    let path = format!("/queues/{name}/groups");
    let frame = Frame::new(context, "Groups", "/queues", Some(&fleet)).await;
    let mut page = CardsPage::new(frame, said(limits), vec![]);
    page.crumbs = vec![
        ("Queues".into(), context.link("/queues")),
        (name.to_owned(), context.link(&format!("/queues/{name}"))),
    ];
    page.facts = vec![
        ("Groups with jobs".into(), number(counts.active)),
        ("Paused, or with own limits".into(), number(counts.own)),
    ];
    page.ask = Some(Ask {
        path: context.link(&path),
        name: "group",
        label: "Find a group",
        value: asked.to_owned(),
        hint: "its whole name",
        button: "Find",
    });
    let table = table(context, &queue, &groups, fleet.value.now);
    page.cards.push(Card::new("Groups", about, table));
    Ok(page)
}

/// Says the limits of a queue.
fn said(limits: Option<QueueLimits>) -> String {
    let Some(limits) = limits else { return "the queue has no limits".into() };
    let limit = |limit: Option<u32>, of: &str| {
        limit.map(|limit| format!("{} of {of} at a time", many(limit.into(), "job")))
    };
    let all = [limit(limits.concurrency, "the queue"), limit(limits.group_concurrency, "a group")];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { "no limit: groups start jobs in turn".into() } else { all.join(", ") }
}

/// Says how far was looked.
fn about(largest: &LargestGroups) -> String {
    let of = match largest.is_partial {
        true => format!("of the {} looked at", number(largest.looked_at)),
        false => format!("of {}", number(largest.looked_at)),
    };
    format!("the {} with the most waiting jobs, {of}", number(largest.groups.len() as u64))
}

fn table(context: &Context, queue: &QueueName, groups: &[GroupView], now: Timestamp) -> Table {
    let columns = vec![
        Column::text("Group"),
        Column::text("State"),
        Column::number("Waiting"),
        Column::number("Running"),
        Column::number("At a time"),
        Column::number("Weight"),
        Column::text("Changes").class("acts").unseen(),
    ];
    let mut table = Table::new("Groups", columns).or("No such group has jobs, or own limits.");
    let path = format!("/queues/{queue}/groups");
    for group in groups {
        table.row([
            name(&group.name),
            state(group, now),
            Cell::count(group.waiting),
            Cell::count(group.running),
            Cell::text(group.concurrency.map_or(UNKNOWN.into(), |most| number(most.into()))),
            Cell::text(number(group.weight.into())),
            buttons(context, queue, group, &path),
        ]);
    }
    table
}

/// Returns the cell of a name.
fn name(name: &str) -> Cell {
    match name {
        "" => Cell::text("without a group").class("muted"),
        name => Cell::text(name).class("mono"),
    }
}

fn state(group: &GroupView, now: Timestamp) -> Cell {
    let cell = Cell::default();
    match (group.state, group.paused) {
        (_, Some(since)) => {
            let since = format!("{} ", moment(since, now));
            cell.chip("pause", "paused", "warn").before(since).class("muted")
        }
        (GroupState::Turn, _) => cell.chip("running", "starts jobs", "ok"),
        (GroupState::Full, _) => cell.chip("ready", "full", "warn"),
        (GroupState::Later, _) => cell.chip("scheduled", "waits for its time", ""),
        _ => Cell::text("no job waits").class("muted"),
    }
}

/// Returns the buttons of a group. A form cannot write a name with control characters.
fn buttons(context: &Context, queue: &QueueName, group: &GroupView, back: &str) -> Cell {
    if group.name.chars().any(char::is_control) {
        return Cell::text("");
    }
    let pause = if group.paused.is_some() { Action::ResumeGroup } else { Action::PauseGroup };
    let purge = (group.waiting > 0).then_some(Action::PurgeGroup);
    let subject = Subject::Group(queue.clone(), group.name.clone());
    Buttons::row(context, &subject, back, [pause].into_iter().chain(purge))
}
