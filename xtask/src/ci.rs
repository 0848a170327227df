//! `cargo xtask ci`: runs every step even after a failed one, so that one run shows all failures.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use poolder_devserver::Install;

use crate::arguments::Arguments;
use crate::postgres::Postgres;
use crate::{
    bench, browser, cargo, containers, deny, languages, metrics, programs, server, test, torture,
    trials,
};

/// The examples that need no input, each with its arguments. Each gets the URL of a separate private
/// server in `POOLDER_REDIS_URL` and has to exit with 0 within [`EXAMPLE_TIMEOUT`].
const EXAMPLES: &[&[&str]] = &[
    &["hello"],
    &["seed"],
    &["ordering"],
    &["broadcast"],
    &["tasker"],
    &["traces"],
    &["web", "try"],
    &["shop", "try"],
    &["poolder-demo", "poolder-core/src"],
];

/// The examples that are separate workspaces, each with its arguments.
const APART: [(&str, &[&str]); 3] = [
    ("examples/sqlite-batcher/Cargo.toml", &[]),
    ("examples/actix/Cargo.toml", &["try"]),
    (OUTBOX, &["try"]),
];

/// The example that gets a private PostgreSQL in `DATABASE_URL` as well.
const OUTBOX: &str = "examples/outbox/Cargo.toml";

/// Time after which an example counts as stuck.
const EXAMPLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Manifest of the torture program, a separate workspace that users never compile.
const TORTURE: &str = "torture/Cargo.toml";

type Step<'a> = (&'a str, Box<dyn Fn() -> Result<(), String> + 'a>);

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let install = arguments.install();
    let steps: [Step<'_>; 13] = [
        ("test", Box::new(|| tests(install))),
        ("format", Box::new(format)),
        ("lint", Box::new(lint)),
        // Built as the tests are, so it comes before builds with other features.
        ("browser", Box::new(|| browser::sample(install))),
        ("document", Box::new(document)),
        ("dependencies", Box::new(deny::check)),
        ("containers", Box::new(containers::check)),
        ("metrics", Box::new(|| metrics::check(install))),
        ("examples", Box::new(|| examples(install))),
        ("languages", Box::new(|| languages::check(install))),
        ("trials", Box::new(|| trials::sample(install))),
        ("guard", Box::new(|| bench::check(install))),
        ("torture", Box::new(|| torture::smoke(install))),
    ];
    let wanted = wanted(&arguments.before, &steps.each_ref().map(|(name, _)| *name))?;
    let mut failed = Vec::new();
    for (name, step) in steps.into_iter().filter(|(name, _)| wanted.contains(name)) {
        println!("==> {name}");
        let begin = Instant::now();
        let result = step();
        let seconds = begin.elapsed().as_secs_f32();
        match result {
            Ok(()) => println!("==> {name}: passed in {seconds:.1} s\n"),
            Err(reason) => {
                println!("==> {name}: FAILED after {seconds:.1} s: {reason}\n");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        let steps = if arguments.before.is_empty() { "all steps" } else { "the named steps" };
        println!("==> {steps} passed");
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("failed: {}", failed.join(", ")))
}

/// Returns the steps that the command line names, or all if it names none.
fn wanted<'a>(words: &[OsString], steps: &[&'a str]) -> Result<Vec<&'a str>, String> {
    if words.is_empty() {
        return Ok(steps.to_vec());
    }
    let find = |word: &OsString| {
        let known = || format!("there is no step `{}`: {}", word.display(), steps.join(", "));
        steps.iter().copied().find(|step| word == step).ok_or_else(known)
    };
    words.iter().map(find).collect()
}

fn tests(install: Install) -> Result<(), String> {
    // In this step too, a failed test does not prevent the following tests.
    let mut command = test::command(&Arguments::default());
    let code = test::tests(command.arg("--no-fail-fast"), install)?;
    if code == ExitCode::SUCCESS { Ok(()) } else { Err("cargo test failed".into()) }
}

fn format() -> Result<(), String> {
    succeed(cargo::cargo().args(["fmt", "--all", "--check"]))?;
    succeed(cargo::cargo().args(["fmt", "--check", "--manifest-path", TORTURE]))?;
    succeed(cargo::cargo().args(["fmt", "--all", "--check", "--manifest-path", trials::MANIFEST]))?;
    for (manifest, _) in APART {
        succeed(cargo::cargo().args(["fmt", "--check", "--manifest-path", manifest]))?;
    }
    succeed(cargo::cargo().args(["fmt", "--all", "--check", "--manifest-path", bench::MANIFEST]))
}

fn lint() -> Result<(), String> {
    for manifest in [TORTURE, trials::MANIFEST].into_iter().chain(APART.map(|(it, _)| it)) {
        let options = ["clippy", "--workspace", "--all-targets", "--locked", "--manifest-path"];
        succeed(cargo::cargo().args(options).args([manifest, "--", "-D", "warnings"]))?;
    }
    // Only the benchmark's own packages are checked: its peers are third-party libraries.
    let options = ["clippy", "--all-targets", "--locked", "--manifest-path", bench::MANIFEST];
    let packages =
        ["bench-protocol", "bench-runner", "bench-guard"].map(|name| ["--package", name]);
    let packages = packages.as_flattened();
    succeed(cargo::cargo().args(options).args(packages).args(["--", "-D", "warnings"]))?;
    // A process that only sends jobs.
    let options = ["clippy", "--package", "poolder", "--no-default-features", "--locked"];
    succeed(cargo::cargo().args(options).args(["--features", "macros", "--", "-D", "warnings"]))?;
    // A test that is left out of a usual `cargo test` is left out of all targets, too.
    for targets in [&["--all-targets"][..], &["--test", "browser"]] {
        let options = ["clippy", "--workspace", "--all-features", "--locked"];
        succeed(cargo::cargo().args(options).args(targets).args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

fn document() -> Result<(), String> {
    let options = ["doc", "--workspace", "--all-features", "--no-deps", "--locked"];
    succeed(cargo::cargo().args(options).env("RUSTDOCFLAGS", "-D warnings"))
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = cargo::status(command)?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

fn examples(install: Install) -> Result<(), String> {
    for words in EXAMPLES {
        let mut command = programs::program(words[0])?;
        example(words[0], command.args(&words[1..]), install)?;
    }
    APART.into_iter().try_for_each(|(manifest, words)| apart(manifest, words, install))
}

/// Builds and runs an example that is a separate workspace.
fn apart(manifest: &str, words: &[&str], install: Install) -> Result<(), String> {
    let cargo = |verb: &str| {
        let mut command = cargo::cargo();
        command.args([verb, "--quiet", "--locked", "--manifest-path", manifest]);
        command
    };
    // Built first, so that the time limit applies to the example alone.
    succeed(&mut cargo("build"))?;
    let mut command = cargo("run");
    command.arg("--").args(words);
    if manifest != OUTBOX {
        return example(manifest, &mut command, install);
    }
    match Postgres::start() {
        Ok(database) => example(manifest, command.env("DATABASE_URL", database.url()), install),
        Err(reason) => {
            println!("NOT RUN: {manifest}: no PostgreSQL: {reason}");
            Ok(())
        }
    }
}

fn example(name: &str, command: &mut Command, install: Install) -> Result<(), String> {
    println!("--> {name}");
    let server = server::start(install)?;
    server::for_applications(command, &server);
    cargo::within(command, EXAMPLE_TIMEOUT).map_err(|reason| format!("{name}: {reason}"))
}
