//! The steps of a slot, one situation at a time.

mod ends;
mod given_up;
mod random;
mod resized;

use std::time::Duration;

use poolder_core::broker::{PollRequest, RetryPlacement, Settlement, SlotPoll};
use poolder_core::policy::decide::{Return, Transition, Wait};
use poolder_core::policy::dispatch::Mode;
use poolder_core::{
    Cause, Claim, Counters, Entry, EntryId, Envelope, Failure, Format, JobId, Lane, Policy,
    Undecodable,
};
use tokio::time::Instant;

use super::SlotProgress;
use crate::sources::addressed::step::{SlotFacts, SlotStep};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A slot whose node, pool and server are played by the test.
struct Slot {
    progress: SlotProgress,
    facts: SlotFacts,
}

/// Returns an entry id.
fn id(number: u64) -> EntryId {
    format!("{number}-0").into()
}

/// Returns a claimed job of this key.
fn job(number: u64, key: u64) -> Entry {
    let write = |_: &mut Vec<u8>| Ok(());
    let (job, policy) = (JobId::from_bytes([7; 16]), Policy::default());
    let envelope = Envelope::build(job, "k", 0, Some(&policy), Format::MessagePack, write);
    let envelope = envelope.and_then(|it| it.keyed(key)).unwrap();
    Entry::Job(Claim::new(Lane::Normal, id(number), envelope, Counters::default()))
}

fn undecodable(number: u64) -> Entry {
    let reason = Failure::new(Cause::Undecodable, "no job");
    let (lane, raw, job) = (Lane::Normal, vec![], JobId::from_bytes([7; 16]));
    let (unread, group) = (None, None);
    let entry = id(number);
    Entry::Undecodable(Undecodable { lane, entry, raw, unread, id: job, reason, group })
}

fn jobs(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(|number| job(number, number)).collect()
}

fn settlement(entry: Entry, transition: Transition) -> Settlement {
    let node = "node".into();
    match entry {
        Entry::Job(claim) => Settlement::new(claim, node, None, transition),
        Entry::Undecodable(found) => Settlement::bury_undecodable(found, node),
    }
}

fn retry() -> Transition {
    Transition::Later { delay: SECOND, counters: Counters::default(), why: Wait::Retry }
}

fn released() -> Transition {
    let (lane, counters) = (Lane::Normal, Counters::default());
    Transition::Ready { lane, counters, why: Return::Release }
}

fn number_of(entry: &Entry) -> u64 {
    let id = match entry {
        Entry::Job(claim) => &claim.entry,
        Entry::Undecodable(found) => &found.entry,
    };
    number(id)
}

fn number(id: &EntryId) -> u64 {
    id.strip_suffix("-0").unwrap().parse().unwrap()
}

/// Returns a step in short words, with the numbers of its entries.
fn show(step: &SlotStep) -> String {
    match step {
        SlotStep::Run(entry) => format!("run {}", number_of(entry)),
        SlotStep::Settle(settlements) => {
            let numbers: Vec<_> =
                settlements.iter().map(|it| number(it.entry().1).to_string()).collect();
            format!("settle {}", numbers.join(" "))
        }
        SlotStep::Release { behind, entries } => {
            let behind = behind.first().map(|it| format!(" behind {}", number(it.entry().1)));
            let numbers: Vec<_> = entries.iter().map(number_of).collect();
            format!("release {numbers:?}{}", behind.unwrap_or_default())
        }
        SlotStep::Poll { claim } => format!("poll {claim}"),
        SlotStep::Pause(time) => format!("pause {time:?}"),
        SlotStep::Wait([front, normal]) => format!("wait after {front} {normal}"),
        SlotStep::Report(report, generation) => format!("report {report:?} {generation}"),
        SlotStep::CountDue => "count".into(),
        SlotStep::End(end) => format!("end {end:?}"),
    }
}

impl Slot {
    fn new(mode: Mode, placement: RetryPlacement) -> Self {
        let now = Instant::now();
        let facts = SlotFacts {
            lost: false,
            leaving: false,
            stopped: false,
            permitted: true,
            generation: 1,
            open: true,
            beyond: false,
            now,
        };
        Self { progress: SlotProgress::new(mode, placement, now), facts }
    }

    /// Creates a slot that keeps the order per key.
    fn per_key() -> Self {
        Self::new(Mode::Phash, RetryPlacement::BlockSlot)
    }

    fn next(&mut self) -> SlotStep {
        self.progress.next(&self.facts)
    }

    #[track_caller]
    fn expect(&mut self, step: &str) {
        assert_eq!(show(&self.next()), step);
    }

