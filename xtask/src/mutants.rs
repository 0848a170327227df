//! `cargo xtask mutants`: leaves out each guard of the scripts of unique jobs, one at a time, and
//! checks that the random walks of `tests/suite/unique/machine.rs` fail without it.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::torture::{MUTATIONS, MUTATIONS_DIR};
use crate::{cargo, server};

/// The file that lists the guards, and the beginning of the names of those that are tried here.
const LIST: &str = include_str!("../../poolder-core/src/mutation.rs");
const PREFIX: &str = "unique-";

/// The test that must fail without a guard.
const TEST: &str = "unique::machine::keys_of_unique_jobs_are_held_as_their_rules_say";

/// The error of a server that did not answer in time, which says nothing about a guard, and how often
/// the walks begin again for it.
const NO_ANSWER: &str = "timed out";
const TRIES: u32 = 3;

/// The most characters of a failure that are shown.
const SHOWN: usize = 80;

/// The number of walks: some guards matter in a few walks only.
const WALKS: &str = "100";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let wanted: Vec<_> = arguments.before.iter().map(|word| word.to_string_lossy()).collect();
    let all = guards(LIST);
    if let Some(name) = wanted.iter().find(|name| !all.contains(&&***name)) {
        return Err(format!("there is no guard {name}: there are {}", all.join(", ")));
    }
    let server = server::start(arguments.install())?;
    let is_wanted = |name: &&&str| wanted.is_empty() || wanted.iter().any(|it| it == **name);
    // Without a name no guard is left out, and the walks must succeed.
    let names = [""].into_iter().chain(all.iter().filter(is_wanted).copied());
    let (begun, mut tried, mut unseen) = (Instant::now(), 0, vec![]);
    println!("| without this guard | the walks | noticed by |\n|---|---|---|");
    for name in names {
        let mut command = command(name);
        server::for_tests(&mut command, &server);
        let mut walk = || command.output().map_err(|error| format!("can not run cargo: {error}"));
        let mut output = walk()?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        for _ in 1..TRIES {
            if output.status.success() || !text.contains(NO_ANSWER) {
                break;
            }
            output = walk()?;
            text = String::from_utf8_lossy(&output.stdout).into_owned();
        }
        if name.is_empty() {
            if !output.status.success() {
                let errors = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(format!("the walks fail with all guards:\n{text}{errors}"));
            }
            println!("| none left out | succeed | |");
            continue;
        }
        tried += 1;
        match noticed(&text).filter(|_| !output.status.success()) {
            Some(by) => println!("| {name} | fail | {by} |"),
            None => {
                println!("| {name} | **DO NOT FAIL** | |");
                unseen.push(name);
            }
        }
    }
    let (seen, seconds) = (tried - unseen.len(), begun.elapsed().as_secs());
    println!("\n{seen} of {tried} guards are needed by the walks, in {seconds} s");
    if unseen.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("not noticed: {}", unseen.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Returns the walk that failed and what it noticed, from the output of the test; `None` when no walk
/// has failed, or the server did not answer.
fn noticed(output: &str) -> Option<String> {
    let walk = output.lines().rfind(|line| line.starts_with("walk "))?;
    let mut lines = output.lines().skip_while(|line| !line.contains("panicked at"));
    let failure = lines.nth(1).filter(|line| !line.contains(NO_ANSWER))?;
    let failure: String = failure.replace('|', "/").chars().take(SHOWN).collect();
    Some(format!("{walk}: {failure}"))
}

/// Returns the names of the guards in the list.
fn guards(list: &str) -> Vec<&str> {
    let mut names: Vec<&str> =
        list.split('"').filter(|text| text.starts_with(PREFIX) && !text.contains(' ')).collect();
    names.dedup();
    names
}

/// Returns the call of the test without this guard. The build has a directory of its own, since it
/// differs in all crates.
fn command(name: &str) -> Command {
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "poolder", "--test", "suite"]);
    command.args(["--target-dir", MUTATIONS_DIR, "--", "--exact", TEST]);
    command.env("RUSTFLAGS", MUTATIONS).env("POOLDER_MUTATION", name);
    command.env("POOLDER_UNIQUE_WALKS", WALKS);
    command
}

#[cfg(test)]
mod tests {
    use super::{LIST, guards, noticed};

    #[test]
    fn the_guards_of_unique_jobs_are_found() {
        let names = guards(LIST);
        assert!(names.len() >= 15 && names.contains(&"unique-owner"), "{names:?}");
    }

    #[test]
    fn a_failure_is_that_of_a_walk() {
        let output = "walk 0\nwalk 3\n\nthread 'x' (7) panicked at a.rs:5:9:\nheld: a|b\nnote: …";
        assert_eq!(noticed(output).as_deref(), Some("walk 3: held: a/b"));
        assert_eq!(noticed("error: could not compile"), None);
        assert_eq!(noticed("walk 0\nthread 'x' panicked at a.rs:5:9:\nErr: timed out"), None);
        assert_eq!(noticed("thread 'x' panicked at a.rs:5:9:\nno server"), None);
    }
}
