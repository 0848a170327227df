//! The lease of an addressed slot. It belongs to a process for as long as that lives or until it
//! lets go, and its term is the fence of every job run under it.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::{ConnectionLike, MultiplexedConnection};

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::reply;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, NodeName, SlotLease, scripts};
use crate::job::{EntryId, Error, Lane, Partition};
use crate::stored::{Entry, read_entry};

/// What became of a try to take a slot.
#[derive(Debug, Clone)]
pub enum AcquireReply {
    /// It is ours.
    Ours(SlotLease),
    /// This node holds it.
    Held(String),
    /// It was stopped; nobody takes it until it is started again.
    Stopped,
}

/// What a slot wants from its turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct PollRequest<'a> {
    /// Jobs that are done, at most [`PollRequest::MOST`].
    pub complete: &'a [EntryId],
    /// The lane that they came from: one turn claims from one.
    pub lane: Lane,
    /// How many to claim at most, up to [`PollRequest::MOST`]. Claim none while some are held that
    /// have not been run: they would be found again by a look. From the front comes one, whatever
    /// is said here.
    pub claim: usize,
    /// Whether to look first for a claim whose reply was lost.
    pub look: bool,
    /// The pool's generation.
    pub generation: u64,
    /// Whether jobs stored in this generation may run.
    pub open: bool,
    /// Whether the last ids are known, as they are to a holder who has claimed all that came since
    /// it was told: finding them out costs the server more than an empty turn.
    pub known: bool,
}

impl PollRequest<'_> {
    /// The most jobs that a turn completes or claims.
    pub const MOST: usize = 16;
}

/// What a turn brought.
#[derive(Debug)]
pub struct PollReply {
    /// How many of the jobs that were done were still ours.
    pub completed: usize,
    /// What there is to do.
    pub turn: SlotPoll,
}

/// What there is to do for a slot.
#[derive(Debug)]
pub enum SlotPoll {
    /// The lease is somebody else's.
    Lost,
    /// Somebody stopped the slot: nothing more is to be started.
    Stopped,
    /// Nothing was to be claimed.
    Idle,
    /// Run these in their order, or bury them.
    Claimed(Vec<Entry>),
    /// The same, found by looking: there may be more.
    Found(Vec<Entry>),
    /// The front waits that long for its next attempt.
    Hold(Duration),
    /// Other slots still run what was stored before the last resize, or that resize is not known
    /// here yet.
    Wait,
    /// Nothing is there. With these ids, those of the front and of the normal lane,
    /// [`SlotWait::wait`] notices what comes; `None` when they were said to be known.
    Empty(Option<[EntryId; 2]>),
}

