//! A small explicit-state checker: it visits every state that can be reached, breadth first, so
//! that a counterexample is as short as can be.
//!
//! Liveness is decided on the whole graph: from every state that can be reached, faults included,
//! a good end must be reachable by steps that are no faults. In a finite graph, and with every
//! step that is possible again and again taken at last (strong fairness), that is the same as
//! *eventually*. Checkers that look for liveness along single paths miss cycles.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::hash::Hash;

/// What is checked.
pub trait System {
    /// One state of everything.
    type State: Clone + Eq + Hash;
    /// One step.
    type Action: Copy + Debug;

    /// Where it begins.
    fn begin(&self) -> Self::State;
    /// All steps that are possible in a state.
    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>);
    /// Takes a step.
    ///
    /// # Errors
    /// The property that the step broke.
    fn step(&self, state: &mut Self::State, action: Self::Action) -> Result<(), Broken>;
    /// Looks at a state by itself.
    ///
    /// # Errors
    /// The property that it breaks.
    fn check(&self, state: &Self::State) -> Result<(), Broken>;
    /// True when nothing remains to be done.
    fn is_done(&self, state: &Self::State) -> bool;
    /// True for steps on which progress must not rely.
    fn is_fault(&self, action: Self::Action) -> bool;
}

/// A broken property, in words.
pub type Broken = &'static str;

/// What a search has found.
#[derive(Debug)]
pub enum Found<A> {
    /// Every property holds in every state.
    Nothing {
        /// States that can be reached.
        states: usize,
        /// Steps between them.
        steps: usize,
        /// The longest of all shortest ways to a state.
        depth: usize,
    },
    /// A counterexample.
    Counterexample {
        /// The property that does not hold.
        broken: Broken,
        /// The shortest way to break it.
        trace: Vec<A>,
    },
}

/// Progress is impossible.
pub const STUCK: Broken = "some job never completes and is never buried";

/// Visits every state.
///
/// # Panics
/// With more than 2³² states.
pub fn search<S: System>(system: &S) -> Found<S::Action> {
    let mut numbers: HashMap<S::State, u32> = HashMap::new();
    let mut states = vec![system.begin()];
    let mut came: Vec<Option<(u32, S::Action)>> = vec![None];
    let mut depths = vec![0_usize];
    let mut edges: Vec<(u32, u32)> = vec![];
    let mut steps = 0;
    numbers.insert(system.begin(), 0);
    let mut actions = vec![];
    let mut at = 0;
    while at < states.len() {
        let here = u32::try_from(at).expect("fewer states");
        if let Err(broken) = system.check(&states[at]) {
            return Found::Counterexample { broken, trace: trace(&came, here) };
        }
        actions.clear();
        system.actions(&states[at], &mut actions);
        for action in actions.iter().copied() {
            let mut next = states[at].clone();
            if let Err(broken) = system.step(&mut next, action) {
                let mut trace = trace(&came, here);
                trace.push(action);
                return Found::Counterexample { broken, trace };
            }
            steps += 1;
            let fresh = u32::try_from(states.len()).expect("fewer states");
            let to = match numbers.entry(next) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => {
                    states.push(unknown.key().clone());
                    came.push(Some((here, action)));
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
        return Found::Counterexample { broken: STUCK, trace: trace(&came, stuck) };
    }
    let depth = depths.last().copied().unwrap_or_default();
    Found::Nothing { states: states.len(), steps, depth }
}

/// The first state from which no good end can be reached. `back` leads from states to those before
/// them.
fn first_stuck<S: System>(
    system: &S,
    states: &[S::State],
    mut back: Vec<(u32, u32)>,
) -> Option<u32> {
    back.sort_unstable();
    let mut good = vec![false; states.len()];
    let numbered = || (0_u32..).zip(states);
    let mut ahead: Vec<u32> =
        numbered().filter(|(_, state)| system.is_done(state)).map(|(number, _)| number).collect();
    ahead.iter().for_each(|number| good[*number as usize] = true);
    while let Some(number) = ahead.pop() {
        let first = back.partition_point(|(to, _)| *to < number);
        for (_, before) in back[first..].iter().take_while(|(to, _)| *to == number) {
            if !std::mem::replace(&mut good[*before as usize], true) {
                ahead.push(*before);
            }
        }
    }
    numbered().find(|(number, _)| !good[*number as usize]).map(|(number, _)| number)
}

fn trace<A: Copy>(came: &[Option<(u32, A)>], to: u32) -> Vec<A> {
    let mut trace = vec![];
    let mut at = to;
    while let Some((before, action)) = came[at as usize] {
        trace.push(action);
        at = before;
    }
    trace.reverse();
    trace
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts to 3; from 2 it may also stray to 9, whence nothing leads on but a fault.
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
