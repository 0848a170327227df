//! Every type of the project that a public item of the facade names can itself be named by a user.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, TraitItem, Visibility};

use super::{none, read, root, show, sources};

/// The packages whose items the facade exports.
const EXPORTED: &[&str] =
    &["poolder-cron/src", "poolder-core/src", "poolder-client/src", "poolder-worker/src"];

#[test]
fn every_type_of_a_public_signature_is_in_the_facade() {
    let facade = read(&root().join("src/lib.rs"));
    let facade: BTreeSet<String> =
        facade.split(|c: char| !c.is_alphanumeric() && c != '_').map(ToOwned::to_owned).collect();
    let files = EXPORTED.iter().flat_map(|folder| sources(&root().join(folder)));
    let files: Vec<(String, Vec<Item>)> = files
        .map(|file| {
            let parsed = syn::parse_file(&read(&file)).unwrap_or_else(|error| panic!("{error}"));
            (show(&file), parsed.items)
        })
        .collect();
    let defined = files.iter().flat_map(|(_, items)| items).filter_map(defines).collect();
    let (mut wrong, mut seen) = (vec![], 0);
    for (file, items) in &files {
        for item in items {
            let mut names = Names { defined: &defined, found: BTreeSet::new() };
            let Some(owner) = exposed(item, &facade, &mut names) else { continue };
            seen += names.found.len();
            let hidden = names.found.difference(&facade);
            wrong.extend(hidden.map(|name| format!("{file}: {owner} names {name}")));
        }
    }
    assert!(seen > 200, "only {seen} names were found");
    none(&wrong);
}

/// Returns the name of the type that an item defines.
fn defines(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        Item::Trait(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// Collects the types of the project that the public parts of an item name. Returns the type or
/// trait to which the item belongs if the facade exports it.
fn exposed(item: &Item, facade: &BTreeSet<String>, names: &mut Names<'_>) -> Option<String> {
    let owner = match item {
        Item::Impl(item) => own_type(item)?,
        item => defines(item)?,
    };
    if !facade.contains(&owner) {
        return None;
    }
    match item {
        Item::Struct(item) => public_fields(&item.fields, names),
        Item::Enum(item) => {
            item.variants.iter().flat_map(|variant| &variant.fields).for_each(|field| {
                names.visit_type(&field.ty);
            });
        }
        Item::Trait(item) => {
            for item in &item.items {
                if let TraitItem::Fn(method) = item
                    && !is_hidden(&method.attrs)
                {
                    names.visit_signature(&method.sig);
                }
            }
        }
        Item::Impl(item) => item.items.iter().for_each(|item| public_item(item, names)),
        _ => {}
    }
    Some(owner)
}

fn own_type(item: &ItemImpl) -> Option<String> {
    match &*item.self_ty {
        syn::Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

fn public_fields(fields: &Fields, names: &mut Names<'_>) {
    let public = fields.iter().filter(|field| matches!(field.vis, Visibility::Public(_)));
    public.for_each(|field| names.visit_type(&field.ty));
}

fn public_item(item: &ImplItem, names: &mut Names<'_>) {
    match item {
        ImplItem::Fn(method)
            if matches!(method.vis, Visibility::Public(_)) && !is_hidden(&method.attrs) =>
        {
            names.visit_signature(&method.sig);
        }
        // What a builder returns when it is awaited.
        ImplItem::Type(item) if item.ident == "Output" => names.visit_type(&item.ty),
        _ => {}
    }
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// The types of the project among the paths of a signature.
struct Names<'a> {
    defined: &'a BTreeSet<String>,
    found: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        let (first, last) = (&names[0], &names[names.len() - 1]);
        // Neither the item of another package nor the type of a trait, such as `Self::Entry`.
        let is_own = names.len() == 1
            || first.starts_with("poolder_")
            || ["crate", "super", "self"].contains(&first.as_str());
        if is_own && self.defined.contains(last) {
            self.found.insert(last.clone());
        }
        visit::visit_path(self, path);
    }
}
