//! `cargo xtask msrv`: checks the oldest compiler that the packages promise (`rust-version`).
//!
//! The lint finds calls of the standard library that are newer, and the lock file shows which
//! dependencies need a newer compiler. Neither finds newer syntax, nor what only the older compiler
//! refuses: that takes the compiler itself, which is used where it is installed.

use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

use crate::arguments::Arguments;
use crate::cargo;
use crate::packages::published;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    let metadata = metadata()?;
    let promised = promised(&metadata).ok_or("the package `poolder` has no rust-version")?;
    let names: Vec<String> = published()?.into_iter().map(|package| package.name).collect();
    let selected = || names.iter().flat_map(|name| ["--package", name]);

    println!("==> clippy::incompatible_msrv: calls that Rust {promised} does not have");
    let mut lint = cargo::cargo();
    lint.args(["clippy", "--quiet", "--locked", "--all-features"]).args(selected());
    lint.args(["--", "-D", "clippy::incompatible_msrv"]);
    let mut failed = vec![];
    if !cargo::status(&mut lint)?.success() {
        failed.push("the lint".to_owned());
    }

    println!("==> Cargo.lock: dependencies that need more than Rust {promised}");
    let newer = newer(&metadata, &promised);
    newer.iter().for_each(|line| println!("  {line}"));
    if !newer.is_empty() {
        failed.push("a dependency".to_owned());
    }

    println!("==> the compiler of Rust {promised}");
    if has_toolchain(&promised) {
        let mut check = Command::new("cargo");
        // A target of its own: another compiler builds everything anew.
        check.current_dir(cargo::root()).env("CARGO_TARGET_DIR", "target/poolder-dev/msrv");
        check.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
        check.arg(format!("+{promised}")).args(["check", "--locked", "--all-features"]);
        if !cargo::status(check.args(selected()))?.success() {
            failed.push("the compiler".to_owned());
        }
    } else {
        println!("NOT RUN: it is not installed: rustup toolchain install {promised}");
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("more than Rust {promised} is needed by {}", failed.join(", ")))
}

/// Returns the packages of the lock file that a use of Poolder compiles.
fn metadata() -> Result<Value, String> {
    let mut command = cargo::cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    serde_json::from_str(&cargo::output(&mut command)?)
        .map_err(|error| format!("cargo metadata: {error}"))
}

/// Returns the `rust-version` of the package that users name.
fn promised(metadata: &Value) -> Option<String> {
    let packages = metadata["packages"].as_array()?;
    let facade = packages.iter().find(|package| package["name"] == "poolder")?;
    facade["rust_version"].as_str().map(str::to_owned)
}

/// Returns the packages that need a newer compiler.
fn newer(metadata: &Value, promised: &str) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let needs = packages.filter_map(|package| {
        let version = package["rust_version"].as_str()?;
        let (name, of) = (package["name"].as_str()?, package["version"].as_str()?);
        let is_newer = numbers(version) > numbers(promised);
        is_newer.then(|| format!("{name} {of} needs Rust {version}"))
    });
    needs.collect()
}

fn numbers(version: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> =
        version.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect();
    // 1.89 is 1.89.0.
    numbers.resize(3, 0);
    numbers
}

fn has_toolchain(version: &str) -> bool {
    let mut command = Command::new("rustup");
    command.args(["run", version, "rustc", "--version"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_packages_are_named() {
        let package = |name: &str, rust: Option<&str>| serde_json::json!({ "name": name, "version": "1.0.0", "rust_version": rust });
        let metadata = serde_json::json!({ "packages": [
            package("poolder", Some("1.89")),
            package("same", Some("1.89.0")),
            package("older", Some("1.9")),
            package("silent", None),
            package("newer", Some("1.90")),
            package("patch", Some("1.89.1")),
        ] });
        let promised = promised(&metadata).unwrap();
        let newer = newer(&metadata, &promised);
        assert_eq!(newer, ["newer 1.0.0 needs Rust 1.90", "patch 1.0.0 needs Rust 1.89.1"]);
    }
}
