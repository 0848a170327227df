//! Runs cargo and other programs in the workspace.

use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// Cargo's variable for the directory in which it builds.
const TARGET_DIR: &str = "CARGO_TARGET_DIR";

/// Returns a command for the cargo that runs this program, in the workspace's root.
///
/// The workspaces that stand beside the main one are built in its target directory too, so that no
/// dependency which they share is compiled twice.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command.env(TARGET_DIR, target_dir());
    command
}

/// Returns the directory in which [`cargo`] builds.
pub(crate) fn target_dir() -> PathBuf {
    root().join(std::env::var_os(TARGET_DIR).unwrap_or_else(|| "target".into()))
}

/// Returns the workspace's root, the parent of this package's directory, which `cargo run` names.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.and_then(|dir| dir.parent().map(ToOwned::to_owned));
    root.unwrap_or_else(|| PathBuf::from("."))
}

/// Runs a command to its end and returns its status.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, String> {
    command
        .status()
        .map_err(|error| format!("can not run {}: {error}", command.get_program().display()))
}

/// Returns the exit code for an xtask command that only ran this program.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    // A program that was ended by a signal has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Runs a command and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("can not run {program}: {error}"))?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command with a time limit. On Unix `cargo run` becomes the example, so killing it kills
/// the example.
pub(crate) fn within(command: &mut Command, limit: Duration) -> Result<(), String> {
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let end = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(status.to_string()),
            None if Instant::now() >= end => {
                // A failed kill means that the child has ended already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("did not end within {} s", limit.as_secs_f32()));
            }
            // std cannot wait for a child with a time limit.
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::within;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn a_command_has_to_succeed_in_time() {
        let long = Duration::from_secs(30);
        assert_eq!(within(&mut Command::new("true"), long), Ok(()));
        assert!(within(&mut Command::new("false"), long).is_err());
        let stuck = within(Command::new("sleep").arg("1000"), Duration::from_millis(50));
        assert!(stuck.is_err_and(|reason| reason.contains("did not end within")));
    }
}
