//! Batchers: those of all queues, and the page of one with its lists and its sealed batches.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use poolder_client::{BatcherHandle, BatcherView};
use poolder_core::QueueName;
use poolder_core::broker::{BatchState, BatcherSums, BatcherTotals, OpenBatch, SealedBatch};
use serde_json::Value;

use super::answer::{answer, refuse};
use super::cards::{Ask, Card, CardsPage};
use super::change::{Action, Buttons, Subject};
use super::frame::{Frame, short};
use super::job::sentence;
use crate::request::{Context, Fault, encoded};
use crate::show::{Cell, Column, Table, bytes, many, moment, number, percent, preview};

/// The most lists, and the most sealed batches, that the page of a batcher shows.
const MOST: usize = 100;
/// The most lists whose state is explained.
const EXPLAINED: usize = 8;
/// The most entries of a list that are shown.
const ENTRIES: usize = 50;

/// Answers with the batchers that have the names of their queues; or leads to the page of another
/// one, which the query names.
pub(crate) async fn batches(context: Context) -> Response {
    let named = context.query("name");
    if !named.is_empty() {
        let (queue, name) = named.split_once('/').unwrap_or((named, named));
        return match QueueName::new(queue) {
            Ok(queue) => {
                let to = context.link(&format!("/batches/{queue}/{}", encoded(name)));
                (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
            }
            Err(error) => refuse(&context, error.into()).await,
        };
    }
    let page = page(&context).await;
    answer(&context, page).await
}

/// Answers with the page of a batcher.
pub(crate) async fn batcher(
    context: Context,
    Path((queue, name)): Path<(String, String)>,
) -> Response {
    let page = one(&context, &queue, &name).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    let columns = vec![
        Column::text("Batcher"),
        Column::number("Lists that gather"),
        Column::number("Entries in them"),
        Column::number("Sealed batches"),
        Column::number("Entries in them"),
        Column::number("Done"),
        Column::number("Retried"),
        Column::number("Dead"),
    ];
    let mut table = Table::new("Batchers", columns).or("There are no batchers.");
    for BatcherView { queue, name, sums, .. } in context.shared.client.batchers().await? {
        if context.must_see(queue.as_str()).is_err() {
            continue;
        }
        let shown = if queue.as_str() == name { name.clone() } else { format!("{queue}/{name}") };
        table.row([
            Cell::text(&shown)
                .link(context.link(&format!("/batches/{queue}/{}", encoded(&name))))
                .class("name"),
            Cell::count(sums.open),
            Cell::count(sums.waiting),
            Cell::count(sums.sealed),
            Cell::count(sums.sealed_entries),
            Cell::count(sums.totals.completed),
            Cell::count(sums.totals.retried),
            Cell::count(sums.totals.dead).class(if sums.totals.dead > 0 { "bad" } else { "" }),
        ]);
    }
    let about = format!("{}.", many(table.rows.len() as u64, "batcher"));
    let frame = Frame::new(context, "Batches", "/batches", Some(&fleet)).await;
    let other = "one without nodes and batches: search for queue/name in the field below";
    let mut page = CardsPage::new(frame, about, vec![Card::new("Batchers", other, table)]);
    page.ask = Some(Ask {
        path: context.link("/batches"),
        name: "name",
        label: "Another batcher",
        value: String::new(),
        hint: "queue/name",
        button: "Open",
    });
    Ok(page)
}

async fn one(context: &Context, queue: &str, name: &str) -> Result<CardsPage, Fault> {
    let of = QueueName::new(queue)?;
    context.must_see(queue)?;
    let handle: BatcherHandle<Value> = context.shared.client.batcher_on(&of, name);
    let (fleet, sums, open, sealed) = tokio::join!(
        context.shared.looks.fleet(),
        handle.sums(),
        handle.open(MOST),
        handle.sealed(MOST)
    );
    let (fleet, sums, open, sealed) = (fleet?, sums?, open?, sealed?);
    if !sums.was_used() {
        return Err(Fault::not_found(format!("Batcher {queue}/{name} has never had an entry.")));
    }
    let path = format!("/batches/{queue}/{}", encoded(name));
    let frame = Frame::new(context, name, "/batches", Some(&fleet)).await;
    let mut page = CardsPage::new(frame, "", vec![]);
    page.crumbs = vec![("Batches".into(), context.link("/batches"))];
    page.about = format!(
        "{} in {}; {} sealed so far",
        many(sums.waiting, "entry"),
        many(sums.open, "list"),
        many(sums.sealed, "batch")
    );
    let lists = lists(context, (&of, name), &path, &open, &sums).await;
    let cut = |shown: usize, of: u64| {
        if of > shown as u64 {
            format!("{shown} of {} are shown", number(of))
        } else {
            String::new()
        }
    };
    page.cards.push(Card::new("Lists that gather", cut(open.len(), sums.open), lists));
    if let Some(list) = open.iter().find(|list| list.group == context.query("group")) {
        let title = match list.group.as_str() {
            "" => "Entries of the list without a group".to_owned(),
            group => format!("Entries of group {group}"),
        };
        let (about, table) = entries(context, (&of, name), &path, list, &handle).await?;
        page.cards.push(Card::new(&title, about, table));
    }
    let table = batches_table(context, queue, &sealed, &sums);
    page.cards.push(Card::new("Sealed batches", cut(sealed.len(), sums.sealed), table));
    let why = reasons(&sums.totals);
    page.cards.push(Card::new("Why batches were sealed", "since the batcher was declared", why));
    Ok(page)
}

async fn lists(
    context: &Context,
    (queue, name): (&QueueName, &str),
    path: &str,
    open: &[OpenBatch],
    sums: &BatcherSums,
) -> Table {
    let columns = vec![
        Column::text("Group"),
        Column::number("Entries"),
        Column::number("Size"),
        Column::text("Gathers since"),
        Column::text("Why it waits").class("wrap"),
        Column::text("Changes").class("acts").unseen(),
    ];
    let mut table = Table::new("Lists that gather", columns).or("No list gathers entries.");
    let explained = open
        .iter()
        .take(EXPLAINED)
        .map(|list| context.shared.client.explain_batch(queue, name, &list.group));
    let explained = join_all(explained).await;
    for (at, list) in open.iter().enumerate() {
        let why = explained.get(at).and_then(|it| it.as_ref().ok());
        let why = why.map(|it| sentence(&it.reason)).unwrap_or_default();
        let group = if list.group.is_empty() { "without a group" } else { &list.group };
        let to = format!("{}?group={}", context.link(path), encoded(&list.group));
        let subject = Subject::List {
            queue: queue.clone(),
            batcher: name.to_owned(),
            group: list.group.clone(),
        };
        table.row([
            Cell::text(group).link(to).class("name"),
            Cell::count(list.len),
            Cell::text(bytes(list.bytes)),
            Cell::markup(moment(list.since, sums.now)).class("muted"),
            Cell::known(&why),
            Buttons::row(context, &subject, path, [Action::FlushBatch]),
        ]);
    }
    table
}

/// Returns the first entries of a list. Where payloads are hidden from visitors, so are entries.
async fn entries(
    context: &Context,
    (queue, name): (&QueueName, &str),
    path: &str,
    list: &OpenBatch,
    handle: &BatcherHandle<Value>,
) -> Result<(String, Table), Fault> {
    let columns = vec![
        Column::text("Place"),
        Column::text("Entry").class("cut all"),
        Column::text("Changes").class("acts").unseen(),
    ];
    let mut table = Table::new("Entries", columns).or("Entries are not shown on this dashboard.");
    if context.shared.hooks.redact.is_some() {
        return Ok((many(list.len, "entry"), table));
    }
    let seen = handle.group(&list.group).list(0).await?;
    let mut button = None;
    let subject =
        Subject::List { queue: queue.clone(), batcher: name.to_owned(), group: list.group.clone() };
    if let Some(generation) = seen.generation {
        button = Some(generation);
    }
    for (index, entry) in seen.entries.iter().take(ENTRIES).enumerate() {
        let shown = preview(entry);
        let act = match button {
            Some(generation) => Buttons::asking(
                context,
                &subject,
                &format!("{path}?group={}", encoded(&list.group)),
                Action::PopEntry,
                &[
                    ("index", index.to_string()),
                    ("generation", generation.to_string()),
                    ("entry", shown.clone()),
                ],
            ),
            None => Cell::default(),
        };
        table.row([Cell::text(index.to_string()), Cell::text(shown).class("mono"), act]);
    }
    let about = format!("the first {} of {}", table.rows.len(), number(seen.len));
    Ok((about, table))
}

/// Returns how many batches were sealed for each reason.
fn reasons(totals: &BatcherTotals) -> Table {
    let columns =
        vec![Column::text("Reason"), Column::number("Batches"), Column::number("Part of all")];
    let mut table = Table::new("Why batches were sealed", columns).or("No batch was sealed yet.");
    let all = [
        ("they had as many entries as the limit allows", totals.sealed_by_limit),
        ("another entry would have made them too large", totals.sealed_by_bytes),
        ("the timeout had passed since their first entry", totals.sealed_by_timeout),
        ("they were flushed by hand or by code", totals.sealed_by_flush),
    ];
    let sum = all.iter().map(|(_, count)| count).sum::<u64>();
    for (reason, count) in all.into_iter().filter(|(_, count)| *count > 0) {
        let part = percent(count as f64 / sum as f64);
        table.row([Cell::text(reason), Cell::count(count), Cell::text(part)]);
    }
    table
}

fn batches_table(
    context: &Context,
    queue: &str,
    sealed: &[SealedBatch],
    sums: &BatcherSums,
) -> Table {
    let columns = vec![
        Column::text("Batch"),
        Column::text("Group"),
        Column::number("Entries"),
        Column::text("State"),
        Column::text("Sealed"),
        Column::text("Gathered since"),
    ];
    let mut table = Table::new("Sealed batches", columns).or("No sealed batch waits or runs.");
    for batch in sealed {
        let (image, word, tone) = match batch.state {
            BatchState::Ready => ("ready", "ready", ""),
            BatchState::Running => ("running", "running", "ok"),
            BatchState::Retrying => ("retrying", "retrying", "warn"),
            BatchState::Dead => ("dead", "dead", "bad"),
            _ => ("ready", "not known", ""),
        };
        table.row([
            Cell::text(short(batch.job))
                .link(context.link(&format!("/job/{queue}.0/{}", batch.job)))
                .class("mono job"),
            Cell::known(&batch.group),
            Cell::count(batch.len),
            Cell::text("").chip(image, word, tone),
            Cell::markup(moment(batch.sealed, sums.now)).class("muted"),
            Cell::markup(moment(batch.since, sums.now)).class("muted"),
        ]);
    }
    table
}
