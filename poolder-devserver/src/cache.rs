//! Cache of installed servers: its directories and the description of each entry.

use std::io;
use std::path::{Path, PathBuf};

use crate::launch::{Launch, Program};

/// The file in each entry that describes the server to start.
const MANIFEST: &str = "poolder-dev.txt";

/// Returns the cache directories, best first: the workspace's, then the user's.
///
/// The workspace is found from the working directory, not from `CARGO_TARGET_DIR`: `cargo xtask`
/// and every test binary must find the same place, whatever target directory each was built in.
pub(crate) fn directories() -> Vec<PathBuf> {
    let var = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let workspace = std::env::current_dir().ok().and_then(|dir| workspace_root(&dir));
    let user = var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")));
    workspace
        .map(|root| root.join("target/poolder-dev"))
        .into_iter()
        .chain(user.map(|dir| dir.join("poolder")))
        .collect()
}

/// Returns the outermost workspace: a package inside it that is a workspace itself shares the
/// cache.
fn workspace_root(dir: &Path) -> Option<PathBuf> {
    let is_root = |dir: &&Path| {
        std::fs::read_to_string(dir.join("Cargo.toml"))
            .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
    };
    dir.ancestors().filter(is_root).last().map(Path::to_path_buf)
}

/// Reads the description of an entry; `None` when it is missing or cannot be parsed.
pub(crate) fn read(entry: &Path) -> Option<Launch> {
    parse(entry, &std::fs::read_to_string(entry.join(MANIFEST)).ok()?)
}

fn parse(entry: &Path, text: &str) -> Option<Launch> {
    let mut launch = None;
    let mut libraries = Vec::new();
    for line in text.lines() {
        match line.split_once(' ')? {
            ("program", path) => launch = Some(Launch::Program(Program::at(entry.join(path)))),
            ("image", image) => launch = Some(Launch::Docker(image.to_owned())),
            ("libraries", path) => libraries.push(entry.join(path)),
            _ => return None,
        }
    }
    if let Some(Launch::Program(program)) = &mut launch {
        program.libraries = libraries;
    }
    launch
}

/// Writes the description of the server in `staging`. Paths are relative, so that the entry is
/// valid after it is moved to its place.
pub(crate) fn describe(staging: &Path, launch: &Launch) -> io::Result<()> {
    let relative = |path: &Path| path.strip_prefix(staging).unwrap_or(path).display().to_string();
    let text = match launch {
        Launch::Docker(image) => format!("image {image}\n"),
        Launch::Program(program) => {
            let mut text = format!("program {}\n", relative(&program.path));
            for dir in &program.libraries {
                text.push_str(&format!("libraries {}\n", relative(dir)));
            }
            text
        }
    };
    std::fs::write(staging.join(MANIFEST), text)
}

/// Moves a complete entry to its place. If another process has published the entry first, that
/// entry is used: both are equivalent.
pub(crate) fn publish(staging: &Path, entry: &Path) -> Result<Launch, String> {
    if read(entry).is_none() {
        // An entry that cannot be parsed is replaced.
        let _ = std::fs::remove_dir_all(entry);
        if let Err(error) = std::fs::rename(staging, entry)
            && read(entry).is_none()
        {
            return Err(format!("can not write {}: {error}", entry.display()));
        }
    }
    read(entry).ok_or_else(|| format!("{} does not describe a server", entry.display()))
}

#[cfg(test)]
mod tests {
    use super::{describe, parse, publish, read, workspace_root};
    use crate::launch::{Launch, Program};
    use crate::tempdir;
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_described_entry_is_read_in_its_final_place() {
        let dir = tempdir::create().expect("a directory");
        let (staging, entry) = (dir.join("staging"), dir.join("entry"));
        fs::create_dir(&staging).expect("created");
        let mut program = Program::at(staging.join("usr/bin/redis-check-rdb"));
        program.libraries = vec![staging.join("usr/lib/a"), staging.join("lib")];
        describe(&staging, &Launch::Program(program)).expect("written");
        let published = publish(&staging, &entry);
        let again = read(&entry);
        fs::remove_dir_all(&dir).expect("removed");

        let mut program = Program::at(entry.join("usr/bin/redis-check-rdb"));
        program.libraries = vec![entry.join("usr/lib/a"), entry.join("lib")];
        assert_eq!(program.alias, Some("redis-server"));
        assert_eq!(published, Ok(Launch::Program(program.clone())));
        assert_eq!(again, Some(Launch::Program(program)));
    }

    #[test]
    fn the_first_of_two_installers_wins() {
        let dir = tempdir::create().expect("a directory");
        let entry = dir.join("entry");
        for image in ["first", "second"] {
            let staging = dir.join(image);
            fs::create_dir(&staging).expect("created");
            describe(&staging, &Launch::Docker(image.to_owned())).expect("written");
            assert_eq!(publish(&staging, &entry), Ok(Launch::Docker("first".to_owned())));
        }
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn other_files_are_no_entry() {
        for text in ["", "nonsense", "program", "future thing\nprogram x"] {
            assert_eq!(parse(Path::new("/e"), text), None, "{text}");
        }
    }

    #[test]
    fn the_outermost_workspace_is_found_from_within() {
        let dir = tempdir::create().expect("a directory");
        let inner = dir.join("bench/src");
        fs::create_dir_all(&inner).expect("created");
        let nothing = workspace_root(&inner);
        fs::write(dir.join("Cargo.toml"), "[workspace]\nmembers = []\n").expect("written");
        fs::write(dir.join("bench/Cargo.toml"), "[package]\n[workspace]\n").expect("written");
        let found = workspace_root(&inner);
        fs::remove_dir_all(&dir).expect("removed");
        assert_eq!(nothing, None);
        assert_eq!(found, Some(dir));
    }
}
