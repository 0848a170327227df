//! Breaks each promise of unique jobs in the records of a run, and checks that it is noticed.

use super::check::check_chronicle;
use super::chronicle::Chronicle;
use super::{Answer, Rule, Uniques};
use crate::checker::{Fault, Verdict};
use crate::final_state::FinalState;
use crate::ledger::{Ended, Line, Record};

/// A change of the records that are given.
type Change<'a> = &'a dyn Fn(&mut Vec<Line>);

const A: Option<&str> = Some("a");
const B: Option<&str> = Some("b");

fn line(at: u64, record: Record) -> Line {
    Line { at, record }
}

/// Enqueue `number`, begun at `at` and answered 10 ms later.
fn sent(rule: Rule, number: u64, at: u64, answer: Answer, job: Option<&str>) -> [Line; 2] {
    due(rule, number, at, answer, job, None)
}

fn due(
    rule: Rule,
    number: u64,
    at: u64,
    answer: Answer,
    job: Option<&str>,
    due: Option<i64>,
) -> [Line; 2] {
    let job = job.map(ToOwned::to_owned);
    [
        line(at, Record::Send { rule, key: 1, number }),
        line(at + 10, Record::Sent { rule, key: 1, number, answer, job, due }),
    ]
}

/// A whole run of a job with the data of `number`, settled 10 ms after its end.
fn ran(rule: Rule, number: u64, job: &str, fence: u64, (from, to): (u64, u64)) -> [Line; 3] {
    let (run, job) = (from, job.to_owned());
    [
        line(from, Record::SingleRun { run, rule, key: 1, number, job: job.clone(), fence }),
        line(to, Record::End { run, how: Ended::Done }),
        line(to + 10, Record::Settled { job, applied: true, completes: true }),
    ]
}

fn fault(kind: &str, target: &str, from: u64, to: u64) -> Fault {
    Fault { kind: kind.into(), target: target.into(), from, to, note: "1000 ms".into() }
}

/// Returns the violations of these records after the change.
fn findings(lines: &[Line], completed: u64, faults: &[Fault], change: Change<'_>) -> Vec<String> {
    let mut lines = lines.to_vec();
    change(&mut lines);
    let mut chronicle = Chronicle::default();
    chronicle.add("node-1.1", lines);
    chronicle.order();
    let mut state = FinalState::default();
    let counts = [("completed".to_owned(), completed)].into();
    state.beside.insert(Uniques::partition(), counts);
    let mut verdict = Verdict::default();
    check_chronicle(&chronicle, &state, faults, &mut verdict);
    verdict.violations.into_keys().collect()
}

/// Checks that the records are good, and that this change of them is noticed.
fn noticed(lines: &[Line], completed: u64, change: Change<'_>, what: &str) {
    let good = findings(lines, completed, &[], &|_| {});
    assert!(good.is_empty(), "{what}: {good:?}");
    let found = findings(lines, completed, &[], change);
    assert!(found.iter().any(|one| one == what), "{what}: {found:?}");
}

/// Two jobs one after the other, and a duplicate of the first.
fn two(rule: Rule) -> Vec<Line> {
    let mut lines = sent(rule, 0, 1_000, Answer::Stored, A).to_vec();
    lines.extend(sent(rule, 1, 1_050, Answer::Duplicate, A));
    lines.extend(ran(rule, 0, "a", 1, (1_100, 1_200)));
    lines.extend(sent(rule, 2, 1_300, Answer::Stored, B));
    lines.extend(ran(rule, 2, "b", 1, (1_400, 1_500)));
    lines
}

