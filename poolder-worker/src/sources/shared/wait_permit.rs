//! Decides whether a claimer whose lanes are empty may block until a job comes, or rests and looks
//! for jobs at growing intervals. Pure: it reads no clock and asks no server.
//!
//! A stored job costs the server some time for each node that blocks. Therefore at most a few nodes
//! of a fleet block at a partition: those with a wait permit. In a fleet that has no more nodes than
//! permits all nodes block, and none asks for a permit.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use poolder_core::mutation::mutated;
use tokio::time::Instant;

/// How long a permit is relied on since it was last renewed. The server keeps it for 8 s.
const VALIDITY: Duration = Duration::from_secs(7);
/// A permit that was renewed less than this ago is not renewed with the next wait, which takes up to
/// 5 s.
const RENEWAL: Duration = Duration::from_secs(2);
/// A claimer without room gives its permit up after this long. Jobs that end sooner let it claim by
/// itself.
const GRACE: Duration = Duration::from_millis(2);
/// The first pause of a node that rests, which is woken when it is needed.
const FIRST_PAUSE: Duration = Duration::from_millis(64);
/// The first pause of a node that rests and receives no hints.
const FIRST_PAUSE_UNHINTED: Duration = Duration::from_millis(2);
/// How long a node blocks without a permit after the server refused to answer.
const FALLBACK: Duration = Duration::from_secs(5);
/// The pauses between two calls that wake other nodes for jobs that this one leaves.
const FIRST_HELP: Duration = Duration::from_millis(100);
const MAX_HELP: Duration = Duration::from_secs(2);

/// The facts about the fleet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fleet {
    /// The number of nodes in the roster.
    pub(super) nodes: usize,
    /// True while this node receives hints, so that it can be woken.
    pub(super) hints: bool,
}

/// The next step of a claimer whose lanes are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitChoice {
    /// It blocks until a job comes.
    Block {
        /// True when the permit is renewed in the same round trip.
        renew: bool,
    },
    /// It asks for a permit.
    Ask,
    /// It looks for jobs without blocking.
    Visit,
    /// It rests until this time.
    Rest(Instant),
}

/// The wait permit of a claimer.
#[derive(Debug)]
pub(super) struct WaitPermit {
    /// The number of permits of the partition.
    most: u16,
    /// A number from 0 to 1 by which nodes spread their visits.
    spread: f64,
    state: PermitState,
    /// True when another node has woken this one while it did not rest. If it fills up without a
    /// permit, it wakes another in its place.
    called: bool,
    /// Since when the claimer has no room, without a break.
    full_since: Option<Instant>,
    help_at: Option<Instant>,
    help_pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PermitState {
    /// The node has no permit, and is not entered among those that rest.
    Out,
    /// The node has a permit, renewed at this time.
    Held(Instant),
    /// The node rests.
    Resting { pause: Duration, visit_at: Instant },
    /// The server did not answer: the node blocks without a permit until this time.
    Unknown(Instant),
}

impl WaitPermit {
    pub(super) fn new(most: u16, node: &str) -> Self {
        let (state, help_pause) = (PermitState::Out, FIRST_HELP);
        let spread = spread(node);
        Self { most, spread, state, called: false, full_since: None, help_at: None, help_pause }
    }

    /// Returns what to do while all lanes are empty and there is room for a job.
    pub(super) fn choice(&self, now: Instant, fleet: Fleet) -> WaitChoice {
        if !self.is_needed(fleet) {
            return WaitChoice::Block { renew: false };
        }
        match self.state {
            PermitState::Held(renewed) if now < renewed + VALIDITY => {
                WaitChoice::Block { renew: now >= renewed + RENEWAL }
            }
            PermitState::Unknown(until) if now < until => WaitChoice::Block { renew: false },
            PermitState::Resting { visit_at, .. } if now < visit_at => WaitChoice::Rest(visit_at),
            PermitState::Resting { .. } => WaitChoice::Visit,
            PermitState::Out | PermitState::Held(_) | PermitState::Unknown(_) => WaitChoice::Ask,
        }
    }

    /// Returns when the claimer gives up its permit or its place among those that rest, or wakes
    /// others: for the jobs that it leaves, or since it was woken and has no room any more. `full` says that it has no room, `left` that it knows of jobs beyond its room.
    pub(super) fn end_at(
        &mut self,
        now: Instant,
        fleet: Fleet,
        full: bool,
        left: bool,
    ) -> Option<Instant> {
        if !full || !self.is_needed(fleet) {
            self.full_since = None;
            return None;
        }
        let full_since = *self.full_since.get_or_insert(now);
        match self.state {
            _ if self.called => Some(now),
            PermitState::Held(_) | PermitState::Resting { .. } => {
                Some(if left { now } else { full_since + GRACE })
            }
            _ if left => Some(self.help_at.map_or(now, |at| at.max(now))),
            _ => None,
        }
    }

