//! `cargo xtask test`: starts one private server, then runs `cargo test`.

use std::ffi::OsStr;
use std::num::NonZero;
use std::process::{Command, ExitCode};
use std::thread;

use poolder_devserver::Install;

use crate::arguments::Arguments;
use crate::{cargo, server};

/// The variable of the test harness for the number of tests at the same time.
const THREADS: &str = "RUST_TEST_THREADS";

/// Tests at the same time for each core: most of their time, tests wait for a server or a timer.
const TESTS_PER_CORE: usize = 4;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut command = command(arguments);
    tests(&mut command, arguments.install())
}

/// Runs a `cargo test` command with a private server, unless the user allows tests to use another.
pub(crate) fn tests(command: &mut Command, install: Install) -> Result<ExitCode, String> {
    // Kept until the tests have ended.
    let _server = if server::is_users_allowed() {
        None
    } else {
        let server = server::start(install)?;
        server::for_tests(command, &server);
        Some(server)
    };
    Ok(cargo::exit_code(cargo::status(command)?))
}

/// Returns the test command: `cargo test` rather than another runner, because it also runs the
/// examples in the documentation, and prints the summary lines that CI reads.
pub(crate) fn command(arguments: &Arguments) -> Command {
    let mut command = cargo::cargo();
    command.args(["test", "--locked"]);
    if std::env::var_os(THREADS).is_none() {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        command.env(THREADS, (cores * TESTS_PER_CORE).to_string());
    }
    // With --workspace, cargo would ignore the named packages.
    if !arguments.before.iter().any(|word| names_package(word)) {
        command.arg("--workspace");
    }
    command.args(&arguments.before);
    if let Some(after) = &arguments.after {
        command.arg("--").args(after);
    }
    command
}

fn names_package(word: &OsStr) -> bool {
    let word = word.to_string_lossy();
    word == "--package"
        || word.starts_with("--package=")
        || (word.starts_with("-p") && !word.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::command;
    use crate::arguments::Arguments;
    use std::ffi::OsString;

    fn line(words: &str) -> String {
        let words = words.split_whitespace().map(OsString::from);
        let command = command(&Arguments::new(words));
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn everything_is_tested_unless_a_package_is_named() {
        assert_eq!(line(""), "test --locked --workspace");
        assert_eq!(line("--yes"), "test --locked --workspace");
        assert_eq!(line("--profile release x"), "test --locked --workspace --profile release x");
        assert_eq!(line("-p a -- --nocapture"), "test --locked -p a -- --nocapture");
        assert_eq!(line("-pa"), "test --locked -pa");
        assert_eq!(line("--package=a"), "test --locked --package=a");
    }
}
