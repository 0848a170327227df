//! Reads the policy of a job from the attributes attempts, backoff, timeout, retry_for and crashes.

use proc_macro2::TokenStream;
use quote::quote;

use crate::attributes::{Attributes, integer};
use crate::backoff::Backoff;
use crate::duration::{self, Millis};
use crate::errors::Errors;

/// The values of the attributes; `None` stands for the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Policy {
    attempts: Option<u32>,
    backoff: Option<Backoff>,
    /// The inner `None` stands for no limit, as in `retry_for`.
    timeout: Option<Option<Millis>>,
    retry_for: Option<Option<Millis>>,
    crashes: Option<u32>,
}

impl Policy {
    /// Reads the attributes that are given.
    pub(crate) fn read(attributes: &Attributes, errors: &mut Errors) -> Self {
        let mut number = |name, min| {
            let attribute = attributes.get(name)?;
            errors.catch(integer(attribute, min, u32::MAX))
        };
        let (attempts, crashes) = (number("attempts", 1), number("crashes", 2));
        let mut limit = |name, zero: &str| {
            let attribute = attributes.get(name)?;
            errors.catch(duration::read_limit(name, &attribute.value, zero))
        };
        let timeout = limit("timeout", "0 would let no attempt run");
        let retry_for = limit("retry_for", "instead of 0 write `attempts = 1`");
        let backoff = attributes
            .get("backoff")
            .and_then(|attribute| errors.catch(Backoff::read("backoff", &attribute.value)));
        Self { attempts, backoff, timeout, retry_for, crashes }
    }

    /// Returns this policy, completed with the values of `base`.
    pub(crate) fn or(self, base: &Self) -> Self {
        Self {
            attempts: self.attempts.or(base.attempts),
            backoff: self.backoff.or_else(|| base.backoff.clone()),
            timeout: self.timeout.or(base.timeout),
            retry_for: self.retry_for.or(base.retry_for),
            crashes: self.crashes.or(base.crashes),
        }
    }

    /// Returns true when no attribute was given.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns an expression that makes this policy.
    pub(crate) fn tokens(&self, private: &TokenStream) -> TokenStream {
        self.on(&quote!(<#private::Policy as ::core::default::Default>::default()), private)
    }

    /// Returns an expression that changes the policy `base` into this one.
    pub(crate) fn on(&self, base: &TokenStream, private: &TokenStream) -> TokenStream {
        let attempts = self.attempts.map(|attempts| quote!(.attempts(#attempts)));
        let backoff = self.backoff.as_ref().map(|backoff| {
            let backoff = backoff.tokens(private);
            quote!(.backoff(#backoff))
        });
        let timeout = self.timeout.map(|timeout| match timeout {
            None => quote!(.timeout(::core::option::Option::None)),
            Some(timeout) => {
                let timeout = timeout.tokens();
                quote!(.timeout(#timeout))
            }
        });
        let retry_for = self.retry_for.map(|window| match window {
            // The default policy has no such limit, so no call is needed.
            None => TokenStream::new(),
            Some(window) => {
                let window = window.tokens();
                quote!(.retry_for(#window))
            }
        });
        let crashes = self.crashes.map(|crashes| quote!(.crashes(#crashes)));
        quote! {
            #base #attempts #backoff #timeout #retry_for #crashes
        }
    }
}
