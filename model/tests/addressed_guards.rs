//! Every guard of addressed slots is needed: with any one of them off, a property is violated.
//! `--nocapture` prints the steps that lead to the violation.

use poolder_model::addressed::guards::SlotGuard;
use poolder_model::addressed::properties::{
    JOB_KEPT, KEY_ORDER, ONE_OF_KEY, RETIRED_EMPTY, RUNS_AGAIN, UNDER_LEASE,
};
use poolder_model::addressed::scenarios;
use poolder_model::addressed::scripts::{HELD_BY_FRONT, OWN_CLAIM, OWN_JOB};
use poolder_model::addressed::world::SlotScenario;
use poolder_model::search::{Broken, Found, STUCK, search};

fn breaks(scenario: SlotScenario, guard: SlotGuard, expected: Broken) {
    let guards = scenario.guards.without(guard);
    match search(&SlotScenario { guards, ..scenario }) {
        Found::Nothing { states, .. } => panic!("{guard:?} guards nothing in {states} states"),
        Found::Counterexample { broken, trace } => {
            let steps: Vec<String> = trace.iter().map(|step| format!("{step:?}")).collect();
            println!("without {guard:?} it is not true that {broken}:\n{}", steps.join("\n"));
            assert_eq!(broken, expected, "{guard:?}");
        }
    }
}

#[test]
fn a_living_holder() {
    breaks(scenarios::LATE_POLL, SlotGuard::LivingHolder, UNDER_LEASE);
}

#[test]
fn a_doubt_after_a_lost_reply() {
    breaks(scenarios::LOST_REPLIES, SlotGuard::Doubt, STUCK);
}

#[test]
fn the_term_of_a_lease() {
    breaks(scenarios::LATE_POLL, SlotGuard::Term, KEY_ORDER);
}

#[test]
fn the_number_of_lost_polls() {
    breaks(scenarios::LATE_POLL, SlotGuard::PollNumber, KEY_ORDER);
}

#[test]
fn completions_of_pending_entries_only() {
    breaks(scenarios::FAILOVER, SlotGuard::PendingOnly, OWN_JOB);
}

#[test]
fn completions_by_job_after_a_lost_reply() {
    breaks(scenarios::FAILOVER, SlotGuard::ByJob, OWN_JOB);
}

#[test]
fn the_look_for_claims_after_a_lost_reply() {
    breaks(scenarios::LOST_REPLIES, SlotGuard::LookForClaims, KEY_ORDER);
}

#[test]
fn claims_that_are_found_together() {
    breaks(scenarios::LOST_REPLIES, SlotGuard::FoundTogether, KEY_ORDER);
}

#[test]
fn the_look_for_claims_now_and_again() {
    breaks(scenarios::FAILOVER, SlotGuard::Audit, STUCK);
}

#[test]
fn the_job_of_an_entry() {
    breaks(scenarios::FAILOVER, SlotGuard::SameJob, OWN_JOB);
}

#[test]
fn the_holder_of_a_settlement() {
    breaks(scenarios::FAILOVER_AND_ZOMBIE, SlotGuard::SameHolder, OWN_CLAIM);
}

#[test]
fn a_rescue_before_the_service() {
    breaks(scenarios::CRASH, SlotGuard::RescueFirst, KEY_ORDER);
}

#[test]
fn a_rescue_of_own_claims() {
    breaks(scenarios::LOST_REPLIES, SlotGuard::RescueOwn, KEY_ORDER);
}

#[test]
fn a_second_rescue() {
    breaks(scenarios::FAILOVER, SlotGuard::RescueAgain, STUCK);
}

#[test]
fn the_end_of_a_rescue_that_is_refused() {
    breaks(scenarios::FAILOVER, SlotGuard::RescueEnds, STUCK);
}

#[test]
fn the_release_of_a_forgotten_lease() {
    breaks(scenarios::FAILOVER, SlotGuard::ForgottenLease, STUCK);
}

#[test]
fn the_order_in_the_front() {
    breaks(scenarios::CRASH, SlotGuard::FrontOrder, KEY_ORDER);
}

