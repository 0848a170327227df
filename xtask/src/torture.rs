//! `cargo xtask torture`: faults against real processes, and a checker that reads the ledger. The
//! program is a workspace of its own, `torture/`.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use poolder_devserver::{Install, ensure};

use crate::arguments::Arguments;
use crate::cargo;

/// What its mutated twin is built with, apart from everything else.
const MUTATIONS: &str = "--cfg poolder_mutations";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mutated = arguments.before.iter().any(|word| word == "--mutations");
    let mut command = command(&arguments.before, mutated);
    prepare(arguments.install())?;
    Ok(cargo::exit_code(cargo::status(&mut command)?))
}

/// The short run for CI, and the program's own tests.
pub(crate) fn smoke(install: Install) -> Result<(), String> {
    prepare(install)?;
    let mut tests = cargo::cargo();
    tests.args(["test", "--quiet", "--locked", "--manifest-path", "torture/Cargo.toml"]);
    for command in [&mut tests, &mut command(&["--smoke".into()], false)] {
        let status = cargo::status(command)?;
        if !status.success() {
            return Err(status.to_string());
        }
    }
    Ok(())
}

/// The program finds a server by itself, but installs none.
fn prepare(install: Install) -> Result<(), String> {
    ensure(install).map(|_| ()).map_err(|error| error.to_string())
}

fn command(words: &[OsString], mutated: bool) -> Command {
    let mut command = cargo::cargo();
    command.args(["run", "--quiet", "--locked", "--manifest-path", "torture/Cargo.toml"]);
    if mutated {
        // Beside the other, so that neither is built again and again.
        command.args(["--target-dir", "torture/target/mutations"]).env("RUSTFLAGS", MUTATIONS);
    }
    command.arg("--").args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn only_mutations_are_built_apart() {
        let plain = command(&["--seed".into(), "7".into()], false);
        let words: Vec<_> = plain.get_args().map(|word| word.to_string_lossy()).collect();
        assert!(words.ends_with(&["--".into(), "--seed".into(), "7".into()]), "{words:?}");
        assert!(plain.get_envs().all(|(name, _)| name != "RUSTFLAGS"));
        let mutated = command(&["--mutations".into()], true);
        assert!(mutated.get_envs().any(|(name, _)| name == "RUSTFLAGS"));
    }
}
