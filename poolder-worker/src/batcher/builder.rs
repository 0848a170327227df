//! The builder of a batcher, which is a component of a node.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_client::{BatcherHandle, Client};
use poolder_core::broker::{BatchOptions, BatcherHome};
use poolder_core::{Error, Policy};

use super::slot::BatchSlot;
use super::worker::BatchWorker;
use crate::node::builder::{Component, NodeBuilder};
use crate::run::dead_job::DeadJob;
use crate::run::middleware::Middleware;
use crate::run::pool::Pool;

/// Runs the batches of one batcher; added to a node with [`NodeBuilder::add`].
///
/// Producers on any host push entries through [`Client::batcher`]. The entries gather in Redis
/// until there are [`limit`](Self::limit) of them, or the first has waited for the
/// [`timeout`](Self::timeout); then they become one job, which one slot of one node runs.
///
/// ```no_run
/// # use std::time::Duration;
/// # use poolder_worker::{Batch, Batcher, BatchWorker, Context, Node, Result};
/// # use poolder_core::Outcome;
/// # use poolder_client::Client;
/// #[derive(Clone)]
/// struct Rows;
///
/// impl BatchWorker for Rows {
///     type Entry = (u64, String);
///
///     async fn handle_batch(&mut self, batch: &mut Batch<Self::Entry>, _cx: Context) -> Result<Outcome> {
///         for (index, (id, text)) in batch.all().await? {
///             println!("{index}: {id} {text}");
///         }
///         Ok(Outcome::Done)
///     }
/// }
///
/// # async fn f(client: Client) -> std::result::Result<(), poolder_core::Error> {
/// let rows = Batcher::new("rows", Rows).limit(1_000).timeout(Duration::from_secs(2));
/// Node::builder(client).add(rows).run().await
/// # }
/// ```
pub struct Batcher<W> {
    name: String,
    queue: Option<String>,
    worker: W,
    options: BatchOptions,
    size: u16,
    hibernate_after: Option<Duration>,
    /// The middleware and the hooks of the pool.
    additions: Vec<AddToPool>,
}

type AddToPool = Box<dyn FnOnce(Pool) -> Pool + Send>;

impl<W: BatchWorker> Batcher<W> {
    /// Makes a batcher of this name: 1 to 64 ASCII letters, digits, `_`, `-` or `.`. The batcher
    /// uses the queue of the same name, unless [`queue`](Self::queue) sets another.
    #[must_use]
    pub fn new(name: impl Into<String>, worker: W) -> Self {
        Self {
            name: name.into(),
            queue: None,
            worker,
            options: BatchOptions::default(),
            size: 1,
            hibernate_after: None,
            additions: vec![],
        }
    }

