//! Serde attributes that are errors on an enum whose variants are kinds.
//!
//! Poolder stores the kind and the content of a variant, and tells serde the variant to read by its
//! index. So serde must see a plain enum, and must number the variants as they are written; it does
//! not number variants that it skips.

use syn::punctuated::Punctuated;
use syn::{Attribute, DataEnum, DeriveInput, Meta, Token};

use crate::errors::Errors;

/// Attributes that change the representation of the enum.
const ON_ENUM: [&str; 8] = [
    "tag",
    "content",
    "untagged",
    "from",
    "try_from",
    "into",
    "variant_identifier",
    "field_identifier",
];

/// Attributes that exclude a variant from the numbering, or from the plain representation.
const ON_VARIANT: [&str; 3] = ["skip", "skip_deserializing", "untagged"];

/// Reports each such attribute of the enum and its variants.
pub(crate) fn check(input: &DeriveInput, data: &DataEnum, errors: &mut Errors) {
    for (meta, name) in forbidden(&input.attrs, &ON_ENUM) {
        let message = format!(
            "`#[serde({name})]` is not possible on a job: the kind says which variant it is and \
             the payload is only its content, which takes serde's default representation"
        );
        errors.at(meta, message);
    }
    for variant in &data.variants {
        for (meta, name) in forbidden(&variant.attrs, &ON_VARIANT) {
            let message = format!(
                "`#[serde({name})]` is not possible on a job's variant: every variant is a kind, \
                 and must be read back; a variant that is no longer made may have \
                 `#[serde(skip_serializing)]`"
            );
            errors.at(meta, message);
        }
    }
}

/// Returns the items of `#[serde(…)]` that have one of these names.
fn forbidden(attributes: &[Attribute], names: &[&'static str]) -> Vec<(Meta, &'static str)> {
    let mut found = vec![];
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        // The derives of serde report lists that cannot be parsed.
        let items = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        for meta in items.into_iter().flatten() {
            if let Some(name) = names.iter().find(|name| meta.path().is_ident(name)) {
                found.push((meta, *name));
            }
        }
    }
    found
}
