//! The counters of a queue: those that scripts and code raise are those of the list, by which the
//! tests know a counter that is misspelt.

use std::collections::BTreeSet;

use poolder_core::view::COUNTERS;

use super::{files, read, root};

/// The numbers that scripts raise in other hashes than that of the counters.
const OTHERS: &[&str] = &[
    "completed_entries",
    "entries_buried",
    "entries_retried",
    "orders",
    "popped",
    "sealed_",
    "seq",
    "term",
    "waiting",
];

/// The functions of the code that name counters, each with the text behind its names.
const CODE: &[(&str, &str, &str)] = &[
    ("poolder-core/src/broker/jobs/settle/destination.rs", "fn counter(", "\n}"),
    ("poolder-core/src/broker/jobs/settle/encode.rs", "match settlement.moved_to {", "None =>"),
    ("poolder-worker/src/sources/broadcast/counts.rs", "let counters = [", "];"),
];

/// Returns the first name in quotes that stands before the end of a call.
fn named(call: &str) -> Option<&str> {
    let (arguments, _) = call.split_once(')')?;
    let (_, name) = arguments.split_once('\'')?;
    name.split_once('\'').map(|(name, _)| name)
}

#[test]
fn the_counters_that_are_raised_are_those_of_the_list() {
    let mut raised = BTreeSet::new();
    for script in files(&root().join("poolder-core/src/broker/scripts"), "lua") {
        for line in read(&script).lines() {
            for mark in [" add(", " count(", "'HINCRBY', "] {
                raised.extend(line.split(mark).skip(1).filter_map(named).map(str::to_owned));
            }
        }
    }
    raised.retain(|name| !OTHERS.contains(&name.as_str()));
    for (file, start, end) in CODE {
        let text = read(&root().join(file));
        let (_, names) = text.split_once(start).expect(start);
        let (names, _) = names.split_once(end).expect(end);
        raised.extend(names.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    assert_eq!(raised.iter().map(String::as_str).collect::<Vec<_>>(), COUNTERS);
}
