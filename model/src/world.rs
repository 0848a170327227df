//! All nodes, the server, and every step that any of them, or fate, can take.

use crate::guards::{Guard, Guards};
use crate::node::{Holding, Life, Node, Phase, Rescue};
use crate::server::{Bits, CAREFUL, Id, JOBS, Job, Name, Server, bit};

/// How many nodes there can be.
pub const NODES: usize = 3;

/// What may happen in a run, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// A node is paused past its lease.
    pub pauses: u8,
    /// The server fails over to a replica that lacks a suffix of the history.
    pub failovers: u8,
    /// The reply to a claim or a settlement is lost with its connection.
    pub lost_replies: u8,
    /// A node is killed.
    pub crashes: u8,
    /// The server is away for longer than any lease.
    pub outages: u8,
    /// A destination cannot be written.
    pub refusals: u8,
    /// A claim that was sent long ago lands under a name that nobody uses any more.
    pub late_claims: u8,
    /// A handler fails.
    pub failures: u8,
}

/// What is checked.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Nodes at the beginning.
    pub nodes: usize,
    /// Jobs that a node claims at once.
    pub slots: usize,
    /// Jobs that kill the process that runs them.
    pub killers: Bits,
    /// Processes that may be started in place of dead ones.
    pub restarts: u8,
    /// What fate may do.
    pub faults: Faults,
    /// Signs of life are given and missed step by step. Otherwise whoever does not run, or has not
    /// given one since it was paused, may be declared dead at any moment.
    pub heartbeats: bool,
    /// What is guarded.
    pub guards: Guards,
}

/// One state of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    /// The server that everybody talks to.
    pub server: Server,
    /// What the replica has, once replication has fallen behind.
    pub replica: Option<Server>,
    /// The processes.
    pub nodes: [Node; NODES],
    /// The next name that nobody had.
    pub next_name: Name,
    /// What may yet happen.
    pub left: Faults,
    /// Processes that may yet be started.
    pub restarts: u8,
}

/// One step. Numbers are nodes unless they are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A producer stores a job, as it was told to, or again since it heard of nothing.
    Enqueue(Job),
    /// The claimer opens its line.
    Open(usize),
    /// The claimer claims.
    Claim {
        /// Whose.
        node: usize,
        /// From the suspects' lane.
        suspect: bool,
        /// The reply is lost.
        lost: bool,
    },
    /// The claimer adopts.
    Adopt(usize, Id),
    /// A handler ends.
    Finish(usize, Id, Phase),
    /// A handler's job kills its process.
    Kill(usize),
    /// The claimer settles what has ended.
    Settle {
        /// Whose.
        node: usize,
        /// The entry.
        id: Id,
        /// The reply is lost.
        lost: bool,
        /// The destination cannot be written.
        refused: bool,
    },
    /// The heartbeat gives a sign of life.
    Beat(usize),
    /// The heartbeat declares a name dead.
    Mark(usize, Name),
    /// The rescuer names an entry that a dead node holds.
    List(usize, Id),
    /// The rescuer reads it.
    Read(usize),
    /// The rescuer takes it back.
    TakeBack {
        /// Whose.
        node: usize,
        /// The destination cannot be written.
        refused: bool,
    },
    /// The rescuer removes the consumer of a dead node.
    Forget(usize, Name),
    /// The promoter moves a job whose time has come.
    Promote(Job),
    /// A name has been silent for too long.
    Silence(Name),
    /// A name is declared dead, all steps of the heartbeats in one.
    Declare(Name),
    /// A process is started in the place of a dead one.
    Restart(usize),
    /// A process is paused.
    Pause(usize),
    /// It goes on.
    Wake(usize),
    /// A process is killed.
    Crash(usize),
    /// Replication falls behind from here on.
    FallBehind,
    /// The replica takes over.
    FailOver,
    /// The server is away for long, and comes back.
    Outage,
    /// A claim lands late.
    LateClaim(Name),
}

impl World {
    /// How it begins: job 0 is stored and replicated, the nodes have just started.
    #[must_use]
    pub fn begin(scenario: &Scenario) -> Self {
        let mut server = Server::default();
        server.enqueue(0);
        let mut nodes = [Node::default(); NODES];
        for (name, node) in (0..).zip(&mut nodes) {
            *node = Node::start(name);
            node.claims = !scenario.heartbeats;
            if node.claims {
                server.beat(scenario.guards, name);
            }
            if usize::from(name) >= scenario.nodes {
                node.die();
            }
        }
        let next_name = u8::try_from(scenario.nodes).unwrap_or(u8::MAX);
        let (left, restarts) = (scenario.faults, scenario.restarts);
        Self { server, replica: None, nodes, next_name, left, restarts }
    }

    /// The node that goes by a name now.
    #[must_use]
    pub fn node_named(&self, name: Name) -> Option<&Node> {
        self.nodes.iter().find(|node| node.life != Life::Down && node.name == name)
    }

