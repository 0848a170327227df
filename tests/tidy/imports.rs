//! The import graph of a crate: which file uses what another file defines.
//!
//! An arrow leads to the file that defines the item, through all re-exports on the way. `mod`
//! declarations and re-exports of a child's items are no arrows, and tests have none. Methods are
//! not seen: a call `broker.claim()` names no path.

pub(crate) mod items;
mod mentions;
pub(crate) mod modules;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use modules::{Found, Modules};
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

/// The files of a crate, named relative to its `src`, and the arrows between them.
pub(crate) struct Imports {
    pub(crate) files: BTreeSet<String>,
    /// From and to, with one path that makes the arrow.
    pub(crate) arrows: BTreeMap<(String, String), String>,
    /// Paths that begin in this crate and lead to nothing that is known here: each is a gap of
    /// this tool, since the compiler accepts them.
    pub(crate) unresolved: Vec<String>,
}

impl Imports {
    /// Reads the crate whose sources are in this folder.
    pub(crate) fn of_folder(src: &Path) -> Self {
        Self::of(&|file| fs::read_to_string(src.join(file)).ok())
    }

    /// Reads the crate whose files this function returns, beginning with `lib.rs`.
    fn of(read: &dyn Fn(&str) -> Option<String>) -> Self {
        let modules = Modules::of(read);
        let files = modules.files().map(str::to_owned).collect();
        let mut imports =
            Self { files, arrows: BTreeMap::new(), unresolved: modules.problems.clone() };
        for module in modules.ids() {
            for mention in mentions::of(&modules, module) {
                imports.add(&modules, module, &mention);
            }
        }
        imports
    }

    fn add(&mut self, modules: &Modules, from: usize, mention: &mentions::Mention) {
        let file = modules.file(from);
        let written = mention.path.join("::");
        let target = match modules.resolve(from, &mention.path) {
            Found::Module(target) | Found::Item(target) => target,
            Found::Foreign => return,
            Found::Missing => {
                self.unresolved.push(format!("{file}: `{written}` leads to nothing known"));
                return;
            }
        };
        let to = modules.file(target);
        let reexport = mention.is_public && modules.is_within(target, from);
        if to != file && !reexport {
            self.arrows.entry((file.to_owned(), to.to_owned())).or_insert(written);
        }
    }

    /// The circles: files that all reach each other, each set with more than one.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let mut graph = DiGraph::<&str, ()>::new();
        let nodes: BTreeMap<&str, _> =
            self.files.iter().map(|file| (file.as_str(), graph.add_node(file))).collect();
        for (from, to) in self.arrows.keys() {
            graph.add_edge(nodes[from.as_str()], nodes[to.as_str()], ());
        }
        let components = tarjan_scc(&graph).into_iter().filter(|nodes| nodes.len() > 1);
        let mut circles: Vec<Vec<&str>> = components
            .map(|nodes| {
                let mut files: Vec<&str> = nodes.into_iter().map(|node| graph[node]).collect();
                files.sort_unstable();
                files
            })
            .collect();
        circles.sort_by_key(|files| (std::cmp::Reverse(files.len()), files[0]));
        circles
    }
}
