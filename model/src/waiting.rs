//! A third model: the wait permits of a partition. A few nodes of one slot each, up to three jobs,
//! messages that are lost, permits that end too early, and nodes that are killed. It follows
//! `wait_begin.lua`, `wait_end.lua` and the claimer; claims and settlements are those of the first
//! model, and happen at once here.
//!
//! Without faults every job must start while a node has room, although no node visits and no job
//! ends: a node that rests is told of it. With faults, visits must be enough.

use crate::search::{Broken, System};

/// More nodes block than there are permits, although no permit has ended early.
pub const FEW_BLOCK: Broken = "no more nodes block than have a permit";

/// The most nodes of a scenario.
const NODES: usize = 4;

/// A scenario: how many nodes, permits and jobs there are, and which faults can happen.
#[derive(Debug, Clone, Copy)]
pub struct WaitScenario {
    /// The number of nodes, at most 4.
    pub nodes: usize,
    /// The number of wait permits.
    pub permits: usize,
    /// The number of jobs.
    pub jobs: u8,
    /// How many nodes can be killed, fewer than `nodes`.
    pub kills: u8,
    /// How many messages can be lost.
    pub losses: u8,
    /// How many permits of living nodes can end early.
    pub early_ends: u8,
    /// False when the nodes that rest do not visit.
    pub visits: bool,
    /// False when a node that gives its permit up wakes no other.
    pub wakes: bool,
    /// False when a node that was called, and fills up without a permit, wakes no other in its place.
    pub passes_on: bool,
    /// False when a permit is granted whatever the number of permits in use.
    pub counts: bool,
}

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doing {
    /// It has room, and looks for jobs.
    Looks,
    /// It has read that all lanes are empty, and asks for a permit.
    Asks,
    /// It blocks until a job comes.
    Blocks,
    /// It rests.
    Rests,
    /// It runs a job.
    Runs,
    /// It was killed.
    Gone,
}

/// A node, and its entries on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waiter {
    doing: Doing,
    /// True when the node thinks that it has a permit.
    permit: bool,
    /// True when the node thinks that it is in `resting`, or was woken while it did not rest.
    called: bool,
    /// True while it is in `waiting`.
    in_waiting: bool,
    /// True while it is in `resting`.
    in_resting: bool,
    /// True while a message that wakes it is on its way.
    message: bool,
}

/// A state of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaitState {
    nodes: [Waiter; NODES],
    to_come: u8,
    ready: u8,
    kills: u8,
    losses: u8,
    early_ends: u8,
}

/// A step. The number is that of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitAction {
    /// A job is stored while no node blocks.
    Store,
    /// A job is stored, and this node, which blocks, gets it.
    StoreFor(usize),
    /// The node claims a job, or finds none.
    Look(usize),
    /// The node asks for a permit.
    Ask(usize),
    /// A wait ends without a job.
    EndOfWait(usize),
    /// A job ends.
    EndOfJob(usize),
    /// The node gives its permit or its place among those that rest up, since it has no room.
    GiveUp(usize),
    /// A message arrives.
    Arrive(usize),
    /// A node that rests looks for jobs and for a free permit.
    Visit(usize),
    /// The permit of a node that was killed ends.
    End(usize),
    /// The permit of a living node ends.
    EarlyEnd(usize),
    /// A message is lost.
    Lose(usize),
    /// A node is killed.
    Kill(usize),
}

impl WaitState {
    fn count(&self, is: impl Fn(&Waiter) -> bool) -> usize {
        self.nodes.iter().filter(|node| is(node)).count()
    }
}

impl WaitScenario {
    fn ask(&self, state: &mut WaitState, at: usize) {
        let used = state.count(|node| node.in_waiting);
        let free = used < self.permits || !self.counts;
        let node = &mut state.nodes[at];
        if node.in_waiting || free {
            (node.in_waiting, node.in_resting) = (true, false);
            (node.permit, node.called) = (true, false);
            // It blocks, unless there is a job by then.
            node.doing = Doing::Looks;
        } else {
            (node.in_resting, node.permit, node.called) = (true, false, true);
            let sees_a_job = state.ready > 0;
            state.nodes[at].doing = if sees_a_job { Doing::Looks } else { Doing::Rests };
        }
    }

    fn give_up(&self, state: &mut WaitState, at: usize) {
        let node = &mut state.nodes[at];
        (node.in_waiting, node.in_resting) = (false, false);
        (node.permit, node.called) = (false, false);
        let few = state.count(|node| node.in_waiting) < self.permits.div_ceil(2);
        let mut wanted = if self.wakes { usize::from(state.ready) + usize::from(few) } else { 0 };
        for node in &mut state.nodes {
            // Nobody hears a message to a node that was killed, and the next one is woken.
            if wanted > 0 && std::mem::take(&mut node.in_resting) && node.doing != Doing::Gone {
                node.message = true;
                wanted -= 1;
            }
        }
    }
}

impl System for WaitScenario {
    type State = WaitState;
    type Action = WaitAction;

    fn begin(&self) -> WaitState {
        let (looks, gone) = (Doing::Looks, Doing::Gone);
        let node = Waiter {
            doing: looks,
            permit: false,
            called: false,
            in_waiting: false,
            in_resting: false,
            message: false,
        };
        let mut nodes = [node; NODES];
        nodes[self.nodes..].iter_mut().for_each(|node| node.doing = gone);
        let Self { kills, losses, early_ends, jobs: to_come, .. } = *self;
        WaitState { nodes, to_come, ready: 0, kills, losses, early_ends }
    }

