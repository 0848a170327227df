//! Reads lists of `name = value`, as in `#[job(kind = "mail", attempts = 5)]`.
//!
//! This module checks the names, for all macros. The module that uses a value checks the value,
//! with the help of [`text`] and [`integer`].

use std::fmt::Display;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, Token};

use crate::errors::Errors;
use crate::nearest::nearest;

/// The names that an attribute takes, and the errors for some names that it does not take.
pub(crate) struct Known<'a> {
    /// The allowed names, in their order in errors.
    pub(crate) names: &'a [&'a str],
    /// The allowed lists `name(…)`, each with an example for errors.
    pub(crate) lists: &'a [(&'a str, &'a str)],
    /// Names that are allowed elsewhere, each with an error that says where.
    pub(crate) elsewhere: &'a [(&'a str, &'a str)],
}

/// One item `name = value`.
pub(crate) struct Attribute {
    /// The name.
    pub(crate) name: Ident,
    /// The value.
    pub(crate) value: Expr,
}

/// The attributes of one item: known ones, each at most once.
#[derive(Default)]
pub(crate) struct Attributes {
    values: Vec<Attribute>,
    lists: Vec<(Ident, TokenStream)>,
    /// Items that were refused, which are not missing.
    refused: Vec<Ident>,
}

impl Attributes {
    /// Reads every `#[<path>(…)]` among an item's attributes.
    pub(crate) fn of(
        attributes: &[syn::Attribute],
        path: &str,
        known: &Known<'_>,
        errors: &mut Errors,
    ) -> Self {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(path)) {
            match &attribute.meta {
                Meta::List(list) => found.extend(list.tokens.clone(), known, errors),
                Meta::Path(_) | Meta::NameValue(_) => {
                    errors.at(&attribute.meta, format!("write `#[{path}(name = value, …)]`"));
                }
            }
        }
        found
    }

    /// Reads the list of an attribute macro.
    pub(crate) fn of_list(list: TokenStream, known: &Known<'_>, errors: &mut Errors) -> Self {
        let mut found = Self::default();
        found.extend(list, known, errors);
        found
    }

    /// Returns the attribute of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Attribute> {
        self.values.iter().find(|attribute| attribute.name == name)
    }

    /// Returns the name and the content of the list of that name.
    pub(crate) fn list(&self, name: &str) -> Option<(&Ident, TokenStream)> {
        let found = self.lists.iter().find(|(other, _)| other == name);
        found.map(|(name, list)| (name, list.clone()))
    }

    /// Returns true when the item was given, be it in a wrong form.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        let refused = self.refused.iter().any(|other| other == name);
        refused || self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || self.list(name).is_some()
    }

    /// Adds the items of a list. A bad item is reported, and the items around it are still read.
    fn extend(&mut self, list: TokenStream, known: &Known<'_>, errors: &mut Errors) {
        for item in split(list) {
            if let Some((name, list)) = as_list(&item) {
                match errors.catch(self.admit(&name, true, known)) {
                    Some(()) => self.lists.push((name, list)),
                    None => self.refused.push(name),
                }
            } else if let Some(name) = as_name(&item).filter(|name| known.is_list(name)) {
                errors.catch(self.admit(&name, false, known));
                self.refused.push(name);
            } else if let Some(attribute) = errors.catch(parse_item.parse2(item)) {
                match errors.catch(self.admit(&attribute.name, false, known)) {
                    Some(()) => self.values.push(attribute),
                    None => self.refused.push(attribute.name),
                }
            }
        }
    }

    /// Checks that an item of this name may stand here.
    fn admit(&self, name: &Ident, is_list: bool, known: &Known<'_>) -> syn::Result<()> {
        let refuse = |why: String| Err(Error::new_spanned(name, why));
        if let Some((_, why)) = known.elsewhere.iter().find(|(other, _)| name == other) {
            return refuse((*why).to_owned());
        }
        let is_value = known.names.iter().any(|other| name == other);
        let example = known.lists.iter().find(|(other, _)| name == other);
        match example {
            Some((_, example)) if !is_list => {
                refuse(format!("`{name}` is a list: write `{example}`"))
            }
            None if is_list && is_value => {
                refuse(format!("`{name}` takes a value: write `{name} = …`"))
            }
            None if !is_value => refuse(known.unknown(name)),
            _ if self.has(&name.to_string()) => {
                refuse(format!("`{name}` is given twice: keep one of them"))
            }
            _ => Ok(()),
        }
    }
}

impl Known<'_> {
    fn is_list(&self, name: &Ident) -> bool {
        self.lists.iter().any(|(list, _)| name == list)
    }

    /// Returns the error for an unknown name, with the nearest known one.
    fn unknown(&self, name: &Ident) -> String {
        let lists = self.lists.iter().map(|(list, _)| *list);
        let nearest = nearest(&name.to_string(), self.names.iter().copied().chain(lists.clone()));
        let nearest = nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        let known: Vec<String> = self
            .names
            .iter()
            .map(|name| format!("`{name}`"))
            .chain(lists.map(|name| format!("`{name}(…)`")))
            .collect();
        format!("unknown attribute `{name}`: known here are {}{nearest}", known.join(", "))
    }
}

/// Splits a list at the commas of its outermost level. Empty items are left out.
pub(crate) fn split(list: TokenStream) -> Vec<TokenStream> {
    let mut items = vec![vec![]];
    for token in list {
        match (&token, items.last_mut()) {
            (TokenTree::Punct(punct), Some(_)) if punct.as_char() == ',' => items.push(vec![]),
            (_, Some(item)) => item.push(token),
            (_, None) => {}
        }
    }
    items.into_iter().filter(|item| !item.is_empty()).map(TokenStream::from_iter).collect()
}

