//! `trials/red.txt`: what is red today, one name a line. `?` before a name: may be either.

use std::collections::BTreeMap;

/// The names that may be red; those that must be are `true`.
pub(super) struct Ledger(BTreeMap<String, bool>);

impl Ledger {
    pub(super) fn parse(text: &str) -> Self {
        let entry = |line: String| match line.strip_prefix('?') {
            Some(name) => (name.trim().to_owned(), false),
            None => (line, true),
        };
        Self(names(text).into_iter().map(entry).collect())
    }

    /// What stands before a name that is printed.
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

    /// What does not agree.
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
            wrong.push(format!("{name} is listed, and there is none of that name"));
        }
        wrong
    }
}

/// The lines that are neither empty nor a comment.
pub(super) fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Each `CASE PASS name | …` or `CASE FAIL name | …` as `cases::name`, and whether it is green.
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
    fn cases_are_read_from_what_was_printed() {
        let read = cases("x\nCASE PASS a: b | c | d\nCASE FAIL e#1 | f\nCASE FAIL cut");
        assert_eq!(read, [("cases::a: b".into(), true), ("cases::e#1".into(), false)]);
    }
}
