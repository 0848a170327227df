//! The steps that are possible in a state.

use poolder_core::Lane;

use super::guards::SlotGuard;
use super::scripts::Place;
use super::service::{Facts, Next};
use super::slot::SLOTS;
use super::world::{HOLDERS, Holder, Reply, SlotAction, SlotScenario, SlotWorld};
use crate::node::Life;
use crate::server::{Bits, bit};

impl SlotWorld {
    /// Returns true when the node shall hold the slot.
    #[must_use]
    pub fn is_wanted(&self, node: usize, slot: usize) -> bool {
        let Holder { view, late, .. } = &self.nodes[node];
        self.is_assigned(node, slot) && (slot < usize::from(view.tail) || late & 1 << slot != 0)
    }

    /// Returns true when the node is the one that shall hold the slot, if it is in service.
    fn is_assigned(&self, node: usize, slot: usize) -> bool {
        usize::from(self.assigned[slot]) == node
    }

    /// Returns the next step of a service.
    #[must_use]
    pub fn next_step(&self, scenario: &SlotScenario, node: usize, slot: usize) -> Option<Next> {
        let holder = &self.nodes[node];
        let facts = Facts {
            guards: scenario.guards,
            // A node that was paused does not know yet that another one shall hold the slot.
            leaving: !holder.lapsed && !self.is_wanted(node, slot),
            permitted: !holder.lapsed || !scenario.guards.has(SlotGuard::LiveBeat),
            view: &holder.view,
            beyond: slot >= usize::from(holder.view.size),
            known: self.known.generation >= holder.view.generation,
            batch: scenario.batch,
            staying: scenario.staying,
        };
        holder.services[slot].map(|service| service.next(&facts))
    }

    /// Appends the steps that are possible in this state to `out`.
    pub fn actions(&self, scenario: &SlotScenario, out: &mut Vec<SlotAction>) {
        let Self { server, left, .. } = self;
        let seen = server.pool.seen();
        if self.next_job < scenario.jobs {
            out.push(SlotAction::Cast);
        }
        if self.known != seen {
            out.push(SlotAction::Renew);
        }
        for (slot, data) in server.slots.iter().enumerate() {
            for job in 0..scenario.jobs {
                if data.due & bit(job) != 0 && self.is_served(slot) {
                    out.push(SlotAction::Promote(slot, job));
                }
                if data.dead & bit(job) != 0 {
                    out.push(SlotAction::Revive(slot, job));
                }
            }
            if let Some(hold) = data.lease.hold {
                if !hold.over {
                    out.push(SlotAction::HoldEnds(slot));
                }
                let waits =
                    data.lanes[Lane::Front].entry(hold.entry).is_some_and(|e| e.owner.is_none());
                if left.cancels > 0 && waits {
                    out.push(SlotAction::Cancel(slot));
                }
            }
            if left.handovers > 0 && self.nodes.iter().all(Holder::is_whole) {
                out.push(SlotAction::HandOver(slot));
            }
        }
        // A resize is not lost by a failover.
        if left.resizes > 0 && self.replica.is_none() {
            let size = 3 - server.pool.size;
            if server.pool.clone().resize(scenario.guards, size) {
                out.push(SlotAction::Resize(size));
            }
        }
        for node in 0..HOLDERS {
            if self.nodes[node].life == Life::Up {
                self.node_actions(scenario, node, out);
            }
        }
        if self.in_flight.is_some() {
            out.push(SlotAction::Deliver);
        }
        self.fault_actions(out);
    }

    /// Returns true when a living node serves the slot, so that its due jobs are promoted.
    fn is_served(&self, slot: usize) -> bool {
        self.nodes.iter().any(|node| node.life == Life::Up && node.services[slot].is_some())
    }

