//! `cargo xtask semver`: compares the public items with those of the last release, and says which
//! version number the changes ask for.

use std::process::{Command, ExitCode};

use crate::arguments::Arguments;
use crate::packages::published;
use crate::{cargo, tools};

/// The version of `cargo-semver-checks` that is installed where there is none.
const VERSION: &str = "0.51.0";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    let mut git = Command::new("git");
    git.current_dir(cargo::root()).args(["tag", "--list", "v*", "--merged", "HEAD"]);
    let tags = cargo::output(&mut git)?;
    let Some(release) = last_release(&tags) else {
        println!("NOT RUN: there is no release yet, so no tag like v0.1.0 to compare with");
        return Ok(ExitCode::SUCCESS);
    };
    let Some(tool) = tools::find("cargo-semver-checks", VERSION, &[]) else {
        println!("NOT RUN: cargo-semver-checks {VERSION} cannot be installed");
        return Ok(ExitCode::SUCCESS);
    };
    let mut command = Command::new(tool);
    command.current_dir(cargo::root());
    command.args(["semver-checks", "check-release", "--baseline-rev", release]);
    for package in published()? {
        // A program has no public items.
        if package.name != "poolder-cli" {
            command.args(["--package", &package.name]);
        }
    }
    cargo::status(&mut command).map(cargo::exit_code)
}

/// Returns the tag of the highest version.
fn last_release(tags: &str) -> Option<&str> {
    let version = |tag: &&str| -> Option<Vec<u64>> {
        let parts = tag.strip_prefix('v')?.split('.');
        let numbers: Vec<u64> = parts.map(str::parse).collect::<Result<_, _>>().ok()?;
        (numbers.len() == 3).then_some(numbers)
    };
    tags.lines().map(str::trim).filter(|tag| version(tag).is_some()).max_by_key(version)
}

#[cfg(test)]
mod tests {
    use super::last_release;

    #[test]
    fn the_last_release_is_the_highest_version() {
        assert_eq!(last_release("v0.9.0\nv0.10.1\nv0.10.0\n"), Some("v0.10.1"));
        assert_eq!(last_release("vendor\nv1\nv1.0.0-rc.1\n"), None);
        assert_eq!(last_release(""), None);
    }
}
