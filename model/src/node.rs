//! A node's side: what its heartbeat, its claimer and its rescuer know. Names follow the files in
//! `poolder-worker/src`.

use crate::server::{Bits, CAREFUL, Id, Job, Name, bit};

/// How many jobs a node can hold.
const SLOTS: usize = 2;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Node {
    /// Whether the process runs.
    pub life: Life,
    /// Its incarnation.
    pub name: Name,
    /// Its beats are acknowledged, so that it may claim.
    pub claims: bool,
    /// It has given its sign of life in this round.
    pub beaten: bool,
    /// The history of its claim line; `None` while that is closed.
    pub line: Option<u8>,
    /// What it holds, by its own account.
    pub held: [Option<Holding>; SLOTS],
    /// Names that its last beat found silent, and that gave no sign of life since.
    pub saw: Bits,
    /// Names that it is about to declare dead …
    pub doomed: Bits,
    /// … and those of them that have given a sign of life meanwhile.
    pub changed: Bits,
    /// What its rescuer does.
    pub rescue: Rescue,
    /// For the properties only: it was paused since its last beat.
    pub lapsed: bool,
}

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Life {
    /// It does.
    #[default]
    Up,
    /// It is paused, and knows nothing of it.
    Paused,
    /// It is dead.
    Down,
}

/// A claim, as its node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The entry.
    pub id: Id,
    /// The job.
    pub job: Job,
    /// From the suspects' lane.
    pub suspect: bool,
    /// Under which name it was claimed.
    pub owner: Name,
    /// The history in which it was claimed, or [`CAREFUL`].
    pub stamp: u8,
    /// How far it is.
    pub phase: Phase,
    /// A settlement of it was sent, and its answer lost.
    pub sent: bool,
}

/// How far a holding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It waits for a slot or a permit.
    Waiting,
    /// A handler runs.
    Running,
    /// The handler has finished its job.
    Done,
    /// The attempt failed.
    Failed,
}

/// The rescuer reads in steps, and the server may change between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rescue {
    /// Nothing.
    #[default]
    Idle,
    /// `XPENDING` has named an entry of a dead node.
    Listed(Id, Name),
    /// `XRANGE` has found the job in it, with so many crashes.
    Read(Id, Name, Job, u8),
    /// `XRANGE` has found nothing.
    Gone(Id),
}

impl Node {
    /// A process that has just started.
    #[must_use]
    pub fn start(name: Name) -> Self {
        Self { name, ..Self::default() }
    }

    /// True while it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.life == Life::Up
    }

    /// What it holds.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.held.iter().flatten()
    }

    /// True when there is room for another job.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.held.iter().any(Option::is_none)
    }

    /// Takes a claim in, unless an entry of this id runs here already.
    pub fn accept(&mut self, holding: Holding) {
        if self.holdings().any(|held| held.id == holding.id) {
            return;
        }
        if let Some(free) = self.held.iter_mut().find(|place| place.is_none()) {
            *free = Some(holding);
        }
        self.sort();
    }

    /// Forgets a claim.
    pub fn release(&mut self, id: Id) {
        for place in self.held.iter_mut().filter(|place| place.is_some_and(|h| h.id == id)) {
            *place = None;
        }
        self.sort();
    }

    /// The claim of this entry.
    pub fn holding_mut(&mut self, id: Id) -> Option<&mut Holding> {
        self.held.iter_mut().flatten().find(|held| held.id == id)
    }

    /// Holdings have no order; one order for all states that mean the same.
    fn sort(&mut self) {
        self.held.sort_unstable_by_key(|place| place.map_or(Id::MAX, |held| held.id));
    }

    /// The process ends, and with it all that it knew.
    pub fn die(&mut self) {
        *self = Self { life: Life::Down, name: self.name, ..Self::default() };
    }

    /// It was told that it is dead: handlers are cancelled, what has ended is still settled, under
    /// the old name.
    pub fn rename(&mut self, name: Name) {
        for place in &mut self.held {
            if place.is_some_and(|held| matches!(held.phase, Phase::Running | Phase::Waiting)) {
                *place = None;
            }
        }
        self.sort();
        (self.name, self.line) = (name, None);
    }

    /// The server was away, or is another one now: connections are closed, beats have failed, and
    /// with them every suspicion.
    pub fn disconnect(&mut self) {
        (self.line, self.saw, self.doomed, self.changed) = (None, 0, 0, 0);
        self.beaten = false;
    }

    /// Somebody gave a sign of life.
    pub fn hear_of(&mut self, name: Name) {
        self.saw &= !bit(name);
        self.changed |= self.doomed & bit(name);
    }
}

impl Holding {
    /// True when its completion relies on the history in which it was claimed.
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.phase == Phase::Done && self.stamp != CAREFUL
    }
}
