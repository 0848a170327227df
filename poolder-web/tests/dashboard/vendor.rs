//! The scripts of others are those of the table beside them.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

#[test]
fn the_vendored_files_have_the_hashes_of_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/vendor");
    let table = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut scripts = 0;
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with(".js") && !name.ends_with(".css") {
            continue;
        }
        let hash = Sha256::digest(fs::read(entry.path()).unwrap());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = table.lines().find(|line| line.starts_with(&format!("| {name} |")));
        assert!(row.is_some_and(|row| row.contains(&hash)), "{name} has the hash {hash}");
        scripts += 1;
    }
    assert_eq!(scripts, 4);
}
