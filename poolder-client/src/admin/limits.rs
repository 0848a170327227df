//! The limits of a queue: set, read and ended; and its groups: read, limited, paused and purged.

use std::cmp::Reverse;

use poolder_core::broker::{
    GroupCursor, GroupLimits, GroupPage, GroupView, Precedence, QueueLimits,
};
use poolder_core::history::JournalEvent;
use poolder_core::view::JobView;
use poolder_core::{Error, Partition, QueueName};
use serde::Serialize;

use crate::client::Client;
use crate::state::audit::Change;

/// The most groups of a page.
const PAGE: usize = 500;
/// The most groups that are looked at for the largest ones.
const MOST_LOOKED_AT: usize = 10_000;

/// The limits of a queue: how many of its jobs, and of each group of them, run at a time in all nodes
/// together, and how many start in a time. From [`Client::limits`]. It also operates the groups: one
/// is paused, purged, or given limits of its own.
///
/// ```no_run
/// # use poolder_client::Client;
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let reports = client.limits("reports");
/// for group in reports.largest_groups(10, |_| true).await?.groups {
///     println!("{}: {} wait, {} run, {}", group.name, group.waiting, group.running, group.state);
/// }
/// reports.pause_group("acme").await?;
/// println!("deleted {} jobs", reports.purge_group("acme").await?);
/// reports.resume_group("acme").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct LimitsHandle {
    client: Client,
    queue: String,
}

/// The groups of a queue in which most jobs wait, among those that were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LargestGroups {
    /// The groups, the one with the most waiting jobs first.
    pub groups: Vec<GroupView>,
    /// The number of groups that were looked at, 10,000 at most.
    pub looked_at: u64,
    /// True when the queue has others, at which was not looked.
    pub is_partial: bool,
}

impl Client {
    /// Returns a handle of the limits of a queue.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::broker::{GroupLimits, QueueLimits};
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let reports = client.limits("reports");
    /// reports.set(QueueLimits::new().concurrency(200).group_concurrency(4)).await?;
    /// reports.set_group("acme", GroupLimits::new().concurrency(20).weight(5)).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn limits(&self, queue: impl AsRef<str>) -> LimitsHandle {
        LimitsHandle { client: self.clone(), queue: queue.as_ref().into() }
    }
}

impl LimitsHandle {
    /// Limits the queue, or replaces its limits. They hold from the next claim on: jobs that run
    /// already end, and count. A queue that gets its first limits keeps its waiting jobs, which are
    /// put into their groups in their order; jobs that run at this moment end, and do not count.
    ///
    /// # Errors
    /// [`Error::is_refused`] while a living node of the queue runs a version that knows no limits;
    /// the error names it. [`Error::is_invalid`] for an illegal name, a limit of 0 or above a
    /// million, a rate that is not allowed, and the queue of an addressed or broadcast pool. Also
    /// returns an error when the server does not answer or refuses the command.
    pub async fn set(&self, limits: QueueLimits) -> Result<(), Error> {
        self.define(limits, Precedence::Given).await.map(drop)
    }

    /// Limits the queue, unless it has limits. Returns whether the limits were set.
    ///
    /// # Errors
    /// As [`LimitsHandle::set`].
    pub async fn declare(&self, limits: QueueLimits) -> Result<bool, Error> {
        self.define(limits, Precedence::Stored).await
    }

    /// Returns the limits of the queue; `None` for a queue without, and while they end.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name; also returns an error when the server does not
    /// answer or refuses the command.
    pub async fn get(&self) -> Result<Option<QueueLimits>, Error> {
        self.client.broker().queue_limits(&self.partition()?).await
    }

    /// Ends the limits. Jobs that wait in groups may start at once, in turn; once none of them waits
    /// the queue is one without limits. Returns how many wait.
    ///
    /// # Errors
    /// As [`LimitsHandle::get`].
    pub async fn end(&self) -> Result<u64, Error> {
        let partition = self.partition()?;
        let ended = self.client.broker().end_limits(&partition);
        let change =
            || Change::new("limits.end", &partition.queue).event(JournalEvent::LimitsEnded);
        self.client.auditor().record(change, |_| 1, ended).await
    }

    /// Sets the own limits of a group, in place of those of the queue. With none set the group has
    /// those of the queue again. Returns false when the queue has no limits: nothing is changed then.
    ///
    /// # Errors
    /// As [`LimitsHandle::get`], and [`Error::is_invalid`] for the name of a group above 128 bytes or
    /// with control characters, a concurrency of 0 or above a million, a weight of 0 or above 100,
    /// and a rate that is not allowed.
    pub async fn set_group(&self, group: &str, limits: GroupLimits) -> Result<bool, Error> {
        let partition = self.partition()?;
        let set = self.client.broker().limit_group(&partition, group, limits);
        let change = || {
            let target = format!("{}/{group}", partition.queue);
            Change::ordinary("group.limit", target)
                .detail(texts(&[("concurrency", limits.concurrency), ("weight", limits.weight)]))
        };
        self.client.auditor().record(change, |set| u64::from(*set), set).await
    }

    /// Returns a group; `None` for one of which no job waits or runs, and which is not paused and has
    /// no limits of its own.
    ///
    /// # Errors
    /// As [`LimitsHandle::get`], and [`Error::is_invalid`] for a name of more than 128 bytes.
    pub async fn group(&self, group: &str) -> Result<Option<GroupView>, Error> {
        self.client.broker().group(&self.partition()?, group).await
    }

