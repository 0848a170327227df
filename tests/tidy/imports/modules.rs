//! The modules of a crate, the names in each, and what a path leads to.

use std::collections::{HashMap, HashSet};

use syn::Item;

use super::items::{Segments, attributes, is_for_tests, leaves, words};

/// The target of a path.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Found {
    Module(usize),
    /// An item that this module defines.
    Item(usize),
    /// An item of another crate.
    Foreign,
    Missing,
}

/// The meaning of a name in a module.
enum Name {
    Module(usize),
    /// An item that this module defines.
    Item(usize),
    Import(Segments),
}

struct Module {
    file: String,
    parent: Option<usize>,
    items: Vec<Item>,
    /// Values, types and macros may share a name, so that it has several meanings.
    names: HashMap<String, Vec<Name>>,
    globs: Vec<Segments>,
    /// Words given to macros that stand among the items: some of them are names of items that the
    /// macro defines.
    made: HashSet<String>,
}

/// The definition to which a path leads, through all re-exports of its crate.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Defined {
    Module(usize),
    /// An item of this name in a module, and the rest of the path: a variant of an enum.
    Item(usize, String, Segments),
    /// A path into another crate.
    Foreign(Segments),
}

/// All modules of a crate that are not for tests alone; the root is the first.
pub(crate) struct Modules {
    all: Vec<Module>,
    /// The reasons why parts of the crate could not be read.
    pub(super) problems: Vec<String>,
}

pub(crate) const ROOT: usize = 0;

/// The most re-exports that [`Modules::define`] follows: `use tracing;` names itself.
const MAX_REEXPORTS: usize = 32;

impl Modules {
    pub(crate) fn of(read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut modules = Self { all: vec![], problems: vec![] };
        modules.open(read, "lib.rs", None, "");
        modules
    }

