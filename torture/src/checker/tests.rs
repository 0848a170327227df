//! The checker must be able to fail: ledgers written by hand, each with a single error.

use std::collections::BTreeMap;

use super::{Allowances, History, Verdict, check};
use crate::bad::Bad;
use crate::final_state::FinalState;
use crate::job::Act;
use crate::ledger::{Ended, How, Line, Outcome, Record};

const SLOTS: Allowances = Allowances { slots: 8, losses: false, rollbacks: false };

/// A ledger under construction.
#[derive(Default)]
struct Book {
    files: BTreeMap<&'static str, Vec<Line>>,
    state: FinalState,
    runs: u64,
}

impl Book {
    fn note(&mut self, file: &'static str, at: u64, record: Record) -> &mut Self {
        self.files.entry(file).or_default().push(Line { at, record });
        self
    }

    fn stored(&mut self, seq: u64, act: Act, how: How, outcome: Outcome) -> &mut Self {
        self.note("producer-0.1", 1, Record::Invoke { seq, act, how });
        let job = Some(format!("j{seq}"));
        self.note("producer-0.1", 2, Record::Stored { seq, outcome, job })
    }

    /// Adds a run on a node, from one time to another, under the job's own id.
    fn run(&mut self, node: &'static str, seq: u64, from: u64, end: Option<Ended>) -> &mut Self {
        self.run_as(node, seq, &format!("j{seq}"), (1, 1), from, end)
    }

    fn run_as(
        &mut self,
        node: &'static str,
        seq: u64,
        job: &str,
        (attempt, fence): (u32, u64),
        from: u64,
        end: Option<Ended>,
    ) -> &mut Self {
        self.runs += 1;
        let run = self.runs;
        self.note(node, from, Record::Start { run, seq, job: job.into(), attempt, fence });
        if let Some(how) = end {
            self.note(node, from + 10, Record::End { run, how });
        }
        self
    }

    fn fault(&mut self, kind: &str, target: &str, from: u64, to: u64) -> &mut Self {
        let id = from;
        let (kind, target) = (kind.to_owned(), target.to_owned());
        self.note("torture", from, Record::Fault { id, kind, target });
        self.note("torture", to, Record::Over { id, note: String::new() })
    }

    fn count(&mut self, counter: &str, value: u64) -> &mut Self {
        self.state.stats.insert(counter.into(), value);
        self
    }

    fn check(&self) -> Verdict {
        let mut history = History::default();
        for (file, lines) in &self.files {
            history.add(file, lines.clone());
        }
        history.order();
        check(&history, &self.state, SLOTS)
    }

    #[track_caller]
    fn is_wrong(&self, what: &str) {
        let verdict = self.check();
        assert!(verdict.violations.contains_key(what), "{what}: {:?}", verdict.violations);
    }
}

fn one_done() -> Book {
    let mut book = Book::default();
    book.stored(1, Act::Done, How::Plain, Outcome::Ok).count("completed", 1);
    book.run("node-0.1", 1, 100, Some(Ended::Done));
    book
}

#[test]
fn a_quiet_run_is_good() {
    let verdict = one_done().check();
    assert!(verdict.is_good(), "{:?}", verdict.examples);
    assert_eq!((verdict.jobs, verdict.ok, verdict.executions), (1, 1, 1));
}

#[test]
fn what_was_stored_and_never_ran_is_lost() {
    let mut book = one_done();
    book.stored(2, Act::Done, How::Plain, Outcome::Ok).is_wrong("lost");
    let mut book = one_done();
    let verdict = book.stored(2, Act::Done, How::Plain, Outcome::Unknown).check();
    assert!(verdict.is_good(), "its outcome was unknown: {:?}", verdict.examples);
    assert_eq!(verdict.unknown_absent, 1);
    let mut book = one_done();
    book.note("producer-0.1", 5, Record::Invoke { seq: 2, act: Act::Done, how: How::Plain });
    assert_eq!(book.check().unknown_absent, 1, "its producer was killed meanwhile");
}

#[test]
fn what_ran_and_was_never_done_is_lost_too() {
    let mut book = one_done();
    book.stored(2, Act::Done, How::Plain, Outcome::Ok);
    book.run("node-0.1", 2, 100, None).is_wrong("never finished");
    book.run("node-0.1", 2, 200, Some(Ended::Done)).is_wrong("never settled");
}

#[test]
fn a_second_completion_shows_in_the_sum_and_in_the_ledger() {
    one_done().count("completed", 2).is_wrong("settled twice");
    let mut book = one_done();
    for at in [120, 130] {
        let settled = Record::Settled { job: "j1".into(), applied: true, completes: true };
        book.note("node-0.1", at, settled);
    }
    book.is_wrong("completed twice");
}

#[test]
fn a_refused_enqueue_that_was_stored_is_found_by_its_second_id() {
    let mut book = one_done();
    book.count("completed", 2);
    book.run_as("node-0.1", 1, "other", (1, 1), 300, Some(Ended::Done));
    book.is_wrong("stored more often than told");
    book.stored(1, Act::Done, How::Plain, Outcome::Unknown);
    let verdict = book.check();
    assert!(!verdict.violations.contains_key("stored more often than told"), "it may have been");
}