    /// Returns a page of the groups: those of which jobs wait or run, and then all others that are
    /// paused or have limits of their own. A page has about `most` groups, about 500 at most, in no
    /// particular order; it may have none although there are more. A group that comes or goes between
    /// two pages may be missing, or be there twice.
    ///
    /// # Errors
    /// As [`LimitsHandle::get`].
    pub async fn groups(
        &self,
        after: Option<GroupCursor>,
        most: usize,
    ) -> Result<GroupPage, Error> {
        self.client.broker().groups(&self.partition()?, after, most).await
    }

    /// Returns the groups that satisfy `which` and in which most jobs wait, among the first 10,000.
    ///
    /// # Errors
    /// As [`LimitsHandle::get`].
    pub async fn largest_groups(
        &self,
        most: usize,
        which: impl Fn(&GroupView) -> bool,
    ) -> Result<LargestGroups, Error> {
        let mut largest = LargestGroups { groups: vec![], looked_at: 0, is_partial: false };
        let (mut after, mut seen) = (None, 0);
        loop {
            let page = self.groups(after, PAGE).await?;
            seen += page.groups.len();
            largest.groups.extend(page.groups.into_iter().filter(&which));
            largest.groups.sort_by_key(|group| (Reverse(group.waiting), Reverse(group.running)));
            largest.groups.truncate(most);
            after = page.next;
            if after.is_none() || seen >= MOST_LOOKED_AT {
                break;
            }
        }
        (largest.looked_at, largest.is_partial) = (seen as u64, after.is_some());
        Ok(largest)
    }

    /// Returns the jobs of a group that will start first, in their order: at most `most`, about 250
    /// at most.
    ///
    /// # Errors
    /// As [`LimitsHandle::group`].
    pub async fn first_of_group(&self, group: &str, most: usize) -> Result<Vec<JobView>, Error> {
        self.client.broker().first_of_group(&self.partition()?, group, most).await
    }

    /// Pauses a group: none of its jobs starts until it is resumed. Those that run end; jobs that
    /// come, are retried or due wait. The pause holds in the whole fleet from the next claim on, and
    /// ends with the limits of the queue. Returns false when the group was paused already.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the queue has no limits; also as [`LimitsHandle::group`].
    pub async fn pause_group(&self, group: &str) -> Result<bool, Error> {
        let partition = self.partition()?;
        let paused = self.client.broker().pause_group(&partition, group);
        let change = || {
            Change::new("group.pause", format_args!("{}/{group}", partition.queue))
                .event(JournalEvent::GroupPaused)
        };
        self.client.auditor().record(change, |new| u64::from(*new), paused).await
    }

    /// Resumes a paused group at once. Returns false when the group was not paused.
    ///
    /// # Errors
    /// As [`LimitsHandle::pause_group`].
    pub async fn resume_group(&self, group: &str) -> Result<bool, Error> {
        let partition = self.partition()?;
        let resumed = self.client.broker().resume_group(&partition, group);
        let change = || {
            Change::new("group.resume", format_args!("{}/{group}", partition.queue))
                .event(JournalEvent::GroupResumed)
        };
        self.client.auditor().record(change, |new| u64::from(*new), resumed).await
    }

    /// Deletes the jobs that wait in a group, in bounded steps, with the keys of unique jobs that they
    /// hold. Jobs that run, that wait for their time or for another attempt, and those that come
    /// meanwhile stay: pause the group first, or some start meanwhile. Returns how many were
    /// deleted.
    ///
    /// # Errors
    /// As [`LimitsHandle::group`]; some jobs may have been deleted before.
    pub async fn purge_group(&self, group: &str) -> Result<u64, Error> {
        let partition = self.partition()?;
        let target = format!("{}/{group}", partition.queue);
        let begun = self.client.auditor().begin(Change::new("group.purge", target)).await;
        let purged =
            self.client.broker().purge_group(&partition, group, |step| begun.add(step)).await;
        begun.end(purged).await
    }

    async fn define(&self, limits: QueueLimits, precedence: Precedence) -> Result<bool, Error> {
        let partition = self.partition()?;
        if let Some(pool) = self.client.broker().pool_view(&partition.queue).await? {
            return Err(Error::invalid(format!(
                "queue {} has a pool of the mode {}, whose slots run one job at a time: only a shared \
                 queue has limits",
                partition.queue, pool.mode
            )));
        }
        let old = self.nodes_without_limits(&partition.queue).await?;
        if !old.is_empty() {
            return Err(Error::refused(format!(
                "queue {} cannot be limited while nodes serve it that know no limits: update {}",
                partition.queue,
                old.join(", ")
            )));
        }
        let defined = self.client.broker().define_limits(&partition, limits, precedence);
        let change = || {
            let texts = texts(&[
                ("concurrency", limits.concurrency),
                ("group concurrency", limits.group_concurrency),
            ]);
            Change::new("limits.set", &partition.queue).event(JournalEvent::LimitsSet).detail(texts)
        };
        self.client.auditor().record(change, |new| u64::from(*new), defined).await
    }

    /// Returns the living nodes that serve a queue and do not announce that they know limits.
    async fn nodes_without_limits(&self, queue: &QueueName) -> Result<Vec<String>, Error> {
        let nodes = self.client.nodes().await?.into_iter();
        let lacks = nodes.filter(|node| {
            let info = node.info.as_ref();
            info.is_some_and(|info| {
                !info.limits && info.pools.iter().any(|(name, _)| name == queue.as_str())
            })
        });
        Ok(lacks.map(|node| node.name).collect())
    }

    fn partition(&self) -> Result<Partition, Error> {
        QueueName::new(&self.queue).map(Partition::first)
    }
}

/// Returns limits as the audit says them: `concurrency 20, weight 5`.
fn texts(limits: &[(&str, Option<u32>)]) -> String {
    let text = |(name, limit): &(&str, Option<u32>)| limit.map(|limit| format!("{name} {limit}"));
    let all: Vec<String> = limits.iter().filter_map(text).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}
