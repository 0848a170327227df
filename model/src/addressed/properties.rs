//! The properties that hold in every state and in every step.

use super::scripts::Held;
use super::slot::SlotData;
use super::world::{SlotScenario, SlotWorld};
use crate::node::Life;
use crate::search::Broken;
use crate::server::bit;

/// Violated when a stored job is in two places, or in none.
pub const JOB_KEPT: Broken = "a stored job is in exactly one place, a job that moves in two";
/// Violated when two jobs of a key run at once, each under a lease that holds.
pub const ONE_OF_KEY: Broken = "two jobs of a key run at once only if one has lost its lease";
/// Violated when a job starts before an earlier one of its key is settled.
pub const KEY_ORDER: Broken = "a job starts when all jobs of its key from before it are settled";
/// Violated when a job starts although its node does not hold the slot.
pub const UNDER_LEASE: Broken = "a job starts only under a lease that holds";
/// Violated when a job starts that is completed.
pub const RUNS_AGAIN: Broken = "a completed job does not start again";
/// Violated when a job is left in a slot that has gone out of service.
pub const RETIRED_EMPTY: Broken = "a slot out of service is empty";

impl SlotWorld {
    /// Checks the properties of the start of a job. After a failover nothing is promised about
    /// order: the server may have forgotten which jobs were claimed or completed.
    ///
    /// # Errors
    /// Returns the property that is violated.
    pub fn check_start(
        &self,
        scenario: &SlotScenario,
        node: usize,
        slot: usize,
        held: Held,
    ) -> Result<(), Broken> {
        if self.server.history > 0 {
            return Ok(());
        }
        let is_of_key =
            |job| (scenario.staying & bit(job) == 0) == (scenario.staying & bit(held.job) == 0);
        let holds = |node: usize, slot: usize| {
            let service = self.nodes[node].services[slot]?;
            let (name, term) = service.lease;
            self.server.slots[slot].is_held(name, term).then_some(service)
        };
        if holds(node, slot).is_none() {
            return Err(UNDER_LEASE);
        }
        if self.server.done & bit(held.job) != 0 {
            return Err(RUNS_AGAIN);
        }
        for other in 0..self.nodes.len() {
            for at in 0..self.server.slots.len() {
                let running = holds(other, at).and_then(|service| service.running);
                if (other, at) != (node, slot) && running.is_some_and(|held| is_of_key(held.job)) {
                    return Err(ONE_OF_KEY);
                }
            }
        }
        let is_open = |job| self.server.stored & !self.server.done & !self.aside & bit(job) != 0;
        let earlier = (0..held.job).any(|job| is_of_key(job) && is_open(job));
        if earlier && self.aside & bit(held.job) == 0 { Err(KEY_ORDER) } else { Ok(()) }
    }

    /// Checks the properties of a state.
    ///
    /// # Errors
    /// Returns the property that is violated.
    pub fn check(&self, scenario: &SlotScenario) -> Result<(), Broken> {
        let server = &self.server;
        for job in (0..scenario.jobs).filter(|job| server.stored & bit(*job) != 0) {
            // The job is stored at its destination before it is removed from its source.
            let moves = server.slots.iter().filter(|slot| {
                let moving = slot.lease.moving.filter(|moving| moving.job == job);
                moving.is_some_and(|moving| server.receipts & bit(moving.id) != 0)
                    && slot.copies(job) > 0
            });
            let copies: usize = server.slots.iter().map(|slot| slot.copies(job)).sum();
            let done = usize::from(server.done & bit(job) != 0);
            // After a failover a record of a move or a completion may be lost, so that the job runs
            // again.
            let kept = copies + done;
            if kept < 1 || (server.history == 0 && kept != 1 + moves.count()) {
                return Err(JOB_KEPT);
            }
        }
        let mut retired = server.slots.iter().skip(usize::from(server.pool.tail));
        let late = scenario.dead != 0 || server.history > 0;
        if !late && !retired.all(SlotData::is_empty) {
            return Err(RETIRED_EMPTY);
        }
        Ok(())
    }

    /// Returns true when all jobs are done, the pool has its size, and every slot has a holder.
    #[must_use]
    pub fn is_done(&self, scenario: &SlotScenario) -> bool {
        let Self { server, .. } = self;
        let pool = &server.pool;
        let is_served = |slot: usize| {
            let lease = &server.slots[slot].lease;
            self.nodes.iter().any(|node| {
                node.life == Life::Up
                    && node.services[slot].is_some_and(|it| lease.holder == Some(it.lease.0))
            })
        };
        self.next_job == scenario.jobs
            && server.stored & !server.done == 0
            && server.slots.iter().all(|slot| slot.is_empty() && slot.dead == 0)
            && pool.is_open()
            && pool.tail == pool.size
            && (0..usize::from(pool.size)).all(is_served)
            && server.slots.iter().skip(usize::from(pool.size)).all(|slot| {
                // The lease of a node that died while it held an empty slot stays.
                slot.lease.holder.is_none_or(|holder| self.dead & bit(holder) != 0)
            })
    }
}
