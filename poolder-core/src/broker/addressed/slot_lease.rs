//! The lease of an addressed slot. A node holds the lease until the node dies or releases it. The
//! lease's term is the fence of every job that runs under the lease.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::{ConnectionLike, MultiplexedConnection};

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::{RedisOperation, Trip};
use crate::broker::jobs::pending::{Found, read_found};
use crate::broker::keys::{GROUP, PartitionKeys};
use crate::broker::{Broker, NodeName, SlotLease, scripts};
use crate::job::{EntryId, Error, Lane, Partition};
use crate::stored::Entry;

/// The most bytes of an entry in the reply to a poll. A larger entry is read on a connection that no
/// other command uses: when its reply is lost, the outcome of no other command is.
const MAX_SHARED_BYTES: usize = 64 << 10;

/// The outcome of [`Broker::acquire_slot`].
#[derive(Debug, Clone)]
pub enum AcquireReply {
    /// The node has taken the slot, under this lease.
    Ours(SlotLease),
    /// The slot is held by the node of this name.
    Held(String),
    /// The slot was stopped; no node can take it until it is started again.
    Stopped,
}

/// A request of a slot's holder: jobs to complete, and jobs to claim.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollRequest<'a> {
    /// The entries of jobs to complete, at most [`PollRequest::MAX_JOBS`].
    pub complete: &'a [EntryId],
    /// The lane of all entries in `complete`: one poll claims from one lane only.
    pub lane: Lane,
    /// The most jobs to claim, up to [`PollRequest::MAX_JOBS`]. Must be 0 while the caller holds jobs
    /// that it has not run: a poll with `look` would return these jobs again. From the front lane,
    /// at most one job is claimed.
    pub claim: usize,
    /// True to look first for jobs that were claimed before by a poll whose reply was lost. Then
    /// `complete` must be empty: its ids may mean those jobs, if the server has another history.
    pub look: bool,
    /// The pool's generation, as the caller knows it.
    pub generation: u64,
    /// True when jobs stored in this generation may run.
    pub open: bool,
    /// True when the caller knows the last ids of both lanes, because it has claimed all jobs
    /// stored since it received them. Finding the ids costs the server more than an empty poll.
    pub known: bool,
    /// The number of polls under this lease whose reply was lost before. A poll that arrives after
    /// one with a greater number claims nothing: its sender has given it up.
    pub lost: u64,
}

impl PollRequest<'_> {
    /// The most jobs that one poll completes, and the most that it claims.
    pub const MAX_JOBS: usize = 16;
}

/// The reply to a [`PollRequest`].
#[derive(Debug)]
pub struct PollReply {
    /// How many of the jobs to complete were still claimed by the slot's holder; these are
    /// completed.
    pub completed: usize,
    /// The next step of the slot.
    pub result: SlotPoll,
}

/// The next step of a slot, as a poll found it.
#[derive(Debug)]
pub enum SlotPoll {
    /// The lease was lost: the slot has another holder or a later term.
    Lost,
    /// The slot was stopped: its holder must start no further job.
    Stopped,
    /// The request claimed no jobs, or came after a later request of the same holder.
    Idle,
    /// These entries were claimed: run them in this order, or bury them.
    Claimed(Vec<Entry>),
    /// These entries were claimed before, by a poll whose reply was lost: run or bury them, too.
    /// They are all such entries of their lane, up to [`PollRequest::MAX_JOBS`].
    Found(Vec<Entry>),
    /// The job at the front waits this long for its next attempt, and the slot with it.
    Hold(Duration),
    /// The slot has run all jobs stored before the last resize. Other slots still run theirs, or
    /// the caller does not know that resize yet.
    Wait,
    /// Both lanes are empty. After these last ids, of the front and of the normal lane,
    /// [`SlotWait::wait`] notices new entries; `None` when the request said that they are known.
    Empty(Option<[EntryId; 2]>),
}

