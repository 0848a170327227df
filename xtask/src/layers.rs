//! `cargo xtask layers`: reports the violations of the layers in the published crates.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;

/// Runs the test that prints the report. The table and the parser belong to the tests, so that
/// `cargo test` enforces the rules that this command reports.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "poolder", "--test", "tidy"]);
    command.args(["--", "--nocapture", "--exact", "layers::report"]);
    Ok(cargo::exit_code(cargo::status(&mut command)?))
}