impl Broker {
    /// Takes a slot, also from a node that is known to be gone.
    ///
    /// # Errors
    /// Whatever keeps the server from answering: the slot may be ours then, without a term.
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
        let reply = self.script(&scripts::SLOT_ACQUIRE, &cmd).await?;
        let [word, term, holder] = reply::items::<3>(reply)?;
        let term = u64::try_from(reply::int(term)?).unwrap_or(0);
        Ok(match reply::int(word)? {
            1 => AcquireReply::Ours(SlotLease { slot: slot.clone(), node: Arc::clone(node), term }),
            0 => AcquireReply::Held(reply::text(holder)?),
            _ => AcquireReply::Stopped,
        })
    }

    /// Gives a slot up, so that another node takes it at once; with `stop` nobody does until it
    /// is started again. False when it was not ours any more.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn release_slot(&self, lease: &SlotLease, stop: bool) -> Result<bool, Error> {
        let keys = self.keys(&lease.slot);
        let own = [keys.lease.as_str(), keys.lane(Lane::Front), keys.lane(Lane::Normal)];
        let mut cmd = scripts::call(&scripts::SLOT_RELEASE, own);
        cmd.arg(lease.node.as_ref()).arg(lease.term).arg(if stop { "1" } else { "" });
        Ok(reply::int(self.script(&scripts::SLOT_RELEASE, &cmd).await?)? == 1)
    }

    /// Notes that a suspect begins: should this node die, [`Broker::begun`] tells that it ran.
    /// False when the slot was not ours any more.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; it may have been noted.
    pub async fn begin_suspect(&self, lease: &SlotLease, entry: &str) -> Result<bool, Error> {
        let keys = self.keys(&lease.slot);
        let mut cmd = scripts::call(&scripts::SLOT_BEGIN, [keys.lease.as_str()]);
        cmd.arg(lease.node.as_ref()).arg(lease.term).arg(entry);
        Ok(reply::int(self.script(&scripts::SLOT_BEGIN, &cmd).await?)? == 1)
    }

    /// The entry of the last suspect that began in the slot.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn begun(&self, slot: &Partition) -> Result<Option<EntryId>, Error> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.keys(slot).lease).arg("begun");
        match self.command(&cmd).await? {
            Value::Nil => Ok(None),
            entry => Ok(Some(reply::text(entry)?.as_str().into())),
        }
    }

    /// Completes a job and claims the next, in one step and one round trip.
    ///
    /// # Errors
    /// When the reply was lost both may have happened: settle again, and look for what is ours.
    pub async fn poll_slot(
        &self,
        lease: &SlotLease,
        order: &PollRequest<'_>,
    ) -> Result<PollReply, Error> {
        let keys = self.keys(&lease.slot);
        let lanes = [keys.lane(Lane::Front), keys.lane(Lane::Normal)];
        let own = [keys.lease.as_str(), lanes[0], lanes[1], keys.stats.as_str()];
        let mut cmd = scripts::call(&scripts::SLOT_POLL, own);
        cmd.arg(lease.node.as_ref()).arg(lease.term);
        let flag = |set: bool| if set { "1" } else { "" };
        cmd.arg(order.claim.min(PollRequest::MOST)).arg(flag(order.look));
        cmd.arg(order.generation).arg(flag(order.open)).arg(flag(order.known));
        cmd.arg(if order.lane == Lane::Front { "2" } else { "3" });
        for entry in order.complete {
            cmd.arg(entry.as_ref());
        }
        let mut reply = reply::array(self.script(&scripts::SLOT_POLL, &cmd).await?)?.into_iter();
        let mut next = || reply.next().unwrap_or_default();
        let word = reply::text(next())?;
        if word == "LOST" {
            return Ok(PollReply { completed: 0, turn: SlotPoll::Lost });
        }
        let completed = usize::try_from(reply::int(next())?).unwrap_or(0);
        let turn = match word.as_str() {
            "JOB" | "FOUND" => {
                let lane = if reply::int(next())? == 2 { Lane::Front } else { Lane::Normal };
                let stream = keys.lane(lane);
                let read = |(id, fields)| read_entry(stream, lane, id, fields);
                let entries = reply::flat_entries(reply)?.into_iter().map(read).collect();
                if word == "JOB" { SlotPoll::Claimed(entries) } else { SlotPoll::Found(entries) }
            }
            "HOLD" => {
                let millis = u64::try_from(reply::int(next())?).unwrap_or(0);
                SlotPoll::Hold(Duration::from_millis(millis.max(1)))
            }
            "STOP" => SlotPoll::Stopped,
            "WAIT" => SlotPoll::Wait,
            "EMPTY" if order.known => SlotPoll::Empty(None),
            "EMPTY" => {
                SlotPoll::Empty(Some([reply::text(next())?.into(), reply::text(next())?.into()]))
            }
            _ => SlotPoll::Idle,
        };
        Ok(PollReply { completed, turn })
    }
}

/// A connection on which an idle slot notices what comes. It claims nothing, so that it may be
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
    /// Whatever keeps the server from answering.
    pub async fn open(broker: &Broker, slot: &Partition) -> Result<Self, Error> {
        let keys = broker.keys(slot);
        let connection = broker.waiting_on(&keys.lease).await?;
        Ok(Self { broker: broker.clone(), keys, connection })
    }

    /// Waits up to 5 s for something after these ids; true when there is.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; drop the connection then.
    pub async fn wait(&mut self, after: &[EntryId; 2]) -> Result<bool, Error> {
        let mut cmd = redis::cmd("XREAD");
        cmd.arg("COUNT").arg(1).arg("BLOCK").arg(crate::job::clamped_millis(BLOCK));
        cmd.arg("STREAMS").arg(self.keys.lane(Lane::Front)).arg(self.keys.lane(Lane::Normal));
        cmd.arg(after[0].as_ref()).arg(after[1].as_ref());
        let reply = self.connection.req_packed_command(&cmd).await.and_then(Value::extract_error);
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
