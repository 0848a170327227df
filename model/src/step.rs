//! The effect of each step, and the properties that hold in every state and in every step.

use crate::guards::{Guard, Guards};
use crate::node::{Life, Node, Phase, Rescue};
use crate::search::{Broken, System};
use crate::server::{Answer, CAREFUL, Fate, Id, JOBS, Job, Name, bit, fate_of_crashed};
use crate::world::{Action, Scenario, World};

/// Violated when a job is in two places, or in none.
pub const ONE_PLACE: Broken = "a stored job is in exactly one place";
/// Violated by an entry that will never be delivered to a node.
pub const IN_SIGHT: Broken = "an entry is pending, or will be delivered";
/// Violated by two completions of a job in one history.
pub const ONE_COMPLETION: Broken = "one history records a job's completion once";
/// Violated when a job is buried that kills no node.
pub const INNOCENT: Broken = "only a job that kills its nodes is buried";
/// Violated when the settlement of a job is refused that no rescuer has taken back.
pub const HOLDER: Broken =
    "a claim of this history that was not rescued may be settled by its holder";
/// Violated when a node is declared dead that was not paused since its last heartbeat.
pub const ALIVE: Broken = "a node that sends heartbeats is not declared dead";
/// Violated when the heartbeat of a node succeeds although a rescuer has taken a job that the
/// node still runs.
pub const RUNAWAY: Broken = "the next beat of a node that lost a job to a rescue reports its death";

impl System for Scenario {
    type State = World;
    type Action = Action;

    fn begin(&self) -> World {
        World::begin(self)
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(self, actions);
    }

    fn step(&self, world: &mut World, action: Action) -> Result<(), Broken> {
        world.step(self.guards, action)?;
        if self.heartbeats {
            world.end_round();
            return Ok(());
        }
        if let Action::Restart(at) = action {
            world.beat(self.guards, at)?;
        }
        Ok(())
    }

    fn check(&self, world: &World) -> Result<(), Broken> {
        let server = &world.server;
        for job in 0..JOBS as Job {
            if server.completions[usize::from(job)] > 1 {
                return Err(ONE_COMPLETION);
            }
            let entries = server.entries().filter(|entry| entry.job == job).count();
            let elsewhere = [
                server.due[usize::from(job)].is_some(),
                server.dead & bit(job) != 0,
                server.done & bit(job) != 0,
            ];
            let places = entries + elsewhere.into_iter().filter(|is| *is).count();
            if server.stored & bit(job) != 0 && places != 1 {
                return Err(ONE_PLACE);
            }
        }
        if !server.entries().all(|entry| server.in_sight(entry)) {
            return Err(IN_SIGHT);
        }
        if server.dead & !self.killers != 0 {
            return Err(INNOCENT);
        }
        Ok(())
    }

    fn is_done(&self, world: &World) -> bool {
        (0..JOBS as Job).all(|job| (world.server.done | world.server.dead) & bit(job) != 0)
    }

    fn is_fault(&self, action: Action) -> bool {
        match action {
            Action::Claim { lost, .. } => lost,
            Action::Settle { lost, refused, .. } => lost || refused,
            Action::TakeBack { refused, .. } => refused,
            Action::Finish(_, _, phase) => phase == Phase::Failed,
            Action::Pause(_)
            | Action::Wake(_)
            | Action::Crash(_)
            | Action::FallBehind
            | Action::FailOver
            | Action::Outage
            | Action::ClockJump
            | Action::LateClaim(_) => true,
            _ => false,
        }
    }
}

