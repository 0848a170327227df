//! Running cargo, and other programs, in the workspace.

use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

/// The cargo that runs us, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// `cargo run` names our package's directory, one below the root.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.and_then(|dir| dir.parent().map(ToOwned::to_owned));
    root.unwrap_or_else(|| PathBuf::from("."))
}

/// Runs a command to its end.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, String> {
    command
        .status()
        .map_err(|error| format!("can not run {}: {error}", command.get_program().display()))
}

/// The code to exit with when this command was all that we were asked for.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    // Ended by a signal: there is no code to pass on.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
