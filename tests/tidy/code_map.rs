//! `ARCHITECTURE.md` shows the tree as it is: its layers, its folders, and the functions of its
//! walks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::layers::{Crate, Layer, table::CRATES};
use crate::{PUBLISHED, none, read, root, show, sources};

const MAP: &str = "ARCHITECTURE.md";

#[test]
fn the_map_has_every_layer_with_its_imports_and_no_other() {
    let map = read(&root().join(MAP));
    let mut wrong = vec![];
    for Crate { name, layers } in CRATES {
        let heading = format!("### `{name}/src`");
        let Some((_, section)) = map.split_once(&heading) else {
            wrong.push(format!("{MAP} has no section {heading}"));
            continue;
        };
        let rows: Vec<Vec<&str>> = section
            .lines()
            .take_while(|line| !line.starts_with("##"))
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split(" | ").collect())
            .collect();
        for (at, layer) in layers.iter().enumerate() {
            let (shown, imports) = (format!("| `{}`", layer.name), imports(layer, &layers[..at]));
            match rows.get(at) {
                Some(row) if row[0] == shown && row.get(2) == Some(&&*imports) => {}
                found => {
                    let found = found.map(|row| row.join(" | "));
                    wrong.push(format!(
                        "{name}: row {at} must be {shown} | … | {imports}: {found:?}"
                    ));
                }
            }
        }
        if rows.len() != layers.len() {
            wrong.push(format!("{name}: {} rows for {} layers", rows.len(), layers.len()));
        }
    }
    none(&wrong);
}

/// Returns what a layer imports, as the map says it.
fn imports(layer: &Layer, above: &[Layer]) -> String {
    let imported = |other: &&Layer| layer.imports.contains(&other.name);
    let names = |layers: Vec<&Layer>| {
        layers.iter().map(|layer| format!("`{}`", layer.name)).collect::<Vec<_>>().join(", ")
    };
    let (inside, outside): (Vec<&Layer>, Vec<&Layer>) = above.iter().partition(imported);
    match (inside.len(), outside.len()) {
        (0, _) => "nothing".into(),
        (1, 0) => names(inside),
        (_, 0) => "all above".into(),
        (within, without) if without < within => format!("all above but {}", names(outside)),
        _ => names(inside),
    }
}

#[test]
fn the_map_has_every_folder_of_sources() {
    let map = read(&root().join(MAP));
    let named: BTreeSet<&str> = map.split('`').skip(1).step_by(2).collect();
    let is_named = |path: &str| {
        let ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
        std::iter::once(path)
            .chain(ends)
            .any(|end| named.contains(end) || named.contains(&*format!("{end}/")))
    };
    let mut wrong = vec![];
    for folder in PUBLISHED.iter().chain(&["poolder-devserver/src", "model/src"]) {
        let of_code = folders(&root().join(folder)).into_iter().filter(|path| has_code(path));
        for path in of_code.map(|path| show(&path)) {
            if !is_named(&path) {
                wrong.push(format!("{MAP} does not say what is in {path}"));
            }
        }
    }
    none(&wrong);
}

/// Returns whether a folder has more than tests.
fn has_code(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    !folder.ends_with("tests") && entries.any(|entry| entry.file_name() != "tests.rs")
}

/// Returns the folders below a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let inside: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|it| it.is_dir()).collect();
    inside
        .into_iter()
        .flat_map(|folder| [vec![folder.clone()], folders(&folder)].concat())
        .collect()
}

/// `docs/wire.md` has the same keys as the code; a test of the core compares them.
#[test]
fn the_table_of_keys_is_that_of_the_wire() {
    let keys = |file: &str, heading: &str| -> Vec<String> {
        let text = read(&root().join(file));
        let (_, section) = text.split_once(heading).expect(heading);
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter(|line| line.starts_with("| `{"));
        rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
    };
    let wire = keys("docs/wire.md", "\n## Keys\n");
    assert!(wire.len() > 40, "{wire:?}");
    assert_eq!(keys(MAP, "\n## In Redis\n"), wire);
}

#[test]
fn every_function_of_a_walk_is_in_the_file_before_or_after_it() {
    let map = read(&root().join(MAP));
    let (_, walks) = map.split_once("\n## The walks\n").expect("the walks");
    let (walks, _) = walks.split_once("\n## ").expect("a section behind the walks");
    let sources: Vec<PathBuf> =
        PUBLISHED.iter().flat_map(|folder| sources(&root().join(folder))).collect();
    let (mut wrong, mut seen) = (vec![], 0);
    for step in walks.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        let code: Vec<&str> = step.split('`').skip(1).step_by(2).collect();
        let file_of = |span: &&&str| span.ends_with(".rs");
        for (at, function) in code.iter().enumerate() {
            let Some(name) = function.strip_suffix("()") else { continue };
            seen += 1;
            // "`f()` of `file.rs`", or the file that was named last.
            let of_next = step.contains(&format!("`{function}` of `"));
            let next = code.get(at + 1).filter(|_| of_next);
            let Some(file) = next.or_else(|| code[..at].iter().rev().find(file_of)) else {
                wrong.push(format!("no file stands before `{function}`: {step}"));
                continue;
            };
            let defines = |path: &&PathBuf| {
                let path_of = show(path);
                (path_of == **file || path_of.ends_with(&format!("/{file}"))) && {
                    let text = read(path);
                    text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"))
                }
            };
            if !sources.iter().any(|path| defines(&path)) {
                wrong.push(format!(
                    "{file} has no function `{name}`: {}",
                    &step[..step.len().min(40)]
                ));
            }
        }
    }
    none(&wrong);
    assert!(seen > 60, "the walks name functions");
}