    pub(crate) fn ids(&self) -> std::ops::Range<usize> {
        0..self.all.len()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|module| module.file.as_str())
    }

    pub(super) fn file(&self, module: usize) -> &str {
        &self.all[module].file
    }

    pub(crate) fn items(&self, module: usize) -> &[Item] {
        &self.all[module].items
    }

    /// True for the module itself and all below it.
    pub(super) fn is_within(&self, module: usize, above: usize) -> bool {
        self.and_above(module).any(|id| id == above)
    }

    /// The module, its parent, and so on up to the root.
    fn and_above(&self, module: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(module), |id| self.all[*id].parent)
    }

    /// How many modules above this one the `macro_rules!` stands whose text reaches down to here.
    pub(super) fn levels_to_macro(&self, module: usize, name: &str) -> Option<usize> {
        self.and_above(module).position(|id| {
            self.all[id].items.iter().any(|item| match item {
                Item::Macro(item) => item.ident.as_ref().is_some_and(|ident| ident == name),
                _ => false,
            })
        })
    }

    /// Parses a file, and those of the modules that it declares in `folder`.
    fn open(
        &mut self,
        read: &dyn Fn(&str) -> Option<String>,
        file: &str,
        parent: Option<usize>,
        folder: &str,
    ) -> usize {
        let text = read(file).unwrap_or_default();
        let items = syn::parse_file(&text).map(|parsed| parsed.items).unwrap_or_else(|error| {
            self.problems.push(format!("{file} cannot be parsed: {error}"));
            vec![]
        });
        self.fill(read, file, parent, folder, items)
    }

    fn fill(
        &mut self,
        read: &dyn Fn(&str) -> Option<String>,
        file: &str,
        parent: Option<usize>,
        folder: &str,
        mut items: Vec<Item>,
    ) -> usize {
        items.retain(|item| !is_for_tests(attributes(item)));
        let id = self.all.len();
        let names = HashMap::new();
        let (file, globs, made) = (file.to_owned(), vec![], HashSet::new());
        self.all.push(Module { file: file.clone(), parent, items: vec![], names, globs, made });
        for item in &mut items {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                let below = format!("{folder}{name}/");
                let child = match child.content.take() {
                    Some((_, items)) => self.fill(read, &file, Some(id), &below, items),
                    None => {
                        let beside = format!("{folder}{name}.rs");
                        let inside = format!("{below}mod.rs");
                        let Some(found) = [beside, inside].into_iter().find(|f| read(f).is_some())
                        else {
                            self.problems.push(format!("{file}: `mod {name}` has no file"));
                            continue;
                        };
                        self.open(read, &found, Some(id), &below)
                    }
                };
                self.name(id, name, Name::Module(child));
            }
            self.declare(id, item);
        }
        self.all[id].items = items;
        id
    }

    /// Enters the names that an item brings into its module.
    fn declare(&mut self, module: usize, item: &Item) {
        let ident = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Use(item) => {
                for leaf in leaves(item) {
                    match leaf.name {
                        Some(name) => self.name(module, name, Name::Import(leaf.path)),
                        None => self.all[module].globs.push(leaf.path),
                    }
                }
                return;
            }
            Item::Macro(item) => match &item.ident {
                Some(ident) => {
                    let exported = item.attrs.iter().any(|a| a.path().is_ident("macro_export"));
                    if exported {
                        self.name(ROOT, ident.to_string(), Name::Item(module));
                    }
                    ident
                }
                None => {
                    words(item.mac.tokens.clone(), &mut self.all[module].made);
                    return;
                }
            },
            _ => return,
        };
        self.name(module, ident.to_string(), Name::Item(module));
    }

    fn name(&mut self, module: usize, name: String, meaning: Name) {
        self.all[module].names.entry(name).or_default().push(meaning);
    }

    /// Returns the definition to which a path that is written in this module leads.
    pub(crate) fn define(&self, from: usize, path: &[String]) -> Defined {
        self.definition(from, path, MAX_REEXPORTS)
    }

    fn definition(&self, from: usize, path: &[String], left: usize) -> Defined {
        let foreign = || Defined::Foreign(path.to_vec());
        let (Some((first, rest)), Some(left)) = (path.split_first(), left.checked_sub(1)) else {
            return if path.is_empty() { Defined::Module(from) } else { foreign() };
        };
        let here = &self.all[from];
        match (first.as_str(), here.parent) {
            ("crate", _) => return self.definition(ROOT, rest, left),
            ("self", _) => return self.definition(from, rest, left),
            ("super", Some(parent)) => return self.definition(parent, rest, left),
            _ => {}
        }
        let through = |import: &Segments| {
            let path = [import.as_slice(), rest].concat();
            let here = import.first() != Some(first);
            if here { self.definition(from, &path, left) } else { Defined::Foreign(path) }
        };
        let meanings = here.names.get(first).map(Vec::as_slice).unwrap_or_default();
        let mut found = meanings.iter().map(|meaning| match meaning {
            Name::Module(id) => self.definition(*id, rest, left),
            Name::Item(id) => Defined::Item(*id, first.clone(), rest.to_vec()),
            Name::Import(import) => through(import),
        });
        let is_here = |found: &Defined| !matches!(found, Defined::Foreign(_));
        let by_globs = || {
            let globs = here.globs.iter();
            let paths = globs.map(|glob| [glob.as_slice(), path].concat());
            paths.map(|path| self.definition(from, &path, left)).find(is_here)
        };
        found.next().or_else(by_globs).unwrap_or_else(foreign)
    }

    /// Returns what a path that is written in this module leads to.
    pub(super) fn resolve(&self, from: usize, path: &[String]) -> Found {
        self.follow(from, path, &mut vec![])
    }

    /// `under_way` holds the names that are being looked up: `use tracing;` names itself.
    fn follow(&self, from: usize, path: &[String], under_way: &mut Vec<(usize, String)>) -> Found {
        let mut here = Found::Module(from);
        let mut rest = path.iter().enumerate().peekable();
        while let Some((at, segment)) = rest.next() {
            let Found::Module(module) = here else { return here };
            here = match (segment.as_str(), self.all[module].parent) {
                ("crate", _) if at == 0 => Found::Module(ROOT),
                ("self", _) => here,
                ("super", Some(parent)) => Found::Module(parent),
                (name, _) => match self.look_up(module, name, rest.peek().is_some(), under_way) {
                    // A path begins with a name of this crate or with another crate.
                    Found::Missing if at == 0 => return Found::Foreign,
                    found => found,
                },
            };
        }
        here
    }

    /// Returns what a name in a module stands for: as the middle of a path rather a module, as its
    /// end rather an item.
    fn look_up(
        &self,
        module: usize,
        name: &str,
        in_the_middle: bool,
        under_way: &mut Vec<(usize, String)>,
    ) -> Found {
        let asked = (module, name.to_owned());
        if under_way.contains(&asked) {
            return Found::Missing;
        }
        under_way.push(asked);
        let here = &self.all[module];
        let meanings = here.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut found: Vec<Found> = meanings
            .iter()
            .map(|meaning| match meaning {
                Name::Module(id) => Found::Module(*id),
                Name::Item(id) => Found::Item(*id),
                Name::Import(path) => self.follow(module, path, under_way),
            })
            .collect();
        if found.is_empty() {
            found.extend(here.globs.iter().filter_map(|glob| {
                match self.follow(module, glob, under_way) {
                    Found::Module(id) => Some(self.look_up(id, name, in_the_middle, under_way)),
                    _ => None,
                }
            }));
        }
        under_way.pop();
        found.retain(|found| *found != Found::Missing);
        let wanted = |found: &&Found| matches!(found, Found::Module(_)) == in_the_middle;
        let made = here.made.contains(name).then_some(Found::Item(module));
        found.iter().find(wanted).or(found.first()).copied().or(made).unwrap_or(Found::Missing)
    }
}
