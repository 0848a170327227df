//! Pools with addressed slots: all of them, and the page of one with its slots and its keys.

use axum::extract::Path;
use axum::response::Response;
use futures_util::future::join_all;
use poolder_client::KeyHolder;
use poolder_core::broker::{PoolView, SlotView};
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Partition, QueueName};

use super::answer::answer;
use super::cards::{Ask, Card, CardsPage, Chip};
use super::change::{Action, Buttons, Subject};
use super::frame::{Frame, short};
use super::job::sentence;
use super::links::node_link;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, many, number};

/// Answers with the pools that have addressed slots.
pub(crate) async fn pools(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

/// Answers with the page of a pool.
pub(crate) async fn pool(context: Context, Path(queue): Path<String>) -> Response {
    let page = one(&context, &queue).await;
    answer(&context, page).await
}

fn state(view: &PoolView) -> Chip {
    match (view.stopped, view.paused) {
        (true, _) => Chip::new("pause", "stopped", "warn"),
        (false, true) => Chip::new("pause", "paused", "warn"),
        (false, false) => Chip::new("running", "runs", "ok"),
    }
}

/// Returns how far a resize has come.
fn resize(view: &PoolView) -> String {
    match (view.open, view.before) {
        (true, _) => String::new(),
        (false, Some(before)) => {
            format!("from {before} to {}, generation {}", view.size, view.generation)
        }
        (false, None) => "in progress".into(),
    }
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    // Sent together, as one pipeline. A queue without such a pool has no view.
    let all = context.queues(&fleet.value).into_iter().map(|view| async move {
        (view, context.shared.client.pool::<()>(&view.queue).view().await)
    });
    let columns = vec![
        Column::text("Pool"),
        Column::text("State"),
        Column::text("Slot of a job"),
        Column::number("Slots"),
        Column::number("In service"),
        Column::text("Resize"),
        Column::number("Nodes"),
        Column::number("Waiting"),
        Column::number("Running"),
    ];
    let mut table = Table::new("Pools with addressed slots", columns)
        .or("There is no pool with addressed slots.");
    for (queue, view) in join_all(all).await {
        let Ok(view) = view else { continue };
        let (name, chip) = (queue.queue.as_str(), state(&view));
        table.row([
            Cell::text(name).link(context.link(&format!("/pools/{name}"))).class("name"),
            Cell::markup(format!(
                "<span class=\"chip {}\">{}{}</span>",
                chip.tone, chip.image, chip.word
            )),
            Cell::text(view.mode.as_str()),
            Cell::count(view.size.into()),
            Cell::count(view.tail.into()),
            Cell::known(&resize(&view)),
            Cell::count(view.members.len() as u64),
            Cell::count(queue.ready()),
            Cell::count(queue.running()),
        ]);
    }
    let about = many(table.rows.len() as u64, "pool");
    let frame = Frame::new(context, "Pools and keys", "/pools", Some(&fleet)).await;
    let card = Card::new("Pools with addressed slots", "", table);
    Ok(CardsPage::new(frame, about, vec![card]))
}

async fn one(context: &Context, name: &str) -> Result<CardsPage, Fault> {
    let queue = QueueName::new(name)?;
    context.must_see(name)?;
    let pool = context.shared.client.pool::<()>(&queue);
    let (fleet, view, slots) =
        tokio::join!(context.shared.looks.fleet(), pool.view(), pool.slots());
    let (fleet, view, slots) = (fleet?, view?, slots?);
    let path = format!("/pools/{name}");
    let frame = Frame::new(context, name, "/pools", Some(&fleet)).await;
    let mut page = CardsPage::new(frame, "", vec![]);
    page.crumbs = vec![("Pools and keys".into(), context.link("/pools"))];
    page.chip = Some(state(&view));
    let to_queue = context.link(&format!("/queues/{name}"));
    page.links = vec![("Its jobs".into(), to_queue)];
    let mut buttons = Buttons::of(context, &Subject::Queue(queue.clone()), &path, [Action::Resize]);
    let stop = if view.stopped { Action::StartPool } else { Action::StopPool };
    let others = Buttons::of(context, &Subject::Pool(queue.clone(), None), &path, [stop]);
    buttons.all.extend(others.all);
    page.buttons = buttons;
    let known = |text: String| if text.is_empty() { "none".into() } else { text };
    page.facts = vec![
        ("Slot of a job".into(), view.mode.as_str().to_owned()),
        (
            "Slots".into(),
            format!("{}, {} in service", number(view.size.into()), number(view.tail.into())),
        ),
        ("Generation".into(), number(view.generation)),
        ("Resize".into(), known(resize(&view))),
        ("Nodes".into(), known(view.members.join(", "))),
    ];
    if view.mode == Mode::Phash {
        let key = context.query("key");
        page.ask = Some(Ask {
            path: context.link(&path),
            name: "key",
            label: "Holder of the key",
            value: key.to_owned(),
            hint: "the key of a job, such as customer-7",
            button: "Look",
        });
        if !key.is_empty() {
            let holder = context.shared.client.who_holds(&queue, key).await?;
            page.cards.push(Card::new("Holder of the key", "", holder_table(context, &holder)));
        }
    }
    let about = format!(
        "{} of {} held",
        number(slots.iter().filter(|it| it.node.is_some()).count() as u64),
        number(slots.len() as u64)
    );
    page.cards.push(Card::new("Slots", about, slots_table(context, &queue, &slots)));
    Ok(page)
}

fn holder_table(context: &Context, held: &KeyHolder) -> Table {
    let columns = vec![Column::text("What"), Column::text("As of now").class("wrap")];
    let mut table = Table::new("Holder of the key", columns);
    let slot = match held.former_slot {
        None => held.slot.to_string(),
        Some(former) => format!("{}; jobs from before a resize run in {former} first", held.slot),
    };
    let holder = match (&held.holder, held.holder_is_gone) {
        (None, _) => Cell::text("no node").class("bad"),
        (Some(node), gone) => {
            let cell = Cell::text(node).link(node_link(context, node));
            if gone { cell.chip("errors", "does not live", "bad") } else { cell }
        }
    };
    let front = match &held.front {
        None => Cell::text("no job"),
        Some(front) => {
            let whose = if front.is_of_key { "of this key" } else { "of another key" };
            let partition = Partition { queue: held.queue.clone(), index: held.slot };
            let link = context.link(&format!("/job/{partition}/{}", front.job));
            let does = if front.running_since.is_some() { "runs" } else { "is next" };
            Cell::text(format!("{} {}", front.kind, short(front.job)))
                .link(link)
                .small(&format!("{whose}, {does}"), "muted")
        }
    };
    let until = held.hold_until.map(|until| {
        format!(
            "a retry blocks the slot, its attempt starts {}",
            crate::show::from_now(until, held.now)
        )
    });
    table.row([Cell::text("Key"), Cell::text(&held.key).class("mono")]);
    table.row([Cell::text("Slot"), Cell::text(slot)]);
    table.row([Cell::text("Holder"), holder]);
    table.row([Cell::text("Term"), Cell::text(number(held.term))]);
    table.row([
        Cell::text("State"),
        Cell::text(if held.stopped { "stopped" } else { "in service" }),
    ]);
    table.row([Cell::text("In front"), front]);
    if let Some(until) = until {
        table.row([Cell::text("Blocked"), Cell::text(sentence(&until))]);
    }
    let behind = format!(
        "{} wait in the slot, {} of this key among the {} that were looked at; {} due later",
        many(held.waiting, "job"),
        number(held.of_key),
        number(held.looked_at),
        number(held.due)
    );
    table.row([Cell::text("Behind it"), Cell::text(behind)]);
    table
}

fn slots_table(context: &Context, queue: &QueueName, slots: &[SlotView]) -> Table {
    let columns = vec![
        Column::number("Slot"),
        Column::text("State"),
        Column::text("Node"),
        Column::number("Term"),
        Column::text("Runs"),
        Column::number("Waiting"),
        Column::number("Due later"),
        Column::text("Changes").class("acts").unseen(),
    ];
    let mut table =
        Table::new("Slots", columns).or("Each process of a broadcast pool has slots of its own.");
    let path = format!("/pools/{queue}");
    for slot in slots {
        let (image, word, tone) = match (slot.stopped, &slot.node, &slot.running) {
            (true, ..) => ("pause", "stopped", "warn"),
            (false, None, _) => ("errors", "free", "bad"),
            (false, Some(_), None) => ("ready", "idle", ""),
            (false, Some(_), Some(_)) => ("running", "running", "ok"),
        };
        let node = match &slot.node {
            Some(node) => Cell::text(node).link(node_link(context, node)),
            None => Cell::known(""),
        };
        let runs = match &slot.running {
            Some((job, kind)) => {
                let partition = Partition { queue: queue.clone(), index: slot.index };
                Cell::text(format!("{kind} {}", short(*job)))
                    .link(context.link(&format!("/job/{partition}/{job}")))
            }
            None => Cell::known(""),
        };
        let action = if slot.stopped { Action::StartPool } else { Action::StopPool };
        let subject = Subject::Pool(queue.clone(), Some(slot.index));
        table.row([
            Cell::text(slot.index.to_string()),
            Cell::text("").chip(image, word, tone),
            node,
            Cell::text(number(slot.term)),
            runs,
            Cell::count(slot.backlog),
            Cell::count(slot.due),
            Buttons::row(context, &subject, &path, [action]),
        ]);
    }
    table
}
