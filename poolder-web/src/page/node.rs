//! The page of a node: the jobs that it runs, its pools and kinds, and what has happened to it.

use axum::extract::Path;
use axum::response::Response;
use futures_util::future::join_all;
use poolder_client::Budget;
use poolder_core::Timestamp;
use poolder_core::broker::{NodeInfo, NodeOrder, NodeView};
use poolder_core::history::JournalFilter;
use poolder_core::view::{Filter, JobView, Listing};
use serde_json::Value;

use super::answer::answer;
use super::audit::journal_table;
use super::cards::{Card, CardsPage, Chip};
use super::change::{Action, Buttons, Subject};
use super::frame::Frame;
use super::links::kind_link;
use super::listing;
use crate::look::Fleet;
use crate::request::{Context, Fault, encoded};
use crate::show::{Cell, Column, Table, bytes, from_now, many, number, span};

/// The most queues of the node whose running jobs are looked through.
const QUEUES: usize = 8;
/// The most entries of each of them that are looked at.
const ENTRIES: u64 = 500;
/// The most jobs, and the most lines of the journal, that the page shows.
const SHOWN: usize = 50;
const LINES: usize = 20;

/// Answers with the page of a node.
pub(crate) async fn node(context: Context, Path(name): Path<String>) -> Response {
    let page = page(&context, &name).await;
    answer(&context, page).await
}

async fn page(context: &Context, name: &str) -> Result<CardsPage, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    let found = fleet.value.nodes.iter().find(|node| node.name == name);
    let node = found.ok_or_else(|| Fault::not_found(format!("No node {name} lives.")))?;
    let none = NodeInfo::default();
    let info = node.info.as_ref().unwrap_or(&none);
    let now = fleet.value.now;
    let frame = Frame::new(context, name, "/nodes", Some(&fleet)).await;
    let mut page = CardsPage::new(frame, "", vec![]);
    page.crumbs = vec![("Nodes".into(), context.link("/nodes"))];
    page.chip = Some(chip(node));
    page.about = format!("last sign {} ago", span(node.silent));
    let actions = match (node.is_silent(), node.order) {
        (true, _) => &[Action::ForgetNode][..],
        (false, Some(NodeOrder::Quiet)) => &[Action::ResumeNode, Action::StopNode],
        (false, Some(NodeOrder::Stop)) => &[],
        (false, _) => &[Action::QuietNode, Action::StopNode],
    };
    let back = format!("/nodes/{}", encoded(name));
    let subject = Subject::Node(name.to_owned());
    page.buttons = Buttons::of(context, &subject, &back, actions.iter().copied());
    page.facts = facts(node, info, now);
    let (jobs, about) = held(context, &fleet.value, name, info).await;
    let table = listing::table(context, &jobs, (Listing::Running, true, false), now);
    page.cards.push(Card::new("Held now", about, table));
    page.cards.push(Card::new("Pools", "", pools(context, info)));
    page.cards.push(Card::new("Kinds", "that it can run", kinds(context, info)));
    if context.queues(&fleet.value).len() == fleet.value.queues.len() {
        let filter = JournalFilter::default().about(name);
        let lines = context.shared.client.journal(&filter, None, LINES).await?.entries;
        let table = journal_table(context, &lines, now);
        page.cards.push(Card::new("Journal", "the latest first", table));
    }
    Ok(page)
}

fn chip(node: &NodeView) -> Chip {
    match (node.is_silent(), node.order) {
        (true, _) => Chip::new("errors", format!("silent for {}", span(node.silent)), "warn"),
        (false, Some(NodeOrder::Stop)) => Chip::new("pause", "stopping", "warn"),
        (false, Some(NodeOrder::Quiet)) => Chip::new("pause", "quiet", "warn"),
        (false, _) => Chip::new("running", "alive", "ok"),
    }
}

fn facts(node: &NodeView, info: &NodeInfo, now: Timestamp) -> Vec<(String, String)> {
    let known = |text: &str| if text.is_empty() { "not known".to_owned() } else { text.to_owned() };
    let started = match node.info {
        Some(_) => from_now(Timestamp::from_millis(info.started), now),
        None => "not known".into(),
    };
    let slots: usize = info.pools.iter().map(|(_, slots)| slots).sum();
    vec![
        ("Deploy".into(), known(&info.deploy)),
        ("Version".into(), known(&info.version)),
        ("Host and process".into(), format!("{}, {}", known(&info.host), info.pid)),
        ("Started".into(), started),
        ("Memory".into(), if info.rss > 0 { bytes(info.rss) } else { "not known".into() }),
        ("Slots".into(), format!("{} of {} busy", number(info.busy.into()), number(slots as u64))),
        ("Addressed slots".into(), format!("{} held", number(info.held.into()))),
    ]
}

/// Returns the jobs that the node runs, of the queues that the visitor sees, and how far it was
/// looked for them.
async fn held(
    context: &Context,
    fleet: &Fleet,
    name: &str,
    info: &NodeInfo,
) -> (Vec<JobView>, String) {
    let filter: Filter = format!("node={}", Value::from(name)).parse().unwrap_or_default();
    let serves = |queue: &str| info.pools.iter().any(|(pool, _)| pool == queue);
    let queues = context.queues(fleet).into_iter();
    let busy: Vec<_> =
        queues.filter(|view| view.running() > 0 && serves(view.queue.as_str())).collect();
    let looked_into = &busy[..busy.len().min(QUEUES)];
    let looks = looked_into.iter().map(|view| {
        let inspector = context.shared.client.inspect(&view.queue);
        let (filter, budget) = (&filter, Budget::jobs(SHOWN).entries(ENTRIES));
        async move { inspector.find_where(Listing::Running, filter, None, budget).await }
    });
    let (mut jobs, mut looked_at, mut of) = (vec![], 0, 0);
    for found in join_all(looks).await.into_iter().flatten() {
        looked_at += found.looked_at;
        of += found.of;
        jobs.extend(found.jobs);
    }
    jobs.sort_by_key(|job| job.at);
    let left = busy.len() - looked_into.len();
    let left =
        if left > 0 { format!("; {} left out", many(left as u64, "queue")) } else { String::new() };
    let about = format!(
        "{}; searched {} of {}{left}",
        many(jobs.len() as u64, "job"),
        number(looked_at),
        number(of)
    );
    (jobs, about)
}

fn pools(context: &Context, info: &NodeInfo) -> Table {
    let columns = vec![Column::text("Queue"), Column::number("Slots")];
    let mut table = Table::new("Pools", columns).or("It has no pool that you see.");
    for (queue, slots) in info.pools.iter().filter(|(queue, _)| context.visitor.sees(queue)) {
        let link = context.link(&format!("/queues/{}", encoded(queue)));
        table.row([Cell::text(queue).link(link).class("name"), Cell::count(*slots as u64)]);
    }
    table
}

fn kinds(context: &Context, info: &NodeInfo) -> Table {
    let columns = vec![Column::text("Kind"), Column::text("Queue"), Column::number("Version")];
    let mut table = Table::new("Kinds", columns).or("It says no kind.");
    for kind in info.kinds.iter().filter(|kind| context.visitor.sees(&kind.queue)) {
        table.row([
            Cell::text(&kind.name).link(kind_link(context, &kind.queue, &kind.name)).class("name"),
            Cell::text(&kind.queue),
            Cell::text(kind.version.to_string()),
        ]);
    }
    table
}
