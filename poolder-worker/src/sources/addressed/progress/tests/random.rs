//! Random facts and replies, with every step compared to a model of the node and the server.

use std::collections::VecDeque;
use std::time::Duration;

use poolder_core::Entry;
use poolder_core::broker::{Report, RetryPlacement, SlotPoll};
use poolder_core::policy::decide::Transition;
use poolder_core::policy::dispatch::Mode;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{
    SECOND, Slot, id, job, number, number_of, released, retry, settlement, show, undecodable,
};
use crate::sources::addressed::slot_context::HoldEnd;
use crate::sources::addressed::step::SlotStep;

/// The steps that a slot may take without a wait when the facts do not change and it claims
/// nothing: settle, settle a job, release, settle; poll, count, poll, report.
const STEPS_WITHOUT_WAIT: usize = 8;
/// The steps that a claimed entry may take in addition: run, settle the entries before, settle.
const STEPS_OF_AN_ENTRY: usize = 3;

/// The circumstances of one step.
#[derive(Debug, Clone)]
struct Turn {
    change: Option<Change>,
    elapsed: Duration,
    reply: Reply,
    /// The keys of the entries of a reply; 0 for an entry that is not a job.
    keys: Vec<u64>,
    end: End,
    accepted: bool,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Leaving,
    Stopped,
    Lost,
    Permission,
    Resize { beyond: bool },
    Opened,
}

#[derive(Debug, Clone, Copy)]
enum Reply {
    Entries,
    Hold,
    Wait,
    Empty,
    Stopped,
    Lost,
    /// The request did not reach the server.
    Failed,
    /// The server has answered, but the reply was lost.
    Unheard,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Complete,
    Retry,
    Release,
    Bury,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let change = prop_oneof![
        60 => Just(None),
        1 => Just(Some(Change::Leaving)),
        1 => Just(Some(Change::Stopped)),
        1 => Just(Some(Change::Lost)),
        8 => Just(Some(Change::Permission)),
        6 => any::<bool>().prop_map(|beyond| Some(Change::Resize { beyond })),
        6 => Just(Some(Change::Opened)),
    ];
    let elapsed = prop_oneof![
        6 => Just(Duration::ZERO),
        2 => Just(Duration::from_millis(3)),
        2 => Just(6 * SECOND),
    ];
    let reply = prop_oneof![
        12 => Just(Reply::Entries),
        2 => Just(Reply::Hold),
        2 => Just(Reply::Wait),
        12 => Just(Reply::Empty),
        1 => Just(Reply::Stopped),
        1 => Just(Reply::Lost),
        2 => Just(Reply::Failed),
        2 => Just(Reply::Unheard),
    ];
    let end = prop_oneof![
        10 => Just(End::Complete),
        1 => Just(End::Retry),
        1 => Just(End::Release),
        1 => Just(End::Bury),
    ];
    let keys = prop::collection::vec(0..5_u64, 1..16);
    let turn = (change, elapsed, reply, keys, end, any::<bool>());
    let turn = turn.prop_map(|(change, elapsed, reply, keys, end, accepted)| Turn {
        change,
        elapsed,
        reply,
        keys,
        end,
        accepted,
    });
    prop::collection::vec(turn, 1..150)
}

/// The node and the server, as the steps and replies until now have left them.
struct Model {
    slot: Slot,
    mode: Mode,
    placement: RetryPlacement,
    /// The entries that the slot knows it has claimed, and their keys.
    claimed: VecDeque<(u64, u64)>,
    /// The entries that are done, and their keys.
    done: Vec<(u64, u64)>,
    /// The job that ran last, when its settlement moves it.
    ended: Option<u64>,
    /// The entries whose claim the slot has not heard of.
    unheard: VecDeque<Entry>,
    /// True when the slot must look for entries that it may hold.
    must_look: bool,
    /// When the slot looks for such entries in any case.
    audit_at: Instant,
    /// True once the server has replied that the slot is stopped, or lost.
    stopped: bool,
    lost: bool,
    next_id: u64,
    /// The polls and counts since a wait or a job, and the generation of the last poll.
    trail: Vec<&'static str>,
    polled_in: u64,
    patience: usize,
}

impl Model {
    fn new(mode: Mode, placement: RetryPlacement) -> Self {
        let slot = Slot::new(mode, placement);
        Self {
            audit_at: slot.facts.now + 30 * SECOND,
            slot,
            mode,
            placement,
            claimed: VecDeque::new(),
            done: vec![],
            ended: None,
            unheard: VecDeque::new(),
            must_look: false,
            stopped: false,
            lost: false,
            next_id: 1,
            trail: vec![],
            polled_in: 0,
            patience: STEPS_WITHOUT_WAIT,
        }
    }

