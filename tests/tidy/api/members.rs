//! The lines of one item, and those of its `impl` blocks.

use std::collections::BTreeMap;

use syn::{Fields, ImplItem, Item, ItemEnum, ItemImpl, ItemStruct, ItemTrait, TraitItem, Type};

use super::listing::{Block, Paths, function, is_public};
use super::sources::{Sources, Target, segments};
use super::text::{clause, derived, generics, is_hidden, marks, text};

/// Returns the name of a public item that is no module and no re-export.
pub(super) fn name(item: &Item) -> Option<String> {
    let (vis, name) = match item {
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    is_public(vis).then(|| name.to_string())
}

/// Returns the block of an item, when it has this name.
pub(super) fn block(path: &str, item: &Item, asked: &str) -> Option<Block> {
    if name(item).is_none_or(|name| name != asked) {
        return None;
    }
    let line = |head: String| Some(Block { head, ..Block::default() });
    match item {
        Item::Const(item) => line(format!("const {path}: {}", text(&item.ty))),
        Item::Static(item) => line(format!("static {path}: {}", text(&item.ty))),
        Item::Type(item) => {
            line(format!("type {path}{} = {}", generics(&item.generics), text(&item.ty)))
        }
        // The function of a procedural macro is not what its users call.
        Item::Fn(item) if item.attrs.iter().any(is_procedural) => None,
        Item::Fn(item) => line(function(path, &item.attrs, &item.sig)),
        Item::Struct(item) => Some(of_struct(path, item)),
        Item::Enum(item) => Some(of_enum(path, item)),
        Item::Trait(item) => Some(of_trait(path, item)),
        _ => None,
    }
}

fn is_procedural(attribute: &syn::Attribute) -> bool {
    attribute.path().get_ident().is_some_and(|name| name.to_string().starts_with("proc_macro"))
}

fn of_struct(path: &str, item: &ItemStruct) -> Block {
    let head = format!("{}struct {path}{}", marks(&item.attrs), generics(&item.generics));
    let members = (0..)
        .zip(&item.fields)
        .filter(|(_, field)| is_public(&field.vis) && !is_hidden(&field.attrs));
    let members = members.map(|(at, field)| {
        let name = field.ident.as_ref().map_or(format!("{at}"), ToString::to_string);
        format!("field {path}::{name}: {}", text(&field.ty))
    });
    Block { head, members: members.collect(), traits: derived(&item.attrs), ..Block::default() }
}

fn of_enum(path: &str, item: &ItemEnum) -> Block {
    let head = format!("{}enum {path}{}", marks(&item.attrs), generics(&item.generics));
    let members = item.variants.iter().map(|variant| {
        let mut fields = variant.fields.clone();
        fields.iter_mut().for_each(|field| field.attrs.clear());
        let fields = match fields {
            Fields::Unit => String::new(),
            Fields::Unnamed(fields) => text(fields),
            Fields::Named(fields) => format!(" {}", text(fields)),
        };
        format!("{}variant {path}::{}{fields}", marks(&variant.attrs), variant.ident)
    });
    Block { head, members: members.collect(), traits: derived(&item.attrs), ..Block::default() }
}

fn of_trait(path: &str, item: &ItemTrait) -> Block {
    let above = &item.supertraits;
    let above = if above.is_empty() { String::new() } else { format!(": {}", text(above)) };
    let head = format!("{}trait {path}{}{above}", marks(&item.attrs), generics(&item.generics));
    let provided = |is: bool| if is { "provided " } else { "required " };
    let members = item.items.iter().filter_map(|item| match item {
        TraitItem::Const(item) => {
            let (given, ty) = (provided(item.default.is_some()), text(&item.ty));
            Some(format!("{given}const {path}::{}: {ty}", item.ident))
        }
        TraitItem::Type(item) => {
            let bounds = text(&item.bounds);
            let bounds = if bounds.is_empty() { bounds } else { format!(": {bounds}") };
            Some(format!("{}type {path}::{}{bounds}", provided(item.default.is_some()), item.ident))
        }
        TraitItem::Fn(item) if !is_hidden(&item.attrs) => {
            let line = function(&format!("{path}::{}", item.sig.ident), &item.attrs, &item.sig);
            Some(provided(item.default.is_some()).to_owned() + &line)
        }
        _ => None,
    });
    Block { head, members: members.collect(), ..Block::default() }
}

/// Adds the methods of public types, and the traits that they implement. A trait counts when users
/// can name it: it is public, or of another project.
pub(super) fn add_impls(sources: &Sources, paths: &Paths, blocks: &mut BTreeMap<String, Block>) {
    for at in sources.modules() {
        for item in sources.items(at) {
            let Item::Impl(item) = item else { continue };
            let of = sources.of_type(at, &item.self_ty);
            let is_private = of != Target::Elsewhere && !paths.contains_key(&of);
            if is_private || is_hidden(&item.attrs) {
                continue;
            }
            let of = paths.get(&of);
            let Some((_, name, _)) = &item.trait_ else {
                if let Some((path, block)) = of.and_then(|path| Some((path, blocks.get_mut(path)?)))
                {
                    block.impls.extend(methods(path, item));
                }
                continue;
            };
            let implemented = sources.target(at, &segments(name));
            if implemented != Target::Elsewhere && !paths.contains_key(&implemented) {
                continue;
            }
            // An implementation for all types, or for those of others, is shown beside the trait.
            let beside = of.or_else(|| paths.get(&implemented));
            let Some(block) = beside.and_then(|path| blocks.get_mut(path)) else { continue };
            let is_plain = item.generics.params.is_empty() && item.attrs.is_empty();
            let name = last(name);
            if of.is_some() && is_plain && !name.contains('<') {
                block.traits.insert(name);
            } else {
                block.impls.insert(implementation(item, &name, of));
            }
        }
    }
}

/// Returns the last segment of a path, with its parameters.
fn last(path: &syn::Path) -> String {
    path.segments.last().map(text).unwrap_or_default()
}

fn implementation(item: &ItemImpl, name: &str, of: Option<&String>) -> String {
    let params = text(&item.generics);
    let ty = match (of, &*item.self_ty) {
        (Some(path), Type::Path(ty)) => {
            let arguments = ty.path.segments.last().map(|last| text(&last.arguments));
            path.clone() + &arguments.unwrap_or_default()
        }
        (_, ty) => text(ty),
    };
    let marks = marks(&item.attrs);
    format!("{marks}impl{params} {name} for {ty}{}", clause(&item.generics))
}

/// Returns the lines of an `impl` block of a type: its public functions and constants.
fn methods(path: &str, block: &ItemImpl) -> Vec<String> {
    let bounds = generics(&block.generics);
    let bounds = if bounds.is_empty() { bounds } else { format!("  [impl{bounds}]") };
    let line = |item: &ImplItem| match item {
        ImplItem::Fn(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
            let path = format!("{path}::{}", item.sig.ident);
            Some(function(&path, &item.attrs, &item.sig))
        }
        ImplItem::Const(item) if is_public(&item.vis) => {
            Some(format!("const {path}::{}: {}", item.ident, text(&item.ty)))
        }
        _ => None,
    };
    block.items.iter().filter_map(line).map(|line| line + &bounds).collect()
}