    /// Answers a poll that the slot must make.
    #[track_caller]
    fn answer(&mut self, step: &str, reply: SlotPoll) {
        let next = self.next();
        assert_eq!(show(&next), step);
        let SlotStep::Poll { claim } = next else { panic!("{step}") };
        self.progress.polled(claim, reply, self.facts.now);
    }

    /// Ends the entry that the slot must run.
    #[track_caller]
    fn run(&mut self, number: u64, transition: Transition) {
        let next = self.next();
        assert_eq!(show(&next), format!("run {number}"));
        let SlotStep::Run(entry) = next else { panic!("{number}") };
        self.progress.ran(settlement(entry, transition), self.facts.now);
    }

    /// Lets the slot claim these entries.
    fn claim(&mut self, entries: Vec<Entry>) {
        let step = self.next();
        let SlotStep::Poll { claim: claim @ 1.. } = step else { panic!("{step:?}") };
        self.progress.polled(claim, SlotPoll::Claimed(entries), self.facts.now);
    }

    fn done(&self) -> Vec<u64> {
        self.progress.request(0).complete.iter().map(number).collect()
    }
}

fn empty() -> SlotPoll {
    SlotPoll::Empty(Some([id(3), id(5)]))
}

#[test]
fn without_permission_the_slot_settles_and_releases_but_claims_nothing() {
    let mut slot = Slot::per_key();
    slot.claim(jobs(1..4));
    slot.run(1, Transition::Complete);
    slot.facts.permitted = false;
    slot.answer("poll 0", SlotPoll::Idle);
    slot.expect("release [2, 3]");
    slot.expect("pause 2s");
    slot.facts.permitted = true;
    slot.claim(jobs(2..3));
    slot.run(2, Transition::Complete);
    slot.facts.permitted = false;
    slot.answer("poll 0", SlotPoll::Idle);
    slot.expect("pause 2s");
    slot.expect("pause 2s");
}

#[test]
fn a_job_starts_only_when_the_order_guarantee_permits() {
    let two_of_a_key = || vec![job(1, 7), job(2, 8), job(3, 7)];
    let mut slot = Slot::per_key();
    slot.claim(two_of_a_key());
    slot.run(1, Transition::Complete);
    slot.run(2, Transition::Complete);
    assert_eq!(slot.done(), [1, 2]);
    slot.answer("poll 0", SlotPoll::Idle);
    slot.run(3, Transition::Complete);

    let mut slot = Slot::new(Mode::RoundRobin, RetryPlacement::BlockSlot);
    slot.claim(two_of_a_key());
    slot.run(1, Transition::Complete);
    slot.answer("poll 0", SlotPoll::Idle);
    slot.run(2, Transition::Complete);

    let mut slot = Slot::new(Mode::RoundRobin, RetryPlacement::Reschedule);
    slot.claim(two_of_a_key());
    for number in 1..=3 {
        slot.run(number, Transition::Complete);
    }
    slot.expect("poll 2");
}

#[test]
fn batches_grow_while_jobs_are_quick_and_fall_back_after_a_slow_one() {
    let mut slot = Slot::new(Mode::RoundRobin, RetryPlacement::Reschedule);
    for size in [1, 2, 4, 8, 16, 16] {
        slot.answer(&format!("poll {size}"), SlotPoll::Claimed(jobs(0..size)));
        for number in 0..size {
            slot.run(number, Transition::Complete);
        }
    }
    assert_eq!(slot.done().len(), PollRequest::MAX_JOBS);
    slot.answer("poll 16", SlotPoll::Claimed(jobs(0..2)));
    slot.facts.now += 2 * MILLI;
    slot.run(0, Transition::Complete);
    // The completion of a slow job does not wait for the next job.
    slot.answer("poll 0", SlotPoll::Idle);
    slot.facts.now += 2 * MILLI;
    slot.run(1, Transition::Complete);
    slot.expect("poll 1");
}

#[test]
fn a_slot_that_keeps_the_order_of_all_jobs_claims_one_at_a_time() {
    let mut slot = Slot::new(Mode::RoundRobin, RetryPlacement::BlockSlot);
    for number in 0..5 {
        slot.answer("poll 1", SlotPoll::Claimed(jobs(number..number + 1)));
        slot.run(number, Transition::Complete);
    }
}

#[test]
fn no_more_completions_gather_than_one_poll_settles() {
    let mut slot = Slot::new(Mode::RoundRobin, RetryPlacement::Reschedule);
    slot.claim(jobs(0..17));
    for number in 0..16 {
        slot.run(number, Transition::Complete);
    }
    slot.answer("poll 0", SlotPoll::Idle);
    slot.run(16, Transition::Complete);
}

