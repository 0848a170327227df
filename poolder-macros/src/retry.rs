//! Reads `retry(count = …, backoff = …)` for batchers and schedulers.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::attributes::{Attributes, Known, integer};
use crate::backoff::Backoff;
use crate::errors::Errors;

const KNOWN: Known<'static> = Known { names: &["count", "backoff"], elsewhere: &[] };

/// Reads the list, which may be given once, as calls on a `Policy`; `None` when it is not given.
pub(crate) fn read(nested: Vec<(Ident, TokenStream)>, errors: &mut Errors) -> Option<TokenStream> {
    let mut nested = nested.into_iter();
    let (_, list) = nested.next()?;
    for (again, _) in nested {
        errors.at(&again, "`retry` is given twice: keep one of them");
    }
    let attributes = Attributes::of_list(list, &KNOWN, errors);
    let count = attributes.get("count").and_then(|count| errors.catch(integer(count, 1, u32::MAX)));
    let backoff = attributes
        .get("backoff")
        .and_then(|backoff| errors.catch(Backoff::read("backoff", &backoff.value)));
    let attempts = count.map(|attempts| quote!(.attempts(#attempts)));
    let backoff = backoff.map(|backoff| {
        let backoff = backoff.tokens(&quote!(__poolder));
        quote!(.backoff(#backoff))
    });
    Some(quote!(#attempts #backoff))
}
