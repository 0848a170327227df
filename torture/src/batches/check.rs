//! Checks that each entry known to be stored is in exactly one completed batch, in its place.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Batches, Entry};
use crate::checker::{Fault, Verdict};
use crate::final_state::FinalState;
use crate::ledger::{self, Ended, Line, Record};

/// The records of a run about entries and batches.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    /// By pusher: what is known of each of its entries.
    pushed: BTreeMap<u64, Vec<Pushed>>,
    /// The runs of each batch, by job id.
    batches: BTreeMap<String, Seen>,
    completions: BTreeMap<String, u32>,
}

/// The outcome of pushing an entry, as its pusher knows it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Pushed {
    /// The entry was not tried, or refused.
    #[default]
    Nothing,
    Unknown,
    Stored,
}

/// A batch, as its handlers saw it.
#[derive(Debug, Default)]
struct Seen {
    sealed: i64,
    runs: Vec<Run>,
}

#[derive(Debug, Default)]
struct Run {
    /// Ranges of entries: pusher, first number, and count.
    ranges: Vec<(u64, u64, u64)>,
    /// Entries that the handler left for a retry.
    left: Vec<Entry>,
    done: bool,
}

impl Run {
    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let of = |(who, from, count): &(u64, u64, u64)| {
            let who = *who;
            (*from..from + count).map(move |number| (who, number))
        };
        self.ranges.iter().flat_map(of)
    }

    fn len(&self) -> u64 {
        self.ranges.iter().map(|(.., count)| count).sum()
    }
}

/// The place where an entry was found.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    /// The number of the batch, counted from 1; 0 for none.
    batch: usize,
    done: bool,
}

