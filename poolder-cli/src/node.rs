//! The commands `poolder node …`.

use std::time::Duration;

use clap::Subcommand;
use poolder_core::Timestamp;
use poolder_core::broker::{NodeInfo, NodeView};
use serde_json::json;

use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, bytes, count, duration, number};

/// The commands about nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeVerb {
    /// Show the nodes that live: their deploys, slots, memory and queues.
    Ls,
    /// Show one node: its pools and the kinds of jobs that it can run.
    Get {
        /// The name of the node, or the beginning of one name.
        node: String,
    },
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &NodeVerb) -> Result<Report, Failure> {
    let nodes = common.client().await?.nodes().await?;
    match verb {
        NodeVerb::Ls => {
            let report = Report::new(&nodes).ids(nodes.iter().map(|node| &node.name));
            if nodes.is_empty() {
                return Ok(report.note("no node lives"));
            }
            Ok(report.table(table(&nodes)))
        }
        NodeVerb::Get { node } => get(&nodes, node),
    }
}

/// Returns the table of some nodes.
pub(crate) fn table(nodes: &[NodeView]) -> Table {
    let mut table = Table::new(&[
        "NODE", "STATE", "DEPLOY", "VERSION", ">UP", ">SLOTS", ">BUSY", ">HELD", ">MEMORY",
        "QUEUES",
    ]);
    for node in nodes {
        let none = NodeInfo::default();
        let info = node.info.as_ref().unwrap_or(&none);
        let slots: usize = info.pools.iter().map(|(_, slots)| slots).sum();
        let queues: Vec<&str> = info.pools.iter().map(|(queue, _)| queue.as_str()).collect();
        table.row([
            (&node.name).into(),
            state(node),
            or_nothing(&info.deploy).into(),
            or_nothing(&info.version).into(),
            node.info.as_ref().map_or(NOTHING.to_owned(), |info| duration(up(node, info))).into(),
            count(slots as u64).into(),
            count(info.busy.into()).into(),
            count(info.held.into()).into(),
            memory(info).into(),
            or_nothing(&queues.join(",")).into(),
        ]);
    }
    table
}

fn state(node: &NodeView) -> Cell {
    match node.is_silent() {
        true => Cell::new(format!("silent for {}", duration(node.silent))).tone(Tone::Bad),
        false => Cell::new("alive").tone(Tone::Good),
    }
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { NOTHING } else { text }
}

fn memory(info: &NodeInfo) -> String {
    if info.rss == 0 { NOTHING.to_owned() } else { bytes(info.rss) }
}

/// Returns how long the node has run at the time of its last heartbeat.
fn up(node: &NodeView, info: &NodeInfo) -> Duration {
    node.seen.since(Timestamp::from_millis(info.started))
}

fn get(nodes: &[NodeView], text: &str) -> Result<Report, Failure> {
    let named: Vec<&NodeView> = match nodes.iter().find(|node| node.name == text) {
        Some(node) => vec![node],
        None => nodes.iter().filter(|node| node.name.starts_with(text)).collect(),
    };
    let node = match named.as_slice() {
        [node] => node,
        [] => {
            return Err(Failure::not_found(format!("no node {text} lives"))
                .hint("`poolder node ls` shows those that live"));
        }
        several => {
            return Err(Failure::not_understood(format!(
                "{} nodes have names that begin with {text}",
                several.len()
            ))
            .hint("write more of the name"));
        }
    };
    let none = NodeInfo::default();
    let info = node.info.as_ref().unwrap_or(&none);
    let facts = [
        ("node", (&node.name).into()),
        ("state", state(node)),
        ("last beat", format!("{} ago", duration(node.silent)).into()),
        ("host", or_nothing(&info.host).into()),
        ("process", info.pid.to_string().into()),
        ("deploy", or_nothing(&info.deploy).into()),
        ("version", or_nothing(&info.version).into()),
        ("up", duration(up(node, info)).into()),
        ("memory", memory(info).into()),
        ("busy slots", number(info.busy.into()).into()),
        ("addressed slots", number(info.held.into()).into()),
    ];
    let mut pools = Table::new(&["QUEUE", ">SLOTS"]);
    for (queue, slots) in &info.pools {
        pools.row([queue.into(), number(*slots as u64).into()]);
    }
    let mut kinds = Table::new(&["QUEUE", "KIND", ">VERSION"]);
    for kind in &info.kinds {
        kinds.row([(&kind.queue).into(), (&kind.name).into(), kind.version.to_string().into()]);
    }
    let report = Report::new(json!(node)).ids([&node.name]).table(Table::of_pairs(facts));
    let tables = [pools, kinds].into_iter().filter(|table| !table.is_empty());
    Ok(tables.fold(report, |report, table| report.lines("\n").table(table)))
}