#[test]
fn a_key_that_waits_for_a_settlement() {
    breaks(scenarios::CRASH, SlotGuard::KeyWaits, KEY_ORDER);
}

#[test]
fn a_job_that_blocks_its_slot() {
    breaks(scenarios::CRASH, SlotGuard::Blocks, KEY_ORDER);
}

#[test]
fn the_entry_of_a_hold() {
    breaks(scenarios::CANCELLED, SlotGuard::HoldEntry, HELD_BY_FRONT);
}

#[test]
fn a_heartbeat_before_the_next_start() {
    breaks(scenarios::ZOMBIE, SlotGuard::LiveBeat, UNDER_LEASE);
}

#[test]
fn jobs_that_wait_until_the_pool_is_open() {
    breaks(scenarios::GROWS, SlotGuard::OpenPool, KEY_ORDER);
}

#[test]
fn the_edge_of_the_first_cast() {
    breaks(scenarios::SHRINKS, SlotGuard::EdgeByCast, KEY_ORDER);
}

#[test]
fn casts_of_an_older_generation() {
    breaks(scenarios::SHRINKS, SlotGuard::StaleCast, KEY_ORDER);
}

#[test]
fn polls_of_an_older_view() {
    breaks(scenarios::SHRINKS, SlotGuard::ViewAge, KEY_ORDER);
}

#[test]
fn a_fresh_view_before_a_job_from_the_front() {
    breaks(scenarios::GROWS, SlotGuard::FreshView, KEY_ORDER);
}

#[test]
fn the_generation_of_a_report() {
    breaks(scenarios::RESIZED_TWICE, SlotGuard::ReportAge, KEY_ORDER);
}

#[test]
fn reports_that_are_repeated() {
    breaks(scenarios::FAILOVER_WHILE_GROWING, SlotGuard::ReportAgain, STUCK);
}

#[test]
fn one_resize_at_a_time() {
    breaks(scenarios::RESIZED_TWICE, SlotGuard::OneResize, KEY_ORDER);
}

#[test]
fn reports_of_new_slots() {
    breaks(scenarios::GROWS, SlotGuard::NewSlots, KEY_ORDER);
}

#[test]
fn no_retirement_while_the_pool_drains() {
    breaks(scenarios::FAILOVER_WHILE_SHRINKING, SlotGuard::RetireOpen, STUCK);
}

#[test]
fn no_retirement_before_the_due_jobs() {
    breaks(scenarios::ASIDE, SlotGuard::NothingDue, RETIRED_EMPTY);
}

#[test]
fn no_retirement_after_one_empty_poll() {
    breaks(scenarios::ASIDE, SlotGuard::EmptyAgain, RETIRED_EMPTY);
}

#[test]
fn no_retirement_before_producers_know() {
    breaks(scenarios::DELAYED_WHILE_SHRINKING, SlotGuard::ResizeKnown, RETIRED_EMPTY);
}

#[test]
fn the_look_for_late_jobs() {
    breaks(scenarios::REVIVED, SlotGuard::LateJobs, STUCK);
}

#[test]
fn late_jobs_that_move() {
    breaks(scenarios::DELAYED, SlotGuard::Relocate, ONE_OF_KEY);
}

#[test]
fn the_size_from_before_a_resize() {
    breaks(scenarios::GROWS, SlotGuard::SizeBefore, KEY_ORDER);
}

#[test]
fn a_recorded_move_that_goes_on() {
    breaks(scenarios::REVIVED, SlotGuard::ResumeMove, RUNS_AGAIN);
}

#[test]
fn the_lease_of_a_move() {
    breaks(scenarios::DELAYED_AND_ZOMBIE, SlotGuard::MoveLease, JOB_KEPT);
}

#[test]
fn the_record_of_a_move() {
    breaks(scenarios::DELAYED, SlotGuard::MoveRecorded, JOB_KEPT);
}

#[test]
fn the_receipt_of_a_move() {
    breaks(scenarios::DELAYED, SlotGuard::MoveReceipt, JOB_KEPT);
}

#[test]
fn the_end_of_a_record() {
    breaks(scenarios::DELAYED, SlotGuard::EndMove, JOB_KEPT);
}