    fn change(&mut self, change: Change) {
        let facts = &mut self.slot.facts;
        match change {
            Change::Leaving => facts.leaving = true,
            Change::Stopped => facts.stopped = true,
            Change::Lost => facts.lost = true,
            Change::Permission => facts.permitted = !facts.permitted,
            Change::Resize { beyond } => {
                facts.generation += 1;
                (facts.open, facts.beyond) = (false, beyond);
            }
            Change::Opened => facts.open = true,
        }
        self.patience += STEPS_WITHOUT_WAIT;
    }

    fn may_start(&self) -> bool {
        let facts = &self.slot.facts;
        facts.permitted && !facts.leaving && !facts.stopped && !self.stopped
    }

    /// Takes a step; false when the service has ended.
    fn turn(&mut self, turn: &Turn) -> Result<bool, TestCaseError> {
        if let Some(change) = turn.change {
            self.change(change);
        }
        self.slot.facts.now += turn.elapsed;
        if self.slot.facts.now >= self.audit_at {
            self.must_look |= !(self.lost || self.slot.facts.lost);
            self.audit_at = self.slot.facts.now + 30 * SECOND;
        }
        let step = self.slot.next();
        let said = show(&step);
        prop_assert!(self.patience > 0, "{said}: the slot turns in a circle");
        self.patience -= 1;
        let lost = self.lost || self.slot.facts.lost;
        prop_assert_eq!(lost, matches!(step, SlotStep::End(HoldEnd::Lost)), "{}", said);
        match step {
            SlotStep::Run(entry) => self.run(entry, turn)?,
            SlotStep::Settle(settlements) if self.must_look && !self.done.is_empty() => {
                let settled: Vec<u64> = settlements.iter().map(|it| number(it.entry().1)).collect();
                let done: Vec<u64> = self.done.drain(..).map(|(id, _)| id).collect();
                prop_assert_eq!(settled, done);
            }
            SlotStep::Settle(settlements) => {
                prop_assert!(self.done.is_empty(), "{said}: {:?} are done", self.done);
                let settled: Vec<u64> = settlements.iter().map(|it| number(it.entry().1)).collect();
                prop_assert_eq!(settled, Vec::from_iter(self.ended.take()));
            }
            SlotStep::Release { behind, entries } => {
                prop_assert!(self.done.is_empty(), "{said}: {:?} are done", self.done);
                prop_assert_eq!(behind.first().map(|it| number(it.entry().1)), self.ended.take());
                let entries: Vec<u64> = entries.iter().map(number_of).collect();
                let claimed: Vec<u64> = self.claimed.drain(..).map(|(id, _)| id).collect();
                prop_assert_eq!(entries, claimed);
            }
            SlotStep::Poll { claim } => self.poll(claim, turn)?,
            SlotStep::Pause(_) | SlotStep::Wait(_) => {
                self.patience = STEPS_WITHOUT_WAIT + STEPS_OF_AN_ENTRY * self.claimed.len();
                self.trail.clear();
            }
            SlotStep::Report(report, generation) => self.report(report, generation, turn)?,
            SlotStep::CountDue => {
                prop_assert_eq!(self.trail.last(), Some(&"empty"));
                self.trail.push(if turn.accepted { "nothing due" } else { "due" });
                self.slot.progress.counted(turn.accepted);
            }
            SlotStep::End(HoldEnd::Lost) => return Ok(false),
            SlotStep::End(end) => {
                prop_assert!(self.claimed.is_empty() && self.done.is_empty(), "{said}");
                prop_assert!(self.ended.is_none(), "{said}: a job is not settled");
                let facts = &self.slot.facts;
                prop_assert!(facts.leaving || facts.stopped || self.stopped, "{said}");
                prop_assert_eq!(end == HoldEnd::Stopped, facts.stopped);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn run(&mut self, entry: Entry, turn: &Turn) -> Result<(), TestCaseError> {
        prop_assert!(self.may_start(), "a job starts without permission");
        prop_assert!(self.ended.is_none(), "a job starts before the last one is settled");
        let (id, key) = self.claimed.pop_front().unwrap();
        prop_assert_eq!(number_of(&entry), id);
        let of_key = self.done.iter().any(|(_, other)| *other == key && key != 0);
        match (self.mode, self.placement) {
            (Mode::Phash, _) => prop_assert!(!of_key, "an earlier job of the key is not settled"),
            (_, RetryPlacement::BlockSlot) => {
                prop_assert!(self.done.is_empty(), "an earlier job is not settled");
            }
            _ => {}
        }
        let transition = match turn.end {
            End::Complete => Transition::Complete,
            End::Retry => retry(),
            End::Release => released(),
            End::Bury => Transition::Bury { counters: <_>::default() },
        };
        let settlement = settlement(entry, transition);
        match settlement.is_plain_completion() {
            true => self.done.push((id, key)),
            false => self.ended = Some(id),
        }
        self.slot.progress.ran(settlement, self.slot.facts.now);
        self.trail.clear();
        Ok(())
    }

    fn poll(&mut self, claim: usize, turn: &Turn) -> Result<(), TestCaseError> {
        let request = self.slot.progress.request(claim);
        let complete: Vec<u64> = request.complete.iter().map(number).collect();
        prop_assert_eq!(complete, self.done.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        prop_assert!(request.complete.len() <= 16 && claim <= 16);
        prop_assert!(!self.must_look || request.look);
        prop_assert!(!request.look || request.complete.is_empty());
        prop_assert_eq!(request.generation, self.slot.facts.generation);
        prop_assert_eq!(request.open, self.slot.facts.open);
        let known = request.known;
        if claim > 0 {
            prop_assert!(self.may_start(), "claims without permission");
            prop_assert!(self.claimed.is_empty(), "claims while entries are claimed");
            prop_assert!(self.ended.is_none(), "claims before a job is settled");
        } else {
            prop_assert!(!self.done.is_empty(), "the poll is in vain");
        }
        self.polled_in = self.slot.facts.generation;
        let looks = request.look && claim > 0;
        let reply = match turn.reply {
            Reply::Failed => return self.fails(),
            Reply::Unheard => {
                if claim > 0 && self.unheard.is_empty() {
                    self.unheard = self.entries(claim, turn).into();
                }
                return self.fails();
            }
            Reply::Lost => {
                self.lost = true;
                SlotPoll::Lost
            }
            Reply::Stopped => {
                self.stopped = true;
                SlotPoll::Stopped
            }
            _ if claim == 0 => SlotPoll::Idle,
            _ if looks && !self.unheard.is_empty() => {
                SlotPoll::Found(self.unheard.pop_front().into_iter().collect())
            }
            Reply::Entries => SlotPoll::Claimed(self.entries(claim, turn)),
            Reply::Hold => SlotPoll::Hold(SECOND),
            Reply::Wait => SlotPoll::Wait,
            Reply::Empty if known => SlotPoll::Empty(None),
            Reply::Empty => SlotPoll::Empty(Some([id(0), id(self.next_id)])),
        };
        if claim > 0 && !matches!(reply, SlotPoll::Found(_)) {
            self.must_look = false;
        }
        if let SlotPoll::Claimed(entries) | SlotPoll::Found(entries) = &reply {
            let key = |entry: &Entry| match entry {
                Entry::Job(claim) => claim.envelope.key(),
                Entry::Undecodable(_) => 0,
            };
            self.claimed.extend(entries.iter().map(|entry| (number_of(entry), key(entry))));
            self.patience += STEPS_WITHOUT_WAIT + STEPS_OF_AN_ENTRY * entries.len();
        }
        match reply {
            SlotPoll::Empty(_) => self.trail.push("empty"),
            SlotPoll::Wait => self.trail.push("wait"),
            _ => self.trail.clear(),
        }
        self.done.clear();
        self.slot.progress.polled(claim, reply, self.slot.facts.now);
        Ok(())
    }

    fn entries(&mut self, claim: usize, turn: &Turn) -> Vec<Entry> {
        let first = self.next_id;
        let entries: Vec<Entry> = (first..)
            .zip(turn.keys.iter().take(claim))
            .map(|(id, key)| if *key == 0 { undecodable(id) } else { job(id, *key) })
            .collect();
        self.next_id += entries.len() as u64;
        entries
    }

    fn fails(&mut self) -> Result<(), TestCaseError> {
        self.must_look = true;
        self.trail.clear();
        self.slot.progress.poll_failed();
        prop_assert!(!self.slot.progress.request(1).known);
        Ok(())
    }

    fn report(
        &mut self,
        report: Report,
        generation: u64,
        turn: &Turn,
    ) -> Result<(), TestCaseError> {
        let facts = self.slot.facts;
        prop_assert_eq!(generation, facts.generation);
        prop_assert_eq!(self.polled_in, generation, "the poll was of another generation");
        match report {
            Report::Drained => {
                prop_assert!(!facts.open);
                prop_assert!(matches!(self.trail.last(), Some(&("wait" | "empty"))));
            }
            Report::Retired => {
                prop_assert!(facts.open && facts.beyond);
                prop_assert!(self.trail.ends_with(&["empty", "nothing due", "empty"]));
            }
        }
        self.trail.push("report");
        if turn.accepted {
            self.slot.progress.reported(report);
        }
        Ok(())
    }
}

fn check(mode: Mode, placement: RetryPlacement, turns: &[Turn]) -> Result<(), TestCaseError> {
    let mut model = Model::new(mode, placement);
    for turn in turns {
        if !model.turn(turn)? {
            break;
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_step_keeps_the_order_and_leaves_no_entry_behind(turns in turns()) {
        check(Mode::Phash, RetryPlacement::BlockSlot, &turns)?;
        check(Mode::Phash, RetryPlacement::Reschedule, &turns)?;
        check(Mode::RoundRobin, RetryPlacement::BlockSlot, &turns)?;
        check(Mode::RoundRobin, RetryPlacement::Reschedule, &turns)?;
    }
}
