//! The steps of a slot after its pool was resized.

use poolder_core::broker::{Report, SlotPoll};

use super::{MILLI, SECOND, Slot, empty, jobs, retry, show};

#[test]
fn a_drained_slot_is_reported_once_in_each_generation() {
    let mut slot = Slot::per_key();
    slot.facts.open = false;
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("report Drained 1");
    // The report failed: it is repeated after the next poll.
    slot.expect("pause 250ms");
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("report Drained 1");
    slot.progress.reported(Report::Drained);
    slot.expect("pause 250ms");
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("pause 250ms");
    slot.answer("poll 1", SlotPoll::Wait);
    // A reply to a poll of the last generation says nothing about this one.
    slot.facts.generation = 2;
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("report Drained 2");
    slot.progress.reported(Report::Drained);
    slot.facts.open = true;
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("pause 250ms");
}

#[test]
fn a_report_without_effect_is_repeated() {
    let mut slot = Slot::per_key();
    slot.facts.open = false;
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("report Drained 1");
    slot.progress.reported(Report::Drained);
    slot.facts.now += 10 * SECOND - MILLI;
    slot.expect("pause 250ms");
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("pause 250ms");
    slot.facts.now += MILLI;
    slot.answer("poll 1", SlotPoll::Wait);
    slot.expect("report Drained 1");
}

/// Returns a slot beyond the size of its pool, whose resize all producers know.
fn beyond() -> Slot {
    let mut slot = Slot::per_key();
    slot.facts.beyond = true;
    slot.answer("poll 1", empty());
    slot.expect("wait after 3-0 5-0");
    slot.facts.now += 10 * SECOND;
    slot
}

#[test]
fn a_slot_beyond_the_size_retires_when_all_producers_know_of_the_resize() {
    let mut slot = beyond();
    slot.facts.now -= MILLI;
    slot.answer("poll 1", empty());
    slot.expect("wait after 3-0 5-0");
    slot.facts.now += MILLI;
    // The first report fails: the due jobs are counted again before the next one.
    for accepted in [false, true] {
        slot.answer("poll 1", empty());
        slot.expect("count");
        slot.progress.counted(true);
        slot.answer("poll 1", empty());
        slot.expect("report Retired 1");
        if accepted {
            slot.progress.reported(Report::Retired);
        } else {
            slot.expect("wait after 3-0 5-0");
        }
    }
    slot.expect("wait after 3-0 5-0");
    slot.answer("poll 1", empty());
    slot.expect("wait after 3-0 5-0");
    slot.facts.generation = 2;
    slot.answer("poll 1", empty());
    slot.expect("wait after 3-0 5-0");
    slot.facts.now += 10 * SECOND;
    slot.answer("poll 1", empty());
    slot.expect("count");
}

#[test]
fn a_slot_with_jobs_that_wait_for_their_time_does_not_retire() {
    let mut slot = beyond();
    for _ in 0..3 {
        slot.answer("poll 1", empty());
        slot.expect("count");
        slot.progress.counted(false);
        slot.expect("wait after 3-0 5-0");
    }
}

/// The end of the time in which a count of the due jobs holds.
type Interruption = fn(&mut Slot);

#[test]
fn a_count_of_due_jobs_does_not_hold_once_a_job_has_run() {
    let interruptions: [(&str, Interruption); 4] = [
        ("a job", |slot| {
            slot.claim(jobs(6..7));
            slot.run(6, retry());
            slot.expect("release [] behind 6");
        }),
        ("a held job", |slot| {
            slot.answer("poll 1", SlotPoll::Hold(SECOND));
            slot.expect("pause 1s");
        }),
        ("a failed poll", |slot| {
            slot.expect("poll 1");
            slot.progress.poll_failed();
            slot.expect("pause 50ms");
        }),
        ("a pause", |slot| {
            slot.facts.permitted = false;
            slot.expect("pause 2s");
            slot.facts.permitted = true;
        }),
    ];
    for (what, interrupt) in interruptions {
        let mut slot = beyond();
        slot.answer("poll 1", empty());
        slot.expect("count");
        slot.progress.counted(true);
        interrupt(&mut slot);
        slot.answer("poll 1", empty());
        assert_eq!(show(&slot.next()), "count", "after {what} the due jobs are counted again");
    }
}
