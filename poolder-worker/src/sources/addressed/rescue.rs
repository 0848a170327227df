//! Rescues the jobs that earlier holders of a slot left running: when the slot is acquired, once
//! more later, and again while earlier holders have entries that could not be moved.

use std::time::Duration;

use poolder_core::broker::{LaneConsumer, SlotLease};
use poolder_core::{Claim, Error, Lane};
use tokio::time::Instant;

use super::slot_context::SlotContext;
use crate::process::limits::request_pauses;
use crate::services::take_back::TakeBack;

/// The interval of further rescues.
const INTERVAL: Duration = Duration::from_secs(30);

/// The entries that earlier holders of a slot still hold after a rescue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    None,
    /// There may be some. They are rescued at this time.
    Until(Instant),
}

impl Rest {
    fn of(all_moved: bool) -> Self {
        if all_moved { Self::None } else { Self::Until(Instant::now() + INTERVAL) }
    }

    /// Returns true when it is time to try again.
    pub(super) fn is_due(self) -> bool {
        matches!(self, Self::Until(at) if at <= Instant::now())
    }
}

/// Puts the jobs that earlier holders left running back in front, in order; `None` when the slot
/// is to be released before that is done.
pub(super) async fn rescue(slot: &mut SlotContext, lease: &SlotLease) -> Option<Rest> {
    let mut pauses = request_pauses();
    loop {
        match rescue_first(slot, lease).await {
            // A failover may undo the last writes of a server, and with them this rescue.
            Ok(()) => return Some(Rest::of(false)),
            // The server does not know the lease.
            Err(error) if error.is_gone() => return None,
            Err(error) => {
                slot.request_failed("the rescue failed", &error);
                slot.pause(pauses.after_failure()).await;
            }
        }
        if slot.is_leaving() || slot.is_lost(lease) {
            return None;
        }
    }
}

/// Tries again to move the entries that earlier holders still hold, while the slot is served.
pub(super) async fn rescue_again(slot: &SlotContext, lease: &SlotLease) -> Rest {
    let all_moved = rescue_all(slot, lease, Pass::Further).await;
    let all_moved = all_moved.inspect_err(|error| slot.request_failed("the rescue failed", error));
    Rest::of(all_moved.unwrap_or(false))
}

/// Rescues the jobs of earlier holders, and finds the move that one of them has not ended.
async fn rescue_first(slot: &mut SlotContext, lease: &SlotLease) -> Result<(), Error> {
    slot.moves = slot.node.client.broker().recorded_move(&slot.partition).await?;
    rescue_all(slot, lease, Pass::First).await.map(|_| ())
}

/// A rescue of a slot under one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// No job of the slot runs on this node.
    First,
    /// Entries that this node holds may be running. The entries that an earlier holder still has
    /// do not tell which job ran when it died.
    Further,
}

/// Returns true when no earlier holder has entries any more.
async fn rescue_all(slot: &SlotContext, lease: &SlotLease, pass: Pass) -> Result<bool, Error> {
    let broker = slot.node.client.broker();
    let is_own = |consumer: &LaneConsumer| consumer.name == *lease.node;
    let consumers: Vec<LaneConsumer> = broker
        .consumers(&slot.partition)
        .await?
        .into_iter()
        .filter(|consumer| matches!(consumer.lane, Lane::Front | Lane::Normal))
        .filter(|consumer| pass == Pass::First || !is_own(consumer))
        .collect();
    let rescue = TakeBack {
        engine: &slot.engine,
        partition: &slot.partition,
        limits: slot.node.dead_limits(&slot.engine.spec),
        lease: Some(lease),
    };
    let mut all_moved = true;
    // Entries that this node holds itself were claimed, but the reply was lost.
    let others = |consumer: &LaneConsumer| consumer.pending > 0 && !is_own(consumer);
    let begun = match pass == Pass::First && consumers.iter().any(others) {
        true => broker.begun(&slot.partition).await?,
        false => None,
    };
    for consumer in &consumers {
        // Of several claimed jobs any may have run: the crash is counted for each, as in a shared
        // pool. They come back in front, from where they are claimed one at a time, so that the
        // next crash has one cause. A suspect may only have waited, for another suspect or behind
        // other jobs: it is blamed only if it had begun. Then it alone had: the slot starts no job
        // between the start of a suspect and the answer to its settlement.
        let ran = |claim: &Claim| match (&begun, claim.counters.is_suspect()) {
            _ if pass != Pass::First || !others(consumer) => false,
            (Some(begun), _) => claim.entry == *begun,
            (None, is_suspect) => !is_suspect,
        };
        all_moved &= rescue.run(consumer, ran).await?;
    }
    Ok(all_moved)
}
