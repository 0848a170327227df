//! The documents name what is there.

use std::collections::HashSet;
use std::fs;

use crate::{files, none, read, root, show};

#[test]
fn every_example_is_named_in_the_readme() {
    let readme = read(&root().join("README.md"));
    let mut wrong = vec![];
    for entry in fs::read_dir(root().join("examples")).expect("examples/").flatten() {
        let path = entry.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !readme.contains(&format!("examples/{name}")) {
            wrong.push(format!("the README does not name examples/{name}"));
        }
    }
    none(&wrong);
}

#[test]
fn every_guide_is_in_the_book() {
    let book = read(&root().join("docs/README.md"));
    let entries = fs::read_dir(root().join("docs")).expect("docs/").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let pages = names.filter(|name| name.ends_with(".md") && name != "README.md");
    let missing = pages.filter(|page| !book.contains(&format!("]({page})")));
    none(&missing.map(|page| format!("docs/README.md does not link {page}")).collect::<Vec<_>>());
}

/// A name in backticks that ends in `.rs` or `.lua` is the end of a path in the tree.
#[test]
fn every_file_that_a_document_names_exists() {
    let paths: HashSet<String> =
        ["rs", "lua"].iter().flat_map(|end| files(&root(), end)).map(|file| show(&file)).collect();
    let mut wrong = vec![];
    // The list of renamed files names the old ones.
    let documents = files(&root(), "md").into_iter().filter(|file| !file.ends_with("renamed.md"));
    for document in documents {
        let text = read(&document);
        for name in text.split('`').skip(1).step_by(2) {
            let is_file = name.ends_with(".rs") || name.ends_with(".lua");
            let found = || paths.iter().any(|path| path.ends_with(&format!("/{name}")));
            if is_file && !paths.contains(name) && !found() {
                wrong.push(format!("{} names `{name}`, which is not there", show(&document)));
            }
        }
    }
    none(&wrong);
}
