//! Private directories whose path is short enough for a unix socket.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::namespace::random;

/// File name of the socket.
pub(crate) const SOCKET: &str = "s.sock";

/// Maximum length of a socket path in bytes. The address of a unix socket holds 104 bytes on macOS
/// and 108 on Linux, including the closing zero; the smaller limit is valid everywhere.
const MAX_PATH: usize = 103;

/// Length of `/poolder-`, sixteen digits and `/s.sock`.
const ADDED: usize = "/poolder-".len() + 16 + "/".len() + SOCKET.len();

/// Creates a fresh directory that only this user can enter. The caller has to remove it.
pub(crate) fn create() -> Result<PathBuf, Error> {
    let base = base(&[std::env::temp_dir(), PathBuf::from("/tmp")])?;
    let dir = base.join(format!("poolder-{:016x}", random()));
    match DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => Ok(dir),
        Err(error) => Err(unusable(&base, &error)),
    }
}

fn unusable(base: &Path, error: &io::Error) -> Error {
    Error::failed(format!(
        "can not create a directory in {}: {error}; set TMPDIR to a writable directory",
        base.display()
    ))
}

/// Returns the first candidate in which the path of a socket is short enough.
fn base(candidates: &[PathBuf]) -> Result<PathBuf, Error> {
    let fits = |dir: &&PathBuf| {
        dir.is_absolute() && dir.is_dir() && dir.as_os_str().as_bytes().len() + ADDED <= MAX_PATH
    };
    candidates.iter().find(fits).cloned().ok_or_else(|| {
        Error::failed(format!(
            "no temporary directory is short enough for a unix socket ({}): set TMPDIR to an \
             existing directory whose path has at most {} bytes",
            candidates.iter().map(|c| c.display().to_string()).collect::<Vec<_>>().join(", "),
            MAX_PATH - ADDED
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{ADDED, MAX_PATH, SOCKET, base, create};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    #[test]
    fn the_directory_is_private_and_its_socket_path_fits() {
        let dir = create().expect("a directory");
        let mode = std::fs::metadata(&dir).expect("it exists").permissions().mode();
        std::fs::remove_dir(&dir).expect("it is empty");
        assert_eq!(mode & 0o777, 0o700);
        assert!(dir.join(SOCKET).as_os_str().as_bytes().len() <= MAX_PATH);
    }

    #[test]
    fn a_path_too_long_is_passed_over() {
        let parent = create().expect("a directory");
        let long = parent.join("a".repeat(MAX_PATH));
        std::fs::create_dir(&long).expect("a long directory");
        let chosen = base(&[long.clone(), parent.clone()]);
        let refused = base(&[long, PathBuf::from("relative"), parent.join("absent")]);
        std::fs::remove_dir_all(&parent).expect("removed");
        assert_eq!(chosen.expect("the short one"), parent);
        let text = refused.expect_err("nothing fits").to_string();
        assert!(text.contains(&format!("at most {} bytes", MAX_PATH - ADDED)), "{text}");
    }
}