    /// Steps that are possible now.
    pub fn actions(&self, scenario: &Scenario, out: &mut Vec<Action>) {
        for job in 0..JOBS as Job {
            if self.server.stored & bit(job) == 0 {
                out.push(Action::Enqueue(job));
            }
            if self.server.due[usize::from(job)].is_some() {
                out.push(Action::Promote(job));
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            match node.life {
                Life::Up => self.node_actions(scenario, at, node, out),
                Life::Paused => out.push(Action::Wake(at)),
                Life::Down if self.restarts > 0 => out.push(Action::Restart(at)),
                Life::Down => {}
            }
        }
        for name in 0..self.next_name {
            let beats = self.node_named(name).is_some_and(Node::is_up);
            if scenario.heartbeats
                && !beats
                && self.server.nodes & !self.server.silent & bit(name) != 0
            {
                out.push(Action::Silence(name));
            }
            // Nobody claims before its first sign of life.
            let known = (self.server.nodes | self.server.marks) & bit(name) != 0;
            if self.left.late_claims > 0 && known && !beats {
                out.push(Action::LateClaim(name));
            }
            let may_be_dead = self.node_named(name).is_none_or(|n| !n.is_up() || n.lapsed);
            if !scenario.heartbeats && may_be_dead && self.server.nodes & bit(name) != 0 {
                out.push(Action::Declare(name));
            }
        }
        if self.left.failovers > 0 {
            let replica = self.replica.is_some();
            out.push(if replica { Action::FailOver } else { Action::FallBehind });
        }
        if self.left.outages > 0 {
            out.push(Action::Outage);
        }
    }

    fn node_actions(&self, scenario: &Scenario, at: usize, node: &Node, out: &mut Vec<Action>) {
        let due = node.lapsed || self.server.nodes & bit(node.name) == 0;
        if if scenario.heartbeats { !node.beaten } else { due } {
            out.push(Action::Beat(at));
        }
        out.extend(
            (0..self.next_name).filter(|n| node.doomed & bit(*n) != 0).map(|n| Action::Mark(at, n)),
        );
        self.claimer_actions(scenario, at, node, out);
        self.rescuer_actions(at, node, out);
        // One node stays, to finish what there is.
        if self.nodes.iter().filter(|node| node.is_up()).count() > 1 {
            // All nodes are alike: let it be the first.
            if self.left.pauses > 0 && at == 0 {
                out.push(Action::Pause(at));
            }
            if self.left.crashes > 0 {
                out.push(Action::Crash(at));
            }
        }
    }

    fn claimer_actions(&self, scenario: &Scenario, at: usize, node: &Node, out: &mut Vec<Action>) {
        for held in node.holdings() {
            let (id, killer) = (held.id, scenario.killers & bit(held.job) != 0);
            match held.phase {
                Phase::Running if killer => out.push(Action::Kill(at)),
                Phase::Running => {
                    out.push(Action::Finish(at, id, Phase::Done));
                    if self.left.failures > 0 {
                        out.push(Action::Finish(at, id, Phase::Failed));
                    }
                }
                Phase::Waiting => {
                    if !node.holdings().any(|h| h.suspect && h.phase == Phase::Running) {
                        out.push(Action::Finish(at, id, Phase::Running));
                    }
                }
                Phase::Done | Phase::Failed => {
                    let settle = |lost, refused| Action::Settle { node: at, id, lost, refused };
                    out.push(settle(false, false));
                    if self.left.lost_replies > 0 {
                        out.push(settle(true, false));
                    }
                    if self.left.refusals > 0 {
                        out.push(settle(false, true));
                    }
                }
            }
        }
        if node.line.is_none() {
            out.push(Action::Open(at));
            return;
        }
        if scenario.guards.has(Guard::Adoption) && node.has_room() {
            let unknown = |id: Id| !node.holdings().any(|held| held.id == id);
            let own = self.server.entries().filter(|e| e.owner == Some(node.name));
            out.extend(own.filter(|e| unknown(e.id)).map(|e| Action::Adopt(at, e.id)));
        }
        let stale = node.lapsed && scenario.guards.has(Guard::FreshBeat);
        let free = node.holdings().count() < scenario.slots;
        if node.claims && !stale && free {
            let single = scenario.guards.has(Guard::OneSuspect);
            let busy = single && node.holdings().any(|held| held.suspect);
            for suspect in [false, true] {
                if suspect && busy || self.server.clone().claim(node.name, suspect).is_none() {
                    continue;
                }
                out.push(Action::Claim { node: at, suspect, lost: false });
                if self.left.lost_replies > 0 {
                    out.push(Action::Claim { node: at, suspect, lost: true });
                }
            }
        }
    }

    fn rescuer_actions(&self, at: usize, node: &Node, out: &mut Vec<Action>) {
        match node.rescue {
            Rescue::Idle => {
                for name in 0..self.next_name {
                    // Whom the roster does not know is taken for dead after ten minutes idle.
                    let known = (self.server.nodes | self.server.marks) & bit(name) != 0;
                    let idle = !self.node_named(name).is_some_and(Node::is_up);
                    let dead = self.server.marks & bit(name) != 0 || (!known && idle);
                    if !dead || name == node.name {
                        continue;
                    }
                    let held = self.server.entries().filter(|e| e.owner == Some(name));
                    out.extend(held.map(|entry| Action::List(at, entry.id)));
                    out.push(Action::Forget(at, name));
                }
            }
            Rescue::Listed(..) | Rescue::Gone(_) => out.push(Action::Read(at)),
            Rescue::Read(..) => {
                out.push(Action::TakeBack { node: at, refused: false });
                if self.left.refusals > 0 {
                    out.push(Action::TakeBack { node: at, refused: true });
                }
            }
        }
    }

    /// A claim of this node, as its reply brings it.
    pub(crate) fn holding(&self, node: usize, entry: crate::server::Entry) -> Holding {
        let node = &self.nodes[node];
        let blocked = entry.suspect
            && node.holdings().any(|held| held.suspect && held.phase == Phase::Running);
        Holding {
            id: entry.id,
            job: entry.job,
            suspect: entry.suspect,
            owner: node.name,
            stamp: node.line.unwrap_or(CAREFUL),
            phase: if blocked { Phase::Waiting } else { Phase::Running },
            sent: false,
        }
    }
}
