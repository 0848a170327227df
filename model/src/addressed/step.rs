//! The effect of each step.

use poolder_core::Lane;

use super::guards::{SlotGuard, SlotGuards};
use super::pool::slot_of;
use super::scripts::Place;
use super::service::{RELEASED, Service, Stage};
use super::slot::SLOTS;
use super::world::{Reply, SlotAction, SlotScenario, SlotWorld};
use crate::node::Life;
use crate::search::{Broken, System};
use crate::server::{Bits, bit};

impl System for SlotScenario {
    type State = SlotWorld;
    type Action = SlotAction;

    fn begin(&self) -> SlotWorld {
        SlotWorld::begin(self)
    }

    fn actions(&self, world: &SlotWorld, actions: &mut Vec<SlotAction>) {
        world.actions(self, actions);
    }

    fn step(&self, world: &mut SlotWorld, action: SlotAction) -> Result<(), Broken> {
        world.step(self, action)?;
        world.forget_moves();
        Ok(())
    }

    fn check(&self, world: &SlotWorld) -> Result<(), Broken> {
        world.check(self)
    }

    fn is_done(&self, world: &SlotWorld) -> bool {
        world.is_done(self)
    }

    fn is_fault(&self, action: SlotAction) -> bool {
        match action {
            SlotAction::Acquire(_, _, reply) | SlotAction::Step(_, _, reply) => {
                reply != Reply::Answered
            }
            SlotAction::End(_, _, place) => place != Place::Gone,
            SlotAction::Cancel(_)
            | SlotAction::Resize(_)
            | SlotAction::Deliver
            | SlotAction::HandOver(_)
            | SlotAction::Pause
            | SlotAction::Wake
            | SlotAction::Crash
            | SlotAction::FallBehind
            | SlotAction::FailOver => true,
            _ => false,
        }
    }
}

impl SlotWorld {
    fn step(&mut self, scenario: &SlotScenario, action: SlotAction) -> Result<(), Broken> {
        let guards = scenario.guards;
        match action {
            SlotAction::Cast => self.cast(scenario),
            SlotAction::Renew => self.known = self.server.pool.seen(),
            SlotAction::Promote(slot, job) => self.server.promote(slot, job),
            SlotAction::Revive(slot, job) => self.server.revive(slot, job),
            SlotAction::HoldEnds(slot) => {
                if let Some(hold) = &mut self.server.slots[slot].lease.hold {
                    hold.over = true;
                }
            }
            SlotAction::See(node) => self.see(node),
            SlotAction::Look(node, slot) => {
                self.nodes[node].late = self.late_after_look(scenario, node, slot);
            }
            SlotAction::Audit(node, slot) => {
                if let Some(service) = &mut self.nodes[node].services[slot] {
                    service.look = true;
                }
            }
            SlotAction::RescueAgain(node, slot) => {
                if let Some(service) = &mut self.nodes[node].services[slot] {
                    service.stage = Stage::ListOthers;
                }
            }
            SlotAction::Notice(node, slot) => self.nodes[node].doubt |= 1 << slot,
            SlotAction::Beat(node) => self.beat(node),
            SlotAction::Acquire(node, slot, reply) => self.acquire(guards, node, slot, reply),
            SlotAction::Step(node, slot, reply) => {
                return self.take_step(scenario, node, slot, reply);
            }
            SlotAction::PutBack(node, slot) => {
                if let Some(service) = &mut self.nodes[node].services[slot] {
                    let held = service.moving.take().map(|moving| moving.held);
                    service.ended = held.map(|held| (held, RELEASED));
                }
            }
            SlotAction::End(node, slot, place) => self.end(node, slot, place),
            other => return self.apply_fault(guards, other),
        }
        Ok(())
    }

