//! Looking into a queue, and putting right what is wrong there.

use poolder_core::view::{Cursor, JobView, Page, QueueView};
use poolder_core::{Error, Format, Handle, JobId, Lane, Partition, State, Timestamp};

use crate::client::Client;

/// How many jobs are handled at a time where all are meant.
const BATCH: usize = 100;
/// The same where they are only deleted.
const DELETED: usize = 500;

/// Looks into a queue: made by [`Client::inspect`]. Whatever it reads is bounded; lists come in
/// pages. A job is named by its handle, as [`JobView`] and receipts bring it, or by
/// [`Inspector::handle`].
///
/// ```no_run
/// # use poolder_client::Client;
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let queue = client.inspect("mail")?;
/// let now = queue.overview().await?;
/// println!("{} wait, {} run, {} died", now.ready(), now.running(), now.dead);
/// for job in queue.dead(None, 20).await?.jobs {
///     println!("{} {:?} {}", job.id(), job.failure(), job.payload_json()?);
///     queue.revive(&job.handle).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Inspector<'c> {
    client: &'c Client,
    partition: Partition,
}

impl<'c> Inspector<'c> {
    pub(crate) fn new(client: &'c Client, partition: Partition) -> Self {
        Self { client, partition }
    }

    /// Names a job of this queue of which only the id is known.
    #[must_use]
    pub fn handle(&self, job: JobId) -> Handle {
        Handle { partition: self.partition.clone(), job, place: None }
    }

