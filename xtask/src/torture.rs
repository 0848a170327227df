//! `cargo xtask torture`: injects faults into real processes and checks the ledger of their jobs.
//! The program is a separate workspace, `torture/`.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use poolder_devserver::{Install, ensure};

use crate::arguments::Arguments;
use crate::cargo;

/// Compiler flags of the mutated build.
pub(crate) const MUTATIONS: &str = "--cfg poolder_mutations";

/// The directory of the mutated builds, so that switching between them and the usual ones does not
/// rebuild everything.
pub(crate) const MUTATIONS_DIR: &str = "target/mutations";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mutated = arguments.before.iter().any(|word| word == "--mutations");
    let mut command = command(&arguments.before, mutated);
    prepare(arguments.install())?;
    Ok(cargo::exit_code(cargo::status(&mut command)?))
}

/// Runs the short torture run for CI, and the program's own tests.
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

/// Makes sure that a server is installed: the program finds a server but does not install one.
fn prepare(install: Install) -> Result<(), String> {
    ensure(install).map(|_| ()).map_err(|error| error.to_string())
}

fn command(words: &[OsString], mutated: bool) -> Command {
    let mut command = cargo::cargo();
    command.args(["run", "--quiet", "--locked", "--manifest-path", "torture/Cargo.toml"]);
    if mutated {
        command.args(["--target-dir", MUTATIONS_DIR]).env("RUSTFLAGS", MUTATIONS);
    }
    command.arg("--").args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn only_mutations_are_built_separately() {
        let plain = command(&["--seed".into(), "7".into()], false);
        let words: Vec<_> = plain.get_args().map(|word| word.to_string_lossy()).collect();
        assert!(words.ends_with(&["--".into(), "--seed".into(), "7".into()]), "{words:?}");
        assert!(plain.get_envs().all(|(name, _)| name != "RUSTFLAGS"));
        let mutated = command(&["--mutations".into()], true);
        assert!(mutated.get_envs().any(|(name, _)| name == "RUSTFLAGS"));
    }
}
