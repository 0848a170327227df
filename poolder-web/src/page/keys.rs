//! The keys of the unique jobs of a queue, with the jobs that hold them.

use axum::extract::Path;
use axum::response::Response;
use poolder_core::broker::KeyView;
use poolder_core::{QueueName, Timestamp, UniqueMode};

use super::answer::answer;
use super::cards::{Ask, Card, CardsPage};
use super::change::{Action, Buttons, Subject};
use super::frame::{Frame, short};
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, many, moment};

/// The number of keys on a page.
const PAGE: usize = 100;

/// Answers with the keys of the unique jobs of a queue.
pub(crate) async fn keys(context: Context, Path(queue): Path<String>) -> Response {
    let page = page(&context, &queue).await;
    answer(&context, page).await
}

async fn page(context: &Context, name: &str) -> Result<CardsPage, Fault> {
    let queue = QueueName::new(name)?;
    context.must_see(name)?;
    let fleet = context.shared.looks.fleet().await?;
    let inspector = context.shared.client.inspect(&queue);
    let asked = context.query("key");
    let (keys, next) = match asked {
        "" => inspector.unique_keys(context.query("after").parse().ok(), PAGE).await?,
        key => (inspector.unique_key(key.parse()?).await?.into_iter().collect(), None),
    };
    let path = format!("/queues/{name}/keys");
    let frame = Frame::new(context, "Unique jobs", "/queues", Some(&fleet)).await;
    let mut page = CardsPage::new(frame, "", vec![]);
    page.crumbs = vec![
        ("Queues".into(), context.link("/queues")),
        (name.to_owned(), context.link(&format!("/queues/{name}"))),
    ];
    if let Some(next) = next {
        page.links.push(("Next page".into(), format!("{}?after={next}", context.link(&path))));
    }
    page.ask = Some(Ask {
        path: context.link(&path),
        name: "key",
        label: "Find a key",
        value: asked.to_owned(),
        hint: "24 hexadecimal digits, as the page of a job shows them",
        button: "Find",
    });
    let about = many(keys.len() as u64, "key");
    let table = table(context, &queue, &keys, fleet.value.now);
    page.cards.push(Card::new("Keys that are held", about, table));
    Ok(page)
}

/// Returns when a key of this mode is free again, in words.
fn until(mode: UniqueMode) -> &'static str {
    match mode {
        UniqueMode::UntilDone => "until it is done",
        UniqueMode::UntilStart => "until it starts",
        UniqueMode::Window => "until the window ends",
        UniqueMode::Debounce => "until it starts, with the newest data",
        _ => "by a newer rule",
    }
}

fn table(context: &Context, queue: &QueueName, keys: &[KeyView], now: Timestamp) -> Table {
    let columns = vec![
        Column::text("Key"),
        Column::text("Job"),
        Column::text("Held"),
        Column::text("Since"),
        Column::text("At the latest until"),
        Column::text("Changes").class("acts").unseen(),
    ];
    let mut table = Table::new("Keys that are held", columns).or("No unique job holds a key.");
    let path = format!("/queues/{queue}/keys");
    for held in keys {
        let subject = Subject::Key(queue.clone(), held.key);
        table.row([
            Cell::text(held.key.to_string()).class("mono"),
            Cell::text(short(held.job.job))
                .link(context.link(&format!("/job/{}", held.job)))
                .class("mono job"),
            Cell::text(until(held.mode)),
            Cell::markup(moment(held.since, now)).class("muted"),
            Cell::markup(moment(held.until, now)).class("muted"),
            Buttons::row(context, &subject, &path, [Action::ReleaseKey]),
        ]);
    }
    table
}