    /// Notes the answer to the request for a permit.
    pub(super) fn answered(&mut self, now: Instant, fleet: Fleet, permit: bool) {
        self.called = false;
        self.state = match permit {
            true => PermitState::Held(now),
            false => self.rest(now, self.first_pause(fleet)),
        };
    }

    /// Notes that the server could not be asked. The node then blocks without a permit for a while:
    /// permits save time of the server, and no job waits for them.
    pub(super) fn failed(&mut self, now: Instant) {
        self.state = PermitState::Unknown(now + FALLBACK);
    }

    /// Notes that the permit was renewed with a wait that begins.
    pub(super) fn renewed(&mut self, now: Instant) {
        self.state = PermitState::Held(now);
    }

    /// Notes that the permit was lost, or given up.
    pub(super) fn lost(&mut self) {
        self.state = PermitState::Out;
    }

    /// Notes that the permit was given up, or help was called, and how many nodes were woken.
    pub(super) fn ended(&mut self, now: Instant, woken: usize) {
        self.lost();
        self.called = false;
        self.help_pause = match woken {
            0 => (self.help_pause * 2).min(MAX_HELP),
            _ => FIRST_HELP,
        };
        self.help_at = Some(now + self.help_pause);
    }

    /// Notes the end of a visit: whether it brought jobs, and whether to ask for a permit.
    pub(super) fn visited(&mut self, now: Instant, fleet: Fleet, jobs: bool, ask: bool) {
        let PermitState::Resting { pause, .. } = self.state else { return };
        self.state = match (ask, jobs) {
            (true, _) => PermitState::Out,
            (false, true) => self.rest(now, self.first_pause(fleet)),
            (false, false) => self.rest(now, (pause * 2).min(max_pause(fleet))),
        };
    }

    /// Notes that another node has woken this one.
    pub(super) fn woken(&mut self) {
        match self.state {
            PermitState::Resting { .. } => self.state = PermitState::Out,
            PermitState::Out => self.called = true,
            PermitState::Held(_) | PermitState::Unknown(_) => {}
        }
    }

    /// Notes that a node has died, which may have had a permit: a node that rests looks soon.
    pub(super) fn node_died(&mut self, now: Instant, fleet: Fleet) {
        if let PermitState::Resting { visit_at, .. } = &mut self.state
            && !mutated("death-visit")
        {
            let nodes = u32::try_from(fleet.nodes).unwrap_or(u32::MAX);
            let longest = Duration::from_millis(2).saturating_mul(nodes);
            let soon = longest.min(Duration::from_millis(500)).mul_f64(self.spread);
            *visit_at = (*visit_at).min(now + soon);
        }
    }

    /// Returns true while the server has an entry of this node.
    pub(super) fn is_entered(&self) -> bool {
        matches!(self.state, PermitState::Held(_) | PermitState::Resting { .. })
    }

    /// Returns true while the node rests.
    pub(super) fn is_resting(&self, fleet: Fleet) -> bool {
        self.is_needed(fleet) && matches!(self.state, PermitState::Resting { .. })
    }

    /// Returns the number of permits.
    pub(super) fn most(&self) -> u16 {
        self.most
    }

    /// Returns the number of permits below which a node that gives one up wakes another node.
    pub(super) fn least(&self) -> u16 {
        self.most.div_ceil(2)
    }

    fn is_needed(&self, fleet: Fleet) -> bool {
        fleet.nodes > usize::from(self.most)
    }

    fn first_pause(&self, fleet: Fleet) -> Duration {
        if fleet.hints { FIRST_PAUSE } else { FIRST_PAUSE_UNHINTED }
    }

    fn rest(&self, now: Instant, pause: Duration) -> PermitState {
        PermitState::Resting { pause, visit_at: now + pause.mul_f64(0.75 + self.spread / 2.0) }
    }
}

/// Returns the longest pause between two visits. It grows with the fleet, so that the visits of all
/// nodes together stay few: 10 a second, more only from 1,200 nodes on.
fn max_pause(fleet: Fleet) -> Duration {
    let nodes = u32::try_from(fleet.nodes).unwrap_or(u32::MAX);
    if fleet.hints {
        let pause = Duration::from_millis(100).saturating_mul(nodes);
        pause.clamp(Duration::from_secs(8), Duration::from_secs(120))
    } else {
        let pause = Duration::from_millis(5).saturating_mul(nodes);
        pause.clamp(Duration::from_secs(1), Duration::from_secs(8))
    }
}

fn spread(node: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
