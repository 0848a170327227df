//! `cargo xtask trials --scripts`: runs python scripts against Poolder's Lua scripts and nodes.
//! Their output is meant for people.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use poolder_devserver::{Install, ensure};

use super::MANIFEST;
use crate::cargo;

/// Runs the scripts whose name contains one of the words; without words, all scripts.
pub(super) fn run(words: &[&str], install: Install) -> Result<ExitCode, String> {
    let scripts = cargo::root().join("trials/scripts");
    let mut names = Vec::new();
    let entries = std::fs::read_dir(&scripts).map_err(|error| error.to_string())?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_one = name.ends_with(".py") && name != "lib.py";
        if is_one && (words.is_empty() || words.iter().any(|word| name.contains(word))) {
            names.push(name);
        }
    }
    names.sort();
    if names.is_empty() {
        return Err("there is no script with such a name".into());
    }
    let Some(python) = python()? else {
        println!("NOT RUN: there is no python3 with venv and pip, or its packages were not found");
        return Ok(ExitCode::SUCCESS);
    };
    let found = ensure(install).map_err(|error| error.to_string())?;
    let Some(server) = found.program() else {
        println!("NOT RUN: the scripts need a server program, not an image of one");
        return Ok(ExitCode::SUCCESS);
    };
    let mut build = cargo::cargo();
    build.args(["build", "--quiet", "--locked", "--manifest-path", MANIFEST]);
    if !cargo::status(build.args(["--package", "trials-lab"]))?.success() {
        return Ok(ExitCode::FAILURE);
    }
    for name in names {
        println!("==> {name}");
        let mut script = Command::new(&python);
        script.arg(&name).current_dir(&scripts);
        script
            .env("POOLDER", cargo::root())
            .env("VALKEY", &server)
            .env("BIN", cargo::target_dir().join("debug"));
        script.env("PYTHONDONTWRITEBYTECODE", "1");
        let status = cargo::status(&mut script)?;
        if !status.success() {
            println!("==> {name}: {status}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the python of a private environment with the packages that the scripts import; `None`
/// when the environment cannot be made.
fn python() -> Result<Option<PathBuf>, String> {
    let folder = cargo::root().join("target/trials-venv");
    let python = folder.join("bin/python");
    let succeeds = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    if !python.exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&folder).stderr(Stdio::null());
        if !succeeds(&mut make) {
            // An incomplete environment would be taken for a complete one by the next run.
            let _ = std::fs::remove_dir_all(&folder);
            return Ok(None);
        }
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    install.arg(cargo::root().join("trials/scripts/requirements.txt"));
    Ok(succeeds(&mut install).then_some(python))
}
