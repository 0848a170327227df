//! Reads lists of `name = value`, as in `#[job(kind = "mail", attempts = 5)]`.
//!
//! This module checks the names, for all macros. The module that uses a value checks the value,
//! with the help of [`text`] and [`integer`].

use std::fmt::Display;
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, Token};

use crate::errors::Errors;

/// The names that an attribute takes, and the errors for some names that it does not take.
pub(crate) struct Known<'a> {
    /// The allowed names, in their order in errors.
    pub(crate) names: &'a [&'a str],
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
pub(crate) struct Attributes(Vec<Attribute>);

impl Attributes {
    /// Reads every `#[<path>(…)]` among an item's attributes.
    pub(crate) fn of(
        attributes: &[syn::Attribute],
        path: &str,
        known: &Known<'_>,
        errors: &mut Errors,
    ) -> Self {
        let mut found = Self(vec![]);
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
    #[cfg(feature = "worker")]
    pub(crate) fn of_list(list: TokenStream, known: &Known<'_>, errors: &mut Errors) -> Self {
        let mut found = Self(vec![]);
        found.extend(list, known, errors);
        found
    }

    /// Returns the attribute of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    /// Adds the items of a list. A bad item is reported, and the items around it are still read.
    fn extend(&mut self, list: TokenStream, known: &Known<'_>, errors: &mut Errors) {
        for item in split(list) {
            let Some(attribute) = errors.catch(parse_item.parse2(item)) else { continue };
            let Attribute { name, .. } = &attribute;
            if let Some((_, why)) = known.elsewhere.iter().find(|(other, _)| name == other) {
                errors.at(name, why);
            } else if !known.names.iter().any(|other| name == other) {
                let names: Vec<_> = known.names.iter().map(|name| format!("`{name}`")).collect();
                let names = names.join(", ");
                errors.at(name, format!("unknown attribute `{name}`: known here are {names}"));
            } else if self.0.iter().any(|other| other.name == *name) {
                errors.at(name, format!("`{name}` is given twice: keep one of them"));
            } else {
                self.0.push(attribute);
            }
        }
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

/// Takes the items of the form `name(…)` out of a list. Returns the rest of the list, and for each
/// such item its name and the content of its parentheses.
#[cfg(feature = "worker")]
pub(crate) fn take_nested(
    list: TokenStream,
    name: &str,
) -> (TokenStream, Vec<(Ident, TokenStream)>) {
    use proc_macro2::{Delimiter, Punct, Spacing};

    let (mut rest, mut nested) = (TokenStream::new(), vec![]);
    for item in split(list) {
        let tokens: Vec<TokenTree> = item.into_iter().collect();
        match &tokens[..] {
            [TokenTree::Ident(ident), TokenTree::Group(group)]
                if ident == name && group.delimiter() == Delimiter::Parenthesis =>
            {
                nested.push((ident.clone(), group.stream()));
            }
            _ => {
                rest.extend(tokens);
                rest.extend([TokenTree::Punct(Punct::new(',', Spacing::Alone))]);
            }
        }
    }
    (rest, nested)
}

/// Reads a list that takes any names, with or without a value.
#[cfg(feature = "worker")]
pub(crate) fn read_open(list: TokenStream, errors: &mut Errors) -> Vec<(Ident, Option<Expr>)> {
    let mut found = vec![];
    for item in split(list) {
        let mut tokens = item.clone().into_iter();
        let read = match (tokens.next(), tokens.next()) {
            (Some(TokenTree::Ident(name)), None) => Ok((name, None)),
            _ => parse_item.parse2(item).map(|Attribute { name, value }| (name, Some(value))),
        };
        found.extend(errors.catch(read));
    }
    found
}

fn parse_item(input: ParseStream<'_>) -> syn::Result<Attribute> {
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

    const KNOWN: Known<'static> =
        Known { names: &["kind", "size", "crate"], elsewhere: &[("queue", "on the enum")] };

    fn read(item: &syn::ItemStruct) -> (Vec<String>, Vec<String>) {
        let mut errors = Errors::default();
        let found = Attributes::of(&item.attrs, "job", &KNOWN, &mut errors);
        let names = found.0.iter().map(|attribute| attribute.name.to_string()).collect();
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
            #[job(size = 7)]
            struct A;
        });
        assert_eq!(names, ["kind", "size"]);
        let expected = [
            "write `#[job(name = value, …)]`",
            "unknown attribute `kid`: known here are `kind`, `size`, `crate`",
            "`kind` needs a value: write `kind = …`",
            "write `name = value`, and a comma before the next name",
            "`size` needs a value after the `=`",
            "on the enum",
            "a comma is missing before this",
        ];
        assert_eq!(errors[..7], expected);
    }
}
