//! Walks the facade and writes the listing.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Item, ItemFn, Meta, Visibility};

use super::members;
use super::sources::{At, MACROS, Sources, Target};
use super::text::{is_hidden, marks, signature, text};
use crate::imports::items::{attributes, leaves};
use crate::imports::modules::ROOT;

const FACADE: At = ("poolder", ROOT);

/// Returns the listing: a block for each item, sorted by the path under which users name it.
pub(super) fn listing() -> String {
    let sources = Sources::read();
    let mut walk = Walk { sources: &sources, paths: BTreeMap::new(), blocks: BTreeMap::new() };
    walk.module("poolder", FACADE);
    let Walk { paths, mut blocks, .. } = walk;
    members::add_impls(&sources, &paths, &mut blocks);
    let blocks: Vec<String> = blocks.iter().map(|(path, block)| block.show(path)).collect();
    // Items of one line stand together.
    let is_long = |block: &str| block.lines().count() > 1;
    let mut out = String::new();
    for (at, block) in blocks.iter().enumerate() {
        if at > 0 && (is_long(block) || is_long(&blocks[at - 1])) {
            out.push('\n');
        }
        out.push_str(block);
    }
    out
}

/// The lines of one item.
#[derive(Default)]
pub(super) struct Block {
    pub(super) head: String,
    /// Fields, variants and items of a trait, in their order.
    pub(super) members: Vec<String>,
    /// Methods, and implemented traits.
    pub(super) impls: BTreeSet<String>,
    /// The names of implemented traits that need no line of their own.
    pub(super) traits: BTreeSet<String>,
}

impl Block {
    fn show(&self, path: &str) -> String {
        let traits: Vec<&str> = self.traits.iter().map(String::as_str).collect();
        let traits = (!traits.is_empty()).then(|| format!("traits {path}: {}", traits.join(", ")));
        let lines = [&self.head].into_iter().chain(&self.members).chain(&self.impls).chain(&traits);
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// The path under which an item was met first.
pub(super) type Paths = BTreeMap<Target, String>;

struct Walk<'a> {
    sources: &'a Sources,
    paths: Paths,
    blocks: BTreeMap<String, Block>,
}

impl Walk<'_> {
    /// Adds the public items of a module: those at hand first, so that the paths in a child module
    /// such as the prelude refer to them.
    fn module(&mut self, path: &str, at: At) {
        let is_child = |item: &&Item| matches!(item, Item::Mod(_));
        let (children, items): (Vec<_>, Vec<_>) = self.sources.items(at).iter().partition(is_child);
        for item in items.into_iter().chain(children) {
            if !is_hidden(attributes(item)) {
                self.item(path, at, item);
            }
        }
    }

    fn item(&mut self, path: &str, at: At, item: &Item) {
        match item {
            Item::Use(item) if is_public(&item.vis) => {
                for leaf in leaves(item) {
                    let target = self.sources.target(at, &leaf.path);
                    match (leaf.name, target) {
                        (Some(name), target) => {
                            self.reexport(&format!("{path}::{name}"), &marks(&item.attrs), target);
                        }
                        (None, Target::Module(module)) => self.module(path, module),
                        (None, target) => panic!("{path}: a glob of {target:?} is not understood"),
                    }
                }
            }
            Item::Mod(item) if is_public(&item.vis) => {
                let target = self.sources.target(at, &[item.ident.to_string()]);
                self.reexport(&format!("{path}::{}", item.ident), &marks(&item.attrs), target);
            }
            Item::Use(_) | Item::Mod(_) => {}
            item => {
                if let Some(name) = members::name(item) {
                    self.reexport(&format!("{path}::{name}"), "", Target::Item(at, name));
                }
            }
        }
    }

    /// Adds what a path of the facade leads to.
    fn reexport(&mut self, path: &str, marks: &str, target: Target) {
        // A trait and its derive macro have the same path.
        let is_macro = matches!(&target, Target::Item((MACROS, _), _));
        let key = if is_macro { format!("{path}!") } else { path.to_owned() };
        if let Some(first) = self.paths.get(&target) {
            let head = format!("use {key} = {first}");
            self.blocks.insert(key, Block { head, ..Block::default() });
            return;
        }
        let mut block = match &target {
            Target::Module(at) => {
                self.module(path, *at);
                Block { head: format!("mod {path}"), ..Block::default() }
            }
            Target::Item(at, name) => {
                let mut found = self.sources.items(*at).iter().filter_map(|item| {
                    members::block(path, item, name).or_else(|| procedural(path, item, name))
                });
                let block = found.next().or_else(|| self.exported(path, at.0, name));
                block.unwrap_or_else(|| panic!("{path}: `{name}` is not understood"))
            }
            Target::Variant(at, name, variant) => {
                let of = self.paths.get(&Target::Item(*at, name.clone()));
                let of = of.unwrap_or_else(|| panic!("{path}: `{name}` is not public"));
                Block { head: format!("use {path} = {of}::{variant}"), ..Block::default() }
            }
            Target::Elsewhere => panic!("{path} leads to nothing known: extend tests/tidy/api"),
        };
        self.paths.insert(target, path.to_owned());
        block.head.insert_str(0, marks);
        self.blocks.insert(key, block);
    }
}

impl Walk<'_> {
    /// Returns the block of a `macro_rules` macro, which a crate exports at its root from any
    /// module.
    fn exported(&self, path: &str, of: &str, name: &str) -> Option<Block> {
        let is_exported = |item: &Item| match item {
            Item::Macro(item) => {
                let mut attributes = item.attrs.iter();
                item.ident.as_ref().is_some_and(|ident| ident == name)
                    && attributes.any(|attribute| attribute.path().is_ident("macro_export"))
            }
            _ => false,
        };
        let mut modules = self.sources.modules().filter(|at| at.0 == of);
        let found = modules.any(|at| self.sources.items(at).iter().any(is_exported));
        found.then(|| Block { head: format!("macro {path}!"), ..Block::default() })
    }
}

pub(super) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Returns the block of a procedural macro, whose users do not see its function.
fn procedural(path: &str, item: &Item, name: &str) -> Option<Block> {
    let Item::Fn(ItemFn { attrs, sig, .. }) = item else { return None };
    let has = |attribute: &&Attribute, kind: &str| attribute.path().is_ident(kind);
    let head = if sig.ident == name {
        attrs.iter().find(|attribute| has(attribute, "proc_macro_attribute"))?;
        format!("attribute #[{path}]")
    } else {
        let derive = attrs.iter().find(|attribute| has(attribute, "proc_macro_derive"))?;
        let Meta::List(list) = &derive.meta else { return None };
        let list = text(&list.tokens);
        (list.split(',').next() == Some(name)).then(|| format!("derive {path}: {list}"))?
    };
    Some(Block { head, ..Block::default() })
}

/// Returns the line of a function.
pub(super) fn function(path: &str, attrs: &[Attribute], sig: &syn::Signature) -> String {
    marks(attrs) + &signature(path, sig)
}