    /// The queue at one moment: how many wait per lane and since when, how many run, are due, wait
    /// for another attempt, are dead; whether it is paused; who leads it; what was counted.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn overview(&self) -> Result<QueueView, Error> {
        self.client.broker().overview(&self.partition).await
    }

    /// One job, wherever it is; `None` when it has ended, or was not found by a bounded search.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn job(&self, job: impl Into<Handle>) -> Result<Option<JobView>, Error> {
        self.client.broker().find(&self.own(job)?).await
    }

    /// Jobs that wait in a lane for a free slot, in the order in which they will start; at most
    /// `most`, which is at most 500, and at most about 1 MiB of them.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; [`Error::is_invalid`] for a cursor of another
    /// listing.
    pub async fn ready(
        &self,
        lane: Lane,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        self.client.broker().page_of_ready(&self.partition, lane, after, most).await
    }

    /// Jobs that slots have, with the node, since when, and the attempt.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn running(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.client.broker().page_of_running(&self.partition, after, most).await
    }

    /// Jobs that wait for their time, the next one first.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn due(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.client.broker().page_of_due(&self.partition, after, most).await
    }

    /// Dead jobs, the last to die first.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn dead(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.client.broker().page_of_dead(&self.partition, after, most).await
    }

    /// Deletes a job that waits or is dead. One that runs can be cancelled.
    ///
    /// # Errors
    /// [`Error::is_gone`] when it was not found, or runs.
    pub async fn delete(&self, job: impl Into<Handle>) -> Result<(), Error> {
        self.client.broker().delete(&self.own(job)?).await
    }

    /// Lets a job that waits, in a lane or for its time, wait until that moment.
    ///
    /// # Errors
    /// [`Error::is_gone`] when it was not found waiting.
    pub async fn reschedule(
        &self,
        job: impl Into<Handle>,
        at: impl Into<Timestamp>,
    ) -> Result<(), Error> {
        self.client.broker().reschedule(&self.own(job)?, Some(at.into())).await
    }

    /// Lets a job that waits for its time, or for another attempt, run now; a dead one is revived.
    ///
    /// # Errors
    /// [`Error::is_gone`] when it was not found waiting or dead.
    pub async fn run_now(&self, job: impl Into<Handle>) -> Result<(), Error> {
        let (broker, handle) = (self.client.broker(), self.own(job)?);
        match broker.find(&handle).await? {
            Some(view) if view.state == State::Dead => broker.revive(&view.handle).await,
            Some(view) => broker.reschedule(&view.handle, None).await,
            None => Err(Error::gone("the job was not found").with_job(handle.job)),
        }
    }

    /// Puts a dead job back into its lane: it has all its attempts again.
    ///
    /// # Errors
    /// [`Error::is_gone`] when it is not dead, [`Error::is_invalid`] when what died there is no
    /// job.
    pub async fn revive(&self, job: impl Into<Handle>) -> Result<(), Error> {
        self.client.broker().revive(&self.own(job)?).await
    }

    /// The same for all that are dead now and satisfy `which`, in bounded steps. Returns how many.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it; some may have been revived before.
    pub async fn revive_where(&self, which: impl Fn(&JobView) -> bool) -> Result<u64, Error> {
        let started = self.overview().await?.now;
        let (mut revived, mut cursor) = (0, None);
        loop {
            let mut page = self.dead(cursor.as_ref(), BATCH).await?;
            // Those that die again meanwhile are left alone: they have a later time.
            page.jobs.retain(|view| view.at <= started && which(view));
            let gone = self.client.broker().revive_all(&self.partition, &page.jobs).await?;
            revived += count(&gone);
            match page.next_without(&gone) {
                Some(next) => cursor = Some(next),
                None => return Ok(revived),
            }
        }
    }

    /// Puts a dead job back into its lane with another payload, given as JSON.
    ///
    /// # Errors
    /// As [`Inspector::revive`], and [`Error::is_too_large`] for a payload above 1 MiB.
    pub async fn edit_and_revive(
        &self,
        job: impl Into<Handle>,
        payload: &serde_json::Value,
    ) -> Result<(), Error> {
        let text = payload.to_string();
        let handle = self.own(job)?;
        self.client.broker().revive_with(&handle, Format::Json, text.as_bytes()).await
    }

    /// Deletes all that wait, in the lanes and for their time, in bounded steps; what runs and what
    /// is dead stays. Returns how many. Pause the queue first if none shall slip through.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it; some may have been deleted before.
    pub async fn drain(&self) -> Result<u64, Error> {
        let broker = self.client.broker();
        let mut deleted = 0;
        for lane in Lane::ALL {
            let mut cursor = None;
            loop {
                let page = self.ready(lane, cursor.as_ref(), DELETED).await?;
                deleted += count(&broker.delete_all(&self.partition, &page.jobs).await?);
                // Entries keep their order, so what is behind the cursor is dealt with.
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
        }
        let mut cursor = None;
        loop {
            let page = self.due(cursor.as_ref(), DELETED).await?;
            let gone = broker.delete_all(&self.partition, &page.jobs).await?;
            deleted += count(&gone);
            match page.next_without(&gone) {
                Some(next) => cursor = Some(next),
                None => return Ok(deleted),
            }
        }
    }

    /// Deletes all that is dead, in bounded steps. Returns how many.
    ///
    /// # Errors
    /// As [`Inspector::drain`].
    pub async fn purge_dead(&self) -> Result<u64, Error> {
        let (mut deleted, mut cursor) = (0, None);
        loop {
            let page = self.dead(cursor.as_ref(), BATCH).await?;
            let gone = self.client.broker().delete_all(&self.partition, &page.jobs).await?;
            deleted += count(&gone);
            match page.next_without(&gone) {
                Some(next) => cursor = Some(next),
                None => return Ok(deleted),
            }
        }
    }

    fn own(&self, job: impl Into<Handle>) -> Result<Handle, Error> {
        let handle = job.into();
        if handle.partition.queue == self.partition.queue {
            return Ok(handle);
        }
        Err(Error::invalid(format!(
            "the job belongs to queue {}, this is {}",
            handle.partition.queue, self.partition.queue
        ))
        .with_job(handle.job))
    }
}

fn count(done: &[bool]) -> u64 {
    done.iter().filter(|done| **done).count() as u64
}