    fn node_actions(&self, scenario: &SlotScenario, node: usize, out: &mut Vec<SlotAction>) {
        let holder = &self.nodes[node];
        if holder.view != self.server.pool.seen() {
            out.push(SlotAction::See(node));
        }
        if holder.lapsed {
            out.push(SlotAction::Beat(node));
        }
        let mut replies = vec![Reply::Answered];
        if self.left.lost_replies > 0 {
            replies.push(Reply::Lost);
        }
        for slot in 0..SLOTS {
            if holder.late != self.late_after_look(scenario, node, slot) {
                out.push(SlotAction::Look(node, slot));
            }
            if let Some(next) = self.next_step(scenario, node, slot) {
                self.service_actions(scenario, (node, slot), next, &replies, out);
                continue;
            }
            let doubted = holder.doubt & 1 << slot != 0;
            if self.is_wanted(node, slot) || doubted {
                out.extend(replies.iter().map(|reply| SlotAction::Acquire(node, slot, *reply)));
            }
            let is_holder = self.server.slots[slot].lease.holder == Some(holder.name);
            if is_holder && !doubted && self.may_repair(scenario, SlotGuard::ForgottenLease) {
                out.push(SlotAction::Notice(node, slot));
            }
        }
    }

    /// Returns true when a failover may have undone writes, for which the nodes then have to look.
    fn may_repair(&self, scenario: &SlotScenario, guard: SlotGuard) -> bool {
        self.server.history > 0 && scenario.guards.has(guard)
    }

    fn service_actions(
        &self,
        scenario: &SlotScenario,
        (node, slot): (usize, usize),
        next: Next,
        replies: &[Reply],
        out: &mut Vec<SlotAction>,
    ) {
        let Some(service) = &self.nodes[node].services[slot] else { return };
        match next {
            Next::Wait => {}
            Next::Run(_) | Next::Leave | Next::CountDue | Next::Report(_) => {
                out.push(SlotAction::Step(node, slot, Reply::Answered));
            }
            _ => out.extend(replies.iter().map(|reply| SlotAction::Step(node, slot, *reply))),
        }
        match next {
            Next::Poll(claim) => {
                if self.left.late_polls > 0 && self.in_flight.is_none() {
                    out.push(SlotAction::Step(node, slot, Reply::Late));
                }
                if claim > 0 && !service.look && self.may_repair(scenario, SlotGuard::Audit) {
                    out.push(SlotAction::Audit(node, slot));
                }
                let (name, _) = service.lease;
                let others = self.server.slots[slot].has_claims_of_others(name);
                if claim > 0 && others && self.may_repair(scenario, SlotGuard::RescueAgain) {
                    out.push(SlotAction::RescueAgain(node, slot));
                }
            }
            Next::Move if !self.is_wanted(node, slot) => {
                out.push(SlotAction::PutBack(node, slot));
            }
            _ => {}
        }
        if service.running.is_some() {
            out.push(SlotAction::End(node, slot, Place::Gone));
            let retry = if scenario.blocks { Place::Front { hold: true } } else { Place::Due };
            if self.left.retries > 0 {
                out.push(SlotAction::End(node, slot, retry));
            }
        }
    }

    /// Returns the slots with late jobs that a node knows after it has looked at this one.
    #[must_use]
    pub fn late_after_look(&self, scenario: &SlotScenario, node: usize, slot: usize) -> Bits {
        let Holder { view, late, .. } = &self.nodes[node];
        let number = 1 << slot;
        let mine = (usize::from(view.tail)..usize::from(view.top)).contains(&slot)
            && self.is_assigned(node, slot);
        let found = !self.server.slots[slot].is_empty() && scenario.guards.has(SlotGuard::LateJobs);
        if mine && found { late | number } else { late & !number }
    }

    fn fault_actions(&self, out: &mut Vec<SlotAction>) {
        let [first, second] = &self.nodes;
        if first.is_whole() && second.is_whole() {
            if self.left.pauses > 0 {
                out.push(SlotAction::Pause);
            }
            if self.left.crashes > 0 {
                out.push(SlotAction::Crash);
            }
        }
        if first.life == Life::Paused {
            out.push(SlotAction::Wake);
        }
        if !first.is_whole() && self.dead & bit(first.name) == 0 {
            out.push(SlotAction::Declare(first.name));
        }
        if self.left.failovers > 0 {
            let replica = self.replica.is_some();
            out.push(if replica { SlotAction::FailOver } else { SlotAction::FallBehind });
        }
    }
}
