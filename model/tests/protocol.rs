//! Every property holds in every state of every scenario. `--nocapture` prints the
//! number of states.

use poolder_model::scenarios;
use poolder_model::search::{Found, search};
use poolder_model::world::Scenario;

fn holds(scenario: Scenario) {
    match search(&scenario) {
        Found::Nothing { states, steps, depth } => {
            println!("{states} states, {steps} steps, {depth} deep: {:?}", scenario.faults);
        }
        Found::Counterexample { broken, trace } => {
            panic!("not true that {broken}:\n{trace:#?}");
        }
    }
}

#[test]
fn with_lost_replies() {
    holds(scenarios::LOST_REPLIES);
}

#[test]
fn with_a_crash() {
    holds(scenarios::CRASH);
}

#[test]
fn with_a_zombie() {
    holds(scenarios::ZOMBIE);
}

#[test]
fn with_a_zombie_and_a_crash_among_three() {
    holds(scenarios::ZOMBIE_OF_THREE);
}

#[test]
fn with_a_claim_that_lands_late() {
    holds(scenarios::LATE_CLAIM);
}

#[test]
fn with_a_failover() {
    holds(scenarios::FAILOVER);
}

#[test]
fn with_a_failover_and_a_lost_reply() {
    holds(scenarios::FAILOVER_AND_LOST_REPLY);
}

#[test]
fn with_a_failover_and_a_zombie() {
    holds(scenarios::FAILOVER_AND_ZOMBIE);
}

#[test]
fn with_outages() {
    holds(scenarios::OUTAGE);
}

#[test]
fn with_a_clock_that_jumps() {
    holds(scenarios::CLOCK_JUMP);
}

#[test]
fn with_a_job_that_kills() {
    holds(scenarios::KILLER);
}
