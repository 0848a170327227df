//! Every guard is needed: with any one of them off, a property is violated. `--nocapture` prints
//! the steps that lead to the violation.

use poolder_model::guards::{Guard, Guards};
use poolder_model::scenarios;
use poolder_model::search::{Broken, Found, STUCK, search};
use poolder_model::step::{ALIVE, HOLDER, IN_SIGHT, INNOCENT, ONE_COMPLETION, ONE_PLACE, RUNAWAY};
use poolder_model::world::Scenario;

fn breaks(scenario: Scenario, guard: Guard, expected: Broken) {
    let guards = Guards::without(guard);
    match search(&Scenario { guards, ..scenario }) {
        Found::Nothing { states, .. } => panic!("{guard:?} guards nothing in {states} states"),
        Found::Counterexample { broken, trace } => {
            println!("without {guard:?} it is not true that {broken}:\n{trace:#?}");
            assert_eq!(broken, expected, "{guard:?}");
        }
    }
}

#[test]
fn the_history_of_a_claim() {
    breaks(scenarios::FAILOVER, Guard::Epoch, HOLDER);
}

#[test]
fn the_count_of_a_completion() {
    breaks(scenarios::ZOMBIE, Guard::Count, ONE_COMPLETION);
}

#[test]
fn the_owner_of_an_entry() {
    breaks(scenarios::FAILOVER, Guard::Owner, HOLDER);
}

#[test]
fn the_job_in_an_entry() {
    breaks(scenarios::FAILOVER_AND_LOST_REPLY, Guard::JobId, ONE_PLACE);
}

#[test]
fn the_destination_before_the_source() {
    breaks(scenarios::CRASH, Guard::DestinationFirst, ONE_PLACE);
}

#[test]
fn a_second_look_before_a_claim_is_acknowledged() {
    breaks(scenarios::FAILOVER_AND_ZOMBIE, Guard::LookAgain, IN_SIGHT);
}

#[test]
fn the_comparison_before_a_mark() {
    breaks(scenarios::ZOMBIE, Guard::CompareAndSet, ALIVE);
}

#[test]
fn the_mark_that_stays() {
    breaks(scenarios::ZOMBIE, Guard::Sticky, RUNAWAY);
}

#[test]
fn two_silent_beats_in_a_row() {
    breaks(scenarios::CLOCK_JUMP, Guard::TwoBeats, ALIVE);
}

#[test]
fn whole_beats_before_a_death() {
    breaks(scenarios::OUTAGE, Guard::WholeBeats, ALIVE);
}

#[test]
fn the_adoption_of_lost_replies() {
    breaks(scenarios::LOST_REPLIES, Guard::Adoption, STUCK);
}

#[test]
fn the_new_entry_of_a_rescued_job() {
    breaks(scenarios::ZOMBIE, Guard::NewEntry, HOLDER);
}

#[test]
fn consumers_are_forgotten_only_when_they_hold_nothing() {
    breaks(scenarios::ZOMBIE, Guard::ForgetEmpty, IN_SIGHT);
}

#[test]
fn one_suspect_at_a_time() {
    breaks(scenarios::KILLER, Guard::OneSuspect, INNOCENT);
}

#[test]
fn claims_on_a_fresh_beat_only() {
    breaks(scenarios::ZOMBIE, Guard::FreshBeat, INNOCENT);
}
