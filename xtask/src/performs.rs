//! `cargo xtask performs`: measures how many attempts a second `TestQueue` performs in a
//! development build.

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::cargo;

/// The least number of attempts a second with which a suite of unit tests stays quick.
const LEAST: f64 = 1_000.0;

/// Runs the measurement three times, prints the rates, and fails when the best one is too low.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    let mut best = 0.0_f64;
    for _ in 0..3 {
        let mut command = cargo::cargo();
        command.args(["test", "--quiet", "--locked", "--package", "poolder", "--test", "queue"]);
        command.args(["--", "--nocapture", "--exact", "speed::performs"]);
        let text = cargo::output(&mut command)?;
        let line = text.lines().find_map(|line| line.split_once("performs-per-second "));
        let rate = line.and_then(|(_, rate)| rate.trim().parse::<f64>().ok());
        let rate = rate.ok_or("the measurement printed no rate")?;
        println!("{rate:.0} performs a second");
        best = best.max(rate);
    }
    if best < LEAST {
        return Err(format!("{best:.0} performs a second are fewer than {LEAST:.0}"));
    }
    Ok(ExitCode::SUCCESS)
}
