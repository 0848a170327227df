//! Checks that each tick was published once, and that none was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::checker::{Fault, Verdict};
use crate::final_state::FinalState;
use crate::ledger::{self, Ended, Line, Record};

/// The time in ms for which a fault may delay ticks: until the next leader has taken over and
/// caught up.
const FELT: u64 = 24_000;

/// The records of a run about ticks.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    /// First tick, interval and number of ticks, as the schedule was added.
    asked: Option<(i64, i64, Option<u64>)>,
    /// Last tick, jobs and missed ticks, as the server counted them.
    concluded: Option<(i64, u64, u64)>,
    /// The ticks, by their time.
    ticks: BTreeMap<i64, Tick>,
    /// Job id → the number of completions that nodes saw applied.
    completions: BTreeMap<String, u32>,
}

#[derive(Debug, Default)]
struct Tick {
    jobs: BTreeSet<String>,
    starts: u64,
    done: u64,
    /// The time of its first start, by this machine's clock.
    at: u64,
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

    fn add(&mut self, lines: Vec<Line>) {
        let mut runs = BTreeMap::new();
        for Line { at, record } in lines {
            match record {
                Record::Scheduled { first, every, count } => {
                    self.asked = Some((first, every, count));
                }
                Record::Concluded { last, runs, missed } => {
                    self.concluded = Some((last, runs, missed));
                }
                Record::Tick { run, tick, job } => {
                    runs.insert(run, tick);
                    let known = self.ticks.entry(tick).or_default();
                    known.jobs.insert(job);
                    known.at = if known.starts == 0 { at } else { known.at.min(at) };
                    known.starts += 1;
                }
                Record::End { run, how: Ended::Done } => {
                    if let Some(tick) = runs.get(&run).and_then(|tick| self.ticks.get_mut(tick)) {
                        tick.done += 1;
                    }
                }
                Record::Settled { job, applied: true, completes: true } => {
                    *self.completions.entry(job).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    /// Compares the ticks that ran with the expected ones.
    pub(crate) fn check(&self, state: &FinalState, faults: &[Fault], verdict: &mut Verdict) {
        let (Some((first, every, count)), Some((last, runs, missed))) =
            (self.asked, self.concluded)
        else {
            verdict.violate("no schedule", "it was not added, or not looked at in the end".into());
            return;
        };
        let passed = if last < first { 0 } else { ((last - first) / every + 1).unsigned_abs() };
        let expected = count.unwrap_or(passed);
        if passed != expected {
            let text = format!("{passed} of {expected} when it was over");
            verdict.violate("ticks left out", text);
        }
        if (runs, missed) != (expected, 0) {
            let text = format!("{runs} published and {missed} missed of {expected}");
            verdict.violate("ticks counted wrong", text);
        }
        for index in 0..expected {
            let at = first + every * i64::try_from(index).unwrap_or(0);
            let Some(tick) = self.ticks.get(&at) else {
                verdict.violate("ticks left out", format!("the one of {at} never ran"));
                continue;
            };
            if tick.jobs.len() != 1 {
                verdict.violate("ticks published twice", format!("{at} as {:?}", tick.jobs));
            }
            if tick.done == 0 {
                verdict.violate("ticks left out", format!("the one of {at} never finished"));
            }
            for job in &tick.jobs {
                if self.completions.get(job).is_some_and(|times| *times > 1) {
                    verdict.violate("ticks completed twice", format!("{at}, job {job}"));
                }
            }
        }
        let real = |at: &i64| *at >= first && (at - first) % every == 0;
        for at in self.ticks.keys().filter(|at| !real(at) || **at > last) {
            verdict.violate("ticks out of thin air", format!("{at}"));
        }
        let completed = state.stat_of("ticks.0", "completed");
        if completed != expected {
            let text = format!("{completed} completions of {expected} ticks");
            verdict.violate(
                if completed > expected { "ticks completed twice" } else { "ticks left out" },
                text,
            );
        }
        let once = self.ticks.values().filter(|tick| tick.jobs.len() == 1 && tick.done > 0).count();
        verdict.row("ticks", format!("{once} of {expected}, each once"));
        let (mut calm, mut felt) = (vec![], vec![]);
        for (at, tick) in &self.ticks {
            let late = self.lateness(*at, tick, faults);
            let begun = tick.at.saturating_sub(late.unsigned_abs());
            let hit =
                |fault: &Fault| fault.from <= tick.at && begun <= fault.to.saturating_add(FELT);
            if faults.iter().any(hit) { felt.push(late) } else { calm.push(late) }
        }
        verdict.row("lateness of ticks without a fault", percentiles(calm));
        verdict.row("… within 24 s of one", percentiles(felt));
    }

    /// Returns the time from a tick to the start of its job, in ms. The server's clock differs from
    /// this machine's by the sum of its jumps so far.
    fn lateness(&self, at: i64, tick: &Tick, faults: &[Fault]) -> i64 {
        let jumped = |fault: &Fault| {
            let ours = fault.kind == "clock jumped" && fault.from <= tick.at;
            let millis = fault.note.strip_suffix(" ms")?.parse::<i64>().ok()?;
            ours.then_some(millis)
        };
        let skew: i64 = faults.iter().filter_map(jumped).sum();
        i64::try_from(tick.at).unwrap_or(0) + skew - at
    }
}

fn percentiles(mut late: Vec<i64>) -> String {
    late.sort_unstable();
    if late.is_empty() {
        return "none".into();
    }
    let at = |part: usize| late[(late.len() - 1) * part / 1_000];
    let (p50, p99, most) = (at(500), at(990), at(1_000));
    format!("p50 {p50}, p99 {p99}, most {most} ms, of {}", late.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> (Vec<Record>, FinalState) {
        let mut records = vec![Record::Scheduled { first: 1_000, every: 100, count: Some(3) }];
        for run in 0..3 {
            let (tick, job) = (1_000 + 100 * run, format!("job {run}"));
            let run = i64::unsigned_abs(run);
            records.push(Record::Tick { run, tick, job: job.clone() });
            records.push(Record::End { run, how: Ended::Done });
            records.push(Record::Settled { job, applied: true, completes: true });
        }
        records.push(Record::Concluded { last: 1_200, runs: 3, missed: 0 });
        let mut state = FinalState::default();
        state.beside.insert("ticks.0".into(), [("completed".to_owned(), 3)].into());
        (records, state)
    }

    fn findings(change: impl FnOnce(&mut Vec<Record>, &mut FinalState)) -> Vec<String> {
        let (mut records, mut state) = good();
        change(&mut records, &mut state);
        let mut chronicle = Chronicle::default();
        chronicle.add(records.into_iter().map(|record| Line { at: 1_300, record }).collect());
        let mut verdict = Verdict::default();
        chronicle.check(&state, &[], &mut verdict);
        verdict.violations.into_keys().collect()
    }

    #[test]
    fn every_rule_can_be_broken() {
        assert!(findings(|_, _| {}).is_empty());
        let gone = findings(|records, _| drop(records.remove(1)));
        assert!(gone.contains(&"ticks left out".into()), "{gone:?}");
        let twice = findings(|records, _| {
            records.push(Record::Tick { run: 9, tick: 1_100, job: "another".into() });
        });
        assert!(twice.contains(&"ticks published twice".into()), "{twice:?}");
        let twice = findings(|_, state| {
            state.beside.insert("ticks.0".into(), [("completed".to_owned(), 4)].into());
        });
        assert!(twice.contains(&"ticks completed twice".into()), "{twice:?}");
        let never = findings(|records, _| {
            records.push(Record::Tick { run: 9, tick: 1_150, job: "another".into() });
        });
        assert!(never.contains(&"ticks out of thin air".into()), "{never:?}");
        let missed = findings(|records, _| {
            records.pop();
            records.push(Record::Concluded { last: 1_200, runs: 4, missed: 0 });
        });
        assert!(missed.contains(&"ticks counted wrong".into()), "{missed:?}");
        let early = findings(|records, _| {
            records.pop();
            records.push(Record::Concluded { last: 1_100, runs: 2, missed: 0 });
        });
        assert!(early.contains(&"ticks left out".into()), "{early:?}");
    }
}