#[test]
fn a_repetition_needs_a_fault_at_its_own_node_and_time() {
    let repeated = || {
        let mut book = one_done();
        book.runs = 0;
        book.files.remove("node-0.1");
        book.run("node-0.1", 1, 10_000, None);
        book.run_as("node-1.1", 1, "j1", (1, 2), 22_000, Some(Ended::Done));
        book
    };
    repeated().is_wrong("repeated without a reason");
    repeated()
        .fault("SIGKILL of a node", "node-1", 10_010, 10_020)
        .is_wrong("repeated without a reason");
    repeated()
        .fault("SIGKILL of a node", "node-0", 30_000, 30_010)
        .is_wrong("repeated without a reason");
    for excuse in ["reply lost", "connections cut", "server killed"] {
        let mut book = repeated();
        book.fault(excuse, "node-0", 10_010, 10_020).is_wrong("repeated without a reason");
    }
    let verdict = repeated().fault("SIGKILL of a node", "node-0", 10_010, 10_020).check();
    assert!(verdict.is_good(), "{:?}", verdict.examples);
    assert_eq!((verdict.duplicate_executions, verdict.recovery_max), (1, 11_990));
}

#[test]
fn a_node_that_had_the_job_first_may_begin_it_when_it_wakes_up() {
    let late = |from, to| {
        let mut book = one_done();
        book.run("node-1.1", 1, 20_000, Some(Ended::Done));
        book.fault("SIGSTOP past the lease", "node-1", from, to);
        book
    };
    assert!(late(50, 19_990).check().is_good());
    late(5_000, 19_990).is_wrong("repeated without a reason");
}

#[test]
fn destroyed_groups_explain_a_second_claim_whose_first_handler_started_later() {
    let claimed = |fence, at| {
        let mut book = one_done();
        book.files.remove("node-0.1");
        book.run("node-0.1", 1, 20_000, Some(Ended::Done));
        book.run_as("node-1.1", 1, "j1", (1, fence), 20_400, Some(Ended::Done));
        book.fault("groups destroyed", "server", at, at + 60);
        book
    };
    assert!(claimed(1, 18_500).check().is_good(), "the claim was made before the fault");
    claimed(1, 5_000).is_wrong("repeated without a reason");
    claimed(2, 18_500).is_wrong("repeated without a reason");
}

#[test]
fn a_primary_that_hangs_explains_a_lost_settlement_and_no_rescue() {
    let repeated = |fence| {
        let mut book = one_done();
        book.files.remove("node-0.1");
        book.run("node-0.1", 1, 20_000, Some(Ended::Done));
        book.run_as("node-1.1", 1, "j1", (1, fence), 35_000, Some(Ended::Done));
        book.fault(crate::reshard::HUNG, "server", 15_000, 31_000);
        book
    };
    assert!(repeated(1).check().is_good(), "the new primary lacks the settlement");
    repeated(2).is_wrong("repeated without a reason");
}

#[test]
fn a_retry_is_no_repetition_but_the_same_attempt_again_is() {
    let mut book = Book::default();
    book.stored(1, Act::Fail(1), How::Plain, Outcome::Ok).count("completed", 1);
    book.run_as("node-0.1", 1, "j1", (1, 1), 100, Some(Ended::Failed));
    book.run_as("node-0.1", 1, "j1", (2, 2), 500, Some(Ended::Done));
    assert_eq!(book.check().duplicate_executions, 0);
    book.run_as("node-0.1", 1, "j1", (2, 2), 900, Some(Ended::Done));
    book.is_wrong("repeated without a reason");
}

#[test]
fn the_guilty_die_and_the_innocent_do_not() {
    let mut book = Book::default();
    book.stored(1, Act::Doomed, How::Plain, Outcome::Ok);
    book.run("node-0.1", 1, 100, Some(Ended::Failed)).is_wrong("should be dead");
    book.state.dead.insert("j1".into(), "never".into());
    book.count("buried", 1).is_wrong("buried after the wrong attempt");
    for attempt in 2..=4 {
        let (at, order) = (u64::from(attempt) * 1_000, (attempt, attempt.into()));
        book.run_as("node-0.1", 1, "j1", order, at, Some(Ended::Failed));
    }
    assert!(book.check().is_good());
    let mut book = one_done();
    book.state.dead.insert("j1".into(), "crash".into());
    book.is_wrong("innocent, but buried");
}

#[test]
fn a_job_that_cannot_be_read_is_dead_without_a_run() {
    let mut book = Book::default();
    book.stored(1, Act::Bad(Bad::Unreadable), How::Plain, Outcome::Ok).is_wrong("lost");
    book.state.dead.insert("j1".into(), "panic".into());
    book.is_wrong("never settled");
    assert!(book.count("buried", 1).check().is_good());
}

