//! `trials/red.txt`: the trials that are red today, one name per line. A trial whose name follows
//! `?` may be red or green.

use std::collections::BTreeMap;

/// The listed names; true for a trial that must be red, false for one that may be either.
pub(super) struct Ledger(BTreeMap<String, bool>);

impl Ledger {
    pub(super) fn parse(text: &str) -> Self {
        let entry = |line: String| match line.strip_prefix('?') {
            Some(name) => (name.trim().to_owned(), false),
            None => (line, true),
        };
        Self(names(text).into_iter().map(entry).collect())
    }

    /// Returns the verdict to print before a trial's name.
    pub(super) fn word(&self, name: &str, green: bool) -> &'static str {
        match (green, self.0.get(name)) {
            (true, Some(true)) => "GREEN, listed as red:",
            (true, _) => "green",
            (false, Some(_)) => "red, as listed:",
            (false, None) => "RED",
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Returns the disagreements between the results and the ledger.
    pub(super) fn compare(
        &self,
        results: &BTreeMap<String, bool>,
        expected: &[String],
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, green) in results {
            match (green, self.0.get(name)) {
                (false, None) => wrong.push(format!("{name} is red and not in trials/red.txt")),
                (true, Some(true)) => {
                    wrong.push(format!("{name} is green: strike it from trials/red.txt"));
                }
                _ => {}
            }
        }
        for name in expected.iter().filter(|name| !results.contains_key(*name)) {
            wrong.push(format!("{name} is listed, but there is no trial with that name"));
        }
        wrong
    }
}

/// Returns the lines that are neither empty nor a comment.
pub(super) fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Parses the lines `CASE PASS name | …` and `CASE FAIL name | …` into `cases::name` and whether
/// the case is green.
pub(super) fn cases(printed: &str) -> Vec<(String, bool)> {
    let case = |line: &str| {
        let (verdict, rest) = line.strip_prefix("CASE ")?.split_once(' ')?;
        let (name, _) = rest.split_once(" | ")?;
        Some((format!("cases::{name}"), verdict == "PASS"))
    };
    printed.lines().filter_map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::{Ledger, cases};
    use std::collections::BTreeMap;

    #[test]
    fn the_ledger_and_the_result_have_to_agree() {
        let ledger = Ledger::parse("# why\nfaults::a\n\n? cases::b: x#1\nfaults::gone\n");
        let results = |a, b| BTreeMap::from([("faults::a".into(), a), ("cases::b: x#1".into(), b)]);
        for b in [true, false] {
            assert!(ledger.compare(&results(false, b), &[]).is_empty());
        }
        let wrong = ledger.compare(&results(true, true), &[]).concat();
        assert!(wrong.starts_with("faults::a") && wrong.contains("strike"), "{wrong}");
        let wrong = ledger.compare(&results(false, true), &ledger.names()).concat();
        assert!(wrong.starts_with("faults::gone"), "{wrong}");
        let wrong = Ledger::parse("").compare(&results(false, true), &[]).concat();
        assert!(wrong.starts_with("faults::a is red"), "{wrong}");
    }

    #[test]
    fn cases_are_read_from_the_output() {
        let read = cases("x\nCASE PASS a: b | c | d\nCASE FAIL e#1 | f\nCASE FAIL cut");
        assert_eq!(read, [("cases::a: b".into(), true), ("cases::e#1".into(), false)]);
    }
}
