//! The protocol of wait permits holds in every state, and each of its guards is needed.

use poolder_model::search::{Broken, Found, STUCK, search};
use poolder_model::waiting::{FEW_BLOCK, WaitScenario};

/// No faults and no visits: the nodes that rest must be told of every job.
const TOLD: WaitScenario = WaitScenario {
    nodes: 3,
    permits: 1,
    jobs: 3,
    kills: 0,
    losses: 0,
    early_ends: 0,
    visits: false,
    wakes: true,
    passes_on: true,
    counts: true,
};
const TOLD_OF_MORE: WaitScenario = WaitScenario { nodes: 4, permits: 2, jobs: 4, ..TOLD };
const FAULTS: WaitScenario =
    WaitScenario { kills: 2, losses: 2, early_ends: 1, visits: true, ..TOLD };
const MORE_FAULTS: WaitScenario = WaitScenario { permits: 2, early_ends: 0, ..FAULTS };

fn holds(scenario: WaitScenario) {
    match search(&scenario) {
        Found::Nothing { states, steps, depth } => {
            println!("{states} states, {steps} steps, depth {depth}");
            assert!(states > 100);
        }
        Found::Counterexample { broken, trace } => panic!("not: {broken}: {trace:#?}"),
    }
}

fn breaks(scenario: WaitScenario, expected: Broken) {
    match search(&scenario) {
        Found::Nothing { states, .. } => panic!("nothing breaks in {states} states"),
        Found::Counterexample { broken, trace } => {
            println!("{broken}: {trace:#?}");
            assert_eq!(broken, expected);
        }
    }
}

#[test]
fn without_faults_every_job_starts_although_no_node_visits() {
    holds(TOLD);
    holds(TOLD_OF_MORE);
}

#[test]
fn with_faults_every_job_starts_at_a_visit_at_last() {
    holds(FAULTS);
    holds(MORE_FAULTS);
}

#[test]
fn nodes_are_woken() {
    breaks(WaitScenario { wakes: false, ..TOLD }, STUCK);
}

#[test]
fn a_node_that_fills_up_without_a_permit_passes_the_call_on() {
    breaks(WaitScenario { passes_on: false, ..TOLD }, STUCK);
}

#[test]
fn nodes_that_rest_visit_since_messages_are_lost() {
    breaks(WaitScenario { losses: 1, ..TOLD }, STUCK);
}

#[test]
fn permits_are_counted() {
    breaks(WaitScenario { counts: false, ..TOLD }, FEW_BLOCK);
}
