//! Finds the files to count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use poolder::Result;
use serde::Deserialize;

/// The number of files from which on no further directory is read, so that the demo ends soon.
const MAX_FILES: usize = 100_000;
/// The largest file that is counted, in bytes. A larger one would take longer than all others.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The files found, and those left out.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The files, sorted by path.
    pub(crate) files: Vec<PathBuf>,
    /// Reason → the number of entries left out for it, and the path of the first.
    pub(crate) left_out: BTreeMap<String, (u64, PathBuf)>,
}

/// Finds every file under `dir`, or in the sources of the workspace's dependencies.
///
/// # Errors
/// Returns an error that names the directory if it cannot be read or holds no file.
pub(crate) fn find(dir: Option<&Path>) -> Result<Found> {
    let mut found = Found::default();
    match dir {
        Some(dir) => {
            let shown = dir.display();
            // Absolute, because other processes get the path.
            let root = dir.canonicalize().map_err(|error| format!("{shown}: {error}"))?;
            if !root.is_dir() {
                return Err(format!("{shown} is not a directory").into());
            }
            fs::read_dir(&root).map_err(|error| format!("{shown}: {error}"))?;
            found.walk(&root);
            if found.files.is_empty() {
                let hint = "name a directory that holds some";
                return Err(format!("{shown} holds no file to count: {hint}").into());
            }
        }
        None => {
            dependencies()?.iter().for_each(|root| found.walk(root));
            if found.files.is_empty() {
                return Err("the dependencies have no sources here: name a directory".into());
            }
        }
    }
    found.files.sort();
    Ok(found)
}

/// Returns the extension of a file's name, for the table.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map_or_else(|| "(none)".into(), |name| name.to_string_lossy().into_owned())
}

impl Found {
    /// Walks a directory tree without recursion, because a tree may be deeper than the stack. Stays
    /// on one file system, and so out of /proc.
    fn walk(&mut self, root: &Path) {
        let device = device(root);
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            if self.files.len() >= MAX_FILES {
                let reason = format!("not looked into, {MAX_FILES} files being enough");
                self.leave_out(reason, folder);
                continue;
            }
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.leave_out(unreadable(&error), folder);
                    continue;
                }
            };
            for entry in entries.flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => {
                        let path = entry.path();
                        if self::device(&path) == device {
                            folders.push(path);
                        } else {
                            self.leave_out("on another file system".into(), path);
                        }
                    }
                    Ok(kind) if kind.is_file() => self.take(entry.path()),
                    // A symbolic link leads to a file that is counted elsewhere or lies outside the
                    // tree. A pipe or device has no content to count.
                    Ok(_) => self.leave_out("neither file nor directory".into(), entry.path()),
                    Err(error) => self.leave_out(unreadable(&error), entry.path()),
                }
            }
        }
    }

    fn take(&mut self, path: PathBuf) {
        // Opens the file: its permissions alone do not tell whether that works.
        match File::open(&path).and_then(|file| file.metadata()) {
            Ok(about) if about.len() > MAX_BYTES => {
                self.leave_out(format!("larger than {} MiB", MAX_BYTES >> 20), path);
            }
            Ok(_) => self.files.push(path),
            Err(error) => self.leave_out(unreadable(&error), path),
        }
    }

    fn leave_out(&mut self, reason: String, path: PathBuf) {
        self.left_out.entry(reason).or_insert((0, path)).0 += 1;
    }
}

fn device(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|about| about.dev())
}

fn unreadable(error: &io::Error) -> String {
    format!("can not be read ({})", error.kind())
}

/// Returns the directories of the packages that this workspace depends on.
fn dependencies() -> Result<BTreeSet<PathBuf>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        manifest_path: PathBuf,
        /// `None` for the packages of this workspace.
        source: Option<String>,
    }

    let about = cargo(&["-vV"])?;
    let about = String::from_utf8_lossy(&about);
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let mut words = vec!["metadata", "--format-version", "1", "--locked"];
    // Without this option cargo would download the packages of all other systems, too.
    words.extend(host.iter().flat_map(|host| ["--filter-platform", host]));
    let metadata: Metadata = serde_json::from_slice(&cargo(&words)?)?;
    let foreign = metadata.packages.into_iter().filter(|package| package.source.is_some());
    Ok(foreign.filter_map(|package| package.manifest_path.parent().map(Into::into)).collect())
}

fn cargo(words: &[&str]) -> Result<Vec<u8>> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| format!("can not run cargo to find sources, name a directory: {error}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("cargo {} failed: {reason}", words[0]).into());
    }
    Ok(output.stdout)
}
