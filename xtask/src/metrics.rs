//! Checks the alerts and the text of the metrics with `promtool`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use poolder_devserver::Install;

use crate::{cargo, programs, server};

/// The directory of `promtool` where the system has none.
const DIR: &str = "target/poolder-dev/promtool";

/// Checks the rules of the alerts, raises each alert once, and checks the text that
/// `poolder metrics` writes for a queue with jobs. Where `promtool` cannot be had, prints that these
/// checks were not run.
pub(crate) fn check(install: Install) -> Result<(), String> {
    let Some(promtool) = promtool() else {
        println!("NOT RUN: the alerts and the text of the metrics: promtool cannot be installed");
        return Ok(());
    };
    let deploy = cargo::root().join("deploy");
    for words in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        succeed(Command::new(&promtool).args(words).current_dir(&deploy))?;
    }
    lint(&promtool, &text(install)?)
}

/// Returns the metrics of a namespace in which jobs have run.
fn text(install: Install) -> Result<String, String> {
    let server = server::start(install)?;
    let run = |name: &str, words: &[&str]| {
        let mut command = programs::program(name)?;
        server::for_applications(command.args(words), &server);
        cargo::output(&mut command)
    };
    run("hello", &[])?;
    run("poolder", &["metrics"])
}

/// Gives a text to `promtool check metrics`.
fn lint(promtool: &Path, text: &str) -> Result<(), String> {
    if !text.contains("poolder_queue_events_total{") {
        return Err(format!("the metrics say nothing of the jobs that have run:\n{text}"));
    }
    let failed = |error: std::io::Error| format!("promtool: {error}");
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("promtool check metrics: {status}\n{text}")) }
}

/// Returns the `promtool` of the system, or the one of Debian's package `prometheus`, which is
/// downloaded and unpacked without being installed, since it brings a service.
fn promtool() -> Option<PathBuf> {
    let works = |program: &Path| {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    };
    let dir = cargo::root().join(DIR);
    let unpacked = dir.join("usr/bin/promtool");
    for known in [PathBuf::from("promtool"), unpacked.clone()] {
        if works(&known) {
            return Some(known);
        }
    }
    fs::create_dir_all(&dir).ok()?;
    let download = || quiet(Command::new("apt-get").args(["-qq", "download", "prometheus"]), &dir);
    if !download() {
        // The lists of packages may be missing or old.
        quiet(Command::new("apt-get").args(["-qq", "update"]), &dir);
        if !download() {
            return None;
        }
    }
    let files = fs::read_dir(&dir).ok()?.flatten().map(|entry| entry.path());
    for archive in files.filter(|file| file.extension().is_some_and(|end| end == "deb")) {
        quiet(Command::new("dpkg-deb").arg("-x").arg(&archive).arg("."), &dir);
        fs::remove_file(archive).ok()?;
    }
    // The server is as large as the tool, and not used.
    let _ = fs::remove_file(dir.join("usr/bin/prometheus"));
    works(&unpacked).then_some(unpacked)
}

fn quiet(command: &mut Command, dir: &Path) -> bool {
    let command = command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = cargo::status(command)?;
    let words: Vec<_> = command.get_args().map(|word| word.display().to_string()).collect();
    if status.success() { Ok(()) } else { Err(format!("promtool {}: {status}", words.join(" "))) }
}
