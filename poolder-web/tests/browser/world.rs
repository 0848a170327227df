//! A namespace of its own with a dashboard, for a check that changes something.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Backoff, Config, Handle, JobState, QueueView};
use poolder_devserver::{Server, namespace};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::site::Site;

/// The queue of the jobs.
pub(crate) const QUEUE: &str = "parcels";

/// A job. No node runs it.
#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(kind = "parcel.ship", queue = "parcels")]
pub(crate) struct Ship {
    pub(crate) to: String,
}

/// A namespace with its dashboard.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) site: Site,
}

impl World {
    pub(crate) async fn new(server: &Server, name: &str) -> Result<Self, String> {
        let config = Config::new(server.url()).namespace(namespace(name));
        let client = Client::new(config).map_err(text)?;
        let site = Site::start(&client).await?;
        Ok(Self { client, site })
    }

    /// Stores a job that waits.
    pub(crate) async fn ready(&self, to: &str) -> Result<Handle, String> {
        let receipt = self.client.enqueue(Ship { to: to.into() }).await.map_err(text)?;
        Ok(receipt.handle())
    }

    /// Stores a job that is due in an hour.
    pub(crate) async fn later(&self, to: &str) -> Result<Handle, String> {
        let later = self.client.enqueue(Ship { to: to.into() }).after(Duration::from_secs(3_600));
        Ok(later.await.map_err(text)?.handle())
    }

    /// Stores a job that is dead.
    pub(crate) async fn dead(&self, to: &str) -> Result<Handle, String> {
        let handle = self.later(to).await?;
        self.client.job(&handle).bury("the parcel is lost").await.map_err(text)?;
        Ok(handle)
    }

    /// Stores jobs that are due in an hour.
    pub(crate) async fn many_later(&self, jobs: u64) -> Result<(), String> {
        let jobs = (0..jobs).map(|n| Ship { to: n.to_string() });
        let stored = self.client.enqueue_many(jobs).after(Duration::from_secs(3_600)).await;
        stored.into_iter().try_for_each(|one| one.map(drop)).map_err(text)
    }

    /// Lets a job fail: for good, or so that it waits for another attempt.
    pub(crate) async fn failed(&self, to: &str, state: JobState) -> Result<Handle, String> {
        let attempts = if state == JobState::Dead { 1 } else { 5 };
        let hour = Backoff::Fixed(Duration::from_secs(3_600));
        let policy = Policy::default().attempts(attempts).backoff(hour);
        let job = self.client.enqueue(Ship { to: to.into() });
        let job = job.policy(policy).await.map_err(text)?.handle();
        let fails = |job: Ship| async move { Err::<(), _>(format!("no way to {}", job.to)) };
        let pool = Pool::new(QUEUE).size(1).worker(worker_fn(fails));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let node = Node::builder(self.client.clone()).deploy("v1").pool(pool);
        let node = tokio::spawn(node.run_until(async {
            let _ = stopped.await;
        }));
        while self.client.job(&job).state().await.map_err(text)? != Some(state) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It writes its errors when it stops.
        let _ = stop.send(());
        node.await.map_err(text)?.map_err(text)?;
        Ok(job)
    }

    /// Starts a node with a pool of three addressed slots.
    pub(crate) async fn node(&self) -> Result<RunningNode, String> {
        let pool = Pool::new(QUEUE).size(3).mode(Mode::Phash).worker(worker_fn(|_: Ship| async {}));
        let node = Node::builder(self.client.clone()).deploy("v1").pool(pool);
        let node = RunningNode(tokio::spawn(node.run_until(std::future::pending())));
        while self.client.nodes().await.map_err(text)?.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(node)
    }

    pub(crate) async fn queue(&self) -> Result<QueueView, String> {
        self.client.inspect(QUEUE).overview().await.map_err(text)
    }

    /// Returns the address of the page of the queue.
    pub(crate) fn queue_page(&self) -> String {
        self.site.page(&format!("/queues/{QUEUE}"))
    }

    /// Returns the address of the page of a job.
    pub(crate) fn job_page(&self, job: &Handle) -> String {
        self.site.page(&format!("/job/{job}"))
    }
}

/// A node in this process. It is dropped with this value, without leaving.
pub(crate) struct RunningNode(JoinHandle<Result<(), poolder::Error>>);

impl RunningNode {
    pub(crate) fn abort(&self) {
        self.0.abort();
    }

    /// Returns when the node has ended by itself.
    pub(crate) async fn ended(mut self) -> bool {
        (&mut self.0).await.is_ok_and(|ended| ended.is_ok())
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns an error as text.
#[allow(clippy::needless_pass_by_value, reason = "`map_err` passes its error by value")]
pub(crate) fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Fails with a reason unless something is so.
pub(crate) fn must(is: bool, what: impl Into<String>) -> Result<(), String> {
    if is { Ok(()) } else { Err(what.into()) }
}
