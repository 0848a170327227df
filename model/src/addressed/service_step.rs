//! The effect of each step of a service.

use poolder_core::Lane;

use super::few::Few;
use super::guards::{SlotGuard, SlotGuards};
use super::pool::{Progress, slot_of};
use super::scripts::{Held, Poll, PollReply};
use super::service::{Moving, Next, RELEASED, Service, Stage};
use super::slot::{List, MoveRecord, SlotNumber};
use super::world::{Reply, SlotScenario, SlotWorld};
use crate::search::Broken;
use crate::server::{Name, bit};

impl SlotWorld {
    /// Takes the next step of a service. A service whose lease was lost, or that has ended, is gone
    /// then.
    ///
    /// # Errors
    /// Returns the property that the step violates.
    pub(super) fn take_step(
        &mut self,
        scenario: &SlotScenario,
        node: usize,
        slot: usize,
        reply: Reply,
    ) -> Result<(), Broken> {
        let guards = scenario.guards;
        let Some(next) = self.next_step(scenario, node, slot) else { return Ok(()) };
        let Some(mut service) = self.nodes[node].services[slot] else { return Ok(()) };
        if reply == Reply::Lost {
            self.left.lost_replies -= 1;
        }
        let kept = match next {
            Next::Rescue => self.rescue(guards, slot, &mut service, reply)?,
            Next::Move => self.go_on_moving(guards, (node, slot), &mut service, reply),
            Next::Run(held) => {
                self.run(scenario, (node, slot), &mut service, held)?;
                true
            }
            Next::Settle(rows) => {
                let (name, _) = service.lease;
                self.server.settle(guards, slot, service.lease, name, &rows)?;
                match reply {
                    Reply::Answered => service.settled(&rows),
                    _ => service.settling = rows,
                }
                true
            }
            Next::Poll(claim) => self.poll(guards, (node, slot), &mut service, claim, reply)?,
            Next::Report(progress) => {
                let generation = self.nodes[node].view.generation;
                let number = SlotNumber::try_from(slot).unwrap_or(SlotNumber::MAX);
                self.server.pool.report(guards, number, generation, progress);
                service.reported[usize::from(progress == Progress::Retired)] = true;
                (service.standstill, service.nothing_due) = (None, false);
                true
            }
            Next::CountDue => {
                // A count of nothing holds until the next empty poll.
                service.nothing_due = self.server.slots[slot].due == 0;
                if !service.nothing_due || guards.has(SlotGuard::EmptyAgain) {
                    service.standstill = None;
                }
                true
            }
            Next::Leave => {
                let (name, term) = service.lease;
                self.server.release(slot, name, term);
                false
            }
            Next::Wait => true,
        };
        self.nodes[node].services[slot] = kept.then_some(service);
        Ok(())
    }

    /// Runs a job, or begins to move it, as `run_job.rs` does.
    fn run(
        &mut self,
        scenario: &SlotScenario,
        (node, slot): (usize, usize),
        service: &mut Service,
        held: Held,
    ) -> Result<(), Broken> {
        let guards = scenario.guards;
        let view = &self.nodes[node].view;
        let doubted = held.lane == Lane::Front && !view.is_open();
        if doubted && service.read.is_none() && guards.has(SlotGuard::FreshView) {
            service.read = Some(self.server.pool.seen());
            return Ok(());
        }
        let view = service.read.take().unwrap_or(*view);
        service.claimed.pop();
        let before = !view.is_open() && guards.has(SlotGuard::SizeBefore);
        let home = if before { view.before } else { view.size };
        let one = |size| slot_of(held.job, scenario.staying, size);
        let moves = usize::from(one(home)) != slot && guards.has(SlotGuard::Relocate);
        // The recorded move goes to the slot that is recorded.
        let resumes = service.resumes == Some(held.job) && guards.has(SlotGuard::ResumeMove);
        if moves || resumes {
            service.resumes = None;
            service.moving = Some(Moving { held, to: one(view.size), plan: None });
        } else {
            self.check_start(scenario, node, slot, held)?;
            service.running = Some(held);
        }
        Ok(())
    }

