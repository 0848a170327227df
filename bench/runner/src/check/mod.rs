//! Compares instructions per job with a baseline: a measure that does not depend on how busy the
//! machine is. The instructions of the client are counted against a scripted server, those of the
//! server in a real one.

mod baseline;
mod callgrind;
mod client;
mod server;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::args::Args;
use baseline::{Baseline, Counts, Row, tolerance};

type AnyError = Box<dyn std::error::Error>;

/// The exit code when a job costs more instructions than the baseline; `cargo xtask ci` reads it.
const WORSE: u8 = 2;
/// The exit code when nothing was counted, since valgrind is missing; `cargo xtask ci` reads it.
const NO_VALGRIND: u8 = 3;

/// Counts and compares. Records the counts as the new baseline if the command line says so.
pub fn run(args: &Args) -> Result<ExitCode, AnyError> {
    if let Err(reason) = callgrind::find(args.install) {
        println!("NOT RUN: {reason}");
        return Ok(NO_VALGRIND.into());
    }
    let guard = build()?;
    let path = PathBuf::from("bench/baseline.json");
    let mut baseline = Baseline::read(&path)?;
    let mut worse = vec![];

    let begin = Instant::now();
    let toolchain = client::toolchain();
    let found = client::count(&guard)?;
    println!("client, {toolchain} ({:.1} s)", begin.elapsed().as_secs_f32());
    worse.extend(compare("client", baseline.client.get(&toolchain), &found));
    baseline.client.insert(toolchain, found);

    let begin = Instant::now();
    match server::name(args.install) {
        Err(reason) => println!("NOT RUN: the instructions of the server: {reason}"),
        Ok(name) => {
            let found = server::count(&guard)?;
            println!("server, {name} ({:.1} s)", begin.elapsed().as_secs_f32());
            worse.extend(compare("server", baseline.server.get(&name), &found));
            baseline.server.insert(name, found);
        }
    }

    if args.record {
        baseline.write(&path)?;
        println!("recorded in {}", path.display());
    } else if !worse.is_empty() {
        println!(
            "{}: make it cheaper, or say why it may cost that and run cargo xtask bench --record",
            worse.join(", ")
        );
        return Ok(WORSE.into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the counts beside the baseline, and those with metrics beside those without. Returns the
/// operations that cost too much.
fn compare(part: &str, before: Option<&Counts>, now: &Counts) -> Vec<String> {
    if before.is_none() {
        println!("  there is no baseline for it: nothing is compared; --record makes one");
    }
    let rows = baseline::compare(before, now);
    rows.iter().for_each(|row| println!("  {row}"));
    let pairs = baseline::with_metrics(now);
    pairs.iter().for_each(|pair| println!("  {pair}"));
    let worse = rows.iter().filter(|row| row.is_worse());
    let text = |row: &Row| {
        let percent = tolerance(&row.what) * 100.0;
        format!("{} ({part}) takes over {percent:.0} % more than the baseline", row.what)
    };
    let dear = pairs.iter().filter(|pair| pair.is_worse()).map(|pair| format!("{pair} ({part})"));
    worse.map(text).chain(dear).collect()
}

/// Builds the guard next to this program.
fn build() -> Result<PathBuf, AnyError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path", "bench/Cargo.toml"])
        .args(["--package", "bench-guard"])
        .status()?;
    if !status.success() {
        return Err("bench-guard does not compile".into());
    }
    Ok(std::env::current_exe()?.with_file_name("bench-guard"))
}
