//! Two nodes, a pool of addressed slots, a producer, and the steps that are possible in a state.

use super::guards::SlotGuards;
use super::pool::PoolRecord;
use super::scripts::{Place, Poll, PoolServer};
use super::service::{Service, Stage};
use super::slot::{SLOTS, SlotData, SlotNumber};
use crate::node::Life;
use crate::server::{Bits, Job, Name};

/// Number of nodes. Node 0 is the one that is paused or killed.
pub const HOLDERS: usize = 2;

/// The faults and the acts of operators that may happen in a run, each with its maximum number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SlotFaults {
    /// The pool is resized, from one slot to two or back.
    pub resizes: u8,
    /// A slot shall be held by the other node.
    pub handovers: u8,
    /// Node 0 is paused past its lease.
    pub pauses: u8,
    /// Node 0 is killed.
    pub crashes: u8,
    /// The server fails over to a replica that lacks a suffix of the history.
    pub failovers: u8,
    /// The reply to a request of a slot is lost.
    pub lost_replies: u8,
    /// A poll is given up by its node, and reaches the server later.
    pub late_polls: u8,
    /// A handler fails, and the job is tried again.
    pub retries: u8,
    /// The job for which a slot waits is cancelled.
    pub cancels: u8,
}

/// A configuration to check.
#[derive(Debug, Clone, Copy)]
pub struct SlotScenario {
    /// The number of slots at the start.
    pub size: SlotNumber,
    /// The number of slots before that.
    pub top: SlotNumber,
    /// The number of jobs, in the order in which they are cast.
    pub jobs: Job,
    /// The jobs of the key that stays in slot 0. The key of all others moves with the size.
    pub staying: Bits,
    /// The jobs that the producer delays. They wait for their time in the slot of their key, as the
    /// producer knows it.
    pub due: Bits,
    /// The jobs that are dead in the last slot that the pool had at the start.
    pub dead: Bits,
    /// The node that shall hold each slot at the start.
    pub assigned: [u8; SLOTS],
    /// True when a retried job blocks its slot; otherwise it waits aside.
    pub blocks: bool,
    /// The most jobs that a poll claims.
    pub batch: u8,
    /// The faults that may happen.
    pub faults: SlotFaults,
    /// The guards that are on.
    pub guards: SlotGuards,
}

/// A node, as far as the pool is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The state of the process.
    pub life: Life,
    /// Its name.
    pub name: Name,
    /// True when the node was paused since its last heartbeat.
    pub lapsed: bool,
    /// The pool, as of its last heartbeat there.
    pub view: PoolRecord,
    /// The slots out of service in which it has found jobs.
    pub late: Bits,
    /// The slots that it may hold without knowing it.
    pub doubt: Bits,
    /// The slots that it serves.
    pub services: [Option<Service>; SLOTS],
}

/// One state of the server, the nodes and the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotWorld {
    /// The primary server.
    pub server: PoolServer,
    /// State of the replica, once replication has fallen behind.
    pub replica: Option<PoolServer>,
    /// The nodes.
    pub nodes: [Holder; HOLDERS],
    /// The names that were declared dead.
    pub dead: Bits,
    /// The next unused name.
    pub next_name: Name,
    /// The node that shall hold each slot, as long as it lives.
    pub assigned: [u8; SLOTS],
    /// The pool, as the producer knows it.
    pub known: PoolRecord,
    /// The next job to cast.
    pub next_job: Job,
    /// The jobs whose order is not promised: they have waited for their time, or were dead.
    pub aside: Bits,
    /// A poll that its node has given up, and that is on its way to this slot.
    pub in_flight: Option<(usize, Poll)>,
    /// The faults that may still happen.
    pub left: SlotFaults,
}

/// One step. A `usize` is the index of a node, or of a slot if it comes second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotAction {
    /// The producer casts its next job.
    Cast,
    /// The producer reads the pool.
    Renew,
    /// The time of a job in `due` has come.
    Promote(usize, Job),
    /// An operator revives a dead job.
    Revive(usize, Job),
    /// An operator cancels the job for which a slot waits.
    Cancel(usize),
    /// An operator resizes the pool.
    Resize(SlotNumber),
    /// The time of a retry has come.
    HoldEnds(usize),
    /// A node reads the pool.
    See(usize),
    /// A node looks for late jobs in a slot out of service.
    Look(usize, usize),
    /// A node finds that it is the holder of a slot that it does not serve.
    Notice(usize, usize),
    /// The next poll of a slot looks for claims that its holder does not know.
    Audit(usize, usize),
    /// The holder of a slot rescues the jobs of earlier holders once more.
    RescueAgain(usize, usize),
    /// A node sends a heartbeat.
    Beat(usize),
    /// A node acquires a slot.
    Acquire(usize, usize, Reply),
    /// The service of a slot takes its next step.
    Step(usize, usize, Reply),
    /// A slot that is to be left puts back the job that it would move.
    PutBack(usize, usize),
    /// The handler of a slot ends.
    End(usize, usize, Place),
    /// The poll that is on its way arrives.
    Deliver,
    /// A slot shall be held by the other node.
    HandOver(usize),
    /// Node 0 is paused.
    Pause,
    /// Node 0 continues.
    Wake,
    /// Node 0 is killed.
    Crash,
    /// Node 0 is declared dead.
    Declare(Name),
    /// The replica stops receiving changes.
    FallBehind,
    /// The replica takes over.
    FailOver,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The node gets the reply.
    Answered,
    /// The reply is lost.
    Lost,
    /// The node gives the request up before it reaches the server.
    Late,
}

impl SlotWorld {
    /// Returns the initial state: the slots are held, and nothing is stored but the jobs that wait
    /// or are dead.
    #[must_use]
    pub fn begin(scenario: &SlotScenario) -> Self {
        let pool = PoolRecord::begin(scenario.size, scenario.top);
        let mut server = PoolServer {
            history: 0,
            pool,
            slots: [SlotData::default(); SLOTS],
            receipts: 0,
            stored: scenario.dead,
            done: 0,
        };
        server.slots[usize::from(scenario.top - 1)].dead = scenario.dead;
        server.slots.iter_mut().for_each(|slot| slot.lease.generation = 1);
        let node = |name| Holder {
            life: Life::Up,
            name,
            lapsed: false,
            view: pool.seen(),
            late: 0,
            doubt: 0,
            services: [None; SLOTS],
        };
        let mut nodes = [node(0), node(1)];
        for slot in 0..usize::from(scenario.size) {
            let holder = &mut nodes[usize::from(scenario.assigned[slot])];
            let lease = &mut server.slots[slot].lease;
            (lease.holder, lease.term) = (Some(holder.name), 1);
            let service = Service { stage: Stage::Serve, ..Service::start((holder.name, 1)) };
            holder.services[slot] = Some(service);
        }
        Self {
            server,
            replica: None,
            nodes,
            dead: 0,
            next_name: 2,
            assigned: scenario.assigned,
            known: pool.seen(),
            next_job: 0,
            aside: scenario.due | scenario.dead,
            in_flight: None,
            left: scenario.faults,
        }
    }
}

impl Holder {
    /// Returns true when the node runs and its heartbeats come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.life == Life::Up && !self.lapsed
    }
}
