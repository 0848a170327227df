//! Layers inside the published crates: which files may import which.
//!
//! [`table`] lists the layers. A file that imports against the table belongs to another layer, or
//! the imported item does. There are no exceptions, and no files import each other in a circle.

pub(crate) mod table;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;

use crate::imports::Imports;
use crate::{none, root};
use table::CRATES;

/// One crate, and its layers from the lowest to the highest.
pub(crate) struct Crate {
    pub(crate) name: &'static str,
    pub(crate) layers: &'static [Layer],
}

pub(crate) struct Layer {
    pub(crate) name: &'static str,
    /// Files and folders, relative to `src`: `job` is `job.rs` and all of `job/`. The longest that
    /// fits a file decides.
    holds: &'static [&'static str],
    /// The lower layers that this one may import.
    pub(crate) imports: &'static [&'static str],
}

/// The crates of the table with what their files import, read once for all tests.
static READ: LazyLock<Vec<(&Crate, Imports)>> = LazyLock::new(|| {
    let read = |member: &Crate| Imports::of_folder(&root().join(member.name).join("src"));
    CRATES.iter().map(|member| (member, read(member))).collect()
});

impl Crate {
    /// Returns the layer of a file. `lib.rs` has none.
    fn layer_of(&self, file: &str) -> Option<&Layer> {
        let entries = self.layers.iter().flat_map(|layer| {
            layer.holds.iter().filter(|entry| fits(entry, file)).map(move |entry| (entry, layer))
        });
        entries.max_by_key(|(entry, _)| entry.len()).map(|(_, layer)| layer)
    }

    /// Returns the arrows that the table does not allow, each with the path that makes it.
    fn upward<'a>(&self, imports: &'a Imports) -> Vec<(&'a str, &'a str, &'a str)> {
        let allowed = |from: &str, to: &str| match (self.layer_of(from), self.layer_of(to)) {
            (Some(from), Some(to)) => from.name == to.name || from.imports.contains(&to.name),
            // `lib.rs` has no layer, and a file without one is reported as such.
            _ => true,
        };
        let arrows = imports.arrows.iter();
        arrows
            .filter(|((from, to), _)| !allowed(from, to))
            .map(|((from, to), path)| (from.as_str(), to.as_str(), path.as_str()))
            .collect()
    }

    fn layer_name(&self, file: &str) -> &str {
        self.layer_of(file).map_or("none", |layer| layer.name)
    }
}

fn fits(entry: &str, file: &str) -> bool {
    file.strip_prefix(entry)
        .is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

#[test]
fn every_path_inside_a_crate_is_resolved() {
    let mut wrong = vec![];
    for (member, imports) in READ.iter() {
        for problem in &imports.unresolved {
            wrong.push(format!(
                "{}/src/{problem}: tests/tidy/imports does not see what the compiler sees; extend it",
                member.name
            ));
        }
    }
    none(&wrong);
}

#[test]
fn every_file_has_one_layer() {
    let mut wrong = vec![];
    for (member, imports) in READ.iter() {
        let (name, files) = (member.name, &imports.files);
        for file in files.iter().filter(|file| *file != "lib.rs") {
            if member.layer_of(file).is_none() {
                wrong.push(format!("{name}/src/{file} has no layer: add it to one in the table"));
            }
        }
        let mut entries = BTreeSet::new();
        let mut lower = vec![];
        for layer in member.layers {
            for entry in layer.holds {
                if !entries.insert(entry) {
                    wrong.push(format!("{name}: two layers hold `{entry}`: strike one"));
                }
                if !files.iter().any(|file| fits(entry, file)) {
                    wrong.push(format!("{name}: there is no file `{entry}`: strike the entry"));
                }
            }
            for import in layer.imports.iter().filter(|import| !lower.contains(import)) {
                let layer = layer.name;
                wrong.push(format!("{name}: `{import}` is no layer below `{layer}` in the table"));
            }
            lower.push(&layer.name);
        }
    }
    none(&wrong);
}

#[test]
fn imports_follow_the_table() {
    let mut wrong = vec![];
    for (member, imports) in READ.iter() {
        let name = member.name;
        for (from, to, path) in member.upward(imports) {
            let (above, below) = (member.layer_name(to), member.layer_name(from));
            wrong.push(format!(
                "{name}/src/{from} imports `{path}` of {to}: the layer `{below}` may not import \
                 `{above}`. Move the imported item to a lower layer, or move the file up"
            ));
        }
    }
    none(&wrong);
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut wrong = vec![];
    for (member, imports) in READ.iter() {
        for circle in imports.circles() {
            wrong.push(format!(
                "{} has a circle: {}. Move the items that both sides need to a file below them",
                member.name,
                circle.join(", ")
            ));
        }
    }
    none(&wrong);
}

/// Prints the state of the layers; `cargo xtask layers` runs this.
#[test]
fn report() {
    let mut text = String::new();
    for (member, imports) in READ.iter() {
        describe(member, imports, &mut text).expect("a String takes all");
    }
    println!("{text}");
}

fn describe(member: &Crate, imports: &Imports, text: &mut String) -> std::fmt::Result {
    let (upward, circles) = (member.upward(imports), imports.circles());
    let in_circles: usize = circles.iter().map(Vec::len).sum();
    writeln!(
        text,
        "\n{}: {} files, {} arrows, {} against the table, {} circles of {in_circles} files",
        member.name,
        imports.files.len(),
        imports.arrows.len(),
        upward.len(),
        circles.len(),
    )?;
    for (from, to, path) in upward {
        let (below, above) = (member.layer_name(from), member.layer_name(to));
        writeln!(text, "  against the table: {from} ({below}) -> {to} ({above})  {path}")?;
    }
    for circle in circles {
        writeln!(text, "  circle of {}: {}", circle.len(), circle.join(" "))?;
    }
    for problem in &imports.unresolved {
        writeln!(text, "  unresolved: {problem}")?;
    }
    Ok(())
}