    /// Applies a step of the environment.
    fn apply_fault(&mut self, guards: SlotGuards, fault: SlotAction) -> Result<(), Broken> {
        match fault {
            SlotAction::Cancel(slot) => {
                self.left.cancels -= 1;
                let data = &mut self.server.slots[slot];
                let held =
                    data.lease.hold.and_then(|hold| data.lanes[Lane::Front].entry(hold.entry));
                if let Some(entry) = held {
                    data.lanes[Lane::Front].delete(entry.id);
                    self.server.done |= bit(entry.job);
                }
            }
            SlotAction::Resize(size) => {
                self.left.resizes -= 1;
                self.server.pool.resize(guards, size);
            }
            SlotAction::Deliver => {
                if let Some((slot, poll)) = self.in_flight.take() {
                    self.server.poll(guards, slot, &poll)?;
                }
            }
            SlotAction::HandOver(slot) => {
                self.left.handovers -= 1;
                self.assigned[slot] = 1 - self.assigned[slot];
            }
            SlotAction::Pause => {
                self.left.pauses -= 1;
                (self.nodes[0].life, self.nodes[0].lapsed) = (Life::Paused, true);
            }
            SlotAction::Wake => self.nodes[0].life = Life::Up,
            SlotAction::Crash => {
                self.left.crashes -= 1;
                self.nodes[0].life = Life::Down;
                (self.nodes[0].services, self.nodes[0].late) = ([None; SLOTS], 0);
                self.nodes[0].doubt = 0;
            }
            SlotAction::Declare(name) => {
                self.dead |= bit(name);
                self.assigned = [1; SLOTS];
            }
            SlotAction::FallBehind => self.replica = Some(self.server),
            SlotAction::FailOver => {
                self.left.failovers -= 1;
                let history = self.server.history + 1;
                if let Some(replica) = self.replica.take() {
                    self.server = replica;
                }
                self.server.history = history;
                // Requests to the old server never reach the new one.
                self.in_flight = None;
            }
            other => unreachable!("{other:?} is a step of a node"),
        }
        Ok(())
    }

    /// Stores the next job, as `cast.rs` of the client does.
    fn cast(&mut self, scenario: &SlotScenario) {
        let (job, known) = (self.next_job, &self.known);
        let slot = usize::from(slot_of(job, scenario.staying, known.size));
        if scenario.due & bit(job) != 0 {
            // A job that is delayed is enqueued, whatever the slot knows of the pool.
            self.server.slots[slot].due |= bit(job);
        } else if scenario.dead & bit(job) == 0
            && !self.server.cast(scenario.guards, slot, known.generation, job, None)
        {
            self.known = self.server.pool.seen();
            return;
        }
        self.server.stored |= bit(job);
        self.next_job += 1;
    }

    /// Returns the moves that are recorded, or that a node makes.
    pub(super) fn known_moves(&self) -> Bits {
        let servers = [Some(&self.server), self.replica.as_ref()].into_iter().flatten();
        let recorded = servers.flat_map(|server| server.slots.iter()).map(|slot| slot.lease.moving);
        let services = self.nodes.iter().flat_map(|node| node.services.iter().flatten());
        let made = services.map(|service| service.moving.and_then(|moving| moving.plan));
        recorded.chain(made).flatten().fold(0, |moves, plan| moves | bit(plan.id))
    }

    /// Removes the receipts of moves that no record and no node names any more, so that equal states
    /// are recognized as equal.
    fn forget_moves(&mut self) {
        let moves = self.known_moves();
        self.server.receipts &= moves;
        if let Some(replica) = &mut self.replica {
            replica.receipts &= moves;
        }
    }

    fn see(&mut self, node: usize) {
        let seen = self.server.pool.seen();
        let holder = &mut self.nodes[node];
        for service in holder.services.iter_mut().flatten() {
            service.follow(&holder.view, &seen);
        }
        holder.view = seen;
    }

    fn beat(&mut self, node: usize) {
        let holder = &mut self.nodes[node];
        holder.lapsed = false;
        if self.dead & bit(holder.name) != 0 {
            // The node drops all that it holds, and continues under a new name.
            holder.name = self.next_name;
            (holder.services, holder.doubt) = ([None; SLOTS], 0);
            self.next_name += 1;
        }
    }

    fn acquire(&mut self, guards: SlotGuards, node: usize, slot: usize, reply: Reply) {
        let name = self.nodes[node].name;
        let term = self.server.acquire(guards, slot, name, self.dead);
        let holder = &mut self.nodes[node];
        holder.doubt &= !(1 << slot);
        if reply == Reply::Lost {
            self.left.lost_replies -= 1;
            if guards.has(SlotGuard::Doubt) {
                holder.doubt |= 1 << slot;
            }
        } else if let Some(term) = term {
            holder.services[slot] = Some(Service::start((name, term)));
        }
    }

    fn end(&mut self, node: usize, slot: usize, place: Place) {
        if place != Place::Gone {
            self.left.retries -= 1;
        }
        let Some(service) = &mut self.nodes[node].services[slot] else { return };
        let Some(held) = service.running.take() else { return };
        match place {
            Place::Gone => service.done.push(held),
            place => service.ended = Some((held, place)),
        }
        if place == Place::Due {
            self.aside |= bit(held.job);
        }
    }
}