    /// Sets another queue than the one with the batcher's name. The node can have no other pool for
    /// that queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Sets the maximum number of entries in a batch: 1 to 1,000,000. Default 100.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.options = self.options.limit(limit);
        self
    }

    /// Sets the longest time from the first entry of a batch until the batch is sealed. With `None`
    /// a batch is sealed only by its limit, its size in bytes, or a flush. Default 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// Sets the maximum size of the entries of a batch in bytes, as they are stored. Default: no
    /// limit.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.options = self.options.max_bytes(bytes);
        self
    }

    /// Sets the maximum number of waiting entries, in filling and in sealed batches together. A
    /// push beyond it is refused, or waits for room. Default: no limit.
    #[must_use]
    pub fn max_waiting(mut self, entries: u64) -> Self {
        self.options = self.options.max_waiting(entries);
        self
    }

    /// Sets the maximum number of groups that gather entries at once. Default 10,000.
    #[must_use]
    pub fn max_groups(mut self, groups: u32) -> Self {
        self.options = self.options.max_groups(groups);
        self
    }

    /// Lets a batch return its last entry first. Default: the first entry first.
    #[must_use]
    pub fn lifo(mut self) -> Self {
        self.options = self.options.lifo();
        self
    }

    /// Sets the policy of the batch job: how often it is tried, how long it waits in between, and
    /// how long it may take.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.options = self.options.policy(policy);
        self
    }

    /// Adds a header to the jobs of the batches, or replaces the one of this name. The entries of a
    /// batch have no headers: their producers put such data into the entries.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options = self.options.header(name, value);
        self
    }

    /// Sets the time within which a batch starts, counted from the sealing of its list. A batch that is
    /// not started by then is cancelled, with all of its entries, and counts as expired. `None`, the
    /// default, stands for no limit.
    #[must_use]
    pub fn expires_in(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.options = self.options.expires_in(time);
        self
    }

    /// Sets the revision of the options above, from 0. The first node stores its options: a node
    /// with other options and the same revision fails, and a higher revision replaces them.
    #[must_use]
    pub fn revision(mut self, revision: u32) -> Self {
        self.options = self.options.revision(revision);
        self
    }

    /// Sets all options above at once.
    #[must_use]
    pub fn with_options(mut self, options: BatchOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the number of slots in this process, 1 to 10,000, which is the number of batches that
    /// can run at once. Default 1.
    #[must_use]
    pub fn size(mut self, size: u16) -> Self {
        self.size = size;
        self
    }

    /// Sets the idle time after which a slot calls [`BatchWorker::handle_hibernate`]; it must be
    /// longer than the timeout. `None`, the default, stands for never.
    #[must_use]
    pub fn hibernate_after(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.hibernate_after = idle.into();
        self
    }

    /// Adds a middleware; the first added is the outermost.
    #[must_use]
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.additions.push(Box::new(|pool| pool.middleware(middleware)));
        self
    }

    /// Adds a hook that is told of each batch that is buried, whole or in part, as
    /// [`Pool::on_dead`] describes.
    #[must_use]
    pub fn on_dead<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(DeadJob) -> R + Send + Sync + 'static,
        R: Future<Output = crate::Result<()>> + Send + 'static,
    {
        self.additions.push(Box::new(|pool| pool.on_dead(hook)));
        self
    }

    /// Returns the options, which must be the same in producers and nodes.
    #[must_use]
    pub fn options(&self) -> &BatchOptions {
        &self.options
    }

    /// Returns a handle for pushing entries. Its first push declares these options.
    #[must_use]
    pub fn handle(&self, client: &Client) -> BatcherHandle<W::Entry> {
        let handle = client.batcher_on(self.queue_name(), &self.name);
        handle.declare_later(self.options.clone());
        handle
    }

    fn queue_name(&self) -> &str {
        self.queue.as_deref().unwrap_or(&self.name)
    }

    fn check(&self) -> Result<BatcherHome, Error> {
        let home = BatcherHome::new(self.queue_name(), &self.name)?;
        self.options.check()?;
        match (self.options.timeout, self.hibernate_after) {
            (Some(timeout), Some(idle)) if idle <= timeout => Err(Error::invalid(format!(
                "batcher {:?}: hibernate_after is {idle:?}, but a batch may take {timeout:?} to \
                 gather: make it longer than the timeout",
                self.name
            ))),
            _ => Ok(home),
        }
    }
}

impl<W: BatchWorker> Component for Batcher<W> {
    fn install(self, node: NodeBuilder) -> NodeBuilder {
        let pool = Pool::new(self.queue_name()).size(self.size);
        let home = match self.check() {
            Ok(home) => home,
            // This method cannot fail: the hook returns the error when the node starts.
            Err(error) => {
                return node.before_start(move |_| std::future::ready(Err(error.repeated()))).pool(
                    pool.dyn_worker(Box::new(BatchSlot::new(self.worker, "invalid", false))),
                );
            }
        };
        let Self { worker, options, additions, hibernate_after, .. } = self;
        let slot = BatchSlot::new(worker, &home.kind(), options.lifo);
        let pool = pool.dyn_worker(Box::new(slot)).hibernate_after(hibernate_after);
        let pool = additions.into_iter().fold(pool, |pool, add| add(pool));
        let declared = Arc::new((home, options));
        node.declares(move |client, _| declare(client, Arc::clone(&declared))).pool(pool)
    }
}

async fn declare(client: Client, declared: Arc<(BatcherHome, BatchOptions)>) -> Result<(), Error> {
    let (home, options) = &*declared;
    let stored = client.broker().declare_batcher(home, options).await?;
    if stored.revision > options.revision {
        tracing::warn!(
            batcher = home.name(),
            stored = stored.revision,
            here = options.revision,
            "a later revision of this batcher's options is stored and in force; deploy it here too"
        );
    }
    Ok(())
}

impl<W> std::fmt::Debug for Batcher<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batcher")
            .field("name", &self.name)
            .field("queue", &self.queue)
            .field("options", &self.options)
            .field("size", &self.size)
            .field("hibernate_after", &self.hibernate_after)
            .finish_non_exhaustive()
    }
}
