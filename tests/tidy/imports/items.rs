//! Facts about one item: the names that a `use` brings in, and whether it is for tests only.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, ItemUse, Meta, UseTree};

/// A path, segment by segment.
pub(crate) type Segments = Vec<String>;

/// One name that a `use` brings in.
pub(crate) struct Leaf {
    pub(crate) path: Segments,
    /// None for a glob.
    pub(crate) name: Option<String>,
}

/// Takes a `use` apart: one leaf for each name or `*`. A path that begins with `::` names another
/// crate and has none.
pub(crate) fn leaves(item: &ItemUse) -> Vec<Leaf> {
    let mut leaves = vec![];
    if item.leading_colon.is_none() {
        grow(&item.tree, &mut vec![], &mut leaves);
    }
    leaves
}

fn grow(tree: &UseTree, path: &mut Segments, leaves: &mut Vec<Leaf>) {
    let mut leaf = |last: &syn::Ident, name: &syn::Ident| {
        let mut path = path.clone();
        // `use a::{self}` is `use a`.
        if last != "self" || path.is_empty() {
            path.push(last.to_string());
        }
        let name = if name == "self" { path.last().cloned() } else { Some(name.to_string()) };
        leaves.push(Leaf { path, name });
    };
    match tree {
        UseTree::Name(tree) => leaf(&tree.ident, &tree.ident),
        UseTree::Rename(tree) => leaf(&tree.ident, &tree.rename),
        UseTree::Glob(_) => leaves.push(Leaf { path: path.clone(), name: None }),
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            grow(&tree.tree, path, leaves);
            path.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| grow(tree, path, leaves)),
    }
}

/// Collects all words among tokens.
pub(super) fn words(tokens: TokenStream, found: &mut HashSet<String>) {
    for tree in tokens {
        match tree {
            TokenTree::Ident(ident) => drop(found.insert(ident.to_string())),
            TokenTree::Group(group) => words(group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// True of `#[cfg(test)]` and `#[cfg(all(test, …))]`.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            condition == "test" || condition.starts_with("all(test,")
        }
        _ => false,
    })
}

/// The attributes of an item, as far as items have any.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
