//! Reads the state of a queue and repairs its jobs, over all its partitions.

use poolder_core::broker::KeyView;
use poolder_core::view::{Cursor, JobView, Listing, Page, QueueView};
use poolder_core::{Error, Job, Lane, Partition, QueueName, UniqueKey};

use crate::admin::action::Action;
use crate::admin::sweep::{BulkReport, Sweep};
use crate::client::Client;
use crate::state::audit::Change;

/// Reads and repairs one queue; made by [`Client::inspect`]. Every read is bounded, and lists are
/// read in pages. [`Client::job`] reads and changes one job of a list. An illegal name of the queue
/// is the error of each call ([`Error::is_invalid`]).
///
/// All of it means the whole queue: of an addressed pool all slots that it ever had, since jobs may
/// be left in slots out of service. Partitions that could not be read, such as those of a server of
/// the cluster that is away, are named in each answer; it is an error when none can be read.
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
    pub(super) client: Client,
    queue: String,
}

impl Inspector {
    pub(super) fn new(client: Client, queue: String) -> Self {
        Self { client, queue }
    }

    /// Returns the state of the queue: for each lane the number of waiting jobs and the age of the
    /// oldest; the numbers of running, due, retrying and dead jobs; whether the queue is paused; its
    /// leader; its counters. Each partition is read at one moment, all of them in two round trips.
    /// [`Client::overview`] reads all queues.
    ///
    /// # Errors
    /// Returns an error when no partition can be read.
    pub async fn overview(&self) -> Result<QueueView, Error> {
        self.client.broker().queue_overview(&self.name()?).await
    }

    /// Returns a page of the jobs that wait in a lane for a free slot, in the order in which they
    /// will start; of an addressed pool, in which each slot starts its own, in the order in which
    /// they entered the lane. A page has at most `most` jobs, never more than 500, and at most about
    /// 1 MiB. A `most` of 0 counts as 1.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a cursor of another listing; also returns an error when no partition
    /// can be read.
    pub async fn ready(
        &self,
        lane: Lane,
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        self.page((Listing::Ready, Some(lane)), after, most).await
    }

