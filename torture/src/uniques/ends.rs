//! Checks how the jobs ended, and with which data.

use std::collections::BTreeMap;

use super::check::{Check, LATE, is_failover};
use super::chronicle::{Job, Sent};
use super::job::{End, end_of};
use super::{Answer, Rule, Uniques};
use crate::final_state::FinalState;
use crate::ledger::Ended;

impl Check<'_> {
    /// Checks the data of a job, and that it ended as it must.
    pub(super) fn job(&mut self, id: &str, job: &Job, state: &FinalState) {
        let Some(key) = job.key else { return };
        let none = vec![];
        let all = self.chronicle.keys.get(&key).unwrap_or(&none);
        let about = format!("{} {}, {id}", key.0, key.1);
        let stored = job.stored.unwrap_or(0);
        let taken = all.iter().filter(|it| it.job.as_deref() == Some(id) && it.answer.is_taken());
        let newest = taken.map(|sent| sent.number).max();
        let Some(last) = job.last() else {
            if newest.is_some() && job.withdrawn.is_none() {
                let text = format!("{about}, with the data of {newest:?}");
                self.violate("a unique job never ran", (stored, u64::MAX - LATE), text);
            }
            return;
        };
        if newest.is_some_and(|newest| last.number < newest) && job.withdrawn.is_none() {
            let text = format!("{about}: last {}, {newest:?} was taken", last.number);
            self.violate("the newest data never ran", (stored, last.from), text);
        }
        for run in &job.runs {
            let of = all.iter().find(|sent| sent.number == run.number);
            let dropped = |sent: &Sent| matches!(sent.answer, Answer::Failed | Answer::Duplicate);
            if of.is_none_or(dropped) {
                let text = format!("{about}: {} was {:?}", run.number, of.map(|sent| sent.answer));
                self.violate("dropped data ran", (stored, run.from), text);
            }
        }
        let dies = end_of(last.number) == End::Dies;
        let is_dead = state.dead.contains_key(id);
        let is_done =
            if dies { is_dead } else { job.runs.iter().any(|it| it.how == Some(Ended::Done)) };
        if (!is_done || is_dead && !dies) && job.withdrawn.is_none() {
            let what = if is_dead { "a unique job is dead" } else { "a unique job never ended" };
            let text = format!("{about}: {last:?}");
            self.violate(what, (stored, u64::MAX - LATE), text);
        }
    }

    /// Checks that the server counted each end once.
    pub(super) fn totals(&mut self, state: &FinalState) {
        let mut ends = [("completed", 0_u64), ("buried", 0), ("cancelled", 0)];
        let (mut withdrawn, mut uncertain) = (0_u64, 0_u64);
        let confirmed = |id: &String, key: &(Rule, u64)| {
            let all = self.chronicle.keys.get(key).into_iter().flatten();
            all.filter(|sent| sent.answer.is_stored()).any(|sent| sent.job.as_ref() == Some(id))
        };
        let failed_over = self.faults.iter().any(is_failover);
        for (id, job) in &self.chronicle.jobs {
            let Some(key) = &job.key else { continue };
            let Some(last) = job.last().filter(|_| job.withdrawn.is_none()) else {
                withdrawn += u64::from(job.withdrawn.is_some());
                continue;
            };
            // Never confirmed, and possibly lost with the primary on which it ran.
            uncertain += u64::from(failed_over && !confirmed(id, key));
            let place = match end_of(last.number) {
                End::Dies => 1,
                End::Cancels => 2,
                _ => 0,
            };
            ends[place].1 += 1;
        }
        let partition = Uniques::partition();
        let mut counts = vec![];
        for (name, expected) in ends {
            let counted = state.stat_of(&partition, name);
            counts.push(format!("{counted} {name}"));
            if counted > expected + withdrawn {
                let text = format!("{counted} {name}, {expected} and {withdrawn} withdrawn");
                self.verdict.violate("unique jobs settled twice", text);
            } else if counted + uncertain < expected {
                let text = format!("{counted} {name} of {expected}");
                self.verdict.violate("unique jobs never settled", text);
            }
        }
        counts.push(format!("{withdrawn} of them told to stop by their senders"));
        self.verdict.row("ends of unique jobs", counts.join(", "));
    }

    /// Adds the rows of the report.
    pub(super) fn rows(&mut self) {
        for rule in Rule::ALL {
            let of_rule = self.chronicle.keys.iter().filter(|((of, _), _)| *of == rule);
            let mut counts: BTreeMap<Answer, u64> = BTreeMap::new();
            for sent in of_rule.flat_map(|(_, all)| all) {
                *counts.entry(sent.answer).or_default() += 1;
            }
            let word = |answer: Answer| format!("{answer:?}").to_lowercase();
            let counts: Vec<String> =
                counts.iter().map(|(answer, times)| format!("{times} {}", word(*answer))).collect();
            self.verdict.row(&format!("enqueues, {rule}"), counts.join(", "));
        }
        self.late.sort_unstable();
        if let Some(last) = self.late.len().checked_sub(1) {
            let at = |part: usize| self.late[last * part / 100];
            let text = format!("p50 {}, p99 {}, most {} ms", at(50), at(99), at(100));
            self.verdict.row("starts of unique jobs after their time", text);
        }
        for (what, times) in &self.undone {
            self.verdict.row(&format!("{what}, by a failover"), times.to_string());
        }
    }
}