impl Chronicle {
    /// Reads the records from the ledger.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let mut chronicle = Self::default();
        for file in ledger::read_all(folder)? {
            chronicle.add(file?.1);
        }
        Ok(chronicle)
    }

    fn record(&mut self, who: u64, from: u64, count: u64, outcome: Pushed) {
        let known = self.pushed.entry(who).or_default();
        let end = usize::try_from(from + count).unwrap_or(0);
        known.resize(known.len().max(end), Pushed::Nothing);
        for entry in &mut known[usize::try_from(from).unwrap_or(0)..end] {
            *entry = (*entry).max_of(outcome);
        }
    }

    fn add(&mut self, lines: Vec<Line>) {
        let mut runs: BTreeMap<u64, (String, usize)> = BTreeMap::new();
        let mut open = None;
        for Line { record, .. } in lines {
            match record {
                Record::Push { who, from, count, .. } => open = Some((who, from, count)),
                Record::Pushed { who, from, stored, unknown } => {
                    open = None;
                    self.record(who, from, stored, Pushed::Stored);
                    self.record(who, from + stored, unknown, Pushed::Unknown);
                }
                Record::Batch { run, job, sealed, ranges, left } => {
                    let seen = self.batches.entry(job.clone()).or_default();
                    seen.sealed = sealed;
                    runs.insert(run, (job, seen.runs.len()));
                    seen.runs.push(Run { ranges, left, done: false });
                }
                Record::End { run, how: Ended::Done } => {
                    let found = runs
                        .get(&run)
                        .and_then(|(job, index)| self.batches.get_mut(job)?.runs.get_mut(*index));
                    if let Some(run) = found {
                        run.done = true;
                    }
                }
                Record::Settled { job, applied: true, completes: true } => {
                    *self.completions.entry(job).or_default() += 1;
                }
                _ => {}
            }
        }
        // The process ended while this push was under way.
        if let Some((who, from, count)) = open {
            self.record(who, from, count, Pushed::Unknown);
        }
    }

    /// Compares the entries in the batches with those pushed.
    pub(crate) fn check(
        &self,
        about: &Batches,
        state: &FinalState,
        faults: &[Fault],
        verdict: &mut Verdict,
    ) {
        let mut found: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
        for (number, (job, seen)) in self.batches.iter().enumerate() {
            self.look(number + 1, job, seen, about, &mut found, verdict);
        }
        let (mut stored, mut unknown_there, mut unknown_not) = (0_u64, 0_u64, 0_u64);
        for (who, known) in &self.pushed {
            let none = vec![];
            let found = found.get(who).unwrap_or(&none);
            for (number, outcome) in known.iter().enumerate() {
                let found = found.get(number).copied().unwrap_or_default();
                match outcome {
                    Pushed::Stored if found.batch == 0 => {
                        verdict.violate("entries lost", format!("{number} of pusher {who}"));
                    }
                    Pushed::Stored => stored += 1,
                    Pushed::Unknown if found.batch == 0 => unknown_not += 1,
                    Pushed::Unknown => unknown_there += 1,
                    Pushed::Nothing if found.batch > 0 => {
                        let text = format!("{number} of pusher {who}, which had been refused");
                        verdict.violate("entries out of thin air", text);
                    }
                    Pushed::Nothing => {
                        verdict.violate("entries never pushed", format!("{number} of {who}"));
                    }
                }
                if found.batch > 0 && !found.done {
                    let text = format!("{number} of pusher {who}");
                    verdict.violate("entries never done", text);
                }
            }
        }
        for (who, found) in &found {
            let known = self.pushed.get(who).map_or(0, Vec::len);
            for number in (known..found.len()).filter(|number| found[*number].batch > 0) {
                let text = format!("{number} of pusher {who}, which was never pushed");
                verdict.violate("entries out of thin air", text);
            }
        }
        self.order(faults, verdict);
        let (completed, expected) =
            (state.stat_of("batches.0", "completed"), self.batches.len() as u64);
        if completed != expected {
            let what =
                if completed > expected { "batches completed twice" } else { "batches lost" };
            verdict.violate(what, format!("{completed} completions of {expected} batches"));
        }
        // Other jobs have their own checkers.
        let twice = |job: &String, times: u32| times > 1 && self.batches.contains_key(job);
        for (job, times) in self.completions.iter().filter(|(job, times)| twice(job, **times)) {
            verdict.violate("batches completed twice", format!("{job}, {times} times"));
        }
        let runs: usize = self.batches.values().map(|seen| seen.runs.len()).sum();
        let text = format!("{stored} known to be stored, each in one completed batch");
        verdict.row("entries", text);
        let text = format!("{unknown_there} were stored, {unknown_not} were not");
        verdict.row("entries of unknown outcome", text);
        verdict.row("batches", format!("{completed} completed in {runs} runs"));
    }

    /// Records the batch of each entry.
    fn look(
        &self,
        batch: usize,
        job: &str,
        seen: &Seen,
        about: &Batches,
        found: &mut BTreeMap<u64, Vec<Found>>,
        verdict: &mut Verdict,
    ) {
        for run in &seen.runs {
            if run.len() > u64::from(about.limit) {
                verdict.violate("batches above their limit", format!("{job}: {}", run.len()));
            }
            for (who, number) in run.entries() {
                let all = found.entry(who).or_default();
                let index = usize::try_from(number).unwrap_or(0);
                all.resize(all.len().max(index + 1), Found::default());
                let entry = &mut all[index];
                if entry.batch != 0 && entry.batch != batch {
                    let text = format!("{number} of pusher {who}, also in {job}");
                    verdict.violate("entries in two batches", text);
                }
                entry.batch = batch;
                entry.done |= run.done && !run.left.contains(&(who, number));
            }
            if let Some((who, number)) = twice(run) {
                let text = format!("{number} of pusher {who}, twice in {job}");
                verdict.violate("entries in two batches", text);
            }
        }
    }

    /// Checks that entries known to be stored keep the order in which they were pushed: within a
    /// batch, and between batches, whose ranges of one pusher must not overlap.
    fn order(&self, faults: &[Fault], verdict: &mut Verdict) {
        let jumped = faults.iter().any(|fault| fault.kind == "clock jumped");
        // By pusher: the first and last number of each batch, and the time of its sealing.
        let mut spans: BTreeMap<u64, Vec<(u64, u64, i64)>> = BTreeMap::new();
        for (job, seen) in &self.batches {
            // Later runs may hold only the entries that an earlier one left.
            let Some(whole) = seen.runs.iter().max_by_key(|run| run.len()) else { continue };
            let mut ends: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for (who, number) in whole.entries() {
                if self.outcome(who, number) != Pushed::Stored {
                    // The time at which this entry arrived is unknown.
                    continue;
                }
                let (_, last) = ends.entry(who).or_insert((number, number));
                if number < *last {
                    let text = format!("{number} of pusher {who} behind {last} in {job}");
                    verdict.violate("entries out of order", text);
                }
                *last = number.max(*last);
            }
            for (who, (first, last)) in ends {
                spans.entry(who).or_default().push((first, last, seen.sealed));
            }
        }
        for (who, spans) in &mut spans {
            spans.sort_unstable();
            for pair in spans.windows(2) {
                let ((_, last, sealed), (first, _, later)) = (pair[0], pair[1]);
                if first <= last || (later < sealed && !jumped) {
                    let text = format!("{last} and {first} of pusher {who}");
                    verdict.violate("entries out of order", text);
                }
            }
        }
    }

    fn outcome(&self, who: u64, number: u64) -> Pushed {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.pushed.get(&who).and_then(|known| known.get(index)).copied().unwrap_or_default()
    }
}

