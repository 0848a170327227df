//! A fourth model: the beats of a fleet whose size is at the limit above which beats stretch. One
//! node beats, another judges it, and each knows another size of the fleet, which may change at any
//! time. Beats are lost, the node is killed, and the server's clock is set back. Time goes on by
//! seconds; the numbers are those of `beat_pace.rs` and `suspicion.rs`.
//!
//! A node must have stopped to claim before it is declared dead, and one whose beats all arrive is
//! never declared dead.

use crate::search::{Broken, System};

/// A node is declared dead that still claims.
pub const STOPS_FIRST: Broken = "a node claims nothing any more when it is declared dead";
/// A node is declared dead although none of its beats was lost.
pub const LIVING: Broken = "a node whose beats all arrive is not declared dead";
/// A node that was killed is not declared dead in time.
pub const FOUND: Broken = "a killed node is declared dead in time";

/// The time after which a node is silent, in s.
const SILENCE: i8 = 8;
/// The most seconds from the death of a node to its mark: the silence, and two beats of the judge.
const FOUND_WITHIN: i8 = 15 + 2 * 4 + 1;
/// How long a beat that lies ahead must stay the same, in s.
const AHEAD: i8 = 5;

/// A scenario: which faults can happen, and which guards are on.
#[derive(Debug, Clone, Copy)]
pub struct BeatScenario {
    /// How many beats of the node can be lost.
    pub losses: u8,
    /// How often one of both can learn of another size of the fleet.
    pub changes: u8,
    /// By how many seconds the server's clock can be set back, once; 0 for not at all.
    pub set_back: i8,
    /// True when the node can be killed.
    pub kill: bool,
    /// False when a node of a large fleet stores its beats without the time that it needs more.
    pub promises: bool,
    /// False when a beat that lies ahead is judged as soon as one that is old.
    pub long_look: bool,
}

/// A state. Times are seconds from now; those of the past are negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BeatState {
    alive: bool,
    /// How long ago the node was killed.
    killed: i8,
    /// What the node and the judge think: true for a large fleet.
    large: [bool; 2],
    /// Seconds to the next beats of the node and of the judge.
    next: [i8; 2],
    /// The stored beat, by the server's clock.
    stored: i8,
    /// How long the node still claims.
    valid: i8,
    /// How long the judge has seen this beat as silent or ahead; -1 for not at all.
    seen: i8,
    /// True when the stored beat has changed since the judge looked.
    changed: bool,
    marked: bool,
    lost: bool,
    losses: u8,
    changes: u8,
    set_back: i8,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeatAction {
    /// A second passes.
    Second,
    /// The beat of the node arrives.
    Beat,
    /// The beat of the node is lost.
    Lose,
    /// The judge beats, and sees the roster.
    Look,
    /// The node or the judge learns of another size of the fleet.
    Change(usize),
    /// The server's clock is set back.
    SetBack,
    /// The node is killed.
    Kill,
}

const fn period(large: bool) -> i8 {
    if large { 4 } else { 2 }
}

impl System for BeatScenario {
    type State = BeatState;
    type Action = BeatAction;

    fn begin(&self) -> BeatState {
        BeatState {
            alive: true,
            killed: 0,
            large: [false; 2],
            next: [0, 0],
            stored: 0,
            valid: 6,
            seen: -1,
            changed: true,
            marked: false,
            lost: false,
            losses: self.losses,
            changes: self.changes,
            set_back: self.set_back,
        }
    }

    fn actions(&self, state: &BeatState, actions: &mut Vec<BeatAction>) {
        if state.marked {
            return;
        }
        let (beats, looks) = (state.alive && state.next[0] <= 0, state.next[1] <= 0);
        if beats {
            actions.push(BeatAction::Beat);
            if state.losses > 0 {
                actions.push(BeatAction::Lose);
            }
        }
        if looks {
            actions.push(BeatAction::Look);
        }
        if !beats && !looks {
            actions.push(BeatAction::Second);
        }
        if state.changes > 0 {
            actions.extend([BeatAction::Change(0), BeatAction::Change(1)]);
        }
        if state.set_back > 0 {
            actions.push(BeatAction::SetBack);
        }
        if self.kill && state.alive {
            actions.push(BeatAction::Kill);
        }
    }

    fn step(&self, state: &mut BeatState, action: BeatAction) -> Result<(), Broken> {
        match action {
            BeatAction::Second => {
                for time in &mut state.next {
                    *time -= 1;
                }
                if !state.alive {
                    state.killed += 1;
                    state.next[0] = 0;
                }
                // What lies further back makes no difference.
                state.stored = (state.stored - 1).max(-20);
                state.valid = (state.valid - 1).max(0);
                if state.seen >= 0 {
                    state.seen = (state.seen + 1).min(AHEAD);
                }
                if state.killed > FOUND_WITHIN + self.set_back {
                    return Err(FOUND);
                }
            }
            BeatAction::Beat => {
                let large = state.large[0];
                state.stored = if large && self.promises { 7 } else { 0 };
                state.valid = if large { 12 } else { 6 };
                state.changed = true;
                state.next[0] = period(large);
            }
            BeatAction::Lose => {
                (state.losses, state.lost) = (state.losses - 1, true);
                state.next[0] = 1;
            }
            BeatAction::Look => {
                let ahead = state.stored > 0;
                let silent = state.stored <= -SILENCE || state.stored >= SILENCE;
                if !silent || state.changed {
                    state.seen = -1;
                }
                if silent && state.seen < 0 {
                    state.seen = 0;
                } else if silent && (!ahead || !self.long_look || state.seen >= AHEAD) {
                    state.marked = true;
                    if state.valid > 0 && state.alive && !self.clock_was_set_back(state) {
                        return Err(STOPS_FIRST);
                    }
                    if state.alive && !state.lost {
                        return Err(LIVING);
                    }
                }
                state.changed = false;
                state.next[1] = period(state.large[1]);
            }
            BeatAction::Change(node) => {
                state.changes -= 1;
                state.large[node] = !state.large[node];
            }
            BeatAction::SetBack => {
                state.stored += state.set_back;
                state.set_back = 0;
            }
            BeatAction::Kill => state.alive = false,
        }
        Ok(())
    }

    fn check(&self, _: &BeatState) -> Result<(), Broken> {
        Ok(())
    }

    fn is_done(&self, state: &BeatState) -> bool {
        state.marked || state.alive
    }

    fn is_fault(&self, action: BeatAction) -> bool {
        matches!(
            action,
            BeatAction::Lose | BeatAction::Change(_) | BeatAction::SetBack | BeatAction::Kill
        )
    }
}

impl BeatScenario {
    fn clock_was_set_back(&self, state: &BeatState) -> bool {
        state.set_back != self.set_back
    }
}
