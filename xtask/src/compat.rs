//! `cargo xtask compat`: runs the suite with one server program after another.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::cargo;

const NAMES: [&str; 4] = ["valkey-server", "redis-server", "valkey-check-rdb", "redis-check-rdb"];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut programs: Vec<PathBuf> = arguments.before.iter().map(PathBuf::from).collect();
    if programs.is_empty() {
        programs = found();
    }
    if programs.is_empty() {
        return Err("no server program was found: name some, as cargo xtask compat PROGRAM…".into());
    }
    let mut rows = vec![];
    for program in programs {
        let path = std::path::absolute(&program).unwrap_or(program);
        println!("==> {}", path.display());
        let begin = Instant::now();
        let mut command = cargo::cargo();
        command.args(["test", "--locked", "--package", "poolder", "--test", "suite"]);
        command.args(["--features", "tls"]);
        if let Some(after) = &arguments.after {
            command.arg("--").args(after);
        }
        command.env("POOLDER_REDIS_BIN", &path);
        let passed = cargo::status(&mut command)?.success();
        rows.push((version(&path), passed, begin.elapsed().as_secs()));
    }
    println!("\nserver                    suite    seconds");
    for (version, passed, seconds) in &rows {
        let verdict = if *passed { "passed" } else { "FAILED" };
        println!("{version:<25} {verdict:<8} {seconds:>7}");
    }
    let all = rows.iter().all(|(_, passed, _)| *passed);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns every server program on `PATH`, and the program that the tests would use.
fn found() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .flat_map(|dir| NAMES.map(|name| dir.join(name)))
        .filter(|file| file.is_file());
    let mut programs: Vec<PathBuf> = std::env::var_os("POOLDER_REDIS_BIN")
        .map(PathBuf::from)
        .into_iter()
        .chain(on_path)
        .collect();
    if let Some(cached) = poolder_devserver::locate().ok().and_then(|found| found.program()) {
        programs.push(cached);
    }
    programs.sort();
    programs.dedup_by_key(|program| program.canonicalize().ok());
    programs
}

/// Returns the version that the program prints (`Redis server v=6.2.14 …`), as `Redis 6.2.14`.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let mut words = text.split_whitespace();
    let engine = words.next().unwrap_or("unknown").to_owned();
    let number = words.find_map(|word| word.strip_prefix("v=")).unwrap_or("");
    format!("{engine} {number}")
}
