//! A limited queue, as the code of a node declares it.

use poolder_client::Client;
use poolder_core::Error;
use poolder_core::broker::{QueueLimits, Rate};

use super::builder::{Component, NodeBuilder};
use super::declarations::Occasion;

/// The limits of a queue, as the code of a node declares them: how many of its jobs, and of each group
/// of them, run at a time in all nodes together, and how many start in a time.
///
/// The first node to start stores them. After that the stored limits hold, and are changed with
/// `Client::limits`; a node whose code says something else logs a warning.
///
/// ```no_run
/// # use poolder_worker::{worker_fn, Context, Node, Pool, Queue, Result};
/// # use poolder_core::{Job, Outcome};
/// # use poolder_client::Client;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Build { tenant: String }
/// # impl Job for Build { const KINDS: &'static [&'static str] = &["build"]; }
/// # async fn build(_job: Build, _cx: Context) -> Result<Outcome> { Ok(Outcome::Done) }
/// # async fn f() -> std::result::Result<(), poolder_core::Error> {
/// let client = Client::from_env().await?;
/// let tenant = String::from("acme");
/// client.enqueue(Build { tenant: tenant.clone() }).queue("reports").group(tenant).await?;
/// Node::builder(client)
///     .queue(Queue::new("reports").concurrency(200).group_concurrency(4))
///     .pool(Pool::new("reports").size(64).worker(worker_fn(build)))
///     .run()
///     .await
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "the limits of a queue are declared when it is given to a node"]
pub struct Queue {
    name: String,
    limits: QueueLimits,
}

impl Queue {
    /// Creates a limited queue whose limits limit nothing: its groups start jobs in turn.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), limits: QueueLimits::new() }
    }

    /// Sets how many jobs of the queue run at a time, in all nodes together: 1 to a million. Default:
    /// as many as there are slots.
    pub fn concurrency(mut self, most: u32) -> Self {
        self.limits = self.limits.concurrency(most);
        self
    }

    /// Sets how many jobs of each group run at a time, in all nodes together: 1 to a million.
    /// Default: any number. Groups with limits of their own have those.
    pub fn group_concurrency(mut self, most: u32) -> Self {
        self.limits = self.limits.group_concurrency(most);
        self
    }

    /// Sets the rate at which jobs of the queue start, in all nodes together. Default: at once.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.limits = self.limits.rate(rate);
        self
    }

    /// Sets the rate at which jobs of each group start, in all nodes together. Default: at once.
    /// Groups with a rate of their own have that.
    pub fn group_rate(mut self, rate: Rate) -> Self {
        self.limits = self.limits.group_rate(rate);
        self
    }

    async fn declare(self, client: Client) -> Result<(), Error> {
        let handle = client.limits(&self.name);
        if handle.declare(self.limits).await? {
            return Ok(());
        }
        let stored = handle.get().await?;
        if stored.is_some_and(|stored| stored != self.limits) {
            tracing::warn!(
                queue = %self.name, ?stored, declared = ?self.limits,
                "the queue has other limits than the code declares: the stored ones hold"
            );
        }
        Ok(())
    }
}

impl Component for Queue {
    fn install(self, node: NodeBuilder) -> NodeBuilder {
        node.queue(self)
    }
}

impl NodeBuilder {
    /// Limits a queue when the node starts, unless it has limits, and again when the server has lost
    /// them. See [`Queue`].
    pub fn queue(self, queue: Queue) -> Self {
        self.declares(move |client, _: Occasion| queue.clone().declare(client))
    }
}
