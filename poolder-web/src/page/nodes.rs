//! The nodes: their table, and their page.

use axum::response::Response;
use poolder_core::broker::{DeployMark, NodeInfo, NodeView};

use super::answer::answer;
use super::cards::{Card, CardsPage};
use super::frame::Frame;
use super::links::node_link;
use crate::look::Fleet;
use crate::request::{Context, Fault};
use crate::show::{Cell, Column, Table, bytes, escaped, many, meter, number, span};

/// Answers with the nodes.
pub(crate) async fn nodes(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<CardsPage, Fault> {
    let looks = &context.shared.looks;
    let fleet = looks.fleet().await?;
    let events = looks.events().await;
    let columns = vec![
        Column::text("Node"),
        Column::text("Version"),
        Column::text("Host"),
        Column::number("Process"),
        Column::number("Memory"),
        Column::number("Addressed slots"),
        Column::text("Kinds").class("cut w-pay"),
    ];
    let mut about = Table::new("Processes", columns).or("No node lives.");
    for node in &fleet.value.nodes {
        let none = NodeInfo::default();
        let info = node.info.as_ref().unwrap_or(&none);
        let seen = info.kinds.iter().filter(|kind| context.visitor.sees(&kind.queue));
        let kinds: Vec<String> =
            seen.map(|kind| format!("{} v{}", kind.name, kind.version)).collect();
        about.row([
            Cell::text(&node.name).link(node_link(context, &node.name)).class("name"),
            Cell::known(&info.version),
            Cell::known(&info.host),
            Cell::text(info.pid.to_string()),
            Cell::known(&if info.rss > 0 { bytes(info.rss) } else { String::new() }),
            Cell::count(info.held.into()),
            Cell::text(kinds.join(", ")).class("muted"),
        ]);
    }
    let count = many(fleet.value.nodes.len() as u64, "node");
    let frame = Frame::new(context, "Nodes", "/nodes", Some(&fleet)).await;
    let cards = vec![
        Card::new("Nodes", "", table(context, &fleet.value, &events.deploys)),
        Card::new("Processes", "", about),
    ];
    Ok(CardsPage::new(frame, count, cards))
}

/// Returns the table of the living nodes.
pub(super) fn table(context: &Context, fleet: &Fleet, deploys: &[DeployMark]) -> Table {
    let columns = vec![
        Column::text("Node"),
        Column::text("Pools and slots"),
        Column::text("Deploy"),
        Column::text("Running"),
        Column::number("Last sign"),
    ];
    let mut table = Table::new("Nodes", columns).or("No node lives: nothing runs.");
    let newest = newest(&fleet.nodes, deploys);
    for node in &fleet.nodes {
        table.row(cells(context, node, newest.as_deref()));
    }
    table
}

/// Returns the deploy of the nodes that came last: a node of an earlier one may have started later.
fn newest(nodes: &[NodeView], deploys: &[DeployMark]) -> Option<String> {
    let runs = |mark: &&DeployMark| {
        nodes.iter().filter_map(|node| node.info.as_ref()).any(|info| info.deploy == mark.deploy)
    };
    let last = deploys.iter().filter(runs).max_by_key(|mark| mark.first_seen)?;
    Some(last.deploy.clone())
}

/// Returns the number of deploys among the nodes.
pub(super) fn deploys(nodes: &[NodeView]) -> usize {
    let mut deploys: Vec<&str> =
        nodes.iter().filter_map(|node| Some(node.info.as_ref()?.deploy.as_str())).collect();
    deploys.sort_unstable();
    deploys.dedup();
    deploys.len()
}

/// Returns the pools of a node that the visitor sees, with their slots.
pub(super) fn pools(context: &Context, info: &NodeInfo) -> String {
    let seen = info.pools.iter().filter(|(queue, _)| context.visitor.sees(queue));
    seen.map(|(queue, slots)| format!("{queue} {slots}")).collect::<Vec<_>>().join(", ")
}

/// Returns the name of a node without its random end: the host and the process.
pub(super) fn short(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((short, _)) if short.contains(':') => short,
        _ => name,
    }
}

fn cells(context: &Context, node: &NodeView, newest: Option<&str>) -> Vec<Cell> {
    let none = NodeInfo::default();
    let info = node.info.as_ref().unwrap_or(&none);
    let link = node_link(context, &node.name);
    let mut name = Cell::text(short(&node.name)).link(link).class("name");
    if node.is_silent() {
        name = name.chip("errors", "silent", "warn");
    }
    let slots: usize = info.pools.iter().map(|(_, slots)| slots).sum();
    let part = f64::from(info.busy) / slots.max(1) as f64;
    let old = newest.is_some_and(|newest| newest != info.deploy);
    vec![
        name,
        Cell::text(pools(context, info)).class("small muted cut"),
        Cell::known(&info.deploy).class(if old { "small warn" } else { "small muted" }),
        Cell::text(number(info.busy.into()))
            .before(meter(part, (72, 6)))
            .after(format!(" <span class=\"faint\">of {}</span>", escaped(&number(slots as u64))))
            .class("cell"),
        Cell::text(format!("{} ago", span(node.silent))).class(if node.is_silent() {
            "small warn"
        } else {
            "small faint"
        }),
    ]
}
