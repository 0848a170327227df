//! A small explicit-state checker. It visits every reachable state, breadth first, so that a
//! counterexample to a property of a state or step is as short as possible.
//!
//! Liveness is decided on the whole graph: from every state that is reachable with faults, a final
//! state must be reachable by steps that are not faults. In a finite graph, and if each step that
//! is possible infinitely often is taken eventually (strong fairness), that is the same as
//! *eventually*. Checkers that look for liveness along single paths miss cycles.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A system to check.
pub trait System {
    /// One state of the whole system.
    type State: Clone + Eq + Hash;
    /// One step.
    type Action: Copy + Debug;

    /// Returns the initial state.
    fn begin(&self) -> Self::State;
    /// Appends all steps that are possible in a state to `actions`.
    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>);
    /// Applies a step to a state.
    ///
    /// # Errors
    /// Returns the property that the step violates.
    fn step(&self, state: &mut Self::State, action: Self::Action) -> Result<(), Broken>;
    /// Checks the properties of a single state.
    ///
    /// # Errors
    /// Returns the property that the state violates.
    fn check(&self, state: &Self::State) -> Result<(), Broken>;
    /// Returns true for a final state, in which all work is done.
    fn is_done(&self, state: &Self::State) -> bool;
    /// Returns true for a fault: a step on which progress must not depend.
    fn is_fault(&self, action: Self::Action) -> bool;
}

/// Hashes a state quickly. States come from no adversary.
#[derive(Default)]
struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// The description of a violated property.
pub type Broken = &'static str;

/// The result of a search.
#[derive(Debug)]
pub enum Found<A> {
    /// No violation: every property holds in every state.
    Nothing {
        /// Number of reachable states.
        states: usize,
        /// Number of steps between them.
        steps: usize,
        /// Length of the longest of all shortest paths to a state.
        depth: usize,
    },
    /// A counterexample.
    Counterexample {
        /// The violated property.
        broken: Broken,
        /// The shortest sequence of steps that leads to the violation.
        trace: Vec<A>,
    },
}

/// Violated when no final state can be reached any more.
pub const STUCK: Broken = "some job never completes and is never buried";

/// Visits every reachable state and checks all properties.
///
/// # Panics
/// Panics with more than 2³² states.
pub fn search<S: System>(system: &S) -> Found<S::Action> {
    let mut numbers: HashMap<S::State, u32, BuildHasherDefault<Words>> = HashMap::default();
    let mut states = vec![system.begin()];
    let mut reached_by: Vec<Option<(u32, S::Action)>> = vec![None];
    let mut depths = vec![0_usize];
    let mut edges: Vec<(u32, u32)> = vec![];
    let mut steps = 0;
    numbers.insert(system.begin(), 0);
    let mut actions = vec![];
    let mut at = 0;
    while at < states.len() {
        let here = u32::try_from(at).expect("fewer states");
        if let Err(broken) = system.check(&states[at]) {
            return Found::Counterexample { broken, trace: trace(&reached_by, here) };
        }
        actions.clear();
        system.actions(&states[at], &mut actions);
        for action in actions.iter().copied() {
            let mut next = states[at].clone();
            if let Err(broken) = system.step(&mut next, action) {
                let mut trace = trace(&reached_by, here);
                trace.push(action);
                return Found::Counterexample { broken, trace };
            }
            steps += 1;
            let fresh = u32::try_from(states.len()).expect("fewer states");
            let to = match numbers.entry(next) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => {
                    states.push(unknown.key().clone());
                    reached_by.push(Some((here, action)));
                    depths.push(depths[at] + 1);
                    *unknown.insert(fresh)
                }
            };
            if !system.is_fault(action) && to != here {
                edges.push((to, here));
            }
        }
        at += 1;
    }
    drop(numbers);
    if let Some(stuck) = first_stuck(system, &states, edges) {
        return Found::Counterexample { broken: STUCK, trace: trace(&reached_by, stuck) };
    }
    let depth = depths.last().copied().unwrap_or_default();
    Found::Nothing { states: states.len(), steps, depth }
}

/// Returns the first state from which no final state can be reached. `incoming` has the pairs of
/// state and predecessor, for all steps that are not faults.
fn first_stuck<S: System>(
    system: &S,
    states: &[S::State],
    mut incoming: Vec<(u32, u32)>,
) -> Option<u32> {
    incoming.sort_unstable();
    let mut good = vec![false; states.len()];
    let numbered = || (0_u32..).zip(states);
    let mut unvisited: Vec<u32> =
        numbered().filter(|(_, state)| system.is_done(state)).map(|(number, _)| number).collect();
    unvisited.iter().for_each(|number| good[*number as usize] = true);
    while let Some(number) = unvisited.pop() {
        let first = incoming.partition_point(|(to, _)| *to < number);
        for (_, before) in incoming[first..].iter().take_while(|(to, _)| *to == number) {
            if !std::mem::replace(&mut good[*before as usize], true) {
                unvisited.push(*before);
            }
        }
    }
    numbered().find(|(number, _)| !good[*number as usize]).map(|(number, _)| number)
}

fn trace<A: Copy>(reached_by: &[Option<(u32, A)>], to: u32) -> Vec<A> {
    let mut trace = vec![];
    let mut at = to;
    while let Some((before, action)) = reached_by[at as usize] {
        trace.push(action);
        at = before;
    }
    trace.reverse();
    trace
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts to 3. From 2 it may also go to 9, where a fault is the only step.
    struct Count;

    impl System for Count {
        type State = u8;
        type Action = u8;

        fn begin(&self) -> u8 {
            0
        }

        fn actions(&self, state: &u8, actions: &mut Vec<u8>) {
            match state {
                0..=1 => actions.extend([state + 1, *state]),
                2 => actions.extend([3, 9, 0]),
                9 => actions.push(100),
                _ => {}
            }
        }

        fn step(&self, state: &mut u8, action: u8) -> Result<(), Broken> {
            *state = if action == 100 { 3 } else { action };
            Ok(())
        }

        fn check(&self, _: &u8) -> Result<(), Broken> {
            Ok(())
        }

        fn is_done(&self, state: &u8) -> bool {
            *state == 3
        }

        fn is_fault(&self, action: u8) -> bool {
            action == 100
        }
    }

    #[test]
    fn a_dead_end_is_found_although_cycles_and_faults_lead_out_of_it() {
        let Found::Counterexample { broken, trace } = search(&Count) else {
            panic!("9 is a dead end");
        };
        assert_eq!((broken, trace), (STUCK, vec![1, 2, 9]));
    }
}
