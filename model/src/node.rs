//! A node: the state of its heartbeat, its claimer and its rescuer. Names follow the files in
//! `poolder-worker/src`.

use crate::server::{Bits, CAREFUL, Id, Job, Name, bit};

/// Maximum number of jobs that a node holds.
const SLOTS: usize = 2;

/// The most heartbeats that a node sends to a server that was away before every other running node
/// has returned to it.
pub const WORST_RETURN: u8 = 2;

/// One node process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Node {
    /// The state of the process.
    pub life: Life,
    /// The name of its current incarnation.
    pub name: Name,
    /// True when a heartbeat was acknowledged, so that the node may claim.
    pub claims: bool,
    /// True when the node has sent its heartbeat in this round.
    pub beaten: bool,
    /// True while the node has not returned to a server that was away.
    pub away: bool,
    /// The number of its heartbeats without a gap, up to one more than [`WORST_RETURN`].
    pub whole: u8,
    /// The server history of the claimer's connection; `None` while the connection is closed.
    pub line: Option<u8>,
    /// The claims that the node knows.
    pub held: [Option<Holding>; SLOTS],
    /// Names that its last heartbeat found silent, and that have sent no heartbeat since.
    pub saw: Bits,
    /// Names that the node is about to declare dead.
    pub doomed: Bits,
    /// Names in `doomed` that have sent a heartbeat meanwhile.
    pub changed: Bits,
    /// The state of its rescuer.
    pub rescue: Rescue,
    /// True when the node was paused since its last heartbeat.
    pub lapsed: bool,
}

/// The state of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Life {
    /// The process runs.
    #[default]
    Up,
    /// The process is paused, and does not notice the pause.
    Paused,
    /// The process is dead.
    Down,
}

/// A claim that a node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The id of the claimed entry.
    pub id: Id,
    /// The job in the entry.
    pub job: Job,
    /// True when the entry is from the suspects' lane.
    pub suspect: bool,
    /// The name under which the entry was claimed.
    pub owner: Name,
    /// The server history in which the entry was claimed, or [`CAREFUL`].
    pub stamp: u8,
    /// The progress of the job.
    pub phase: Phase,
    /// True when a settlement was sent and its reply was lost.
    pub sent: bool,
}

/// The progress of a holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The job waits for a slot or a permit.
    Waiting,
    /// The handler runs.
    Running,
    /// The handler has completed the job.
    Done,
    /// The attempt failed.
    Failed,
}

/// The state of a rescuer, which reads in steps; the data in the server may change between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rescue {
    /// The rescuer has nothing to do.
    #[default]
    Idle,
    /// `XPENDING` has listed this entry of this dead node.
    Listed(Id, Name),
    /// `XRANGE` has read this entry of this dead node: its job and its number of crashes.
    Read(Id, Name, Job, u8),
    /// `XRANGE` has not found this entry.
    Gone(Id),
}

impl Node {
    /// Returns a process that has just started.
    #[must_use]
    pub fn start(name: Name) -> Self {
        Self { name, ..Self::default() }
    }

    /// Returns true while the process runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.life == Life::Up
    }

    /// Returns the claims that the node knows.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.held.iter().flatten()
    }

    /// Returns true when the node can hold another job.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held.iter().any(Option::is_none)
    }

    /// Adds a claim, unless the node holds an entry of this id already.
    pub fn accept(&mut self, holding: Holding) {
        if self.holdings().any(|held| held.id == holding.id) {
            return;
        }
        if let Some(free) = self.held.iter_mut().find(|place| place.is_none()) {
            *free = Some(holding);
        }
        self.sort();
    }

    /// Removes the claim of this entry.
    pub fn release(&mut self, id: Id) {
        for place in self.held.iter_mut().filter(|place| place.is_some_and(|h| h.id == id)) {
            *place = None;
        }
        self.sort();
    }

    /// Returns the claim of this entry.
    pub fn holding_mut(&mut self, id: Id) -> Option<&mut Holding> {
        self.held.iter_mut().flatten().find(|held| held.id == id)
    }

    /// Sorts the holdings. Their order has no meaning, so equal states must have equal orders.
    fn sort(&mut self) {
        self.held.sort_unstable_by_key(|place| place.map_or(Id::MAX, |held| held.id));
    }

    /// Ends the process, which loses its state.
    pub fn die(&mut self) {
        *self = Self { life: Life::Down, name: self.name, ..Self::default() };
    }

    /// Continues under a new name, since the old one was declared dead: running and waiting jobs
    /// are dropped; ended jobs stay, to be settled under the old name.
    pub fn rename(&mut self, name: Name) {
        for place in &mut self.held {
            if place.is_some_and(|held| matches!(held.phase, Phase::Running | Phase::Waiting)) {
                *place = None;
            }
        }
        self.sort();
        (self.name, self.line) = (name, None);
    }

    /// Closes the connection, because the server was unreachable or was replaced. Heartbeats have
    /// failed, so the node also drops what it knows about silent nodes.
    pub fn disconnect(&mut self) {
        (self.line, self.saw, self.doomed, self.changed) = (None, 0, 0, 0);
        (self.beaten, self.away, self.whole) = (false, true, 0);
    }

    /// Notes that a heartbeat of this node was acknowledged.
    pub fn acknowledge(&mut self) {
        self.whole = (self.whole + 1).min(WORST_RETURN + 1);
        (self.claims, self.beaten, self.away, self.lapsed) = (true, true, false, false);
    }

    /// Returns true when every other running node has returned, if the server was away.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole > WORST_RETURN
    }

    /// Notes that another node has sent a heartbeat.
    pub fn hear_of(&mut self, name: Name) {
        self.saw &= !bit(name);
        self.changed |= self.doomed & bit(name);
    }
}

impl Holding {
    /// Returns true when the completion of this claim relies on the history of the claim.
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.phase == Phase::Done && self.stamp != CAREFUL
    }
}
