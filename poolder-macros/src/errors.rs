//! A collector of errors, so that one build reports all of them.

use std::fmt::Display;

use quote::ToTokens;
use syn::Error;

/// The errors found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    /// Adds an error.
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Adds an error that underlines `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    /// Returns the value of `result`, or adds its error and returns `None`.
    pub(crate) fn catch<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Fails with all errors that were added, if any.
    pub(crate) fn finish(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    #[test]
    fn all_errors_are_kept_in_order() {
        let mut errors = Errors::default();
        assert_eq!(errors.catch(Ok(1)), Some(1));
        assert_eq!(errors.catch::<()>(Err(Error::new(Span::call_site(), "a"))), None);
        errors.at(quote::quote!(x), "b");
        let kept: Vec<_> =
            errors.finish().unwrap_err().into_iter().map(|e| e.to_string()).collect();
        assert_eq!(kept, ["a", "b"]);
        assert!(Errors::default().finish().is_ok());
    }
}
