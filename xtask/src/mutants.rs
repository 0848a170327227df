//! `cargo xtask mutants`: leaves out each guard of the scripts of unique jobs, one at a time, and
//! checks that the random walks of `tests/suite/unique/machine.rs` fail without it.

use std::process::{Command, ExitCode, Stdio};

use crate::arguments::Arguments;
use crate::torture::MUTATIONS;
use crate::{cargo, server};

/// The file that lists the guards, and the beginning of the names of those that are tried here.
const LIST: &str = include_str!("../../poolder-core/src/mutation.rs");
const PREFIX: &str = "unique-";

/// The test that must fail without a guard.
const TEST: &str = "unique::machine::keys_of_unique_jobs_are_held_as_their_rules_say";

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
    let mut good = true;
    println!("| without this guard | the walks |\n|---|---|");
    for name in names {
        let mut command = command(name);
        server::for_tests(&mut command, &server);
        let succeeds = cargo::status(&mut command)?.success();
        let is_right = succeeds == name.is_empty();
        good &= is_right;
        let shown = if name.is_empty() { "none left out" } else { name };
        let result = match (succeeds, is_right) {
            (true, true) => "succeed",
            (false, true) => "fail",
            (true, false) => "**SUCCEED**",
            (false, false) => "**FAIL**",
        };
        println!("| {shown} | {result} |");
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    command.args(["--target-dir", "target/mutations", "--", "--exact", TEST]);
    command.env("RUSTFLAGS", MUTATIONS).env("POOLDER_MUTATION", name);
    command.env("POOLDER_UNIQUE_WALKS", WALKS);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::{LIST, guards};

    #[test]
    fn the_guards_of_unique_jobs_are_found() {
        let names = guards(LIST);
        assert!(names.len() >= 15 && names.contains(&"unique-owner"), "{names:?}");
    }
}