impl Pushed {
    /// Returns the more certain of two outcomes, `Stored` above `Unknown` above `Nothing`.
    fn max_of(self, other: Self) -> Self {
        if self == Self::Stored || other == Self::Nothing { self } else { other }
    }
}

/// Returns an entry that a run holds twice.
fn twice(run: &Run) -> Option<Entry> {
    let mut ranges = run.ranges.clone();
    ranges.sort_unstable();
    let pair =
        ranges.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 + pair[0].2 > pair[1].1);
    pair.map(|pair| (pair[1].0, pair[1].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change<'a> = &'a dyn Fn(&mut Vec<Record>);

    fn batch(run: u64, job: &str, sealed: i64, ranges: &[(u64, u64, u64)]) -> [Record; 3] {
        let (job, ranges) = (job.to_owned(), ranges.to_vec());
        [
            Record::Batch { run, job: job.clone(), sealed, ranges, left: vec![] },
            Record::End { run, how: Ended::Done },
            Record::Settled { job, applied: true, completes: true },
        ]
    }

    /// Checks six entries of one pusher in two batches, of which the last push has an unknown
    /// outcome. Returns the violations.
    fn findings(completed: u64, change: Change<'_>) -> Vec<String> {
        let mut records = vec![
            Record::Push { who: 0, from: 0, count: 4, token: false },
            Record::Pushed { who: 0, from: 0, stored: 4, unknown: 0 },
            Record::Push { who: 0, from: 4, count: 2, token: false },
            Record::Pushed { who: 0, from: 4, stored: 0, unknown: 2 },
        ];
        records.extend(batch(1, "a", 10, &[(0, 0, 3)]));
        records.extend(batch(2, "b", 20, &[(0, 3, 1), (0, 5, 1)]));
        change(&mut records);
        let mut chronicle = Chronicle::default();
        chronicle.add(records.into_iter().map(|record| Line { at: 1, record }).collect());
        let mut state = FinalState::default();
        state.beside.insert("batches.0".into(), [("completed".to_owned(), completed)].into());
        let mut verdict = Verdict::default();
        let about = Batches { limit: 3, ..Batches::of(1) };
        chronicle.check(&about, &state, &[], &mut verdict);
        verdict.violations.into_keys().collect()
    }

    fn with(run: u64, sealed: i64, ranges: &[(u64, u64, u64)]) -> impl Fn(&mut Vec<Record>) {
        let job = if run == 1 { "a" } else { "b" };
        let of = batch(run, job, sealed, ranges);
        move |records| {
            let at = if run == 1 { 4 } else { 7 };
            records.splice(at..at + 3, of.clone());
        }
    }

    #[test]
    fn every_rule_can_be_broken() {
        assert!(findings(2, &|_| {}).is_empty());
        let has = |completed, change: Change<'_>, what: &str| {
            let found = findings(completed, change);
            assert!(found.iter().any(|one| one == what), "{what}: {found:?}");
        };
        has(2, &with(1, 10, &[(0, 0, 2)]), "entries lost");
        has(2, &with(2, 20, &[(0, 2, 2)]), "entries in two batches");
        has(2, &with(2, 20, &[(0, 3, 1), (0, 3, 1)]), "entries in two batches");
        has(2, &with(2, 20, &[(0, 3, 1), (0, 9, 1)]), "entries out of thin air");
        has(2, &with(2, 20, &[(0, 3, 3), (0, 5, 1)]), "batches above their limit");
        has(2, &with(1, 10, &[(0, 1, 1), (0, 0, 1), (0, 2, 1)]), "entries out of order");
        has(2, &with(2, 5, &[(0, 3, 1)]), "entries out of order");
        has(3, &|_| {}, "batches completed twice");
        has(1, &|_| {}, "batches lost");
        has(2, &|records| drop(records.remove(5)), "entries never done");
        has(
            2,
            &|records| records.push(batch(2, "b", 20, &[])[2].clone()),
            "batches completed twice",
        );
        has(2, &|records| drop(records.drain(2..4)), "entries out of thin air");
    }
}
