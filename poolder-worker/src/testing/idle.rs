//! Waits until a queue has nothing to do.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, Instant};

use poolder_client::Client;
use poolder_core::{Error, Partition, QueueName};

/// Interval at which the queue is asked.
const INTERVAL: Duration = Duration::from_millis(20);
/// Default of [`UntilIdle::within`]: longer than the other nodes need to take over the jobs of one
/// that was killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A wait for an idle queue, made by [`TestServer::until_idle`](super::TestServer::until_idle).
#[derive(Debug)]
#[must_use = "the queue is waited for when this is awaited"]
pub struct UntilIdle {
    client: Client,
    queue: String,
    patience: Duration,
}

impl UntilIdle {
    pub(super) fn new(client: Client, queue: &str) -> Self {
        Self { client, queue: queue.to_owned(), patience: PATIENCE }
    }

    /// Sets how long the wait takes at most. Default 30 s.
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl IntoFuture for UntilIdle {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let end = Instant::now() + self.patience;
            loop {
                let left = left(&self.client, &self.queue).await;
                let left = left.unwrap_or_else(|error| panic!("queue {}: {error}", self.queue));
                if left.iter().all(Left::is_empty) {
                    return;
                }
                if Instant::now() >= end {
                    panic!(
                        "queue {} is not idle after {:?}:\n{}",
                        self.queue,
                        self.patience,
                        table(&left)
                    );
                }
                tokio::time::sleep(INTERVAL).await;
            }
        })
    }
}

/// The jobs of one partition that are not done.
struct Left {
    slot: u16,
    /// Jobs that are ready or run.
    ready: u64,
    due: u64,
    dead: Option<u64>,
}

impl Left {
    fn is_empty(&self) -> bool {
        self.ready == 0 && self.due == 0
    }
}

/// Returns what is left in each partition of a queue.
async fn left(client: &Client, queue: &str) -> Result<Vec<Left>, Error> {
    let (broker, queue) = (client.broker(), QueueName::new(queue)?);
    let first = broker.overview(&Partition::first(queue.clone())).await?;
    let ready = first.ready() + first.running();
    let mut left = vec![Left { slot: 0, ready, due: first.due, dead: Some(first.dead) }];
    let slots = broker.pool_view(&queue).await?.map_or(0, |pool| pool.tail);
    for index in 1..slots {
        let slot = broker.view_slot(&Partition { queue: queue.clone(), index }).await?;
        left.push(Left { slot: index, ready: slot.backlog, due: slot.due, dead: None });
    }
    Ok(left)
}

fn table(left: &[Left]) -> String {
    let mut lines = vec!["slot  ready or running  due  dead".to_owned()];
    lines.extend(left.iter().map(|Left { slot, ready, due, dead }| {
        let dead = dead.map_or_else(|| "?".to_owned(), |dead| dead.to_string());
        format!("{slot:>4}  {ready:>16}  {due:>3}  {dead:>4}")
    }));
    lines.join("\n")
}
