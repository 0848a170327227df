//! Tools of cargo that are installed below `target`, outside the user's own programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo;

/// Directory into which tools are installed.
const TOOLS: &str = "target/poolder-dev/tools";

/// Returns a program: the one in the `PATH`, or the one in [`TOOLS`], where it is installed in this
/// version if it is missing. `None` when it cannot be installed.
pub(crate) fn find(name: &str, version: &str, flags: &[&str]) -> Option<PathBuf> {
    let installed = cargo::root().join(TOOLS).join("bin").join(name);
    let works = |program: &Path| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = [Path::new(name), &installed].into_iter().find(|program| works(program));
    if let Some(program) = found {
        return Some(program.to_owned());
    }
    let mut install = cargo::cargo();
    // A build without optimizations takes half the time, and a check some seconds.
    install.args(["install", name, "--quiet", "--locked", "--debug", "--version", version]);
    install.args(flags).arg("--root").arg(cargo::root().join(TOOLS));
    println!("installing {name} {version} into {TOOLS}");
    cargo::status(&mut install).is_ok_and(|status| status.success()).then_some(installed)
}