#[test]
fn a_job_that_blocks_its_slot_takes_the_claimed_entries_along() {
    for (placement, transition, step) in [
        (RetryPlacement::BlockSlot, retry(), "release [3] behind 2"),
        (RetryPlacement::BlockSlot, released(), "release [3] behind 2"),
        (RetryPlacement::Reschedule, released(), "release [3] behind 2"),
        (RetryPlacement::Reschedule, retry(), "settle 2"),
        (RetryPlacement::BlockSlot, Transition::Cancel("no".into()), "settle 2"),
    ] {
        let mut slot = Slot::new(Mode::Phash, placement);
        slot.claim(jobs(1..4));
        slot.run(1, Transition::Complete);
        slot.run(2, transition);
        slot.answer("poll 0", SlotPoll::Idle);
        slot.expect(step);
        slot.expect(if step == "settle 2" { "run 3" } else { "poll 2" });
    }
}

#[test]
fn an_entry_that_is_not_a_job_is_buried_after_the_earlier_jobs_are_settled() {
    let mut slot = Slot::per_key();
    slot.claim(vec![job(1, 7), undecodable(2), job(3, 8)]);
    slot.run(1, Transition::Complete);
    slot.run(2, Transition::Complete);
    slot.answer("poll 0", SlotPoll::Idle);
    slot.expect("settle 2");
    slot.expect("run 3");
}

#[test]
fn after_a_lost_reply_the_slot_pauses_and_looks_for_entries_until_it_finds_no_more() {
    let mut slot = Slot::per_key();
    slot.answer("poll 1", empty());
    slot.expect("wait after 3-0 5-0");
    assert!(slot.progress.request(1).known);
    for pause in ["pause 50ms", "pause 100ms"] {
        slot.expect("poll 1");
        slot.progress.poll_failed();
        slot.expect(pause);
        let request = slot.progress.request(1);
        assert!(request.look && !request.known, "the server is asked for all again");
    }
    slot.answer("poll 1", SlotPoll::Found(jobs(9..10)));
    assert!(slot.progress.request(1).look, "more entries may be found");
    slot.run(9, Transition::Complete);
    slot.expect("settle 9");
    slot.answer("poll 2", empty());
    assert!(!slot.progress.request(1).look);
    slot.expect("wait after 3-0 5-0");
    slot.expect("poll 4");
    slot.progress.poll_failed();
    slot.expect("pause 50ms");
}

#[test]
fn the_slot_looks_for_entries_now_and_again() {
    let mut slot = Slot::per_key();
    slot.claim(jobs(1..2));
    slot.run(1, Transition::Complete);
    slot.facts.now += 30 * SECOND;
    slot.expect("settle 1");
    assert!(slot.progress.request(1).look, "a failover may have undone a completion");
    slot.answer("poll 2", SlotPoll::Found(jobs(1..2)));
    slot.run(1, Transition::Complete);
    slot.expect("settle 1");
    slot.answer("poll 4", empty());
    assert!(!slot.progress.request(1).look);
}

#[test]
fn entries_whose_poll_failed_are_settled_with_their_jobs_ids() {
    let mut slot = Slot::per_key();
    slot.claim(jobs(1..2));
    slot.run(1, Transition::Complete);
    slot.facts.leaving = true;
    slot.expect("poll 0");
    slot.progress.poll_failed();
    slot.expect("pause 50ms");
    slot.expect("settle 1");
    assert!(slot.done().is_empty() && slot.progress.request(1).look);
    slot.expect("end Left");
}

#[test]
fn the_last_ids_follow_the_claimed_entries() {
    let mut slot = Slot::per_key();
    slot.answer("poll 1", empty());
    slot.expect("wait after 3-0 5-0");
    slot.claim(jobs(6..9));
    for number in 6..9 {
        slot.run(number, Transition::Complete);
    }
    slot.answer("poll 2", SlotPoll::Empty(None));
    slot.expect("wait after 3-0 8-0");
}

#[test]
fn a_slot_held_by_a_retry_pauses_for_its_time_and_asks_every_second() {
    let mut slot = Slot::per_key();
    slot.answer("poll 1", SlotPoll::Hold(7 * SECOND));
    slot.expect("pause 1s");
    slot.answer("poll 1", SlotPoll::Hold(7 * MILLI));
    slot.expect("pause 7ms");
    slot.expect("poll 1");
}
