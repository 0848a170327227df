//! Every property of addressed slots holds in every state of every scenario. `--nocapture` prints
//! the number of states.

use poolder_model::addressed::scenarios;
use poolder_model::addressed::world::SlotScenario;
use poolder_model::search::{Found, search};

fn holds(scenario: SlotScenario) {
    match search(&scenario) {
        Found::Nothing { states, steps, depth } => {
            println!("{states} states, {steps} steps, {depth} deep: {:?}", scenario.faults);
        }
        Found::Counterexample { broken, trace } => {
            let steps: Vec<String> = trace.iter().map(|step| format!("{step:?}")).collect();
            panic!("not true that {broken}:\n{}", steps.join("\n"));
        }
    }
}

#[test]
fn with_a_crash() {
    holds(scenarios::CRASH);
}

#[test]
fn with_lost_replies() {
    holds(scenarios::LOST_REPLIES);
}

#[test]
fn with_a_poll_that_arrives_late() {
    holds(scenarios::LATE_POLL);
}

#[test]
fn with_a_zombie() {
    holds(scenarios::ZOMBIE);
}

#[test]
fn with_a_zombie_and_a_late_poll() {
    holds(scenarios::ZOMBIE_AND_LATE_POLL);
}

#[test]
fn with_a_job_that_is_cancelled_while_its_slot_waits() {
    holds(scenarios::CANCELLED);
}

#[test]
fn with_two_keys() {
    holds(scenarios::TWO_KEYS);
}

#[test]
fn while_the_pool_grows() {
    holds(scenarios::GROWS);
}

#[test]
fn while_the_pool_shrinks() {
    holds(scenarios::SHRINKS);
}

#[test]
fn while_the_pool_grows_with_a_crash() {
    holds(scenarios::GROWS_AND_CRASH);
}

#[test]
fn while_the_pool_shrinks_with_a_crash() {
    holds(scenarios::SHRINKS_AND_CRASH);
}

#[test]
fn while_the_pool_grows_with_a_zombie() {
    holds(scenarios::GROWS_AND_ZOMBIE);
}

#[test]
fn while_the_pool_shrinks_with_a_zombie() {
    holds(scenarios::SHRINKS_AND_ZOMBIE);
}

#[test]
fn while_the_pool_is_resized_twice() {
    holds(scenarios::RESIZED_TWICE);
}

#[test]
fn with_a_delayed_job() {
    holds(scenarios::DELAYED);
}

#[test]
fn with_a_delayed_job_in_a_slot_that_goes_out_of_service() {
    holds(scenarios::DELAYED_WHILE_SHRINKING);
}

#[test]
fn with_a_delayed_job_and_a_zombie() {
    holds(scenarios::DELAYED_AND_ZOMBIE);
}

#[test]
fn with_a_revived_job() {
    holds(scenarios::REVIVED);
}

#[test]
fn with_retries_aside() {
    holds(scenarios::ASIDE);
}

#[test]
fn with_a_failover() {
    holds(scenarios::FAILOVER);
}

#[test]
fn with_a_failover_and_a_crash() {
    holds(scenarios::FAILOVER_AND_CRASH);
}

#[test]
fn with_a_failover_and_a_zombie() {
    holds(scenarios::FAILOVER_AND_ZOMBIE);
}

#[test]
fn with_a_failover_while_the_pool_grows() {
    holds(scenarios::FAILOVER_WHILE_GROWING);
}

#[test]
fn with_a_failover_while_the_pool_shrinks() {
    holds(scenarios::FAILOVER_WHILE_SHRINKING);
}
