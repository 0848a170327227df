//! Checks the answers to the enqueues of each key, and the jobs of each key, against the promises
//! of its rule. Each check compares a time at which something was so with one at which it must not
//! have been so any more, and both are bounds: what lies between a record and its event decides
//! nothing.

use std::collections::BTreeMap;
use std::path::Path;

use super::chronicle::{Chronicle, Job, Sent};
use super::clock::Clock;
use super::job::{DELAY, MOST, WINDOW};
use super::{Answer, Rule};
use crate::checker::{Fault, Verdict};
use crate::final_state::FinalState;
use crate::ledger::Ended;

/// The tolerance of comparisons of two records, and of one with a time of the server, in ms.
const SLACK: u64 = 3;
const CLOCK_SLACK: u64 = 50;
/// How late a job may start that was due, in ms: the time that a run waits for its producers. Killed
/// nodes and an unreachable server delay jobs, some of them several times.
pub(super) const LATE: u64 = 120_000;
/// How long before a start an outage may have kept the node from freeing the key, in ms: the node
/// tries for some seconds, and a request may wait for its answer as long.
const OUTAGE: u64 = 30_000;

/// The check of a run.
pub(super) struct Check<'a> {
    pub(super) chronicle: &'a Chronicle,
    pub(super) faults: &'a [Fault],
    clock: Clock,
    pub(super) verdict: &'a mut Verdict,
    /// Broken promises that a failover explains, by kind: it may undo what processes have seen.
    pub(super) undone: BTreeMap<String, u64>,
    /// How late jobs with a due time started, in ms.
    pub(super) late: Vec<u64>,
}

/// Checks a run.
pub(crate) fn check(
    folder: &Path,
    state: &FinalState,
    faults: &[Fault],
    verdict: &mut Verdict,
) -> Result<(), String> {
    check_chronicle(&Chronicle::read(folder)?, state, faults, verdict);
    Ok(())
}

pub(super) fn check_chronicle(
    chronicle: &Chronicle,
    state: &FinalState,
    faults: &[Fault],
    verdict: &mut Verdict,
) {
    let (clock, undone, late) = (Clock::read(faults), BTreeMap::new(), vec![]);
    let mut check = Check { chronicle, faults, clock, verdict, undone, late };
    for (key, sent) in &chronicle.keys {
        check.answers(*key, sent);
        check.due_times(*key, sent);
        check.jobs(*key, sent);
    }
    for (id, job) in &chronicle.jobs {
        check.job(id, job, state);
    }
    check.totals(state);
    check.rows();
}

pub(super) fn is_failover(fault: &Fault) -> bool {
    matches!(
        fault.kind.as_str(),
        "failover by order" | "primary killed, and back" | "primary paused, and back"
    )
}