#[test]
fn a_job_that_is_cancelled_from_outside_need_not_come_to_its_end() {
    let mut book = Book::default();
    book.stored(1, Act::Bad(Bad::CancelBomb), How::Plain, Outcome::Ok);
    book.run("node-0.1", 1, 100, Some(Ended::Dropped)).is_wrong("never settled");
    assert!(book.count("cancelled", 1).check().is_good());
}

#[test]
fn a_broken_promise_that_a_process_saw_is_wrong() {
    let (promise, example) = ("a half-changed worker was used".to_owned(), "job 1".to_owned());
    one_done()
        .note("node-0.1", 300, Record::Broken { promise, example })
        .is_wrong("a half-changed worker was used");
}

#[test]
fn only_a_job_that_may_be_repeated_is_completed_twice() {
    let mut book = one_done();
    for at in [200, 300] {
        let settled = Record::Settled { job: "odd".into(), applied: true, completes: true };
        book.note("node-0.1", at, settled);
    }
    book.is_wrong("completed twice");
    assert!(book.note("caller-0.1", 1, Record::Repeatable { job: "odd".into() }).check().is_good());
}

#[test]
fn three_real_crashes_are_bad_luck_and_two_are_not() {
    let crashed = |times: u64| {
        let mut book = Book::default();
        book.stored(1, Act::Done, How::Plain, Outcome::Ok).count("buried", 1);
        book.state.dead.insert("j1".into(), "crash 3".into());
        for time in 1..=3 {
            book.run_as("node-0.1", 1, "j1", (1, time), time * 100_000, None);
        }
        for time in 1..=times {
            let at = time * 100_000 + 20;
            book.fault("SIGKILL of a node", "node-0", at, at + 5);
        }
        book
    };
    let verdict = crashed(3).check();
    assert!(verdict.is_good() && verdict.unlucky == 1, "{:?}", verdict.examples);
    crashed(2).is_wrong("innocent, but buried");
}

#[test]
fn a_move_by_one_who_has_lost_the_claim_is_found() {
    let mut book = Book::default();
    book.stored(1, Act::Fail(1), How::Plain, Outcome::Ok).count("completed", 1);
    book.run_as("node-0.1", 1, "j1", (1, 1), 1_000, Some(Ended::Failed));
    book.run_as("node-1.1", 1, "j1", (1, 1), 2_000, Some(Ended::Failed));
    book.run_as("node-1.1", 1, "j1", (2, 2), 9_000, Some(Ended::Done));
    book.fault("groups destroyed", "server", 1_500, 1_501);
    let settled = Record::Settled { job: "j1".into(), applied: true, completes: false };
    book.note("node-1.1", 4_000, settled.clone());
    assert!(book.check().is_good(), "{:?}", book.check().examples);
    book.note("node-0.1", 4_000, settled).is_wrong("settled without the claim");
}

#[test]
fn leftovers_and_strangers_are_named() {
    let mut book = one_done();
    book.state.leftovers.push("2 consumers in front".into());
    book.is_wrong("left behind");
    let mut book = one_done();
    book.run("node-0.1", 77, 100, Some(Ended::Done)).is_wrong("unheard of");
}

#[test]
fn a_recovery_counts_as_calm_only_while_the_server_was_there() {
    let killed = |outage: Option<(&str, u64, u64)>| {
        let mut book = Book::default();
        book.stored(1, Act::Done, How::Plain, Outcome::Ok).count("completed", 1);
        book.run("node-0.1", 1, 10_000, None).run("node-1.1", 1, 20_000, Some(Ended::Done));
        book.fault("SIGKILL of a node", "node-0", 10_500, 11_000);
        if let Some((kind, from, to)) = outage {
            book.fault(kind, "server", from, to);
        }
        let verdict = book.check();
        assert!(verdict.is_good(), "{:?}", verdict.examples);
        assert!(verdict.recovery_max > 0, "all are counted: {verdict:?}");
        (verdict.calm_recoveries, verdict.calm_recovery_max)
    };
    assert_eq!(killed(None), (1, 9_500));
    assert_eq!(killed(Some(("slot moved", 12_000, 13_000))), (1, 9_500), "that is no outage");
    assert_eq!(killed(Some(("server killed", 1_000, 2_000))), (1, 9_500), "it was over");
    assert_eq!(killed(Some(("server killed", 12_000, 13_000))), (0, 0));
    assert_eq!(killed(Some(("failover by order", 12_000, 13_000))), (0, 0));
}

#[test]
fn a_node_that_repeats_a_refused_settlement_without_a_pause_is_wrong() {
    let refused = |times| {
        let mut book = Book::default();
        book.stored(1, Act::Done, How::Plain, Outcome::Ok).run(
            "node-0.1",
            1,
            10,
            Some(Ended::Done),
        );
        for at in 0..times {
            let job = "j1".to_owned();
            book.note(
                "node-0.1",
                30 + at,
                Record::Settled { job, applied: false, completes: true },
            );
        }
        let job = "j1".to_owned();
        book.note("node-0.1", 9_000, Record::Settled { job, applied: true, completes: true });
        book.count("completed", 1);
        book
    };
    assert!(refused(20).check().is_good());
    refused(500).is_wrong("settled again and again without a pause");
}
