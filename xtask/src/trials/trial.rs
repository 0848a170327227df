//! One trial: where it is, and how it is run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use poolder_devserver::{DEV_URL_VAR, USER_URL_VARS};

use super::{MANIFEST, ledger, logs};
use crate::cargo;

/// A trial that runs longer is stuck. The longest waits eleven minutes for a holder that is gone.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// One test of one program.
pub(super) struct Trial {
    /// `faults::name` or `cases::name`, without the module.
    pub(super) name: String,
    program: PathBuf,
    path: String,
}

/// Builds both programs and asks them what they hold.
pub(super) fn list() -> Result<Vec<Trial>, String> {
    let mut build = cargo::cargo();
    build.args(["test", "--no-run", "--quiet", "--locked", "--manifest-path", MANIFEST]);
    build.args(["--test", "faults", "--test", "cases"]);
    build.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    let mut found = Vec::new();
    for line in cargo::output(&mut build)?.lines() {
        let Some((_, rest)) = line.split_once("\"executable\":\"") else { continue };
        let program = PathBuf::from(rest.split('"').next().unwrap_or_default());
        let stem = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = stem.split('-').next().unwrap_or_default();
        let listed = cargo::output(Command::new(&program).args(["--list", "--format", "terse"]))?;
        for path in listed.lines().filter_map(|line| line.strip_suffix(": test")) {
            let name = format!("{kind}::{}", path.rsplit("::").next().unwrap_or(path));
            found.push(Trial { name, program: program.clone(), path: path.to_owned() });
        }
    }
    // Cases first: the longest wait is among them.
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Trial {
    /// In a process of its own: what it measures and what it breaks are no other's. Returns what is
    /// green and what is red: the trial itself, and each case that it reported.
    pub(super) fn run(&self) -> Vec<(String, bool)> {
        let log = logs().join(self.name.replace("::", "-") + ".log");
        let ended = self.end(&log);
        // A test that failed says so by its exit status.
        if let Err(reason) = &ended
            && !reason.starts_with("exit status")
        {
            println!("{}: {reason}", self.name);
        }
        let printed = fs::read(&log).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed);
        // A name that no test has would pass, too.
        let passed = ended.is_ok() && printed.contains("test result: ok. 1 passed");
        let mut seen = ledger::cases(&printed);
        seen.push((self.name.clone(), passed));
        seen
    }

    fn end(&self, log: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        // With one thread, the name of the test would stand in the first line that it prints.
        command.args(["--exact", &self.path, "--nocapture", "--test-threads", "2"]);
        command.current_dir(cargo::root().join("trials"));
        for name in USER_URL_VARS.into_iter().chain([DEV_URL_VAR]) {
            command.env_remove(name);
        }
        let file = fs::create_dir_all(logs()).and_then(|()| File::create(log));
        let file = file.and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = file.map_err(|error| format!("{}: {error}", log.display()))?;
        cargo::within(command.stdin(Stdio::null()).stdout(out).stderr(err), LIMIT)
    }
}
