//! `cargo xtask limits`: the tests of limited queues that are too slow for the suite: many walks of the
//! machine test, and each guard of the scripts left out once.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::test;

/// The number of walks.
const WALKS: &str = "100";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    let install = arguments.install();
    let words = "-p poolder --test suite -- limits::machine limits::mutants --nocapture";
    let words = words.split_whitespace().map(Into::into);
    let mut command = test::command(&Arguments::new(words));
    command.env("POOLDER_LIMIT_WALKS", WALKS).env("POOLDER_LIMIT_MUTANTS", "all");
    test::tests(&mut command, install)
}
