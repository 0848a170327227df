//! `cargo xtask bench`: builds the benchmark, which is a separate workspace, and runs it.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};

use poolder_devserver::Install;

use crate::arguments::Arguments;
use crate::cargo;

/// Path of the benchmark's manifest, relative to the workspace's root.
pub(crate) const MANIFEST: &str = "bench/Cargo.toml";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    bench(&arguments.before, arguments.install())
}

/// Compares the instructions per job with the baseline. On a machine without valgrind, where it is
/// not installed either, prints that the comparison was not run, and succeeds.
pub(crate) fn check(install: Install) -> Result<(), String> {
    if bench(&["--check".into()], install)? == ExitCode::SUCCESS {
        return Ok(());
    }
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if valgrind.is_err() {
        println!("NOT RUN: instructions could not be counted without valgrind");
        return Ok(());
    }
    Err("a job costs more instructions than it did".into())
}

fn bench(words: &[OsString], install: Install) -> Result<ExitCode, String> {
    let mut command = cargo::cargo();
    command.args(["run", "--release", "--locked", "--quiet", "--manifest-path", MANIFEST]);
    command.args(["--package", "bench-runner", "--"]).args(words);
    if install == Install::Yes {
        command.arg("--yes");
    }
    Ok(cargo::exit_code(cargo::status(&mut command)?))
}
