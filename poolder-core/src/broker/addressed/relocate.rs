//! Moves a job to the slot in which its key belongs. The slots are in different Redis slots of a
//! cluster, so a move takes three steps: it is recorded at the source, the job is stored at its
//! destination under a receipt, and the settlement at the source removes the job and the record. Each
//! step can be repeated, also by a later holder of the slot.

use std::time::Duration;

use redis::Value;

use super::registry::{CastReply, cast_reply};
use crate::broker::connection::reply;
use crate::broker::{Broker, SlotLease, scripts};
use crate::job::{Error, JobId, Lane, Partition, clamped_millis};
use crate::stored::{Claim, head};

/// The retention of a move's receipt: longer than a slot is without a holder that ends the move.
const RECEIPT_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A move that is recorded at its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotMove {
    /// The number of the slot to which the job moves.
    pub to: u16,
    /// The id of the move.
    id: JobId,
}

impl Broker {
    /// Records that a claimed job of the lease's slot moves to slot `to`. Returns the move, which
    /// leads to another slot if an earlier holder had recorded it; `None` when the lease was lost.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; repeat the call.
    pub async fn record_move(
        &self,
        lease: &SlotLease,
        job: JobId,
        to: u16,
    ) -> Result<Option<SlotMove>, Error> {
        let keys = self.keys(&lease.slot);
        let mut cmd = scripts::call(&scripts::SLOT_MOVE, [keys.lease.as_str()]);
        cmd.arg(lease.node.as_ref()).arg(lease.term).arg(job.as_bytes()).arg(to);
        cmd.arg(JobId::generate().as_bytes());
        let mut reply = reply::array(self.command(&cmd).await?)?.into_iter();
        let Some((to, id)) = reply.next().zip(reply.next()) else { return Ok(None) };
        let id = <[u8; 16]>::try_from(reply::bytes(id)?)
            .map_err(|_| Error::protocol("the id of a move has another length"))?;
        let to = reply::text(to)?.parse();
        let to = to.map_err(|_| Error::protocol("a move leads to no slot"))?;
        Ok(Some(SlotMove { to, id: JobId::from_bytes(id) }))
    }

    /// Returns the job of the move that is recorded in a slot, if one is: a holder has begun the
    /// move and has not ended it.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn recorded_move(&self, slot: &Partition) -> Result<Option<JobId>, Error> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.keys(slot).lease).arg("moving");
        let record = match self.command(&cmd).await? {
            Value::Nil => return Ok(None),
            record => reply::bytes(record)?,
        };
        // Another program may have written something else.
        Ok(record.first_chunk::<16>().map(|id| JobId::from_bytes(*id)))
    }

    /// Stores a claimed job at the destination of its move, once; unless that slot knows a later
    /// generation of the pool.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; repeat the call.
    pub async fn cast_moved(
        &self,
        generation: u64,
        source: &Partition,
        plan: SlotMove,
        claim: &Claim,
    ) -> Result<CastReply, Error> {
        let slot = Partition { queue: source.queue.clone(), index: plan.to };
        let keys = self.keys(&slot);
        let receipt = keys.sent(plan.id);
        let own = [keys.lease.as_str(), keys.lane(Lane::Normal), &receipt];
        let mut cmd = scripts::call(&scripts::SLOT_CAST, own);
        cmd.arg(generation).arg(claim.envelope.as_bytes());
        cmd.arg(head(Lane::Normal, &claim.counters)).arg(clamped_millis(RECEIPT_RETENTION));
        cast_reply(self.command(&cmd).await?)
    }
}
