//! The sources of the facade and of the crates whose items it passes on.

use std::collections::BTreeMap;
use std::fs;

use quote::ToTokens;
use syn::{Item, Type};

use crate::imports::items::Segments;
use crate::imports::modules::{Defined, Modules, ROOT};
use crate::root;

/// The crates by their names in paths, each with its folder.
const CRATES: [(&str, &str); 6] = [
    ("poolder", "src"),
    ("poolder_client", "poolder-client/src"),
    ("poolder_core", "poolder-core/src"),
    ("poolder_cron", "poolder-cron/src"),
    (MACROS, "poolder-macros/src"),
    ("poolder_worker", "poolder-worker/src"),
];

/// The crate of the procedural macros.
pub(super) const MACROS: &str = "poolder_macros";

/// A module of one of the crates.
pub(super) type At = (&'static str, usize);

/// The target of a path: a definition in one of the crates, or anything elsewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Target {
    Module(At),
    /// An item of this name.
    Item(At, String),
    /// A variant of this enum.
    Variant(At, String, String),
    Elsewhere,
}

pub(super) struct Sources(BTreeMap<&'static str, Modules>);

impl Sources {
    pub(super) fn read() -> Self {
        let open = |(name, folder)| {
            let src = root().join(folder);
            (name, Modules::of(&|file| fs::read_to_string(src.join(file)).ok()))
        };
        Self(CRATES.into_iter().map(open).collect())
    }

    /// Returns all modules of all crates.
    pub(super) fn modules(&self) -> impl Iterator<Item = At> {
        self.0.iter().flat_map(|(name, modules)| modules.ids().map(move |id| (*name, id)))
    }

    pub(super) fn items(&self, (name, id): At) -> &[Item] {
        self.0[name].items(id)
    }

    /// Returns the target of a path that is written in this module.
    pub(super) fn target(&self, (name, id): At, path: &[String]) -> Target {
        if let (MACROS, [item]) = (name, path) {
            // A derive macro has another name than its function, and modules stand beside others.
            return Target::Item((name, id), item.clone());
        }
        match self.0[name].define(id, path) {
            Defined::Module(id) => Target::Module((name, id)),
            Defined::Item(id, item, rest) => match rest.first() {
                None => Target::Item((name, id), item),
                Some(variant) => Target::Variant((name, id), item, variant.clone()),
            },
            Defined::Foreign(path) => {
                let Some((first, rest)) = path.split_first() else { return Target::Elsewhere };
                match self.0.keys().find(|name| *name == first) {
                    Some(other) if *other != name => self.target((other, ROOT), rest),
                    _ => Target::Elsewhere,
                }
            }
        }
    }

    /// Returns the target of a type, without its parameters and references.
    pub(super) fn of_type(&self, at: At, ty: &Type) -> Target {
        match ty {
            Type::Path(path) if path.qself.is_none() => self.target(at, &segments(&path.path)),
            Type::Reference(reference) => self.of_type(at, &reference.elem),
            _ => Target::Elsewhere,
        }
    }
}

/// Returns the segments of a path, without parameters.
pub(super) fn segments(path: &syn::Path) -> Segments {
    path.segments.iter().map(|segment| segment.ident.to_token_stream().to_string()).collect()
}
