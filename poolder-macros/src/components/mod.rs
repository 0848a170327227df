//! The attributes that make components of a node: `#[pool]`, `#[batcher]` and `#[scheduler]`.
//!
//! All stand on the `impl` block that has the handlers, so that they can check the handlers. All
//! read one grammar: each name is that of a method of the builder, and `policy(…)` has the methods
//! of `Policy`. This file has the parts that they share.

pub(crate) mod batcher;
pub(crate) mod pool;
pub(crate) mod scheduler;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::{Error, ImplItem, ItemImpl, Path, parse_quote};

use crate::attributes::{Attributes, Known, integer};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::names::{self, Rule};
use crate::policy::Policy;

/// The most slots of a pool; the same as in `poolder-core`.
const MAX_SIZE: u16 = 10_000;

/// The list of the policy, with an example.
const POLICY_LIST: (&str, &str) = ("policy", r#"policy(attempts = 5, backoff = "1s")"#);

/// The error for the former name of the policy.
const NO_RETRY: (&str, &str) = (
    "retry",
    r#"write `policy(attempts = 5, backoff = "1s")`: the retries are part of the policy"#,
);

const POLICY: Known<'static> = Known {
    names: &["attempts", "backoff", "timeout", "retry_for", "crashes"],
    lists: &[],
    elsewhere: &[
        ("count", "`count` is called `attempts` here: all attempts, the first included"),
        ("retries", "write `attempts`: all attempts, the first included"),
    ],
};

/// An attribute: its name, the trait whose implementation it stands on, and the end of the sentence
/// that says so.
struct Place {
    attribute: &'static str,
    of_trait: Option<&'static str>,
    block: &'static str,
}

/// Returns the code of a component, or the item with all errors: without the item, the compiler
/// would report errors about the missing item, too.
fn expand<T>(
    place: &Place,
    item: TokenStream,
    read: impl FnOnce(Option<&ItemImpl>, &mut Errors) -> Option<T>,
    write: impl FnOnce(&T, &ItemImpl) -> TokenStream,
) -> TokenStream {
    let mut errors = Errors::default();
    let block = errors.catch(parse(place, &item));
    let component = read(block.as_ref(), &mut errors);
    match (errors.finish(), block, component) {
        (Ok(()), Some(block), Some(component)) => write(&component, &block),
        // Cannot happen: a missing part is an error, which `finish` has returned.
        (Ok(()), ..) => item,
        (Err(errors), ..) => {
            let errors = errors.into_compile_error();
            quote!(#item #errors)
        }
    }
}

/// Parses the block, and checks that it is the one on which the attribute stands.
fn parse(place: &Place, item: &TokenStream) -> syn::Result<ItemImpl> {
    let Place { attribute, of_trait, block } = place;
    let elsewhere = format!("`#[{attribute}]` stands on {block}");
    let is_impl = |token: TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "impl");
    if !item.clone().into_iter().any(is_impl) {
        return Err(Error::new_spanned(item, elsewhere));
    }
    // A mistake inside of the block is the compiler's to explain.
    let parsed = syn::parse2::<ItemImpl>(item.clone())?;
    let implemented = parsed.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    match (implemented, of_trait) {
        (None, None) => {}
        (Some(last), Some(name)) if last.ident == name => {}
        _ => return Err(Error::new_spanned(&parsed.self_ty, elsewhere)),
    }
    if let Some(lifetime) = parsed.generics.lifetimes().next() {
        let message = "a component owns its data: it outlives the borrow, so use owned types";
        return Err(Error::new_spanned(lifetime, message));
    }
    Ok(parsed)
}

/// Reports the items that a block must have and has not: each with its name and the error.
fn require(block: &ItemImpl, items: &[(&str, &str)], errors: &mut Errors) {
    for (_, message) in items.iter().filter(|(name, _)| !has(block, name)) {
        errors.at(&block.self_ty, message);
    }
}

/// Returns true when the block has a function, type or constant of this name.
fn has(block: &ItemImpl, name: &str) -> bool {
    block.items.iter().any(|item| match item {
        ImplItem::Fn(function) => function.sig.ident == name,
        ImplItem::Type(ty) => ty.ident == name,
        ImplItem::Const(constant) => constant.ident == name,
        _ => false,
    })
}

/// The settings that all components have.
struct Common {
    krate: Path,
    /// `None` when it is missing or illegal, which was reported.
    name: Option<String>,
    size: Option<u16>,
    /// `None` when no policy is given.
    policy: Option<Policy>,
}

impl Common {
    /// Reads the settings; `rule` is that of the name, and `missing` the error when there is none.
    fn read(attributes: &Attributes, rule: &Rule, missing: &str, errors: &mut Errors) -> Self {
        let krate = attributes.get("crate").and_then(|path| errors.catch(names::read_crate(path)));
        let name = match attributes.get("name") {
            Some(name) => errors.catch(rule.read(name)),
            None if attributes.is_given("name") => None,
            None => errors.catch(Err(Error::new(Span::call_site(), missing))),
        };
        let size = attributes.get("size").and_then(|size| errors.catch(integer(size, 1, MAX_SIZE)));
        let policy = attributes.list("policy").map(|(_, list)| {
            let attributes = Attributes::of_list(list, &POLICY, errors);
            Policy::read(&attributes, errors)
        });
        let krate = krate.unwrap_or_else(|| parse_quote!(::poolder));
        Self { krate, name, size, policy: policy.filter(|policy| !policy.is_default()) }
    }

    /// Returns the call that sets the size.
    fn size_call(&self) -> Option<TokenStream> {
        self.size.map(|size| quote!(.size(#size)))
    }

    /// Returns the policy that changes the policy `base`.
    fn policy_on(&self, base: &TokenStream) -> Option<TokenStream> {
        let krate = &self.krate;
        self.policy.as_ref().map(|policy| policy.on(base, &quote!(#krate::__private)))
    }
}

/// Reads `hibernate_after`: a time above 0, or `None` for `"none"`.
fn read_hibernation(attributes: &Attributes, errors: &mut Errors) -> Option<Millis> {
    let attribute = attributes.get("hibernate_after")?;
    let zero = "0 would let a slot never keep its state";
    errors.catch(duration::read_limit("hibernate_after", &attribute.value, zero)).flatten()
}
