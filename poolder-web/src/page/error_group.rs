//! The page of one group of equal errors: how often it was seen, with the deploys, and the jobs that
//! it left behind.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use poolder_client::Budget;
use poolder_core::broker::DeployMark;
use poolder_core::history::{ErrorGroup, Mute};
use poolder_core::view::{Filter, JobView, Listing};
use poolder_core::{QueueName, Timestamp};

use super::answer::answer;
use super::cards::{Card, CardsPage, Chip};
use super::change::{Action, Buttons, Subject};
use super::charts;
use super::error_find::find;
use super::frame::Frame;
use super::links::node_link;
use super::listing;
use crate::access::Access;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, from_now, many, number};

/// The number of jobs that the page shows of each listing.
const JOBS: usize = 10;
/// The most entries of each listing that are looked at for them.
const ENTRIES: u64 = 1_000;

/// Answers with the page of a group.
pub(crate) async fn error_group(context: Context, Path(id): Path<String>) -> Response {
    let page = page(&context, &id).await;
    answer(&context, page).await
}

async fn page(context: &Context, id: &str) -> Result<CardsPage, Fault> {
    let group = find(context, id).await?;
    let (looks, client) = (&context.shared.looks, &context.shared.client);
    let range = context.range();
    let sample = &group.sample;
    let queue = QueueName::new(&sample.queue)?;
    let (inspector, filter) = (client.inspect(&queue), Filter::any().error(group.id));
    let budget = || Budget::jobs(JOBS).entries(ENTRIES);
    let (fleet, history, events, counts, dead, retrying) = tokio::join!(
        looks.fleet(),
        looks.history(range),
        looks.events(),
        client.error_history(group.id, range.read()),
        inspector.find_where(Listing::Dead, &filter, None, budget()),
        inspector.find_where(Listing::Retrying, &filter, None, budget()),
    );
    let (fleet, dead, retrying) = (fleet?, dead?, retrying?);
    let now = fleet.value.now;
    let message = match sample.message.as_str() {
        "" => sample.cause.to_string(),
        message => crate::show::cut(message, 120),
    };
    let frame = Frame::new(context, message, "/errors", Some(&fleet)).await;
    let mut page = CardsPage::new(frame.with_ranges(context, &format!("/errors/{id}")), "", vec![]);
    page.crumbs = vec![("Errors".into(), context.link("/errors"))];
    page.chip =
        Some(Chip::new("errors", format!("{} in the last hour", number(group.last_hour)), "bad"));
    if context.visitor.access_to(queue.as_str()) >= Access::Admin {
        let link = |word: &str, action: &str| {
            let path = format!("/errors/change?action={action}&error={id}");
            (word.to_owned(), context.link(&path))
        };
        page.links = vec![link("Retry all…", "retry"), link("Bury all…", "bury")];
    }
    let mute = if group.mute.is_some() { Action::UnmuteError } else { Action::MuteError };
    let subject = Subject::Error(group.id, Some(queue.clone()));
    page.buttons = Buttons::of(context, &subject, &format!("/errors/{id}"), [mute]);
    if group.is_muted() {
        page.chip = Some(Chip::new("pause", "muted", ""));
    }
    page.facts = facts(&group, &events.deploys, now);
    page.charts = vec![charts::errors(&counts?, &history?.value, &events)];
    for (found, listing) in [(dead, Listing::Dead), (retrying, Listing::Retrying)] {
        let about = listing::looked(&found, &filter);
        let table = listing::table(context, &found.jobs, (listing, false, false), now);
        let title = if listing == Listing::Dead { "Latest dead jobs" } else { "Next retries" };
        if listing == Listing::Dead {
            page.cards.push(Card::new(
                "Nodes",
                "of the dead jobs below",
                nodes(context, &found.jobs),
            ));
        }
        page.cards.push(Card::new(title, about, table));
    }
    Ok(page)
}

fn facts(group: &ErrorGroup, deploys: &[DeployMark], now: Timestamp) -> Vec<(String, String)> {
    let sample = &group.sample;
    let known = |text: &str| if text.is_empty() { "not known".to_owned() } else { text.to_owned() };
    let before = deploys.iter().rfind(|deploy| deploy.first_seen <= group.first_seen);
    let before = before.map_or("not known".to_owned(), |deploy| {
        let ago = crate::show::span(group.first_seen.since(deploy.first_seen));
        format!("{}, {ago} before the first of them", deploy.deploy)
    });
    vec![
        ("Message".into(), known(&sample.message)),
        ("Cause".into(), sample.cause.to_string()),
        ("Kind".into(), format!("{} in {}", sample.kind, sample.queue)),
        ("Muted".into(), group.mute.as_ref().map_or("no".into(), |mute| muted(group, mute, now))),
        ("First seen".into(), from_now(group.first_seen, now)),
        ("Last seen".into(), from_now(group.last_seen, now)),
        ("Deploy before".into(), before),
        (
            "Last seen on".into(),
            format!("node {}, deploy {}", known(&sample.node), known(&sample.deploy)),
        ),
        ("Last job".into(), known(&sample.job)),
        ("Id".into(), group.id.to_string()),
    ]
}

/// Returns a mute in words.
fn muted(group: &ErrorGroup, mute: &Mute, now: Timestamp) -> String {
    let mut text =
        format!("until {}, {}", crate::show::full(mute.until), from_now(mute.until, now));
    for part in [mute.to_string(), format!("by {}", mute.by), mute.reason.clone()] {
        if !part.is_empty() {
            text += &format!(", {part}");
        }
    }
    if !group.is_muted() {
        text += "; it was seen more often than that, so that the mute has no effect now";
    }
    text
}

/// Returns the nodes that buried some jobs.
fn nodes(context: &Context, jobs: &[JobView]) -> Table {
    let columns = vec![Column::text("Node"), Column::number("Jobs")];
    let mut table = Table::new("Nodes", columns).or("No dead job names a node.");
    let mut nodes = BTreeMap::<&str, u64>::new();
    for node in jobs.iter().filter_map(|job| job.node.as_deref()) {
        *nodes.entry(node).or_default() += 1;
    }
    for (node, count) in nodes {
        table.row([
            Cell::text(node).link(node_link(context, node)).class("name"),
            Cell::text(many(count, "job")),
        ]);
    }
    table
}
