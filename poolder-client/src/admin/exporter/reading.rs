//! Reads everything once, in a bounded number of requests.

use std::collections::BTreeSet;

#[cfg(feature = "schedules")]
use futures_util::future::join_all;
use poolder_core::broker::{NodeView, ServerView};
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
        let mut queues = client.overview().await?;
        let mut nodes = client.nodes().await?;
        let dead = client.broker().dead_nodes().await?;
        let servers = client.servers().await?;
        let more = |len: usize| len.saturating_sub(MOST);
        let (more_queues, more_nodes) = (more(queues.len()), more(nodes.len()));
        queues.truncate(MOST);
        nodes.truncate(MOST);
        let leaderless = leaderless(client, &queues).await?;
        let (schedules, more_schedules) = schedules(client, &queues).await?;
        let left_out =
            [("queues", more_queues), ("nodes", more_nodes), ("schedules", more_schedules)];
        let now = match queues.iter().map(|queue| queue.now).max() {
            Some(now) => now,
            None => client.broker().server_now().await?,
        };
        Ok(Self { queues, leaderless, nodes, dead, schedules, servers, now, left_out })
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

/// Reads the times of the schedules of these queues, and how many schedules are left out.
#[cfg(feature = "schedules")]
async fn schedules(
    client: &Client,
    queues: &[QueueView],
) -> Result<(Vec<ScheduleTimes>, usize), Error> {
    let (mut all, mut more) = (vec![], 0);
    for part in queues.chunks(AT_ONCE) {
        let reading = part.iter().map(|view| of_queue(client, view, MOST));
        for found in join_all(reading).await {
            match found {
                Ok((found, left)) => {
                    all.extend(found);
                    more += left;
                }
                Err(error) if error.is_auth() => {
                    tracing::debug!(%error, "the schedules are left out of the metrics");
                    return Ok((vec![], 0));
                }
                Err(error) => return Err(error),
            }
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

#[cfg(feature = "schedules")]
async fn of_queue(
    client: &Client,
    view: &QueueView,
    most: usize,
) -> Result<(Vec<ScheduleTimes>, usize), Error> {
    use poolder_core::Partition;
    use poolder_core::broker::ScheduleInfo;

    let home = Partition::first(view.queue.clone());
    let count = client.broker().schedule_count(&home).await?;
    let (mut found, mut cursor) = (vec![], 0);
    while count > 0 && found.len() < most {
        let (page, next) = client.broker().schedules(&home, cursor).await?;
        found.extend(page.into_iter().map(|info: ScheduleInfo| ScheduleTimes {
            queue: view.queue.clone(),
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