    /// Returns a page of all jobs that wait for a free slot: lane by lane, and then those that wait in
    /// the groups of a limited queue, which are in no particular order. A page of these may have a few
    /// jobs more than `most`.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn waiting(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.page((Listing::Ready, None), after, most).await
    }

    /// Returns a page of the running jobs, each with its node, its start and its attempt.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn running(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.page((Listing::Running, None), after, most).await
    }

    /// Returns a page of the jobs that wait for their time, the earliest first.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn due(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.page((Listing::Due, None), after, most).await
    }

    /// Returns a page of the dead jobs, the one that died last first.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn dead(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.page((Listing::Dead, None), after, most).await
    }

    /// Returns the jobs that are done or cancelled, as far as their pool keeps them, the last to end
    /// first. A page has at most `most` jobs.
    ///
    /// # Errors
    /// As [`Inspector::ready`].
    pub async fn finished(&self, after: Option<&Cursor>, most: usize) -> Result<Page, Error> {
        self.page((Listing::Finished, None), after, most).await
    }

    /// Revives all jobs that are dead at the time of the call and satisfy `which`, in bounded
    /// steps. Returns the number of revived jobs. [`Inspector::bulk`] does more, and reports on it.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command, and one that names
    /// the partitions that could not be read; some jobs may have been revived by then.
    pub async fn revive_where(&self, which: impl Fn(&JobView) -> bool) -> Result<u64, Error> {
        let sweep = self.sweep(Listing::Dead, &Action::Revive)?;
        let change = sweep.change("those that satisfy a function");
        let begun = self.client.auditor().begin(change).await;
        let revived = sweep.recorded(&begun).run(|job, _| which(job), |_| false).await;
        begun.end(revived.and_then(BulkReport::whole)).await
    }

    /// Deletes all jobs that wait in the lanes or for their time, in bounded steps; running and
    /// dead jobs stay. Returns the number of deleted jobs. Pause the queue first, or jobs that
    /// start meanwhile are not deleted.
    ///
    /// # Errors
    /// As [`Inspector::revive_where`].
    pub async fn drain(&self) -> Result<u64, Error> {
        self.delete_all("queue.drain", &[Listing::Ready, Listing::Due]).await
    }

    /// Deletes all dead jobs, in bounded steps. Returns the number of deleted jobs.
    ///
    /// # Errors
    /// As [`Inspector::revive_where`].
    pub async fn purge_dead(&self) -> Result<u64, Error> {
        self.delete_all("queue.purge", &[Listing::Dead]).await
    }

    /// Returns some of the unique keys of the queue that are held, at most about `most`, each with
    /// the job that holds it, and the cursor of the next page; `None` after the last one. Keys that
    /// are taken or freed meanwhile may be missing.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn unique_keys(
        &self,
        after: Option<u64>,
        most: usize,
    ) -> Result<(Vec<KeyView>, Option<u64>), Error> {
        let partition = Partition::first(self.name()?);
        self.client.broker().held_keys(&partition, after, most).await
    }

    /// Returns the job that holds a unique key of the queue; `None` for a key that is free.
    ///
    /// # Errors
    /// As [`Inspector::unique_keys`].
    pub async fn unique_key(&self, key: UniqueKey) -> Result<Option<KeyView>, Error> {
        self.client.broker().key_holder(&Partition::first(self.name()?), key).await
    }

    /// Returns the job that keeps this one out by the rule of its type; `None` when its key is free,
    /// and for a type without a rule.
    ///
    /// # Errors
    /// As [`Inspector::unique_keys`], and those of the payload.
    pub async fn unique_holder<J: Job>(&self, job: &J) -> Result<Option<KeyView>, Error> {
        let Some(rule) = job.unique() else { return Ok(None) };
        let mut payload = vec![];
        job.encode(&mut payload)?;
        self.unique_key(rule.key(job.kind(), &payload)?).await
    }

    /// Frees a key that is held as it was seen. Its job goes on, so another one of the key may run
    /// beside it. Returns false when another job holds the key meanwhile.
    ///
    /// # Errors
    /// As [`Inspector::unique_keys`].
    pub async fn release_unique_key(&self, seen: &KeyView) -> Result<bool, Error> {
        let released = self.client.broker().release_key(seen);
        let change = || Change::new("unique.release", format_args!("{}/{}", self.queue, seen.key));
        self.client.auditor().record(change, |done| u64::from(*done), released).await
    }

    async fn delete_all(&self, action: &'static str, listings: &[Listing]) -> Result<u64, Error> {
        let begun = self.client.auditor().begin(Change::new(action, self.name()?)).await;
        let deleted = async {
            let mut deleted: Option<BulkReport> = None;
            for listing in listings {
                let sweep = self.sweep(*listing, &Action::Delete)?.recorded(&begun);
                let report = sweep.run(|_, _| true, |_| false).await?;
                deleted = Some(match deleted {
                    Some(before) => before.and(&report),
                    None => report,
                });
            }
            deleted.map_or(Ok(0), BulkReport::whole)
        };
        let deleted = deleted.await;
        begun.end(deleted).await
    }

    /// Returns the walk that takes an action on jobs of a listing.
    pub(super) fn sweep<'a>(
        &'a self,
        listing: Listing,
        action: &'a Action,
    ) -> Result<Sweep<'a>, Error> {
        let (client, queue) = (&self.client, self.name()?);
        Ok(Sweep { client, queue, listing, action, dry_run: false, most: u64::MAX, begun: None })
    }

    async fn page(
        &self,
        listing: (Listing, Option<Lane>),
        after: Option<&Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        self.client.broker().page(&self.partitions().await?, listing, after, most).await
    }

    /// Returns the partitions that may hold jobs of the queue.
    async fn partitions(&self) -> Result<Vec<Partition>, Error> {
        self.client.broker().partitions(&self.name()?).await
    }

    fn name(&self) -> Result<QueueName, Error> {
        QueueName::new(&self.queue)
    }
}
