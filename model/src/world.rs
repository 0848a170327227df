//! All nodes, the server, and every step of a node or of the environment.

use crate::guards::{Guard, Guards};
use crate::node::{Holding, Life, Node, Phase, Rescue, WORST_RETURN};
use crate::server::{Bits, CAREFUL, Id, JOBS, Job, Name, Server, bit};

/// Maximum number of nodes.
pub const NODES: usize = 3;

/// The faults that may happen in a run, each with its maximum number.
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
    /// The server is unreachable for longer than any lease. The nodes return to it one after the
    /// other.
    pub outages: u8,
    /// The server's clock jumps ahead by more than a lease.
    pub clock_jumps: u8,
    /// A destination cannot be written.
    pub refusals: u8,
    /// A claim that was sent long ago reaches the server, under the name of a node that is no
    /// longer running.
    pub late_claims: u8,
    /// A handler fails.
    pub failures: u8,
}

/// A configuration to check.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Number of nodes at the start.
    pub nodes: usize,
    /// Number of jobs that a node holds at once.
    pub slots: usize,
    /// The jobs that kill the process that runs them.
    pub killers: Bits,
    /// Number of processes that may be started in place of dead ones.
    pub restarts: u8,
    /// The faults that may happen.
    pub faults: Faults,
    /// True to model heartbeats step by step. Otherwise a node that does not run, or that has sent
    /// no heartbeat since it was paused, may be declared dead at any moment.
    pub heartbeats: bool,
    /// The guards that are on.
    pub guards: Guards,
}

/// One state of the server and all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    /// The primary server, which all nodes use.
    pub server: Server,
    /// State of the replica, once replication has fallen behind.
    pub replica: Option<Server>,
    /// The node processes.
    pub nodes: [Node; NODES],
    /// The next unused name.
    pub next_name: Name,
    /// The faults that may still happen.
    pub left: Faults,
    /// Number of processes that may still be started.
    pub restarts: u8,
}

/// One step. A `usize` is the index of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A producer stores a job, for the first time or again because it got no reply.
    Enqueue(Job),
    /// The claimer opens its connection.
    Open(usize),
    /// The claimer claims a job.
    Claim {
        /// The node of the claimer.
        node: usize,
        /// True to claim from the suspects' lane.
        suspect: bool,
        /// True when the reply is lost.
        lost: bool,
    },
    /// The claimer adopts a pending entry that it does not know.
    Adopt(usize, Id),
    /// The holding of an entry enters another phase: its handler starts or ends.
    Finish(usize, Id, Phase),
    /// A job kills the process that runs it.
    Kill(usize),
    /// The claimer settles a job that has ended.
    Settle {
        /// The node of the claimer.
        node: usize,
        /// The entry of the job.
        id: Id,
        /// True when the reply is lost.
        lost: bool,
        /// True when the destination cannot be written.
        refused: bool,
    },
    /// The node sends a heartbeat.
    Beat(usize),
    /// The heartbeat of a node declares a name dead.
    Mark(usize, Name),
    /// The rescuer lists an entry that a dead node holds.
    List(usize, Id),
    /// The rescuer reads the entry that it has listed.
    Read(usize),
    /// The rescuer takes the job back from the dead node.
    TakeBack {
        /// The node of the rescuer.
        node: usize,
        /// True when the destination cannot be written.
        refused: bool,
    },
    /// The rescuer removes the consumer of a dead node.
    Forget(usize, Name),
    /// The promoter moves a due job into its lane.
    Promote(Job),
    /// A node has been silent for too long.
    Silence(Name),
    /// A name is declared dead, in one step instead of several heartbeats.
    Declare(Name),
    /// A process is started in place of a dead one.
    Restart(usize),
    /// A process is paused.
    Pause(usize),
    /// A paused process continues.
    Wake(usize),
    /// A process is killed.
    Crash(usize),
    /// The replica stops receiving changes.
    FallBehind,
    /// The replica takes over.
    FailOver,
    /// The server is unreachable for longer than any lease, and returns.
    Outage,
    /// The server's clock jumps ahead, so that all last heartbeats look too old.
    ClockJump,
    /// A claim that was sent long ago reaches the server, under the name of a node that may have
    /// been declared dead.
    LateClaim(Name),
}

impl World {
    /// Returns the initial state: job 0 is stored and replicated, the nodes have just started.
    #[must_use]
    pub fn begin(scenario: &Scenario) -> Self {
        let mut server = Server::default();
        server.enqueue(0);
        let mut nodes = [Node::default(); NODES];
        for (name, node) in (0..).zip(&mut nodes) {
            *node = Node::start(name);
            node.claims = !scenario.heartbeats;
            // The nodes have run for long.
            node.whole = WORST_RETURN + 1;
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

    /// Returns the node that has this name now.
    #[must_use]
    pub fn node_named(&self, name: Name) -> Option<&Node> {
        self.nodes.iter().find(|node| node.life != Life::Down && node.name == name)
    }

    /// Appends the steps that are possible in this state to `out`.
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
            // A node claims only after its first heartbeat.
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
        if self.left.clock_jumps > 0 {
            out.push(Action::ClockJump);
        }
    }

    fn node_actions(&self, scenario: &Scenario, at: usize, node: &Node, out: &mut Vec<Action>) {
        let due = node.lapsed || self.server.nodes & bit(node.name) == 0;
        let others_away = self.nodes.iter().any(|other| other.is_up() && other.away);
        let early = others_away && !node.away && node.whole >= WORST_RETURN;
        if if scenario.heartbeats { !node.beaten && !early } else { due } {
            out.push(Action::Beat(at));
        }
        out.extend(
            (0..self.next_name).filter(|n| node.doomed & bit(*n) != 0).map(|n| Action::Mark(at, n)),
        );
        self.claimer_actions(scenario, at, node, out);
        self.rescuer_actions(at, node, out);
        // One node must stay up to finish the jobs.
        if self.nodes.iter().filter(|node| node.is_up()).count() > 1 {
            // All nodes are alike, so pausing the first one is enough.
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
                    // A consumer that is not in the roster counts as dead after ten minutes idle.
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

    /// Returns the holding that a node gets from the reply to its claim of `entry`.
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
