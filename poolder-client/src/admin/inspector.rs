//! Reads the state of a queue and repairs its jobs.

use poolder_core::view::{Cursor, JobView, Page, QueueView};
use poolder_core::{Error, Lane, Partition, QueueName};

use crate::client::Client;

/// Number of jobs in one step of an operation on all dead jobs.
const PAGE_SIZE: usize = 100;
/// Number of jobs in one step of [`Inspector::drain`], which only deletes.
const DRAIN_PAGE_SIZE: usize = 500;

/// Reads and repairs one queue; made by [`Client::inspect`]. Every read is bounded, and lists are
/// read in pages. [`Client::job`] reads and changes one job of a list. An illegal name of the queue
/// is the error of each call ([`Error::is_invalid`]).
///
/// ```no_run
/// # use poolder_client::Client;
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let queue = client.inspect("mail");
/// let now = queue.overview().await?;
/// println!("{} wait, {} run, {} died", now.ready(), now.running(), now.dead);
/// for job in queue.dead(None, 20).await?.jobs {
///     println!("{} {:?} {}", job.id(), job.failure(), job.payload_json()?);
///     client.job(&job).revive().await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Inspector {
    client: Client,
    queue: String,
}

impl Inspector {
    pub(super) fn new(client: Client, queue: String) -> Self {
        Self { client, queue }
    }

    /// Returns the state of the queue at one moment: for each lane the number of waiting jobs and
    /// the age of the oldest; the numbers of running, due, retrying and dead jobs; whether the
    /// queue is paused; its leader; its counters.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn overview(&self) -> Result<QueueView, Error> {
        self.client.broker().overview(&self.partition()?).await
    }

    /// Returns a page of the jobs that wait in a lane for a free slot, in the order in which they
    /// will start. A page has at most `most` jobs, never more than 500, and at most about 1 MiB. A
    /// `most` of 0 counts as 1.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a cursor of another listing; also returns an error when the server
    /// does not answer or refuses the command.
    pub async fn ready(
        &self,
        lane: Lane,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        self.client.broker().page_of_ready(&self.partition()?, lane, after, most).await
    }

    /// Returns a page of the running jobs, each with its node, its start and its attempt.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn running(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.client.broker().page_of_running(&self.partition()?, after, most).await
    }

    /// Returns a page of the jobs that wait for their time, the earliest first.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn due(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.client.broker().page_of_due(&self.partition()?, after, most).await
    }

    /// Returns a page of the dead jobs, the one that died last first.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn dead(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.client.broker().page_of_dead(&self.partition()?, after, most).await
    }

    /// Revives all jobs that are dead at the time of the call and satisfy `which`, in bounded
    /// steps. Returns the number of revived jobs.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; some jobs may have
    /// been revived by then.
    pub async fn revive_where(&self, which: impl Fn(&JobView) -> bool) -> Result<u64, Error> {
        let started = self.overview().await?.now;
        let (mut revived, mut cursor) = (0, None);
        loop {
            let mut page = self.dead(cursor.as_ref(), PAGE_SIZE).await?;
            // Jobs that die again during the loop have a later time and are left alone.
            page.jobs.retain(|view| view.at <= started && which(view));
            let gone = self.client.broker().revive_all(&self.partition()?, &page.jobs).await?;
            revived += count(&gone);
            match page.next_without(&gone) {
                Some(next) => cursor = Some(next),
                None => return Ok(revived),
            }
        }
    }

    /// Deletes all jobs that wait in the lanes or for their time, in bounded steps; running and
    /// dead jobs stay. Returns the number of deleted jobs. Pause the queue first, or jobs that
    /// start meanwhile are not deleted.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; some jobs may have
    /// been deleted by then.
    pub async fn drain(&self) -> Result<u64, Error> {
        let broker = self.client.broker();
        let mut deleted = 0;
        for lane in Lane::ALL {
            let mut cursor = None;
            loop {
                let page = self.ready(lane, cursor.as_ref(), DRAIN_PAGE_SIZE).await?;
                deleted += count(&broker.delete_all(&self.partition()?, &page.jobs).await?);
                // Entries keep their order, so all entries before the cursor are handled.
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        let mut cursor = None;
        loop {
            let page = self.due(cursor.as_ref(), DRAIN_PAGE_SIZE).await?;
            let gone = broker.delete_all(&self.partition()?, &page.jobs).await?;
            deleted += count(&gone);
            match page.next_without(&gone) {
                Some(next) => cursor = Some(next),
                None => return Ok(deleted),
            }
        }
    }

    /// Deletes all dead jobs, in bounded steps. Returns the number of deleted jobs.
    ///
    /// # Errors
    /// As [`Inspector::drain`].
    pub async fn purge_dead(&self) -> Result<u64, Error> {
        let (mut deleted, mut cursor) = (0, None);
        loop {
            let page = self.dead(cursor.as_ref(), PAGE_SIZE).await?;
            let gone = self.client.broker().delete_all(&self.partition()?, &page.jobs).await?;
            deleted += count(&gone);
            match page.next_without(&gone) {
                Some(next) => cursor = Some(next),
                None => return Ok(deleted),
            }
        }
    }

    fn partition(&self) -> Result<Partition, Error> {
        QueueName::new(&self.queue).map(Partition::first)
    }
}

fn count(done: &[bool]) -> u64 {
    done.iter().filter(|done| **done).count() as u64
}
