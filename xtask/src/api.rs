//! `cargo xtask api`: prints or writes the listing of the public surface.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;

/// Runs the test that makes the listing: `cargo test` compares the same listing with the committed
/// one.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "poolder", "--test", "tidy"]);
    command.args(["--", "--nocapture", "--exact", "api::report"]);
    if arguments.before.first().is_some_and(|word| word == "--write") {
        command.env("POOLDER_API", "write");
    } else {
        arguments.expect_none()?;
    }
    Ok(cargo::exit_code(cargo::status(&mut command)?))
}