#[test]
fn jobs_until_done_are_never_two_and_each_end_frees_the_key() {
    let good = two(Rule::Done);
    let early = |lines: &mut Vec<Line>| {
        (lines[7].at, lines[8].at) = (1_120, 1_130);
    };
    noticed(&good, 2, &early, "two jobs of one key at a time");
    let names_the_first = |lines: &mut Vec<Line>| {
        lines.extend(sent(Rule::Done, 3, 1_310, Answer::Duplicate, A));
    };
    noticed(&good, 2, &names_the_first, "two jobs held one key");
    noticed(&good, 2, &names_the_first, "a key was held after the end of its job");
    let unheard = |lines: &mut Vec<Line>| {
        lines.extend(sent(Rule::Done, 3, 1_610, Answer::Duplicate, Some("c")));
    };
    noticed(&good, 2, &unheard, "told of a job that is not of the key");
    let dropped = |lines: &mut Vec<Line>| {
        lines.extend(ran(Rule::Done, 1, "c", 1, (1_600, 1_700)));
    };
    noticed(&good, 2, &dropped, "dropped data ran");
    noticed(&good, 2, &|lines| drop(lines.drain(9..)), "a unique job never ran");
    noticed(&good, 2, &|lines| drop(lines.drain(10..)), "a unique job never ended");
    let not_enough = findings(&good, 1, &[], &|_| {});
    assert_eq!(not_enough, ["unique jobs never settled"]);
    assert_eq!(findings(&good, 3, &[], &|_| {}), ["unique jobs settled twice"]);
    // A run of a node that has lost the job may go on.
    let late = |lines: &mut Vec<Line>| {
        let lost = ran(Rule::Done, 0, "a", 0, (1_050, 2_000));
        lines.extend(lost.into_iter().take(2));
    };
    assert!(findings(&good, 2, &[], &late).is_empty());
    // A failover may undo an end.
    let over = [fault("failover by order", "server", 1_100, 1_250)];
    assert!(findings(&good, 2, &over, &early).is_empty());
    assert!(
        findings(&good, 2, &[fault("server killed", "server", 1_100, 1_250)], &early).len() == 1
    );
}

#[test]
fn a_job_that_was_withdrawn_frees_its_key() {
    let mut good = sent(Rule::Done, 0, 1_000, Answer::Stored, A).to_vec();
    good.push(line(1_100, Record::Withdraw { job: "a".into() }));
    good.push(line(1_110, Record::Withdrawn { job: "a".into(), gone: true }));
    good.extend(sent(Rule::Done, 1, 1_200, Answer::Stored, B));
    good.extend(ran(Rule::Done, 1, "b", 1, (1_300, 1_400)));
    let held = |lines: &mut Vec<Line>| {
        lines.splice(4..6, sent(Rule::Done, 1, 1_200, Answer::Duplicate, A));
    };
    noticed(&good, 1, &held, "a key was held after the end of its job");
}

#[test]
fn jobs_until_start_free_the_key_before_the_handler() {
    let mut good = due(Rule::Start, 0, 1_000, Answer::Stored, A, Some(1_500)).to_vec();
    good.extend(ran(Rule::Start, 0, "a", 1, (1_510, 1_900)));
    good.extend(sent(Rule::Start, 1, 1_600, Answer::Stored, B));
    good.extend(ran(Rule::Start, 1, "b", 1, (1_610, 1_700)));
    let early = |lines: &mut Vec<Line>| {
        (lines[5].at, lines[6].at) = (1_100, 1_110);
    };
    noticed(&good, 2, &early, "two jobs of one key at a time");
    let late = |lines: &mut Vec<Line>| {
        lines.splice(5..7, sent(Rule::Start, 1, 1_600, Answer::Duplicate, A));
    };
    noticed(&good, 2, &late, "a key was held after the start of its job");
    // An enqueue of unknown outcome had stored its job long before it started.
    let unknown = |lines: &mut Vec<Line>| {
        lines.splice(0..2, sent(Rule::Start, 0, 1_000, Answer::Unknown, A));
        lines.splice(5..7, due(Rule::Start, 1, 1_400, Answer::Stored, B, Some(1_610)));
    };
    assert!(findings(&good, 2, &[], &unknown).is_empty());
    // Without an answer of the server the end of the job frees the key.
    let out = [fault("server paused", "server", 1_400, 1_505)];
    assert!(!findings(&good, 2, &out, &late).iter().any(|what| what.contains("held")));
    noticed(&good, 2, &|lines| lines[2].at = 1_400, "started before its time");
    noticed(&good, 2, &|lines| lines[2].at = 190_000, "started long after its time");
}

