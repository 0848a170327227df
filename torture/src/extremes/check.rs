//! Counts the calls of a run. The calls themselves record each promise that was broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Extremes;
use crate::checker::Verdict;
use crate::ledger::{self, Record};

/// Checks that all calls were made.
pub(crate) fn check(
    extremes: &Extremes,
    folder: &Path,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let (mut kinds, mut numbers) = (BTreeMap::<String, u64>::new(), BTreeSet::new());
    for file in ledger::read_all(folder)? {
        for line in file?.1 {
            if let Record::Called { number, call } = line.record {
                numbers.insert(number);
                *kinds.entry(call).or_default() += 1;
            }
        }
    }
    let made = numbers.len() as u64;
    if made < extremes.calls {
        verdict.violate("calls missing", format!("{made} of {}", extremes.calls));
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, times)| format!("{times} {kind}")).collect();
    verdict.row("calls with extreme settings", kinds.join(", "));
    Ok(())
}