impl Broker {
    /// Takes a slot for a node. Succeeds when the slot is free, when the node itself is its holder,
    /// and when its holder is `gone`, a node known to be dead.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. The node may hold
    /// the slot then, without knowing its term.
    pub async fn acquire_slot(
        &self,
        slot: &Partition,
        node: &NodeName,
        gone: Option<&str>,
    ) -> Result<AcquireReply, Error> {
        let keys = self.keys(slot);
        let own = [keys.lease.as_str(), keys.lane(Lane::Front), keys.lane(Lane::Normal)];
        let mut cmd = scripts::call(&scripts::SLOT_ACQUIRE, own);
        cmd.arg(node.as_ref()).arg(gone.unwrap_or_default());
        let reply = self.command(&cmd).await?;
        let [verdict, term, holder] = reply::items::<3>(reply)?;
        let term = u64::try_from(reply::int(term)?).unwrap_or(0);
        Ok(match reply::int(verdict)? {
            1 => AcquireReply::Ours(SlotLease { slot: slot.clone(), node: Arc::clone(node), term }),
            0 => AcquireReply::Held(reply::text(holder)?),
            _ => AcquireReply::Stopped,
        })
    }

    /// Releases a slot, so that another node can take it at once; with `stop`, no node can until
    /// the slot is started again. Returns false when the lease was lost before.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn release_slot(&self, lease: &SlotLease, stop: bool) -> Result<bool, Error> {
        let keys = self.keys(&lease.slot);
        let own = [keys.lease.as_str(), keys.lane(Lane::Front), keys.lane(Lane::Normal)];
        let mut cmd = scripts::call(&scripts::SLOT_RELEASE, own);
        cmd.arg(lease.node.as_ref()).arg(lease.term).arg(if stop { "1" } else { "" });
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }

    /// Records that a suspect begins in a slot: if this node dies, [`Broker::begun`] shows that the
    /// suspect ran. Returns false when the lease was lost before.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; the suspect may be
    /// recorded then.
    pub async fn begin_suspect_in_slot(
        &self,
        lease: &SlotLease,
        entry: &str,
    ) -> Result<bool, Error> {
        let keys = self.keys(&lease.slot);
        let mut cmd = scripts::call(&scripts::SLOT_BEGIN, [keys.lease.as_str()]);
        cmd.arg(lease.node.as_ref()).arg(lease.term).arg(entry);
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }

    /// Returns the entry of the last suspect that began in the slot, if it is still claimed: its
    /// end is not settled.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn begun(&self, slot: &Partition) -> Result<Option<EntryId>, Error> {
        let mut cmd = redis::cmd("HGET");
        let keys = self.keys(slot);
        cmd.arg(&keys.lease).arg("begun");
        let entry = match self.command(&cmd).await? {
            Value::Nil => return Ok(None),
            entry => reply::text(entry)?,
        };
        let mut pipe = redis::pipe();
        for lane in [Lane::Front, Lane::Normal] {
            pipe.cmd("XPENDING").arg(keys.lane(lane)).arg(GROUP).arg(&entry).arg(&entry).arg(1);
        }
        let replies = self.pipeline(&pipe).await?;
        // A lane without a consumer group has no claimed entries.
        let claimed = |reply: Value| reply::array(reply).is_ok_and(|list| !list.is_empty());
        let is_claimed = replies.into_iter().flatten().any(claimed);
        Ok(is_claimed.then(|| entry.as_str().into()))
    }

    /// Completes jobs and claims the next ones, in one step and one round trip.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. Jobs may have been
    /// completed and claimed then: settle the same jobs with [`Broker::settle`], and set
    /// [`PollRequest::look`].
    pub async fn poll_slot(
        &self,
        lease: &SlotLease,
        request: &PollRequest<'_>,
    ) -> Result<PollReply, Error> {
        let keys = self.keys(&lease.slot);
        let lanes = [keys.lane(Lane::Front), keys.lane(Lane::Normal)];
        let own = [keys.lease.as_str(), lanes[0], lanes[1], keys.stats.as_str()];
        let mut cmd = scripts::call(&scripts::SLOT_POLL, own);
        cmd.arg(lease.node.as_ref()).arg(lease.term);
        let flag = |set: bool| if set { "1" } else { "" };
        cmd.arg(request.claim.min(PollRequest::MAX_JOBS)).arg(flag(request.look));
        cmd.arg(request.generation).arg(flag(request.open)).arg(flag(request.known));
        cmd.arg(if request.lane == Lane::Front { "2" } else { "3" }).arg(request.lost);
        // Perhaps a reply was lost because of its size, so an entry that is found again is measured
        // first.
        cmd.arg(if request.look { 0 } else { MAX_SHARED_BYTES });
        for entry in request.complete {
            cmd.arg(entry.as_ref());
        }
        let reply = self.command_of(RedisOperation::Claim, &cmd).await?;
        let mut reply = reply::array(reply)?.into_iter();
        let mut next = || reply.next().unwrap_or_default();
        let verdict = reply::text(next())?;
        if verdict == "LOST" {
            return Ok(PollReply { completed: 0, result: SlotPoll::Lost });
        }
        let completed = usize::try_from(reply::int(next())?).unwrap_or(0);
        let result = match verdict.as_str() {
            "JOB" | "FOUND" => {
                let lane = if reply::int(next())? == 2 { Lane::Front } else { Lane::Normal };
                let found = read_found(keys.lane(lane), lane, reply)?;
                let entries = self.claimed_entries((keys.lane(lane), lane), found).await?;
                if verdict == "JOB" { SlotPoll::Claimed(entries) } else { SlotPoll::Found(entries) }
            }
            "HOLD" => {
                let millis = u64::try_from(reply::int(next())?).unwrap_or(0);
                SlotPoll::Hold(Duration::from_millis(millis.max(1)))
            }
            "STOP" => SlotPoll::Stopped,
            "WAIT" => SlotPoll::Wait,
            "EMPTY" if request.known => SlotPoll::Empty(None),
            "EMPTY" => {
                SlotPoll::Empty(Some([reply::text(next())?.into(), reply::text(next())?.into()]))
            }
            _ => SlotPoll::Idle,
        };
        Ok(PollReply { completed, result })
    }

    /// Reads the entries that a poll has left out of its reply, unless they are too large.
    async fn claimed_entries(
        &self,
        lane: (&str, Lane),
        all: Vec<Found>,
    ) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::with_capacity(all.len());
        for found in all {
            match found {
                Found::Read(entry, _) => entries.push(entry),
                left_out => {
                    let mut connection = self.alone(lane.0).await?;
                    let id = std::slice::from_ref(left_out.id());
                    self.read_entries(&mut connection, lane, id, &mut entries).await?;
                }
            }
        }
        Ok(entries)
    }
}

