//! Finds the server that would be started.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cache;
use crate::error::Error;
use crate::install::{self, Install};
use crate::launch::{Launch, NAMES, Program};
use crate::version::Version;

/// The variable that names a program to use before all others.
pub(crate) const PROGRAM_VAR: &str = "POOLDER_REDIS_BIN";

/// A server that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub(crate) launch: Launch,
    pub(crate) version: Option<Version>,
}

impl Found {
    /// Returns the engine and version; `None` for an image, whose version is unknown before it
    /// runs.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns the path of the program; `None` when a Docker engine runs an image.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        match &self.launch {
            Launch::Program(program) => Some(program.path.clone()),
            Launch::Docker(_) => None,
        }
    }
}

/// Writes, for example, `Valkey 9.1.2 (/usr/bin/valkey-server)`.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{version} ({})", self.launch),
            None => self.launch.fmt(f),
        }
    }
}

/// Finds the server that [`Server::start`](crate::Server::start) would start, and starts nothing.
///
/// The order: `POOLDER_REDIS_BIN`; `valkey-server`, `redis-server`, `valkey-check-rdb` and
/// `redis-check-rdb` on `PATH` (the last two act as the server when called by another name);
/// servers installed earlier into the workspace's `target/poolder-dev` or the user's cache.
/// Programs that are not a server, or older than 6.2, are skipped.
///
/// # Errors
/// Returns an error when no server was found (the text lists the skipped programs and says what to
/// run), or when `POOLDER_REDIS_BIN` names a program that is not a server of version 6.2 or newer.
pub fn locate() -> Result<Found, Error> {
    search(&Real).map_err(|missing| missing.into_error(&[]))
}

/// Finds a server like [`locate`], and installs one when none is found and `install` allows it.
///
/// # Errors
/// Returns an error when no server was found and none could be installed: the text says why each
/// way failed.
pub fn ensure(install: Install) -> Result<Found, Error> {
    let missing = match search(&Real) {
        Ok(found) => return Ok(found),
        Err(missing) => missing,
    };
    if install == Install::Never || missing.wrong_program {
        return Err(missing.into_error(&[]));
    }
    install::provision(install).map_err(|failed| missing.into_error(&failed))
}

/// Finds a server on `PATH`, after a package manager has run.
pub(crate) fn on_path() -> Option<Found> {
    search_path(&Real, &mut Vec::new())
}

/// The parts of a machine that the search reads, so that a test can simulate another machine.
pub(crate) trait Surroundings {
    fn var(&self, name: &str) -> Option<OsString>;
    fn is_program(&self, path: &Path) -> bool;
    fn version(&self, program: &Program) -> Result<Version, String>;
    fn caches(&self) -> Vec<PathBuf>;
    fn entry(&self, path: &Path) -> Option<Launch>;
}

struct Real;

impl Surroundings for Real {
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn is_program(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }

    fn version(&self, program: &Program) -> Result<Version, String> {
        program.version()
    }

    fn caches(&self) -> Vec<PathBuf> {
        cache::directories()
    }

    fn entry(&self, path: &Path) -> Option<Launch> {
        cache::read(path)
    }
}

/// The result of a search that found no server: the reasons why programs were skipped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    seen: Vec<String>,
    wrong_program: bool,
}

impl Missing {
    fn into_error(self, failed: &[String]) -> Error {
        if self.wrong_program {
            return Error::not_found(format!(
                "{PROGRAM_VAR}: {}\nset it to a redis-server or valkey-server program, or unset it",
                self.seen.join("; ")
            ));
        }
        let mut text = String::from("no Redis or Valkey server was found");
        for line in self.seen.iter().chain(failed) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        if failed.is_empty() {
            text.push_str(
                "\nin the Poolder workspace run `cargo xtask test`, which installs one for tests \
                 alone; elsewhere set POOLDER_REDIS_BIN to a redis-server or valkey-server \
                 program, or ",
            );
        } else {
            text.push_str("\nset POOLDER_REDIS_BIN to a server program, or ");
        }
        text.push_str(&install::advice());
        Error::not_found(text)
    }
}

/// Searches in the order that [`locate`] documents.
pub(crate) fn search(here: &dyn Surroundings) -> Result<Found, Missing> {
    let mut seen = Vec::new();
    if let Some(path) = here.var(PROGRAM_VAR).filter(|path| !path.is_empty()) {
        // A named program is never replaced by another one: an unusable program is an error.
        let program = Program::at(absolute(Path::new(&path)));
        return match here.version(&program) {
            Ok(version) => Ok(found(program, version)),
            Err(reason) => Err(Missing { seen: vec![reason], wrong_program: true }),
        };
    }
    if let Some(found) = search_path(here, &mut seen) {
        return Ok(found);
    }
    for dir in here.caches() {
        for name in install::ENTRIES {
            match here.entry(&dir.join(name)) {
                Some(Launch::Program(program)) => match here.version(&program) {
                    Ok(version) => return Ok(found(program, version)),
                    Err(reason) => seen.push(reason),
                },
                Some(docker) => return Ok(Found { launch: docker, version: None }),
                None => {}
            }
        }
    }
    Err(Missing { seen, wrong_program: false })
}

fn search_path(here: &dyn Surroundings, seen: &mut Vec<String>) -> Option<Found> {
    let path = here.var("PATH").unwrap_or_default();
    for (name, _) in NAMES {
        for dir in std::env::split_paths(&path).filter(|dir| !dir.as_os_str().is_empty()) {
            let file = absolute(&dir.join(name));
            if here.is_program(&file) {
                let program = Program::at(file);
                match here.version(&program) {
                    Ok(version) => return Some(found(program, version)),
                    Err(reason) => seen.push(reason),
                }
            }
        }
    }
    None
}

fn found(program: Program, version: Version) -> Found {
    Found { launch: Launch::Program(program), version: Some(version) }
}

/// Makes a path absolute, since the server runs in another directory than the caller.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
