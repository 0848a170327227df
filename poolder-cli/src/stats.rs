//! The command `poolder stats`: what has happened in each queue since it was first used.

use std::collections::BTreeSet;

use clap::Args;
use poolder_core::view::QueueView;
use serde_json::{Value, json};

use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Report, Table, count, number};

/// The counters that have a column whether or not something was counted.
const ALWAYS: [&str; 4] = ["completed", "retried", "buried", "cancelled"];

/// The queues whose counters are shown.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// The queues [default: all].
    queues: Vec<String>,
}

/// Shows the counters of queues, and their sums.
pub(crate) async fn run(common: &Common, stats: &Stats) -> Result<Report, Failure> {
    let client = common.client().await?;
    for queue in &stats.queues {
        crate::queue::known(&client, queue).await?;
    }
    let mut views = client.overview().await?;
    views.retain(|view| {
        stats.queues.is_empty() || stats.queues.iter().any(|name| name == view.queue.as_str())
    });
    let counted = views.iter().flat_map(|view| view.counters.keys().map(String::as_str));
    // `retrying` is the number of jobs that wait for a retry now.
    let others: BTreeSet<&str> =
        counted.filter(|name| !ALWAYS.contains(name) && *name != "retrying").collect();
    let names: Vec<&str> = ALWAYS.into_iter().chain(others).collect();
    let values: Vec<Value> = views
        .iter()
        .map(|view| json!({ "queue": view.queue, "counters": view.counters }))
        .collect();
    let report = Report::new(values).ids(views.iter().map(|view| &view.queue));
    if views.is_empty() {
        return Ok(report.note("no queues"));
    }
    // One line a counter, since there are more of them than fit beside each other.
    let mut table = Table::new(&["COUNTER", ">ALL", "QUEUES"]);
    for name in names {
        let all = views.iter().map(|view| view.counter(name)).fold(0, u64::saturating_add);
        table.row([name.into(), count(all).into(), shares(&views, name).into()]);
    }
    Ok(report.table(table))
}

/// Returns the queues that have counted something, the one with the most first.
fn shares(views: &[QueueView], name: &str) -> String {
    let mut counted: Vec<(u64, &str)> =
        views.iter().map(|view| (view.counter(name), view.queue.as_str())).collect();
    counted.retain(|(times, _)| *times > 0);
    counted.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    let shown: Vec<String> =
        counted.into_iter().map(|(times, queue)| format!("{queue} {}", number(times))).collect();
    shown.join(", ")
}