    fn actions(&self, state: &WaitState, actions: &mut Vec<WaitAction>) {
        let blocks = state.count(|node| node.doing == Doing::Blocks) > 0;
        if state.to_come > 0 && !blocks {
            actions.push(WaitAction::Store);
        }
        for (at, node) in state.nodes.iter().enumerate() {
            let mut add = |action, possible| {
                if possible {
                    actions.push(action);
                }
            };
            let is = |doing| node.doing == doing;
            add(WaitAction::StoreFor(at), is(Doing::Blocks) && state.to_come > 0);
            add(WaitAction::Look(at), is(Doing::Looks));
            add(WaitAction::Ask(at), is(Doing::Asks));
            add(WaitAction::EndOfWait(at), is(Doing::Blocks));
            add(WaitAction::EndOfJob(at), is(Doing::Runs));
            add(
                WaitAction::GiveUp(at),
                is(Doing::Runs) && (node.permit || node.called && self.passes_on),
            );
            add(WaitAction::Arrive(at), node.message);
            add(WaitAction::Visit(at), is(Doing::Rests) && self.visits);
            add(WaitAction::End(at), is(Doing::Gone) && node.in_waiting);
            add(
                WaitAction::EarlyEnd(at),
                !is(Doing::Gone) && node.in_waiting && state.early_ends > 0,
            );
            add(WaitAction::Lose(at), node.message && state.losses > 0);
            add(WaitAction::Kill(at), !is(Doing::Gone) && state.kills > 0);
        }
    }

    fn step(&self, state: &mut WaitState, action: WaitAction) -> Result<(), Broken> {
        use WaitAction::*;
        match action {
            Store => (state.to_come, state.ready) = (state.to_come - 1, state.ready + 1),
            StoreFor(at) => {
                state.to_come -= 1;
                state.nodes[at].doing = Doing::Runs;
            }
            Look(at) => {
                let node = &mut state.nodes[at];
                node.doing = match (state.ready > 0, node.permit) {
                    (true, _) => Doing::Runs,
                    // The read that blocks looks at the lanes once more, in the same step.
                    (false, true) => Doing::Blocks,
                    (false, false) => Doing::Asks,
                };
                state.ready = state.ready.saturating_sub(1);
            }
            Ask(at) => self.ask(state, at),
            EndOfWait(at) => {
                let node = &mut state.nodes[at];
                // The next wait renews the permit, or finds that it was lost.
                node.permit = node.in_waiting;
                node.doing = Doing::Looks;
            }
            EndOfJob(at) => state.nodes[at].doing = Doing::Looks,
            GiveUp(at) => self.give_up(state, at),
            Arrive(at) => {
                let node = &mut state.nodes[at];
                node.message = false;
                match node.doing {
                    Doing::Rests => node.doing = Doing::Asks,
                    // If it fills up without a permit, it passes the call on.
                    Doing::Looks | Doing::Asks | Doing::Runs => node.called = true,
                    Doing::Blocks | Doing::Gone => {}
                }
            }
            Visit(at) => {
                let free = state.count(|node| node.in_waiting) < self.permits;
                let node = &mut state.nodes[at];
                if state.ready > 0 {
                    node.doing = Doing::Runs;
                    state.ready -= 1;
                } else if free || !node.in_resting {
                    // A node that is not entered could not be woken: it asks, and is entered again.
                    node.doing = Doing::Asks;
                }
            }
            End(at) => state.nodes[at].in_waiting = false,
            EarlyEnd(at) => {
                state.early_ends -= 1;
                state.nodes[at].in_waiting = false;
            }
            Lose(at) => {
                state.losses -= 1;
                state.nodes[at].message = false;
            }
            Kill(at) => {
                state.kills -= 1;
                let node = &mut state.nodes[at];
                // The rescue of its job is a matter of the first model.
                if node.doing == Doing::Runs {
                    state.ready += 1;
                }
                (node.doing, node.permit, node.message) = (Doing::Gone, false, false);
            }
        }
        Ok(())
    }

    fn check(&self, state: &WaitState) -> Result<(), Broken> {
        let blocked = state.count(|node| node.doing == Doing::Blocks);
        let late = usize::from(self.early_ends - state.early_ends);
        if blocked > self.permits + late { Err(FEW_BLOCK) } else { Ok(()) }
    }

    fn is_done(&self, state: &WaitState) -> bool {
        let runs = state.count(|node| node.doing == Doing::Runs);
        let room = runs + state.count(|node| node.doing == Doing::Gone) < NODES;
        state.to_come == 0
            && match self.visits {
                true => state.ready == 0 && runs == 0,
                // Jobs wait only for slots.
                false => state.ready == 0 || !room,
            }
    }

    fn is_fault(&self, action: WaitAction) -> bool {
        use WaitAction::{EarlyEnd, EndOfJob, Kill, Lose};
        match action {
            EarlyEnd(_) | Kill(_) | Lose(_) => true,
            // A job may run for long: while other nodes have room, none waits for its end.
            EndOfJob(_) => !self.visits,
            _ => false,
        }
    }
}
