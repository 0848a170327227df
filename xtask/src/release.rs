//! `cargo xtask release --dry-run`: packages what would be published, and builds the packages in a
//! folder of their own, as a user gets them. Publishes nothing.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::arguments::Arguments;
use crate::cargo;
use crate::packages::{Package, published};

/// The folder of the packages and of their build. It is emptied at each run, but for the build of
/// the dependencies.
const DIR: &str = "target/poolder-dev/release";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match arguments.before.as_slice() {
        [word] if word == "--dry-run" => {}
        _ => {
            return Err("only --dry-run is there: a release is published by hand, in the order \
                         that it prints (docs/contributing/release.md)"
                .into());
        }
    }
    let packages = published()?;
    for package in &packages {
        println!("{} {}", package.name, package.version);
    }
    ready(&packages, &fs::read_to_string(cargo::root().join("CHANGELOG.md")).unwrap_or_default())?;
    let dir = cargo::root().join(DIR);
    let target = dir.join("target");
    println!("==> packaging");
    let mut command = cargo::cargo();
    // All together, so that each finds the others, which no registry has yet.
    command.args(["package", "--quiet", "--locked", "--offline", "--allow-dirty", "--no-verify"]);
    command.arg("--target-dir").arg(&target);
    packages.iter().for_each(|package| _ = command.args(["--package", &package.name]));
    succeed(&mut command, "a package cannot be made")?;
    println!("==> unpacking into {DIR}/packages");
    let unpacked = dir.join("packages");
    unpack(&packages, &target.join("package"), &unpacked)?;
    println!("==> building the packages, from each other and the registry alone");
    let mut command = cargo::cargo();
    command.current_dir(&unpacked).args(["build", "--quiet", "--offline", "--workspace"]);
    succeed(command.arg("--target-dir").arg(&target), "the packages do not build")?;
    println!("==> the packages build; nothing was published");
    Ok(ExitCode::SUCCESS)
}

/// Returns an error unless all packages have one version, which the changelog can name, and tell
/// docs.rs what to show.
fn ready(packages: &[Package], changelog: &str) -> Result<(), String> {
    let first = packages.first().ok_or("no package is published")?;
    for package in packages {
        if package.version != first.version {
            let Package { name, version, .. } = package;
            return Err(format!("{name} has version {version}, and others {}", first.version));
        }
        if !package.has_docs_metadata {
            return Err(format!("{} has no [package.metadata.docs.rs]", package.name));
        }
    }
    let version = &first.version;
    let headings = ["## Unreleased".to_owned(), format!("## {version}")];
    let is_heading = |line: &str| headings.iter().any(|heading| line.starts_with(heading.as_str()));
    if !changelog.lines().any(is_heading) {
        return Err(format!("CHANGELOG.md says nothing of {version}"));
    }
    Ok(())
}

/// Unpacks the packages into an empty folder, as a workspace in which they find each other.
fn unpack(packages: &[Package], from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", to.display());
    if to.exists() {
        fs::remove_dir_all(to).map_err(failed)?;
    }
    fs::create_dir_all(to).map_err(failed)?;
    for package in packages {
        let archive: PathBuf = from.join(format!("{}.crate", folder(package)));
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).arg("-C").arg(to);
        succeed(&mut tar, "a package cannot be unpacked")?;
    }
    fs::write(to.join("Cargo.toml"), workspace(packages)).map_err(failed)?;
    // The same versions of the dependencies as in the tests, without a look at the registry.
    fs::copy(cargo::root().join("Cargo.lock"), to.join("Cargo.lock")).map_err(failed)?;
    Ok(())
}

fn folder(package: &Package) -> String {
    format!("{}-{}", package.name, package.version)
}

/// Returns the manifest of a workspace of the unpacked packages.
fn workspace(packages: &[Package]) -> String {
    let mut text = String::from("[workspace]\nresolver = \"3\"\nmembers = [\n");
    // Writing to a string does not fail.
    packages.iter().for_each(|package| _ = writeln!(text, "    \"{}\",", folder(package)));
    text.push_str("]\n\n[patch.crates-io]\n");
    for package in packages {
        let _ = writeln!(text, "{} = {{ path = \"{}\" }}", package.name, folder(package));
    }
    text
}

fn succeed(command: &mut Command, failure: &str) -> Result<(), String> {
    if cargo::status(command)?.success() { Ok(()) } else { Err(failure.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        let has_docs_metadata = true;
        let (name, version) = (name.to_owned(), version.to_owned());
        Package { name, version, has_docs_metadata, ..Package::default() }
    }

    #[test]
    fn packages_of_one_version_with_docs_and_a_changelog_are_ready() {
        let packages = [package("a", "1.2.0"), package("b", "1.2.0")];
        assert_eq!(ready(&packages, "# Changelog\n\n## Unreleased\n"), Ok(()));
        assert_eq!(ready(&packages, "## 1.2.0 (2026-12-01)\n"), Ok(()));
        assert!(ready(&packages, "## 1.1.0\n").is_err_and(|error| error.contains("1.2.0")));
        let other = [package("a", "1.2.0"), package("b", "1.3.0")];
        assert!(ready(&other, "## Unreleased\n").is_err_and(|error| error.contains("1.3.0")));
        let silent = [Package { has_docs_metadata: false, ..package("a", "1.2.0") }];
        assert!(ready(&silent, "## Unreleased\n").is_err_and(|error| error.contains("docs.rs")));
    }

    #[test]
    fn unpacked_packages_find_each_other() {
        let text = workspace(&[package("a", "1.2.0"), package("b", "1.2.0")]);
        assert!(text.contains("members = [\n    \"a-1.2.0\",\n    \"b-1.2.0\",\n]"));
        assert!(text.ends_with("a = { path = \"a-1.2.0\" }\nb = { path = \"b-1.2.0\" }\n"));
    }
}