/// Returns the name and the content of an item of the form `name(…)`.
fn as_list(item: &TokenStream) -> Option<(Ident, TokenStream)> {
    let mut tokens = item.clone().into_iter();
    match (tokens.next(), tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(group)), None)
            if group.delimiter() == Delimiter::Parenthesis =>
        {
            Some((name, group.stream()))
        }
        _ => None,
    }
}

/// Returns the name of an item that is a name alone.
fn as_name(item: &TokenStream) -> Option<Ident> {
    let mut tokens = item.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(name)), None) => Some(name),
        _ => None,
    }
}

/// Parses one item `name = value`.
pub(crate) fn parse_item(input: ParseStream<'_>) -> syn::Result<Attribute> {
    let start = input.span();
    let name = input
        .call(Ident::parse_any)
        .map_err(|_| Error::new(start, "write `name = value`, and a comma before the next name"))?;
    if !input.peek(Token![=]) {
        return Err(Error::new(name.span(), format!("`{name}` needs a value: write `{name} = …`")));
    }
    let equals: Token![=] = input.parse()?;
    if input.is_empty() {
        return Err(Error::new(equals.span, format!("`{name}` needs a value after the `=`")));
    }
    let value = ungroup(input.parse()?);
    if !input.is_empty() {
        return Err(Error::new(input.span(), "a comma is missing before this"));
    }
    Ok(Attribute { name, value })
}

/// Removes the invisible group around an expression that a `macro_rules!` macro passes on.
fn ungroup(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungroup(*group.expr),
        other => other,
    }
}

/// Returns the value when it is a text in quotes. `expected` begins the error.
pub(crate) fn text(value: &Expr, expected: impl Display) -> syn::Result<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        _ => Err(Error::new_spanned(value, format!("{expected}, in quotes"))),
    }
}

/// Returns the variant that `words` gives for the value of the attribute.
pub(crate) fn word(attribute: &Attribute, words: &[(&str, &str)]) -> syn::Result<Ident> {
    let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    let expected = format!("`{}` takes one of {}", attribute.name, known.join(", "));
    let text = text(&attribute.value, &expected)?;
    let found = words.iter().find(|(word, _)| *word == text.value());
    found.map(|(_, variant)| Ident::new(variant, text.span())).ok_or_else(|| {
        let near = nearest(&text.value(), words.iter().map(|(word, _)| *word));
        let near = near.map_or_else(String::new, |word| format!("; did you mean {word:?}?"));
        Error::new(text.span(), format!("{expected}{near}"))
    })
}

/// Reads a whole number from `min` to `max`.
pub(crate) fn integer<T>(attribute: &Attribute, min: T, max: T) -> syn::Result<T>
where
    T: FromStr<Err: Display> + PartialOrd + Display + Copy,
{
    let read = match &attribute.value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.suffix().is_empty() => {
            number.base10_parse().ok().filter(|number: &T| (&min..=&max).contains(&number))
        }
        _ => None,
    };
    read.ok_or_else(|| {
        let name = &attribute.name;
        let message = format!("`{name}` takes a whole number from {min} to {max}");
        Error::new_spanned(&attribute.value, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    const KNOWN: Known<'static> = Known {
        names: &["kind", "size", "crate"],
        lists: &[("policy", "policy(attempts = 5)")],
        elsewhere: &[("queue", "on the enum")],
    };

    fn read(item: &syn::ItemStruct) -> (Vec<String>, Vec<String>) {
        let mut errors = Errors::default();
        let found = Attributes::of(&item.attrs, "job", &KNOWN, &mut errors);
        let names = found.values.iter().map(|attribute| attribute.name.to_string()).collect();
        let errors = match errors.finish() {
            Ok(()) => vec![],
            Err(errors) => errors.into_iter().map(|error| error.to_string()).collect(),
        };
        (names, errors)
    }

    #[test]
    fn several_lists_are_one_and_other_attributes_are_not_looked_at() {
        let (names, errors) = read(&parse_quote! {
            #[job(kind = "a", size = [1, 2],)]
            #[other(kind = "b")]
            #[job(crate = "c")]
            #[job()]
            struct A;
        });
        assert_eq!(names, ["kind", "size", "crate"]);
        assert_eq!(errors, [""; 0]);
    }

    #[test]
    fn each_bad_item_is_reported_and_the_good_ones_are_kept() {
        let (names, errors) = read(&parse_quote! {
            #[job]
            #[job(kid = 1, kind, "x", size =, queue = "q", kind = "a" size = 2)]
            #[job(size = (,), kind = 2)]
            #[job(policy = 1, size(1), policy(a), policy(b), kinds(a))]
            #[job(size = 7)]
            struct A;
        });
        assert_eq!(names, ["kind", "size"]);
        let expected = [
            "write `#[job(name = value, …)]`",
            "unknown attribute `kid`: known here are `kind`, `size`, `crate`, `policy(…)`; did you mean \
             `kind`?",
            "`kind` needs a value: write `kind = …`",
            "write `name = value`, and a comma before the next name",
            "`size` needs a value after the `=`",
            "on the enum",
            "a comma is missing before this",
            "expected an expression",
            "`policy` is a list: write `policy(attempts = 5)`",
            "`size` takes a value: write `size = …`",
            "`policy` is given twice: keep one of them",
            "unknown attribute `kinds`: known here are `kind`, `size`, `crate`, `policy(…)`; did you \
             mean `kind`?",
        ];
        assert_eq!(errors[..expected.len()], expected);
    }
}