#[test]
fn a_window_has_one_job_and_an_end() {
    let mut good = sent(Rule::Window, 0, 1_000, Answer::Stored, A).to_vec();
    good.extend(ran(Rule::Window, 0, "a", 1, (1_050, 1_100)));
    good.extend(sent(Rule::Window, 1, 2_500, Answer::Duplicate, A));
    good.extend(sent(Rule::Window, 2, 3_100, Answer::Stored, B));
    good.extend(ran(Rule::Window, 2, "b", 1, (3_150, 3_200)));
    let early = |lines: &mut Vec<Line>| {
        lines.splice(5..7, sent(Rule::Window, 1, 2_500, Answer::Stored, Some("c")));
        lines.extend(ran(Rule::Window, 1, "c", 1, (2_600, 2_700)));
    };
    noticed(&good, 2, &early, "two jobs in one window");
    let late = |lines: &mut Vec<Line>| {
        lines.splice(7..9, sent(Rule::Window, 2, 3_100, Answer::Duplicate, A));
    };
    noticed(&good, 2, &late, "a key was held after its window");
    // While the server's clock jumps its times say nothing.
    let jump = [fault("clock jumped", "server", 2_800, 2_801)];
    assert!(!findings(&good, 2, &jump, &late).iter().any(|what| what.contains("held")));
}

#[test]
fn a_debounced_job_has_the_newest_data_and_keeps_to_its_delays() {
    let (rule, stored, replaced) = (Rule::Debounce, Answer::Stored, Answer::Replaced);
    let mut good = due(rule, 0, 1_000, stored, A, Some(1_705)).to_vec();
    good.extend(due(rule, 1, 1_600, replaced, A, Some(2_305)));
    good.extend(due(rule, 2, 2_200, replaced, A, Some(2_905)));
    good.extend(due(rule, 3, 2_800, replaced, A, Some(3_505)));
    good.extend(ran(rule, 3, "a", 1, (3_510, 3_600)));
    let with = |due: i64| {
        move |lines: &mut Vec<Line>| {
            if let Record::Sent { due: known, .. } = &mut lines[7].record {
                *known = Some(due);
            }
        }
    };
    noticed(&good, 1, &with(3_506), "put off for longer than its most");
    noticed(&good, 1, &with(3_400), "put off for less than its delay");
    noticed(&good, 1, &|lines| lines[8].at = 3_000, "started before its time");
    let older = |lines: &mut Vec<Line>| {
        lines.splice(8.., ran(rule, 2, "a", 1, (3_510, 3_600)));
    };
    noticed(&good, 1, &older, "the newest data never ran");
    let after = |lines: &mut Vec<Line>| lines.extend(sent(rule, 4, 3_700, replaced, A));
    noticed(&good, 1, &after, "the data of a started job was replaced");
}

#[test]
fn of_the_jobs_that_keep_the_last_one_runs_and_the_newest_data_comes_last() {
    let rule = Rule::Last;
    let mut good = sent(rule, 0, 1_000, Answer::Stored, A).to_vec();
    good.extend(ran(rule, 0, "a", 1, (1_050, 1_500)));
    good.extend(sent(rule, 1, 1_100, Answer::Behind, B));
    good.extend(sent(rule, 2, 1_200, Answer::Replaced, B));
    good.extend(ran(rule, 2, "b", 1, (1_600, 1_700)));
    let beside = |lines: &mut Vec<Line>| lines[9].at = 1_400;
    noticed(&good, 2, &beside, "two jobs of one key at a time");
    let older = |lines: &mut Vec<Line>| {
        lines.splice(9.., ran(rule, 1, "b", 1, (1_600, 1_700)));
    };
    noticed(&good, 2, &older, "the newest data never ran");
    let first = |lines: &mut Vec<Line>| {
        lines.extend(sent(rule, 3, 1_300, Answer::Replaced, A));
    };
    noticed(&good, 2, &first, "two jobs held one key");
    let turned = |lines: &mut Vec<Line>| {
        lines.extend(ran(rule, 2, "c", 1, (900, 950)));
    };
    noticed(&good, 2, &turned, "older data after newer");
    let twice = |lines: &mut Vec<Line>| lines.extend(sent(rule, 3, 1_800, Answer::Stored, A));
    noticed(&good, 2, &twice, "a key was given twice to one job");
}
