//! The steps of a slot behind an entry that cannot be settled.

use poolder_core::Lane;
use poolder_core::broker::SlotPoll;

use super::{Slot, empty, id, jobs};

#[test]
fn an_entry_that_was_given_up_is_found_again_and_not_run() {
    let mut slot = Slot::per_key();
    slot.answer("poll 1", empty());
    slot.expect("wait after 3-0 5-0");
    slot.progress.gave_up(vec![(Lane::Normal, id(9))]);
    slot.expect("poll 1");
    slot.progress.poll_failed();
    slot.expect("pause 50ms");
    slot.answer("poll 1", SlotPoll::Found(jobs(9..10)));
    assert!(!slot.progress.request(1).look, "the server would report the same entry again");
    slot.answer("poll 1", SlotPoll::Claimed(jobs(10..11)));
    slot.expect("run 10");
}

#[test]
fn entries_behind_one_that_was_given_up_are_found() {
    let mut slot = Slot::per_key();
    slot.progress.gave_up(vec![(Lane::Normal, id(9))]);
    slot.expect("poll 1");
    slot.progress.poll_failed();
    slot.expect("pause 50ms");
    slot.answer("poll 1", SlotPoll::Found(jobs(9..11)));
    slot.expect("run 10");
}
