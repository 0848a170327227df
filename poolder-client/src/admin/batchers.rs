//! The batchers of a namespace.

use std::collections::BTreeSet;

use futures_util::future::{try_join, try_join_all};
use poolder_core::broker::{BatcherHome, BatcherSums, NodeView};
use poolder_core::{Error, Partition, QueueName, batcher_of};
use serde::Serialize;

use crate::client::Client;

/// A batcher, and the numbers of its entries and batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatcherView {
    /// The queue of the jobs of its batches.
    pub queue: QueueName,
    /// The name of the batcher.
    #[serde(rename = "batcher")]
    pub name: String,
    /// The numbers.
    #[serde(flatten)]
    pub sums: BatcherSums,
}

impl Client {
    /// Returns the batchers of the namespace, in the order of their queues and names: those of living
    /// nodes, those with batches whose jobs have not ended, and those that have the name of their
    /// queue and have had entries.
    ///
    /// ```no_run
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// for batcher in client.batchers().await? {
    ///     println!("{} on {}: {} wait", batcher.name, batcher.queue, batcher.sums.waiting);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a read.
    pub async fn batchers(&self) -> Result<Vec<BatcherView>, Error> {
        self.read_together(|client| async move {
            let broker = client.broker();
            let (queues, nodes) = try_join(client.queues(), client.nodes()).await?;
            let mut known: BTreeSet<(QueueName, String)> = nodes.iter().flat_map(served).collect();
            let homes: Vec<Partition> = queues.iter().cloned().map(Partition::first).collect();
            let sealed = homes.iter().map(|home| broker.sealed_batchers(home));
            for (queue, names) in queues.iter().zip(try_join_all(sealed).await?) {
                known.extend(names.into_iter().map(|name| (queue.clone(), name)));
            }
            let named = queues.iter().map(|queue| (queue.clone(), queue.to_string()));
            let all: BTreeSet<(QueueName, String)> = known.iter().cloned().chain(named).collect();
            // A name that is none was not written by Poolder.
            let homes: Vec<BatcherHome> = all
                .iter()
                .filter_map(|(queue, name)| BatcherHome::new(queue.as_str(), name).ok())
                .collect();
            let sums = try_join_all(homes.iter().map(|home| broker.batcher_sums(home))).await?;
            let view = |(home, sums): (BatcherHome, BatcherSums)| {
                let (queue, name) = (home.partition().queue.clone(), home.name().to_owned());
                BatcherView { queue, name, sums }
            };
            let mut views: Vec<BatcherView> = homes.into_iter().zip(sums).map(view).collect();
            // A queue need not have a batcher of its name.
            views.retain(|view| {
                let was_used = view.sums.was_used();
                was_used || known.contains(&(view.queue.clone(), view.name.clone()))
            });
            Ok(views)
        })
        .await
    }
}

/// Returns the batchers of a node, each with its queue.
fn served(node: &NodeView) -> Vec<(QueueName, String)> {
    let kinds = node.info.iter().flat_map(|info| &info.kinds);
    let batcher = |kind: &poolder_core::broker::NodeKind| {
        let name = batcher_of(&kind.name)?.to_owned();
        Some((QueueName::new(&kind.queue).ok()?, name))
    };
    kinds.filter_map(batcher).collect()
}
