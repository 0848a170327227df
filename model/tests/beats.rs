//! The death rule holds while nodes of a fleet know different sizes of it, and each guard is needed.

use poolder_model::beats::{BeatScenario, LIVING, STOPS_FIRST};
use poolder_model::search::{Broken, Found, search};

/// Beats are lost, the node is killed, and both learn of other sizes of the fleet.
const FAULTS: BeatScenario = BeatScenario {
    losses: 9,
    changes: 3,
    set_back: 0,
    kill: true,
    promises: true,
    long_look: true,
};

fn holds(scenario: BeatScenario) {
    match search(&scenario) {
        Found::Nothing { states, steps, depth } => {
            println!("{states} states, {steps} steps, depth {depth}");
            assert!(states > 100);
        }
        Found::Counterexample { broken, trace } => panic!("not: {broken}: {trace:?}"),
    }
}

fn breaks(scenario: BeatScenario, expected: Broken) {
    match search(&scenario) {
        Found::Nothing { states, .. } => panic!("nothing breaks in {states} states"),
        Found::Counterexample { broken, trace } => assert_eq!(broken, expected, "{trace:?}"),
    }
}

#[test]
fn a_node_stops_before_others_declare_it_dead_whatever_each_knows_of_the_fleet() {
    holds(FAULTS);
}

#[test]
fn a_living_node_is_not_declared_dead_when_the_clock_is_set_back() {
    for set_back in [1, 5, 10] {
        holds(BeatScenario { losses: 0, set_back, ..FAULTS });
    }
}

#[test]
fn a_node_that_beats_slowly_must_promise_so() {
    breaks(BeatScenario { promises: false, ..FAULTS }, STOPS_FIRST);
}

#[test]
fn a_beat_that_lies_ahead_must_be_given_the_time_of_the_slowest_next_one() {
    breaks(BeatScenario { losses: 0, set_back: 5, long_look: false, ..FAULTS }, LIVING);
}