impl World {
    fn step(&mut self, guards: Guards, action: Action) -> Result<(), Broken> {
        match action {
            Action::Enqueue(job) => self.server.enqueue(job),
            Action::Promote(job) => self.server.promote(job),
            Action::Declare(name) => {
                self.server.mark(guards, name, false);
            }
            Action::Silence(name) => self.server.silent |= bit(name),
            Action::Open(at) => self.nodes[at].line = Some(self.server.history),
            Action::Claim { node, suspect, lost } => self.claim(node, suspect, lost),
            Action::Adopt(at, id) => {
                if let Some(entry) = self.server.entry(id).copied() {
                    let holding = self.holding(at, entry);
                    self.nodes[at].accept(holding);
                }
            }
            Action::Finish(at, id, phase) => {
                if let Some(held) = self.nodes[at].holding_mut(id) {
                    held.phase = phase;
                }
                if phase == Phase::Failed {
                    self.left.failures -= 1;
                }
            }
            Action::Settle { node, id, lost, refused } => {
                return self.settle(guards, node, id, lost, refused);
            }
            Action::Beat(at) => return self.beat(guards, at),
            Action::Mark(at, name) => return self.mark(guards, at, name),
            Action::List(at, id) => {
                let owner = self.server.entry(id).and_then(|entry| entry.owner);
                if let Some(owner) = owner {
                    self.nodes[at].rescue = Rescue::Listed(id, owner);
                }
            }
            Action::Read(at) => self.read(guards, at),
            Action::TakeBack { node, refused } => self.take_back(guards, node, refused),
            Action::Forget(_, name) => self.server.forget(guards, name),
            Action::Restart(at) => {
                self.nodes[at] = Node::start(self.fresh_name());
                self.restarts -= 1;
            }
            fault => self.apply_fault(fault),
        }
        Ok(())
    }

    /// Applies a step that no node takes itself: a fault, or a job that kills its process.
    fn apply_fault(&mut self, fault: Action) {
        match fault {
            Action::Kill(at) => self.nodes[at].die(),
            Action::Crash(at) => {
                self.left.crashes -= 1;
                self.nodes[at].die();
            }
            Action::Pause(at) => {
                self.left.pauses -= 1;
                (self.nodes[at].life, self.nodes[at].lapsed) = (Life::Paused, true);
            }
            Action::Wake(at) => {
                // The last heartbeat is too old to be the first of two heartbeats in a row.
                let node = &mut self.nodes[at];
                (node.life, node.saw, node.whole, node.beaten) = (Life::Up, 0, 0, false);
            }
            Action::FallBehind => self.replica = Some(self.server),
            Action::FailOver => {
                self.left.failovers -= 1;
                let history = self.server.history + 1;
                if let Some(replica) = self.replica.take() {
                    self.server = replica;
                }
                self.server.history = history;
                self.nodes.iter_mut().for_each(Node::disconnect);
            }
            Action::Outage => {
                self.left.outages -= 1;
                self.server.silent = self.server.nodes;
                for node in &mut self.nodes {
                    node.disconnect();
                    node.claims = false;
                }
            }
            Action::ClockJump => {
                self.left.clock_jumps -= 1;
                self.server.silent = self.server.nodes;
                // The periods of two nodes do not drift apart within a round: between two heartbeats
                // of a node after the jump, every other running node sends one.
                self.nodes.iter_mut().for_each(|node| node.beaten = false);
            }
            Action::LateClaim(name) => {
                self.left.late_claims -= 1;
                let Some(entry) = self.server.claim(name, false) else { return };
                let paused = |n: &Node| n.life == Life::Paused && n.name == name;
                // A paused node finds the reply when it continues, if its connection is still open.
                if let Some(at) = self.nodes.iter().position(paused)
                    && self.nodes[at].line.is_some()
                    && self.nodes[at].has_room()
                {
                    let holding = self.holding(at, entry);
                    self.nodes[at].accept(holding);
                }
            }
            other => unreachable!("{other:?} is a step of a node"),
        }
    }

    fn claim(&mut self, at: usize, suspect: bool, lost: bool) {
        let Some(entry) = self.server.claim(self.nodes[at].name, suspect) else { return };
        if lost {
            self.left.lost_replies -= 1;
            self.nodes[at].line = None;
        } else {
            let holding = self.holding(at, entry);
            self.nodes[at].accept(holding);
        }
    }

