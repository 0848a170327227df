//! The holder of a key: its slot, the node that holds the slot, and the jobs before those of the key.

use std::fmt;

use futures_util::future::{try_join, try_join3};
use poolder_core::policy::dispatch::{Mode, Pick, hash, pick};
use poolder_core::view::{JobView, Listing};
use poolder_core::{Error, JobId, Lane, Partition, QueueName, Timestamp};
use serde::Serialize;

use crate::admin::words::{many, many_do, span, when};
use crate::client::Client;

/// The most waiting jobs of each lane of the slot that are looked at.
const LOOKED_AT: usize = 500;

/// The slot of a key in a pool of the mode `phash`, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyHolder {
    /// The queue of the pool.
    pub queue: QueueName,
    /// The key, as text.
    pub key: String,
    /// The slot in which the jobs of the key run.
    pub slot: u16,
    /// The slot in which jobs of the key from before a resize still may run; `None` when there is
    /// no other.
    pub former_slot: Option<u16>,
    /// The node that holds the slot, if one does.
    pub holder: Option<String>,
    /// True when that node is silent, dead or missing from the roster.
    pub holder_is_gone: bool,
    /// How often the slot has been taken: the fence of each job that runs there.
    pub term: u64,
    /// True when the slot or the whole pool is stopped.
    pub stopped: bool,
    /// The job that runs in the slot, or else the next one.
    pub front: Option<KeyedJob>,
    /// The time until which a retry in front blocks the slot.
    pub hold_until: Option<Timestamp>,
    /// The number of jobs of the key that wait in the slot, among those that were looked at.
    pub of_key: u64,
    /// The number of jobs that wait in the slot.
    pub waiting: u64,
    /// The number of waiting jobs that were looked at.
    pub looked_at: u64,
    /// The number of jobs of the slot that wait for their time.
    pub due: u64,
    /// The server's clock.
    pub now: Timestamp,
}

/// The job in front of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyedJob {
    /// The id of the job.
    pub job: JobId,
    /// The kind of the job; empty for an entry that is no job.
    pub kind: String,
    /// True when the job has the key.
    pub is_of_key: bool,
    /// The time since when the job runs; `None` when it waits.
    pub running_since: Option<Timestamp>,
    /// The end of its timeout, if the job has its own.
    pub until: Option<Timestamp>,
}

impl Client {
    /// Tells who holds a key: the slot of its jobs in a pool of the mode `phash`, the node that
    /// holds the slot, the job in front, and how many jobs of the key wait behind. Looks at up to
    /// 500 waiting jobs of each lane of the slot.
    ///
    /// ```no_run
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// println!("{}", client.who_holds("orders", "customer-7").await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no such pool is registered, [`Error::is_invalid`] for a pool
    /// whose jobs have no keys, or an illegal name; also returns an error when the server does not
    /// answer or refuses a read.
    pub async fn who_holds(
        &self,
        queue: impl AsRef<str>,
        key: impl AsRef<[u8]>,
    ) -> Result<KeyHolder, Error> {
        let (queue, key) = (QueueName::new(queue)?, key.as_ref());
        let pool = self.pool::<()>(&queue).view().await?;
        if pool.mode != Mode::Phash {
            return Err(Error::invalid(format!(
                "pool {queue} has the mode {}: only the jobs of a pool of the mode phash have keys",
                pool.mode
            )));
        }
        let hash = hash(key);
        let slot_of = |size: u16| match pick(pool.mode, hash, size) {
            Pick::One(slot) => slot,
            Pick::Any | Pick::All => 0,
        };
        let slot = slot_of(pool.size);
        let former = pool.before.filter(|_| !pool.open).map(slot_of).filter(|it| *it != slot);
        let partition = Partition { queue: queue.clone(), index: slot };
        let broker = self.broker();
        let ((lease, view, running), (front, normal)) = try_join(
            try_join3(
                broker.slot_facts(&partition),
                broker.overview(&partition),
                self.first_jobs(&partition, (Listing::Running, None), 1),
            ),
            try_join(
                self.first_jobs(&partition, (Listing::Ready, Some(Lane::Front)), LOOKED_AT),
                self.first_jobs(&partition, (Listing::Ready, Some(Lane::Normal)), LOOKED_AT),
            ),
        )
        .await?;
        let gone = match &lease.holder {
            Some(holder) => {
                let nodes = self.nodes().await?;
                !nodes.iter().any(|node| node.name == *holder && !node.is_silent())
            }
            None => false,
        };
        let waiting: Vec<&JobView> = front.iter().chain(&normal).collect();
        let first = running.first().or_else(|| waiting.first().copied());
        Ok(KeyHolder {
            key: String::from_utf8_lossy(key).into_owned(),
            slot,
            former_slot: former,
            holder: lease.holder,
            holder_is_gone: gone,
            term: lease.term,
            stopped: lease.stopped || pool.stopped,
            front: first.map(|job| keyed(job, hash)),
            hold_until: lease.hold.filter(|until| *until > view.now),
            of_key: waiting.iter().filter(|job| job.key() == Some(hash)).count() as u64,
            waiting: view.ready(),
            looked_at: waiting.len() as u64,
            due: view.due,
            now: view.now,
            queue,
        })
    }
}

fn keyed(job: &JobView, hash: u64) -> KeyedJob {
    let running_since = job.node.is_some().then_some(job.at);
    let timeout = job.own_policy().and_then(|policy| policy.timeout);
    KeyedJob {
        job: job.id(),
        kind: job.kind().unwrap_or_default().to_owned(),
        is_of_key: job.key() == Some(hash),
        running_since,
        until: running_since.zip(timeout).map(|(since, timeout)| since + timeout),
    }
}

impl fmt::Display for KeyHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key {:?} of pool {} runs in slot {}", self.key, self.queue, self.slot)?;
        if let Some(former) = self.former_slot {
            writeln!(f, "after a resize: jobs from before run in slot {former} first")?;
        }
        match &self.holder {
            None => writeln!(f, "no node holds the slot")?,
            Some(holder) => {
                let gone = if self.holder_is_gone { ", which does not live" } else { "" };
                writeln!(f, "holder: {holder}{gone}, term {}", self.term)?;
            }
        }
        if self.stopped {
            writeln!(f, "the slot is stopped")?;
        }
        if let Some(front) = &self.front {
            let whose = if front.is_of_key { "of this key" } else { "of another key" };
            let does = match front.running_since {
                Some(since) => format!("runs for {}", span(self.now.since(since))),
                None => "is next".into(),
            };
            writeln!(f, "in front: {} {}, {whose}, {does}", front.kind, front.job)?;
        }
        if let Some(until) = self.hold_until {
            writeln!(f, "a retry blocks the slot, its attempt starts {}", when(until, self.now))?;
        }
        writeln!(
            f,
            "{} in the slot, {} of this key among the {} that were looked at; {}",
            many_do(self.waiting, "job", "wait"),
            self.of_key,
            self.looked_at,
            format_args!("{} due later", many(self.due, "job")),
        )
    }
}
