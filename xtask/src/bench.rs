//! `cargo xtask bench`: builds the benchmark, which is a workspace of its own, and runs it.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;

/// From the workspace's root.
const MANIFEST: &str = "bench/Cargo.toml";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut command = cargo::cargo();
    command.args(["run", "--release", "--locked", "--quiet", "--manifest-path", MANIFEST]);
    command.args(["--package", "bench-runner", "--"]).args(&arguments.before);
    if arguments.install() == poolder_devserver::Install::Yes {
        command.arg(OsString::from("--yes"));
    }
    Ok(cargo::exit_code(cargo::status(&mut command)?))
}
