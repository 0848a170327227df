//! The paths that a module mentions: in `use`, in types, patterns and expressions, and among the
//! tokens of macros and attributes.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Field, ImplItem, Item, ItemUse, Macro, Meta, TraitItem, Visibility};

use super::items::{Segments, attributes, is_for_tests, leaves};
use super::modules::Modules;

/// A path as it is written.
pub(super) struct Mention {
    pub(super) path: Segments,
    /// True of the path of a `pub use`, `pub(crate) use` and so on.
    pub(super) is_public: bool,
}

/// Returns what a module mentions; what its child modules mention is theirs.
pub(super) fn of(modules: &Modules, module: usize) -> Vec<Mention> {
    let mut reader = Reader { modules, module, found: vec![] };
    for item in modules.items(module) {
        reader.visit_item(item);
    }
    reader.found
}

struct Reader<'a> {
    modules: &'a Modules,
    module: usize,
    found: Vec<Mention>,
}

impl Reader<'_> {
    /// Adds a path in code. One segment alone names a local, an import that has been seen, or
    /// another item of the module.
    fn mention(&mut self, path: Segments) {
        if path.len() > 1 {
            self.found.push(Mention { path, is_public: false });
        }
    }

    /// Finds the paths among tokens: words with `::` between them.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for tree in tokens {
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                // After a `::` that follows no word, as in `<T>::new` or `::std`.
                TokenTree::Ident(_) if colons == 2 && path.is_empty() => {}
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.mention(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                }
                TokenTree::Group(group) => {
                    let is_tree = colons == 2 && group.delimiter() == Delimiter::Brace;
                    if is_tree && !path.is_empty() {
                        // `use a::{b, c}` inside a macro: an unknown segment makes it an error.
                        path.push("{…}".to_owned());
                    }
                    self.mention(std::mem::take(&mut path));
                    self.scan(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.mention(std::mem::take(&mut path));
                }
            }
            colons = 0;
        }
        self.mention(path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !matches!(item, Item::Mod(_)) && !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &vec![],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let is_test = matches!(item, TraitItem::Fn(item) if is_for_tests(&item.attrs));
        if !is_test {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_public = !matches!(item.vis, Visibility::Inherited);
        for leaf in leaves(item) {
            self.found.push(Mention { path: leaf.path, is_public });
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.mention(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        if let Some(name) = item.path.get_ident() {
            let name = name.to_string();
            if let Some(levels) = self.modules.levels_to_macro(self.module, &name) {
                let mut path = vec!["super".to_owned(); levels];
                path.push(name);
                self.mention(path);
            }
        }
        self.scan(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
    }

    /// `pub(in crate::broker)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