    /// Polls the slot. Returns false when the lease was lost.
    fn poll(
        &mut self,
        guards: SlotGuards,
        (node, slot): (usize, usize),
        service: &mut Service,
        claim: u8,
        reply: Reply,
    ) -> Result<bool, Broken> {
        let view = &self.nodes[node].view;
        let poll = Poll {
            lease: service.lease,
            claim,
            look: service.look,
            generation: view.generation,
            open: view.is_open(),
            lost: service.lost_polls,
            complete: service.done,
        };
        if reply == Reply::Late {
            self.left.late_polls -= 1;
            self.in_flight = Some((slot, poll));
            service.poll_failed(guards);
            return Ok(true);
        }
        let answer = self.server.poll(guards, slot, &poll)?;
        if reply == Reply::Lost {
            service.poll_failed(guards);
            return Ok(true);
        }
        service.polled(claim, &answer);
        Ok(answer != PollReply::Lost)
    }

    /// Takes the next step of a rescue: lists the consumers with entries, reads those of the first,
    /// or puts them back in front. Returns false when the lease was lost.
    fn rescue(
        &mut self,
        guards: SlotGuards,
        slot: usize,
        service: &mut Service,
        reply: Reply,
    ) -> Result<bool, Broken> {
        let lanes = &self.server.slots[slot].lanes;
        let (own, _) = service.lease;
        match service.stage {
            Stage::List | Stage::ListOthers => {
                let first = service.stage == Stage::List;
                let counts = |name| name != own || (first && guards.has(SlotGuard::RescueOwn));
                let mut found: Few<(Lane, Name), 4> = Few::default();
                for lane in [Lane::Front, Lane::Normal] {
                    let holds = |name: &Name| lanes[lane].pending(*name).next().is_some();
                    let names = (0..self.next_name).filter(|name| counts(*name) && holds(name));
                    names.for_each(|name| found.push((lane, name)));
                }
                if first {
                    service.resumes = self.server.slots[slot].lease.moving.map(|plan| plan.job);
                }
                let nothing = found.is_empty() || !guards.has(SlotGuard::RescueFirst);
                service.stage = if nothing { Stage::Serve } else { Stage::Rescue(found) };
            }
            Stage::Rescue(found) => {
                let Some((lane, name)) = found.first() else { return Ok(true) };
                let entries = lanes[lane].pending(name);
                let held = entries.map(|entry| Held { lane, id: entry.id, job: entry.job });
                service.stage = Stage::TakeBack(found, held.collect());
            }
            Stage::TakeBack(mut found, held) => {
                let Some((_, name)) = found.pop() else { return Ok(true) };
                let rows: List<_> = held.iter().map(|held| (held, RELEASED)).collect();
                let applied = self.server.settle(guards, slot, service.lease, name, &rows)?;
                let refused = applied.iter().any(|applied| !applied);
                if reply == Reply::Answered && refused && guards.has(SlotGuard::RescueEnds) {
                    return Ok(false);
                }
                service.stage = match (reply != Reply::Answered || refused, found.is_empty()) {
                    (true, _) => Stage::List,
                    (false, true) => Stage::Serve,
                    (false, false) => Stage::Rescue(found),
                };
            }
            Stage::Serve => {}
        }
        Ok(true)
    }

    /// Takes the next step of a move: records it, or stores the job at its destination. Returns
    /// false when the lease was lost.
    fn go_on_moving(
        &mut self,
        guards: SlotGuards,
        (node, slot): (usize, usize),
        service: &mut Service,
        reply: Reply,
    ) -> bool {
        let Some(Moving { held, to, plan }) = service.moving else { return true };
        let Some(plan) = plan else {
            let moves = self.known_moves();
            let id = (0..).find(|id| moves & bit(*id) == 0).unwrap_or_default();
            let new = MoveRecord { job: held.job, to, id };
            let recorded = self.server.record_move(guards, slot, service.lease, new);
            if reply != Reply::Answered {
                return true;
            }
            service.moving = Some(Moving { held, to, plan: recorded });
            return recorded.is_some();
        };
        let (to, generation) = (plan.to.into(), self.nodes[node].view.generation);
        let stored = self.server.cast(guards, to, generation, held.job, Some(plan.id));
        if stored && reply == Reply::Answered {
            service.moved(held);
        }
        true
    }
}
