//! `cargo xtask layers`: how far the published crates keep to their layers.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;

/// Runs the test that prints the report: the table and the parser are part of the tests, so that
/// `cargo test` enforces what this command shows.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    let mut command = cargo::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "poolder", "--test", "tidy"]);
    command.args(["--", "--nocapture", "--exact", "layers::report"]);
    Ok(cargo::exit_code(cargo::status(&mut command)?))
}
