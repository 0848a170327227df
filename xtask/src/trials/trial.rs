//! One trial: the test program that contains it, and its run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use poolder_devserver::{DEV_URL_VAR, USER_URL_VARS};

use super::{MANIFEST, ledger, logs};
use crate::{cargo, programs};

/// Time after which a trial counts as stuck. The longest trial waits eleven minutes for a holder
/// that is gone.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// One test of one program.
pub(super) struct Trial {
    /// `faults::name` or `cases::name`, without the module.
    pub(super) name: String,
    program: PathBuf,
    path: String,
}

/// Builds both test programs and lists their tests.
pub(super) fn list() -> Result<Vec<Trial>, String> {
    let mut build = cargo::cargo();
    build.args(["test", "--no-run", "--quiet", "--locked", "--manifest-path", MANIFEST]);
    build.args(["--test", "faults", "--test", "cases"]);
    let mut found = Vec::new();
    for program in programs::executables(&mut build)? {
        let stem = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = stem.split('-').next().unwrap_or_default();
        let listed = cargo::output(Command::new(&program).args(["--list", "--format", "terse"]))?;
        for path in listed.lines().filter_map(|line| line.strip_suffix(": test")) {
            let name = format!("{kind}::{}", path.rsplit("::").next().unwrap_or(path));
            found.push(Trial { name, program: program.clone(), path: path.to_owned() });
        }
    }
    // Cases come first, since the longest trial is among them.
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Trial {
    /// Runs the trial in a separate process, so that measurements and damage do not affect other
    /// trials. Returns whether the trial itself is green, and each case that it reported.
    pub(super) fn run(&self) -> Vec<(String, bool)> {
        let log = logs().join(self.name.replace("::", "-") + ".log");
        let ended = self.end(&log);
        // A failed test is reported by its exit status and needs no further message.
        if let Err(reason) = &ended
            && !reason.starts_with("exit status")
        {
            println!("{}: {reason}", self.name);
        }
        let printed = fs::read(&log).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed);
        // A run that matches no test would succeed, too.
        let passed = ended.is_ok() && printed.contains("test result: ok. 1 passed");
        let mut seen = ledger::cases(&printed);
        seen.push((self.name.clone(), passed));
        seen
    }

    fn end(&self, log: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        // With one thread, the first line that the test prints would begin with the test's name.
        command.args(["--exact", &self.path, "--nocapture", "--test-threads", "2"]);
        command.current_dir(cargo::root().join("trials"));
        for name in USER_URL_VARS.into_iter().chain([DEV_URL_VAR]) {
            command.env_remove(name);
        }
        let file = fs::create_dir_all(logs()).and_then(|()| File::create(log));
        let file = file.and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = file.map_err(|error| format!("{}: {error}", log.display()))?;
        cargo::within(command.stdin(Stdio::null()).stdout(out).stderr(err), TRIAL_TIMEOUT)
    }
}
