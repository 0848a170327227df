//! Reads everything once, in a bounded number of requests.

use std::collections::{BTreeMap, BTreeSet};

#[cfg(feature = "schedules")]
use futures_util::future::try_join_all;
use futures_util::future::{BoxFuture, try_join3, try_join4};
use poolder_core::broker::{GroupCounts, NodeView, ServerView};
use poolder_core::policy::dispatch::Mode;
use poolder_core::view::QueueView;
use poolder_core::{Error, QueueName, Timestamp};

use crate::client::Client;

/// The most queues, nodes and schedules of a text, each.
pub(super) const MOST: usize = 1_000;
/// The number of queues whose schedules are read at the same time.
#[cfg(feature = "schedules")]
const AT_ONCE: usize = 50;

/// When a schedule ticks.
#[derive(Debug, Clone)]
pub(super) struct ScheduleTimes {
    pub(super) queue: QueueName,
    pub(super) name: String,
    pub(super) next: Option<Timestamp>,
    pub(super) last_run: Option<Timestamp>,
}

/// The state of a namespace at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) queues: Vec<QueueView>,
    /// The shared queues that have no leader. The slots of an addressed pool are led by their
    /// holders, which are no leaders.
    pub(super) leaderless: BTreeSet<QueueName>,
    /// The limits and the numbers of groups of the limited queues.
    pub(super) limits: BTreeMap<QueueName, GroupCounts>,
    pub(super) nodes: Vec<NodeView>,
    /// The names of the nodes that were declared dead last.
    pub(super) dead: Vec<String>,
    pub(super) schedules: Vec<ScheduleTimes>,
    pub(super) servers: Vec<ServerView>,
    /// The server's clock.
    pub(super) now: Timestamp,
    /// How many queues, nodes and schedules are not in the reading.
    pub(super) left_out: [(&'static str, usize); 3],
}

impl Reading {
    /// Reads the state of the namespace. Schedules that the user may not read are left out.
    pub(super) async fn of(client: &Client) -> Result<Self, Error> {
        // Boxed: the compiler limits how deeply futures are nested.
        let read: BoxFuture<'_, _> =
            Box::pin(client.read_together(|client| async move { Self::with(&client).await }));
        read.await
    }

    /// Reads the state with a client whose reads go to the servers together.
    async fn with(client: &Client) -> Result<Self, Error> {
        let queues = async {
            let mut queues = client.overview().await?;
            let more_queues = queues.len().saturating_sub(MOST);
            queues.truncate(MOST);
            let (leaderless, schedules) = (leaderless(client, &queues), schedules(client, &queues));
            let found = try_join3(leaderless, limits(client, &queues), schedules).await?;
            Ok((queues, more_queues, found))
        };
        let broker = client.broker();
        let read = try_join4(queues, client.nodes(), broker.dead_nodes(), broker.servers_at_once());
        let ((queues, more_queues, found), mut nodes, dead, servers) = read.await?;
        let (leaderless, limits, (schedules, more_schedules)) = found;
        let more_nodes = nodes.len().saturating_sub(MOST);
        nodes.truncate(MOST);
        let left_out =
            [("queues", more_queues), ("nodes", more_nodes), ("schedules", more_schedules)];
        let now = match queues.iter().map(|queue| queue.now).max() {
            Some(now) => now,
            None => broker.server_now().await?,
        };
        Ok(Self { queues, leaderless, limits, nodes, dead, schedules, servers, now, left_out })
    }
}

/// Returns the shared queues that have no leader.
async fn leaderless(client: &Client, queues: &[QueueView]) -> Result<BTreeSet<QueueName>, Error> {
    let without = queues.iter().filter(|view| view.leader.is_none());
    let without: Vec<QueueName> = without.map(|view| view.queue.clone()).collect();
    let modes = client.broker().pool_modes(&without).await?;
    let shared = |(queue, mode)| (mode == Mode::Shared).then_some(queue);
    Ok(without.into_iter().zip(modes).filter_map(shared).collect())
}

/// Reads the limits of these queues; none where the user may not read them.
async fn limits(
    client: &Client,
    queues: &[QueueView],
) -> Result<BTreeMap<QueueName, GroupCounts>, Error> {
    let names: Vec<QueueName> = queues.iter().map(|view| view.queue.clone()).collect();
    match client.broker().group_counts(&names).await {
        Ok(counts) => {
            let limited = names.into_iter().zip(counts);
            Ok(limited.filter_map(|(queue, counts)| Some((queue, counts?))).collect())
        }
        Err(error) if error.is_auth() => {
            tracing::debug!(%error, "the limits are left out of the metrics");
            Ok(BTreeMap::new())
        }
        Err(error) => Err(error),
    }
}

/// Reads the times of the schedules of these queues, and how many schedules are left out.
#[cfg(feature = "schedules")]
async fn schedules(
    client: &Client,
    queues: &[QueueView],
) -> Result<(Vec<ScheduleTimes>, usize), Error> {
    match all_schedules(client, queues).await {
        Err(error) if error.is_auth() => {
            tracing::debug!(%error, "the schedules are left out of the metrics");
            Ok((vec![], 0))
        }
        found => found,
    }
}

#[cfg(feature = "schedules")]
async fn all_schedules(
    client: &Client,
    queues: &[QueueView],
) -> Result<(Vec<ScheduleTimes>, usize), Error> {
    use poolder_core::Partition;

    let homes: Vec<Partition> =
        queues.iter().map(|view| Partition::first(view.queue.clone())).collect();
    let counts = homes.iter().map(|home| client.broker().schedule_count(home));
    let counts = try_join_all(counts).await?;
    let used: Vec<(&Partition, u64)> =
        homes.iter().zip(counts).filter(|(_, count)| *count > 0).collect();
    let (mut all, mut more) = (vec![], 0);
    for part in used.chunks(AT_ONCE) {
        let reading = part.iter().map(|(home, count)| of_queue(client, home, *count, MOST));
        for (found, left) in try_join_all(reading).await? {
            all.extend(found);
            more += left;
        }
    }
    more += all.len().saturating_sub(MOST);
    all.truncate(MOST);
    Ok((all, more))
}

#[cfg(not(feature = "schedules"))]
async fn schedules(_: &Client, _: &[QueueView]) -> Result<(Vec<ScheduleTimes>, usize), Error> {
    Ok((vec![], 0))
}

/// Reads the times of the schedules of a queue, which has so many.
#[cfg(feature = "schedules")]
async fn of_queue(
    client: &Client,
    home: &poolder_core::Partition,
    count: u64,
    most: usize,
) -> Result<(Vec<ScheduleTimes>, usize), Error> {
    use poolder_core::broker::ScheduleInfo;

    let (mut found, mut cursor) = (vec![], 0);
    while found.len() < most {
        let (page, next) = client.broker().schedules(home, cursor).await?;
        found.extend(page.into_iter().map(|info: ScheduleInfo| ScheduleTimes {
            queue: home.queue.clone(),
            name: info.name,
            next: info.next,
            last_run: info.last_run,
        }));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    // Two pages may contain the same schedule.
    found.dedup_by(|a, b| a.name == b.name);
    let left = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(found.len());
    Ok((found, left))
}
