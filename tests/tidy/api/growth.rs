//! Types of the facade that may grow are `#[non_exhaustive]`, so that a new variant or field breaks
//! no user.

use syn::{Attribute, Fields, Item};

use super::listing;
use super::members::name;
use super::sources::Sources;
use crate::imports::items::attributes;
use crate::none;

/// Types that are complete, so that users may match on all their variants, or write all their
/// fields; each with the reason.
const FROZEN: &[(&str, &str)] = &[
    ("Handle", "its text form has exactly these parts"),
    ("Partition", "a queue and a number are the name of its keys"),
    ("Pick", "a job goes to any slot, to one, or to all"),
    ("Return", "a pattern: `Return(value)`"),
    ("State", "a pattern: `State(value)`"),
];

#[test]
fn types_that_may_grow_are_non_exhaustive() {
    let (sources, shown) = (Sources::read(), listing::listing());
    let is_public = |name: &str| {
        let is_head = |line: &str, kind: &str| {
            let rest = line.split(kind).nth(1).map(|path| path.trim_end_matches(" {"));
            rest.and_then(|path| path.split(['<', ' ']).next()?.rsplit("::").next()) == Some(name)
        };
        shown
            .lines()
            .any(|line| is_head(line, "enum poolder::") || is_head(line, "struct poolder::"))
    };
    let (mut wrong, mut frozen) = (vec![], vec![]);
    for item in sources.modules().flat_map(|at| sources.items(at)) {
        let Some(name) = name(item).filter(|name| can_be_written(item) && is_public(name)) else {
            continue;
        };
        let open =
            attributes(item).iter().any(|it: &Attribute| it.path().is_ident("non_exhaustive"));
        match FROZEN.iter().find(|(frozen, _)| *frozen == name) {
            Some((name, _)) if !open => frozen.push(*name),
            Some(_) => wrong.push(format!("{name} is non_exhaustive, and listed as complete")),
            None if open => {}
            None => wrong.push(format!("{name} may grow: add #[non_exhaustive], or list it here")),
        }
    }
    for (name, _) in FROZEN {
        if !frozen.contains(name) {
            wrong.push(format!("{name} is listed here, and is no type of the facade"));
        }
    }
    none(&wrong);
}

/// Returns whether a user can match on all variants of an enum, or write all fields of a struct.
fn can_be_written(item: &Item) -> bool {
    match item {
        Item::Enum(_) => true,
        Item::Struct(item) => {
            let mut fields = item.fields.iter();
            !matches!(item.fields, Fields::Unit)
                && fields.all(|field| matches!(field.vis, syn::Visibility::Public(_)))
        }
        _ => false,
    }
}