impl Check<'_> {
    /// Records a broken promise, unless a failover at some time in between explains it.
    pub(super) fn violate(&mut self, what: &str, (from, to): (u64, u64), example: String) {
        let within = |fault: &&Fault| {
            fault.from <= to.saturating_add(CLOCK_SLACK)
                && fault.to.saturating_add(CLOCK_SLACK) >= from
        };
        if self.faults.iter().filter(|fault| is_failover(fault)).any(|fault| within(&fault)) {
            *self.undone.entry(what.to_owned()).or_default() += 1;
        } else {
            self.verdict.violate(what, example);
        }
    }

    /// Checks that each answer names a job that stands, and that no data was taken twice.
    fn answers(&mut self, (rule, key): (Rule, u64), all: &[Sent]) {
        let jobs = &self.chronicle.jobs;
        // The last job that was stored, and the time of its answer.
        let mut last: Option<(&str, u64)> = None;
        for sent in all {
            let Some(id) = sent.job.as_deref() else { continue };
            let about = format!("{rule} {key}, enqueue {}: {:?} of {id}", sent.number, sent.answer);
            let job = jobs.get(id);
            if sent.answer.is_stored() {
                let before = all.iter().take_while(|other| other.number < sent.number);
                if before.filter(|other| other.answer.is_taken()).any(|one| one.job == sent.job) {
                    let text = about.clone();
                    self.violate("a key was given twice to one job", (sent.from, sent.to), text);
                }
                self.alone_in_window(rule, sent, last, &about);
                last = Some((id, sent.to));
                continue;
            }
            if !matches!(sent.answer, Answer::Duplicate | Answer::Replaced) {
                continue;
            }
            let known = |other: &&Sent| other.job == sent.job && other.answer != Answer::Failed;
            let named =
                all.iter().take_while(|other| other.number < sent.number).any(|it| known(&it));
            if !named && job.is_none_or(|job| job.key != Some((rule, key))) {
                self.violate("told of a job that is not of the key", (sent.from, sent.to), about);
                continue;
            }
            let Some(job) = job else { continue };
            let stored = job.stored.unwrap_or(sent.from);
            if let Some((other, at)) = last.filter(|(other, _)| *other != id) {
                let is_gone = jobs.get(other).is_some_and(|job| job.withdrawn.is_some());
                let later = all.iter().position(|it| it.answer.is_stored() && it.job == sent.job);
                let newer = all.iter().position(|it| it.job.as_deref() == Some(other));
                if !is_gone && later < newer && later.is_some() {
                    let text = format!("{about}, after {other} was stored at {at}");
                    self.violate("two jobs held one key", (stored, sent.to), text);
                }
            }
            self.stands(rule, sent, job, &about);
        }
    }

    /// Checks that within the window no other job was stored.
    fn alone_in_window(&mut self, rule: Rule, sent: &Sent, last: Option<(&str, u64)>, about: &str) {
        let Some((other, _)) = last.filter(|_| rule == Rule::Window) else { return };
        let all = self.chronicle.keys.values().flatten();
        let begun = all.filter(|it| it.job.as_deref() == Some(other)).map(|it| it.from).min();
        let Some(begun) = begun else { return };
        let gone = self.chronicle.jobs.get(other).is_some_and(|job| job.withdrawn.is_some());
        let early = sent.to + CLOCK_SLACK < begun + millis(WINDOW);
        if early && !gone && !self.clock.jumped(begun, sent.to) {
            let text = format!("{about} at {}, within that of {other} from {begun}", sent.to);
            self.violate("two jobs in one window", (begun, sent.to), text);
        }
    }

    /// Checks that a job which an enqueue was told of held its key when the enqueue began.
    fn stands(&mut self, rule: Rule, sent: &Sent, job: &Job, about: &str) {
        let (what, over) = match rule {
            Rule::Window => {
                let Some(stored) = job.stored else { return };
                let over = stored + millis(WINDOW) + CLOCK_SLACK;
                if self.clock.jumped(stored, sent.to) {
                    return;
                }
                ("held after its window", Some(over))
            }
            Rule::Start | Rule::Debounce => {
                let start = job.start().filter(|start| !self.was_out(job, *start));
                ("held after the start of its job", start.or(job.ended_by()))
            }
            _ => ("held after the end of its job", job.ended_by()),
        };
        let over = over.into_iter().chain(job.removed).min();
        if let Some(over) = over.filter(|over| over + SLACK < sent.from) {
            let text = format!("{about} at {}, over at {over}", sent.from);
            self.violate(&format!("a key was {what}"), (job.stored.unwrap_or(0), sent.to), text);
        }
        // One that has snoozed waits for its time as one that was not tried.
        let snoozed = job.runs.iter().any(|run| run.how == Some(Ended::Snoozed));
        let first = job.start().filter(|start| start + SLACK < sent.from && !snoozed);
        if let Some(start) = first
            && sent.answer == Answer::Replaced
            && rule != Rule::Replace
        {
            let text = format!("{about} at {}, which began at {start}", sent.from);
            self.violate("the data of a started job was replaced", (start, sent.to), text);
        }
    }

    /// Returns whether something has kept the node of the first run from freeing a key before it.
    fn was_out(&self, job: &Job, start: u64) -> bool {
        let node = job.runs.iter().find(|run| run.from == start).map(|run| run.node.as_str());
        self.faults.iter().any(|fault| {
            let hit = fault.target == "server" || Some(fault.target.as_str()) == node;
            hit && fault.from <= start && fault.to.saturating_add(OUTAGE) >= start
        })
    }

    /// Checks that no due time is earlier or later than the rule says, and no start earlier.
    fn due_times(&mut self, (rule, key): (Rule, u64), all: &[Sent]) {
        // By job: its first due time, and the last one before it started.
        let mut known: BTreeMap<&str, (i64, i64, u64)> = BTreeMap::new();
        for sent in all {
            let (Some(id), Some(due)) = (sent.job.as_deref(), sent.due) else { continue };
            let starts = self.chronicle.jobs.get(id).and_then(Job::start).unwrap_or(u64::MAX);
            if sent.to >= starts {
                continue;
            }
            let is_first = sent.answer == Answer::Stored;
            if !is_first && !known.contains_key(id) {
                // Its first answer is not known.
                continue;
            }
            let (first, ..) = *known.entry(id).or_insert((due, due, sent.to));
            known.insert(id, (first, due, sent.to));
            if rule != Rule::Debounce {
                continue;
            }
            let (delay, most) = (signed(millis(DELAY)), signed(millis(MOST)));
            let about = format!("{rule} {key}, enqueue {} of {id}: due {due}", sent.number);
            if due > first - delay + most {
                let text = format!("{about}, the first time {first}");
                self.violate("put off for longer than its most", (sent.from, sent.to), text);
            }
            let jumped = self.clock.jumped(sent.from, sent.to);
            let local = self.clock.local(due, sent.from);
            let early = local + CLOCK_SLACK < sent.from + millis(DELAY);
            if early && due != first - delay + most && !jumped {
                let text = format!("{about}, {local} here, sent at {}", sent.from);
                self.violate("put off for less than its delay", (sent.from, sent.to), text);
            }
        }
        for (id, (_, due, said)) in known {
            let Some(job) = self.chronicle.jobs.get(id) else { continue };
            let Some(start) = job.start().filter(|_| job.withdrawn.is_none()) else { continue };
            if self.clock.jumped(said, start) {
                continue;
            }
            let due = self.clock.local(due, said);
            let about = format!("{rule} {key}, {id}: due {due}, started {start}");
            if start + CLOCK_SLACK < due {
                self.violate("started before its time", (said, start), about);
            } else {
                self.late.push(start.saturating_sub(due));
                if start > due + LATE {
                    self.violate("started long after its time", (said, start), about);
                }
            }
        }
    }

    /// Checks that no two jobs of a key were there at a time where the rule allows one.
    fn jobs(&mut self, key: (Rule, u64), all: &[Sent]) {
        let rule = key.0;
        let mut spans: Vec<(u64, u64, &str)> = vec![];
        for (id, job) in self.chronicle.jobs.iter().filter(|(_, job)| job.key == Some(key)) {
            let span = match rule {
                Rule::Done | Rule::Replace => job.stored.zip(job.alive_at()),
                // One waits behind the other.
                Rule::Last => job.start().zip(job.alive_at()),
                // An enqueue of unknown outcome may have stored its job long before its start, by
                // which the key was free.
                Rule::Start | Rule::Debounce => {
                    let mut named = all.iter().filter(|sent| sent.job.as_deref() == Some(id));
                    let known = named.any(|sent| sent.answer.is_stored());
                    let waited = job.stored.zip(self.waited_at(id, job, all));
                    waited.filter(|(stored, last)| known || stored < last)
                }
                Rule::Window => None,
            };
            spans.extend(span.map(|(from, to)| (from, to, id.as_str())));
        }
        spans.sort_unstable();
        let mut before: Option<(u64, u64, &str)> = None;
        for span in spans {
            let (from, to, id) = span;
            if let Some((_, last, other)) = before.filter(|(_, last, _)| from + SLACK < *last) {
                let text = format!("{rule} {}: {id} from {from}, {other} until {last}", key.1);
                self.violate("two jobs of one key at a time", (from, last), text);
            }
            if before.is_none_or(|(_, last, _)| last < to) {
                before = Some(span);
            }
        }
        if matches!(rule, Rule::Done | Rule::Replace | Rule::Last) {
            self.order(key);
        }
    }

    /// Returns the latest time at which the job is known to have waited: the key is free before the
    /// first start.
    fn waited_at(&self, id: &str, job: &Job, all: &[Sent]) -> Option<u64> {
        let stored = job.stored?;
        let named = |sent: &&Sent| sent.job.as_deref() == Some(id) && !sent.answer.is_stored();
        let told = all.iter().filter(named).map(|sent| sent.from).max();
        let due = all.iter().filter(|sent| sent.job.as_deref() == Some(id)).filter_map(|sent| {
            let is_so = !self.clock.jumped(sent.from, job.start().unwrap_or(u64::MAX));
            sent.due.filter(|_| is_so).map(|due| self.clock.local(due, sent.from))
        });
        let last = told.into_iter().chain(due.map(|due| due.saturating_sub(CLOCK_SLACK))).max();
        let most = job.start().unwrap_or(u64::MAX).min(job.withdrawn.unwrap_or(u64::MAX));
        Some(last.unwrap_or(stored).min(most))
    }

    /// Checks that newer data comes after older data.
    fn order(&mut self, key: (Rule, u64)) {
        let of_key = self.chronicle.jobs.values().filter(|job| job.key == Some(key));
        let mut runs: Vec<(u64, u64)> =
            of_key.filter_map(|job| Some((job.start()?, job.last()?.number))).collect();
        runs.sort_unstable();
        for pair in runs.windows(2).filter(|pair| pair[0].1 > pair[1].1) {
            let ((from, newer), (to, older)) = (pair[0], pair[1]);
            let text = format!("{} {}: {newer} at {from}, {older} at {to}", key.0, key.1);
            self.violate("older data after newer", (from, to), text);
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
