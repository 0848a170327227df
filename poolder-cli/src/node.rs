//! The commands `poolder node …`.

use std::time::Duration;

use clap::{Args, Subcommand};
use poolder_client::Client;
use poolder_client::words::many;
use poolder_core::broker::{NodeInfo, NodeOrder, NodeView};
use poolder_core::{Error, Timestamp};
use serde_json::json;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::many::Changes;
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
    /// Let nodes take no more jobs: they finish those that they run, and their processes go on.
    Quiet(Nodes),
    /// Let quiet nodes take jobs again.
    Resume(Nodes),
    /// Stop nodes as a signal would: they finish the jobs that they run, and end.
    Stop(Nodes),
    /// Declare silent nodes dead at once, so that their jobs are taken over. Living nodes do this by
    /// themselves within some seconds.
    Forget(Nodes),
}

/// The nodes that are changed.
#[derive(Debug, Args)]
pub(crate) struct Nodes {
    /// The names of the nodes, or the beginning of one name each.
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
    #[command(flatten)]
    confirm: Confirm,
}

/// A change of a node.
#[derive(Debug, Clone, Copy)]
enum NodeChange {
    Quiet,
    Resume,
    Stop,
    Forget,
}

impl NodeChange {
    /// Returns the change as a word before the name of a node, and after it was made.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Quiet => ("quiet", "quieted"),
            Self::Resume => ("resume", "resumed"),
            Self::Stop => ("stop", "stopping"),
            Self::Forget => ("forget", "forgot"),
        }
    }

    async fn make(self, client: &Client, node: &str) -> Result<(), Error> {
        match self {
            Self::Quiet => client.quiet_node(node).await,
            Self::Resume => client.resume_node(node).await,
            Self::Stop => client.stop_node(node).await,
            Self::Forget => client.forget_node(node).await,
        }
    }
}

/// Runs the command and returns its output.
pub(crate) async fn run(common: &Common, verb: &NodeVerb) -> Result<Report, Failure> {
    let client = common.client().await?;
    let nodes = client.nodes().await?;
    match verb {
        NodeVerb::Quiet(which) => change(&client, &nodes, which, NodeChange::Quiet).await,
        NodeVerb::Resume(which) => change(&client, &nodes, which, NodeChange::Resume).await,
        NodeVerb::Stop(which) => change(&client, &nodes, which, NodeChange::Stop).await,
        NodeVerb::Forget(which) => change(&client, &nodes, which, NodeChange::Forget).await,
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

/// Changes each of the nodes that are named.
async fn change(
    client: &Client,
    nodes: &[NodeView],
    which: &Nodes,
    change: NodeChange,
) -> Result<Report, Failure> {
    let (verb, done) = change.words();
    let count = which.nodes.len() as u64;
    if !which.confirm.dry_run {
        which.confirm.allow(count, &format!("{verb} {}", many(count, "node"))).await?;
    }
    let mut changes = Changes::default();
    for text in &which.nodes {
        let name = match find(nodes, text) {
            Ok(node) => &node.name,
            Err(failure) => {
                changes.failed(failure);
                continue;
            }
        };
        if which.confirm.dry_run {
            changes.would(&format!("{verb} {name}"), json!({ "node": name }), name);
            continue;
        }
        match change.make(client, name).await {
            Ok(()) => {
                let value = json!({ "done": done, "node": name });
                changes.done(value, name, format!("{done} {name}"));
            }
            Err(error) => changes.failed(error),
        }
    }
    changes.report()
}

fn state(node: &NodeView) -> Cell {
    match (node.is_silent(), node.order) {
        (false, Some(NodeOrder::Stop)) => Cell::new("stopping").tone(Tone::Warning),
        (false, Some(NodeOrder::Quiet)) => Cell::new("quiet").tone(Tone::Warning),
        (true, _) => Cell::new(format!("silent for {}", duration(node.silent))).tone(Tone::Bad),
        (false, _) => Cell::new("alive").tone(Tone::Good),
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

/// Returns the node of this name, or whose name begins so.
fn find<'a>(nodes: &'a [NodeView], text: &str) -> Result<&'a NodeView, Failure> {
    let named: Vec<&NodeView> = match nodes.iter().find(|node| node.name == text) {
        Some(node) => vec![node],
        None => nodes.iter().filter(|node| node.name.starts_with(text)).collect(),
    };
    match named.as_slice() {
        [node] => Ok(node),
        [] => Err(Failure::not_found(format!("no node {text} lives"))
            .hint("`poolder node ls` shows those that live")),
        several => {
            let text = format!("{} nodes have names that begin with {text}", several.len());
            Err(Failure::not_understood(text).hint("write more of the name"))
        }
    }
}

fn get(nodes: &[NodeView], text: &str) -> Result<Report, Failure> {
    let node = find(nodes, text)?;
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
