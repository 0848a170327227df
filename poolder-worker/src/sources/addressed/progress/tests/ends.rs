//! Slots that end: left, stopped or lost.

use poolder_core::broker::{RetryPlacement, SlotPoll};
use poolder_core::policy::decide::Transition;
use poolder_core::policy::dispatch::Mode;

use super::{Slot, job, jobs, retry};

#[test]
fn a_slot_that_is_left_settles_then_releases_and_only_then_ends() {
    let mut slot = Slot::per_key();
    slot.claim(jobs(1..4));
    slot.run(1, Transition::Complete);
    slot.facts.leaving = true;
    assert_eq!(slot.done(), [1]);
    slot.answer("poll 0", SlotPoll::Idle);
    slot.expect("release [2, 3]");
    slot.expect("end Left");
}

#[test]
fn a_slot_that_a_job_stops_ends_stopped() {
    let mut slot = Slot::per_key();
    slot.claim(jobs(1..3));
    slot.run(1, Transition::Complete);
    slot.facts.stopped = true;
    slot.answer("poll 0", SlotPoll::Idle);
    slot.expect("release [2]");
    slot.expect("end Stopped");
}

#[test]
fn a_slot_that_operators_stop_is_released_and_a_stop_by_a_job_counts_more() {
    let mut slot = Slot::per_key();
    slot.claim(vec![job(1, 7), job(2, 7)]);
    slot.run(1, Transition::Complete);
    slot.answer("poll 0", SlotPoll::Stopped);
    slot.expect("release [2]");
    slot.expect("end Left");
    slot.facts.stopped = true;
    slot.expect("end Stopped");
}

#[test]
fn a_lost_slot_ends_at_once() {
    for by_reply in [false, true] {
        let mut slot = Slot::per_key();
        slot.claim(vec![job(1, 7), job(2, 7)]);
        slot.run(1, Transition::Complete);
        if by_reply {
            slot.answer("poll 0", SlotPoll::Lost);
        }
        slot.facts.lost = !by_reply;
        slot.facts.leaving = true;
        slot.expect("end Lost");
    }
}

#[test]
fn a_slot_that_is_left_settles_the_job_that_ran_last_before_it_ends() {
    let mut slot = Slot::new(Mode::Phash, RetryPlacement::Reschedule);
    slot.claim(jobs(1..3));
    slot.run(1, retry());
    slot.facts.leaving = true;
    slot.expect("settle 1");
    slot.expect("release [2]");
    slot.expect("end Left");
}