/// A connection on which an idle slot waits for new entries. It claims nothing, so it may be
/// dropped at any time.
pub struct SlotWait {
    broker: Broker,
    keys: Arc<PartitionKeys>,
    connection: MultiplexedConnection,
}

impl SlotWait {
    /// Opens the connection.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn open(broker: &Broker, slot: &Partition) -> Result<Self, Error> {
        let keys = broker.keys(slot);
        let connection = broker.waiting_on(&keys.lease).await?;
        Ok(Self { broker: broker.clone(), keys, connection })
    }

    /// Waits up to 5 s for an entry after these ids, of the front and of the normal lane. Returns
    /// true when there is one.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; drop the connection
    /// then.
    pub async fn wait(&mut self, after: &[EntryId; 2]) -> Result<bool, Error> {
        let mut cmd = redis::cmd("XREAD");
        cmd.arg("COUNT").arg(1).arg("BLOCK").arg(crate::job::clamped_millis(BLOCK));
        cmd.arg("STREAMS").arg(self.keys.lane(Lane::Front)).arg(self.keys.lane(Lane::Normal));
        cmd.arg(after[0].as_ref()).arg(after[1].as_ref());
        let reply = self.connection.req_packed_command(&cmd).await.and_then(Value::extract_error);
        let trips = &self.broker.inner.round_trips;
        trips.end(Trip::waiting(RedisOperation::Claim), &reply);
        match reply {
            Ok(reply) => Ok(reply != Value::Nil),
            Err(error) => Err(self.broker.classify(error)),
        }
    }
}

impl std::fmt::Debug for SlotWait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotWait").finish_non_exhaustive()
    }
}