    fn settle(
        &mut self,
        guards: Guards,
        at: usize,
        id: Id,
        lost: bool,
        refused: bool,
    ) -> Result<(), Broken> {
        let Some(first) = self.nodes[at].holding_mut(id).copied() else { return Ok(()) };
        // Completions of one history are settled together, other settlements one by one.
        let in_same_call = |held: &&crate::node::Holding| {
            held.id == id || (first.is_fast() && held.is_fast() && held.stamp == first.stamp)
        };
        let batch: Vec<_> = self.nodes[at].holdings().filter(in_same_call).copied().collect();
        let answers = if first.is_fast() {
            let jobs: Vec<_> = batch.iter().map(|held| (held.id, held.job)).collect();
            self.server.complete(guards, &jobs, first.stamp)
        } else {
            let fate = if first.phase == Phase::Done { Fate::Gone } else { Fate::Due };
            let claim = (first.id, first.job, first.owner);
            vec![self.server.relocate(guards, claim, fate, refused)]
        };
        if lost {
            self.left.lost_replies -= 1;
            self.nodes[at].line = None;
        }
        if refused {
            self.left.refusals -= 1;
        }
        for (held, answer) in batch.iter().zip(answers) {
            let refused = answer == Answer::Fenced
                && held.stamp == self.server.history
                && self.server.rescued & bit(held.id) == 0;
            if refused && !held.sent {
                return Err(HOLDER);
            }
            if lost {
                self.nodes[at].holding_mut(held.id).into_iter().for_each(|held| held.sent = true);
                continue;
            }
            match answer {
                Answer::Applied | Answer::Fenced => self.nodes[at].release(held.id),
                Answer::Epoch => {
                    let held = self.nodes[at].holding_mut(held.id);
                    held.into_iter().for_each(|held| held.stamp = CAREFUL);
                }
                Answer::Failed => {}
            }
        }
        Ok(())
    }

    fn beat(&mut self, guards: Guards, at: usize) -> Result<(), Broken> {
        let name = self.nodes[at].name;
        if !self.server.beat(guards, name) {
            let fresh = self.fresh_name();
            self.nodes[at].rename(fresh);
            self.server.beat(guards, fresh);
        } else if self.server.history == 0
            && self.nodes[at].holdings().any(|held| {
                held.phase == Phase::Running
                    && (held.stamp, held.owner) == (self.server.history, name)
                    && self.server.rescued & bit(held.id) != 0
            })
        {
            return Err(RUNAWAY);
        }
        for node in &mut self.nodes {
            node.hear_of(name);
        }
        let silent = self.server.nodes & self.server.silent & !bit(self.nodes[at].name);
        let node = &mut self.nodes[at];
        let confirmed = if guards.has(Guard::TwoBeats) { node.saw & silent } else { silent };
        node.acknowledge();
        if node.is_whole() || !guards.has(Guard::WholeBeats) {
            node.doomed |= confirmed;
        }
        node.saw = silent;
        Ok(())
    }

    fn mark(&mut self, guards: Guards, at: usize, name: Name) -> Result<(), Broken> {
        let node = &mut self.nodes[at];
        let changed = node.changed & bit(name) != 0;
        node.doomed &= !bit(name);
        node.changed &= !bit(name);
        let marked = self.server.mark(guards, name, changed);
        match self.node_named(name) {
            Some(node) if marked && node.is_up() && !node.lapsed => Err(ALIVE),
            _ => Ok(()),
        }
    }

    fn read(&mut self, guards: Guards, at: usize) {
        self.nodes[at].rescue = match self.nodes[at].rescue {
            Rescue::Listed(id, owner) => match self.server.entry(id) {
                Some(entry) => Rescue::Read(id, owner, entry.job, entry.crashes),
                None => Rescue::Gone(id),
            },
            Rescue::Gone(id) => {
                self.server.ack_missing(guards, id);
                Rescue::Idle
            }
            other => other,
        };
    }

    fn take_back(&mut self, guards: Guards, at: usize, refused: bool) {
        if let Rescue::Read(id, owner, job, crashes) = self.nodes[at].rescue {
            let fate = fate_of_crashed(crashes);
            self.server.relocate(guards, (id, job, owner), fate, refused);
            self.nodes[at].rescue = Rescue::Idle;
        }
        if refused {
            self.left.refusals -= 1;
        }
    }

    fn fresh_name(&mut self) -> Name {
        self.next_name += 1;
        self.next_name - 1
    }

    /// Ends a round of heartbeats. All nodes have the same period: a node sends its second
    /// heartbeat only after each running node has sent one that is not away.
    fn end_round(&mut self) {
        if self.nodes.iter().filter(|node| node.is_up() && !node.away).all(|node| node.beaten) {
            self.nodes.iter_mut().for_each(|node| node.beaten = false);
        }
    }
}
