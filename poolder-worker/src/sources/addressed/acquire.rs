//! Acquires the lease of a slot: when no node holds it or its holder is gone, never from a living
//! one. Also rescues the jobs that the last holder left behind, and releases the lease.

use std::time::{Duration, Instant};

use poolder_core::broker::{
    AcquireReply, LaneConsumer, Membership, NodeName, Settled, Settlement, SlotLease,
};
use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Claim, Entry, Error, Lane};

use super::holder::SlotHolder;
use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};

/// How often to try to acquire a slot that another node still holds.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// How often to try to acquire a stopped slot.
const STOPPED_INTERVAL: Duration = Duration::from_secs(1);
/// A holder that has left the roster, and has not returned to it for this long, is gone: a living
/// one returns with its next beat.
const ABSENCE_LIMIT: Duration = Duration::from_secs(15);

impl SlotHolder {
    /// Acquires the slot; `None` when this node shall no longer hold it.
    pub(super) async fn acquire(&mut self) -> Option<SlotLease> {
        let broker = self.node.client.broker().clone();
        let mut gone: Option<String> = None;
        let mut absent: Option<(String, Instant)> = None;
        while !self.is_leaving() {
            let identity = self.node.identity.borrow_and_update().clone();
            if !identity.claims {
                self.pause(RETRY_INTERVAL).await;
                continue;
            }
            match broker.acquire_slot(&self.slot, &identity.name, gone.as_deref()).await {
                Ok(AcquireReply::Ours(lease)) => return Some(lease),
                Ok(AcquireReply::Stopped) => self.pause(STOPPED_INTERVAL).await,
                Ok(AcquireReply::Held(holder)) => {
                    gone = self.is_gone(&holder, &mut absent).await.then_some(holder);
                    if gone.is_none() {
                        self.pause(RETRY_INTERVAL).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(slot = %self.slot, %error, "the slot could not be acquired yet");
                    self.pause(LONGEST_PAUSE).await;
                }
            }
        }
        None
    }

    /// Returns true when the holder can no longer be running any job.
    async fn is_gone(&self, holder: &str, absent: &mut Option<(String, Instant)>) -> bool {
        if self.node.dead.borrow().contains(holder) {
            return true;
        }
        let broker = self.node.client.broker();
        match broker.membership(&[holder.to_owned()]).await.ok().and_then(|mut found| found.pop()) {
            Some(Membership::Dead) => true,
            Some(Membership::Stranger) => match absent {
                Some((name, since)) if name == holder => since.elapsed() >= ABSENCE_LIMIT,
                _ => {
                    *absent = Some((holder.to_owned(), Instant::now()));
                    false
                }
            },
            Some(Membership::Alive) | None => {
                *absent = None;
                false
            }
        }
    }

    /// Releases the slot.
    pub(super) async fn release(&mut self, lease: &SlotLease, stop: bool) {
        let broker = self.node.client.broker().clone();
        let mut pause = FIRST_PAUSE;
        // No other node takes the slot while this node is in the roster, so a failed release is
        // repeated.
        while let Err(error) = broker.release_slot(lease, stop).await {
            tracing::warn!(slot = %self.slot, %error, "the slot could not be released yet");
            tokio::time::sleep(pause).await;
            if pause >= LONGEST_PAUSE {
                return;
            }
            pause *= 2;
        }
    }

    /// Puts the jobs that earlier holders left running back in front, in order; false when the slot
    /// is to be released before that is done.
    pub(super) async fn rescue(&mut self, lease: &SlotLease) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.rescue_all(lease).await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::warn!(slot = %self.slot, %error, "the rescue failed, trying again");
                    self.pause(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if self.is_leaving() || self.is_lost(lease) {
                return false;
            }
        }
    }

    async fn rescue_all(&self, lease: &SlotLease) -> Result<(), Error> {
        let broker = self.node.client.broker();
        let consumers: Vec<LaneConsumer> = broker
            .consumers(&self.slot)
            .await?
            .into_iter()
            .filter(|consumer| matches!(consumer.lane, Lane::Front | Lane::Normal))
            .collect();
        for consumer in &consumers {
            let owner: NodeName = consumer.name.as_str().into();
            // Only a job that was claimed alone is certain to have run when its node died. Of
            // several jobs none is blamed: they come back in front, from where they are claimed one
            // at a time, so that the next crash has one cause. Entries that this node holds itself
            // were claimed, but the reply was lost.
            let alone = consumers.iter().filter(|other| other.name == consumer.name);
            let ran =
                alone.map(|consumer| consumer.pending).sum::<u64>() == 1 && owner != lease.node;
            let begun = if ran { broker.begun(&self.slot).await? } else { None };
            let ran = |claim: &Claim| {
                // A suspect may only have waited for another suspect to end.
                ran && (!claim.counters.is_suspect() || begun.as_ref() == Some(&claim.entry))
            };
            loop {
                let held = broker.held_by(&self.slot, consumer.lane, &owner).await?;
                if held.is_empty() {
                    break;
                }
                self.take_back(lease, &owner, held, &ran).await?;
            }
            if owner != lease.node {
                broker.remove_consumer(&self.slot, consumer.lane, &owner).await?;
            }
        }
        Ok(())
    }

    /// Moves all given entries in one step: a node that found only one of them left would take it
    /// for the job that ran.
    async fn take_back(
        &self,
        lease: &SlotLease,
        owner: &NodeName,
        held: Vec<Entry>,
        ran: &(dyn Fn(&Claim) -> bool + Sync),
    ) -> Result<(), Error> {
        let (now, retry) = (self.node.clock.now(), self.spec.retry_placement);
        let settlement = |entry| {
            let owner = NodeName::clone(owner);
            match entry {
                Entry::Job(claim) => {
                    let policy = self.spec.policy(&claim.envelope);
                    let ending = match ran(&claim) {
                        true => Ending::Crashed(owner.to_string()),
                        false => Ending::Released,
                    };
                    let transition = decide(&policy, &claim.counters, ending, now, 0.0);
                    Settlement::new(claim, owner, None, transition)
                }
                Entry::Undecodable(found) => Settlement::bury_undecodable(found, owner),
            }
        };
        let batch: Vec<Settlement> =
            held.into_iter().map(|it| settlement(it).under_lease(lease, retry)).collect();
        let broker = self.node.client.broker();
        let results = broker.settle(&self.slot, self.node.limits, &batch).await;
        for (settlement, result) in batch.iter().zip(results) {
            let job = settlement.job_id();
            match result {
                Settled::Failed(error) => return Err(error),
                Settled::Fenced | Settled::Epoch => {
                    return Err(Error::gone("the slot has another holder"));
                }
                Settled::Applied => match settlement.transition() {
                    Transition::Bury { .. } => {
                        tracing::error!(slot = %self.slot, %job, node = %owner, "a job died");
                    }
                    _ => tracing::warn!(slot = %self.slot, %job, node = %owner, "rescued"),
                },
            }
        }
        Ok(())
    }
}
