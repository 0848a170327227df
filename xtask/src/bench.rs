//! `cargo xtask bench`: builds the benchmark, which is a separate workspace, and runs it.

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus};

use poolder_devserver::Install;

use crate::arguments::Arguments;
use crate::cargo;

/// Path of the benchmark's manifest, relative to the workspace's root.
pub(crate) const MANIFEST: &str = "bench/Cargo.toml";

/// The benchmark's exit codes, defined in bench/runner/src/check/mod.rs.
const WORSE: i32 = 2;
const NO_VALGRIND: i32 = 3;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    bench(&arguments.before, arguments.install()).map(cargo::exit_code)
}

/// Runs the benchmark's own tests, and compares the instructions per job with the baseline. On a machine without valgrind, where it is
/// not installed either, the benchmark prints that nothing was compared, and this succeeds.
pub(crate) fn check(install: Install) -> Result<(), String> {
    for (verb, failure) in
        [("build", "the benchmark does not compile"), ("test", "the benchmark's own tests failed")]
    {
        let mut command = cargo::cargo();
        command.args([verb, "--release", "--locked", "--quiet", "--manifest-path", MANIFEST]);
        command.args(["--package", "bench-runner", "--package", "bench-guard"]);
        if !cargo::status(&mut command)?.success() {
            return Err(failure.into());
        }
    }
    match bench(&["--check".into()], install)?.code() {
        Some(0 | NO_VALGRIND) => Ok(()),
        Some(WORSE) => Err("a job costs more instructions than it did".into()),
        _ => Err("the instructions per job could not be counted".into()),
    }
}

fn bench(words: &[OsString], install: Install) -> Result<ExitStatus, String> {
    let mut command = cargo::cargo();
    command.args(["run", "--release", "--locked", "--quiet", "--manifest-path", MANIFEST]);
    command.args(["--package", "bench-runner", "--"]).args(words);
    if install == Install::Yes {
        command.arg("--yes");
    }
    cargo::status(&mut command)
}
