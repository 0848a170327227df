//! Downloads and unpacks a Debian or Ubuntu package as the current user, without installing it. apt
//! works on private lists and archives and still checks every signature.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{files, say};
use crate::launch::{Launch, NAMES, Program};
use crate::process::run;

pub(super) const ENTRY: &str = "debian";

/// Packages that contain the server itself, without a service that would start automatically.
const PACKAGES: [&str; 2] = ["valkey-tools", "redis-tools"];

const DOWNLOAD: Duration = Duration::from_secs(180);

pub(super) fn unpack(staging: &Path) -> Result<Launch, String> {
    let apt = Apt::new(staging)?;
    run(Command::new("dpkg-deb").arg("--version"), Duration::from_secs(10))?;
    say("fetching the package lists with apt-get, as this user, into the cache");
    run(apt.command().arg("update"), DOWNLOAD)?;
    let mut reason = String::new();
    for package in PACKAGES {
        // Downloads the package and those of its libraries that the system lacks.
        let options = ["-y", "--download-only", "--no-install-recommends", "install", package];
        match run(apt.command().args(options), DOWNLOAD) {
            Ok(_) => return extract(staging, &apt),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn extract(staging: &Path, apt: &Apt) -> Result<Launch, String> {
    let root = staging.join("root");
    let archives = files(&apt.cache.join("archives"));
    for archive in archives.iter().filter(|file| file.extension().is_some_and(|e| e == "deb")) {
        let unpacking = Duration::from_secs(60);
        run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&root), unpacking)?;
    }
    // The lists are ten times the size of the server, so they are removed.
    for dir in [&apt.lists, &apt.cache] {
        fs::remove_dir_all(dir).map_err(|error| error.to_string())?;
    }
    let files = files(&root);
    let bin = root.join("usr/bin");
    let mut program = NAMES
        .iter()
        .map(|(name, _)| bin.join(name))
        .find(|path| files.contains(path))
        .map(Program::at)
        .ok_or("the package contains no server")?;
    program.libraries = library_directories(&files);
    Ok(Launch::Program(program))
}

fn library_directories(files: &[PathBuf]) -> Vec<PathBuf> {
    let is_library = |file: &&PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("lib") && name.contains(".so")
    };
    let directories = files.iter().filter(is_library).filter_map(|file| file.parent());
    directories.map(Path::to_path_buf).collect::<BTreeSet<_>>().into_iter().collect()
}

struct Apt {
    lists: PathBuf,
    cache: PathBuf,
}

impl Apt {
    fn new(staging: &Path) -> Result<Self, String> {
        let apt = Self { lists: staging.join("lists"), cache: staging.join("cache") };
        for dir in [apt.lists.join("partial"), apt.cache.join("archives/partial")] {
            fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        }
        Ok(apt)
    }

    fn command(&self) -> Command {
        let option = |name: &str, value: &Path| {
            let mut option = OsString::from(name);
            option.push(value);
            option
        };
        let mut command = Command::new("apt-get");
        command
            .arg("-qq")
            .arg("-o")
            .arg(option("Dir::State::lists=", &self.lists))
            .arg("-o")
            .arg(option("Dir::Cache=", &self.cache))
            // As root, apt would switch to a user that may not enter the private directory.
            .args(["-o", "APT::Sandbox::User=root"])
            // apt writes nothing to the system here, and only root may take the system's locks.
            .args(["-o", "Debug::NoLocking=true"])
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

#[cfg(test)]
mod tests {
    use super::library_directories;
    use std::path::PathBuf;

    #[test]
    fn library_directories_are_named_once() {
        let files = [
            "/r/usr/bin/redis-check-rdb",
            "/r/usr/lib/t/liblzf.so.1",
            "/r/usr/lib/t/libjemalloc.so.2",
            "/r/lib/t/libatomic.so.1.2.0",
            "/r/usr/share/doc/libx/copyright",
        ];
        let directories = library_directories(&files.map(PathBuf::from));
        assert_eq!(directories, ["/r/lib/t", "/r/usr/lib/t"].map(PathBuf::from));
    }
}
