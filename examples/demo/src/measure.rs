//! Measures a file. This module does not use a queue.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The measurements of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) bytes: u64,
    /// The number of runs of bytes that are not ASCII white space.
    pub(crate) words: u64,
    /// The SHA-256 of the content, in hex.
    pub(crate) hash: String,
}

/// Reads a file in pieces, hashes it and counts its words. Never holds the whole file in memory.
pub(crate) fn measure(path: &Path) -> io::Result<Figures> {
    let mut file = File::open(path)?;
    let (mut bytes, mut words, mut in_word) = (0, 0, false);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let piece = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes += piece.len() as u64;
        hash.update(piece);
        for byte in piece {
            let is_space = byte.is_ascii_whitespace();
            words += u64::from(in_word && is_space);
            in_word = !is_space;
        }
    }
    words += u64::from(in_word);
    Ok(Figures { bytes, words, hash: hex(&hash.finalize()) })
}

/// Returns a short key for a file, the SHA-256 of its path. It is text whatever bytes the path has.
pub(crate) fn file_key(path: &Path) -> String {
    hex(&Sha256::digest(path.as_os_str().as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::measure;

    #[test]
    fn a_file_is_measured_across_the_borders_of_its_pieces() {
        let path = std::env::temp_dir().join(format!("poolder-demo-{}", std::process::id()));
        // Longer than one piece, so that a word crosses the border of two pieces.
        let text = "  one two\n".repeat(10_000) + "\tthree";
        std::fs::write(&path, &text).expect("a file in the temporary directory");
        let figures = measure(&path);
        std::fs::write(&path, "abc").expect("it can be written again");
        let short = measure(&path).expect("it can be read");
        std::fs::remove_file(&path).expect("it can go");
        let figures = figures.expect("it can be read");
        assert_eq!((figures.bytes, figures.words), (text.len() as u64, 20_001));
        assert_eq!((short.bytes, short.words), (3, 1));
        // The test vector of FIPS 180-4.
        assert!(short.hash.starts_with("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61"));
    }
}
