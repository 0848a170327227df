//! The code that `#[derive(Job)]` generates.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, GenericParam, parse_quote};

use crate::derive_job::{JobType, Kind};
use crate::duration::Millis;
use crate::flow;

/// Returns the implementation of `Job`.
pub(crate) fn job(input: &DeriveInput, job: &JobType) -> TokenStream {
    let krate = &job.krate;
    let private = quote!(#krate::__private);
    let ident = &input.ident;

    let mut generics = input.generics.clone();
    let is_generic =
        generics.params.iter().any(|param| !matches!(param, GenericParam::Lifetime(_)));
    let assertion = if is_generic {
        // Whether serde can store a generic type depends on its parameters: the type is a job for
        // those parameters for which it can be stored.
        generics.make_where_clause().predicates.push(parse_quote! {
            Self: #private::Serialize + #private::DeserializeOwned
                + ::core::marker::Send + 'static
        });
        None
    } else {
        Some(assertion(input, &private))
    };
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();

    let names = job.kinds.iter().map(|kind| &kind.name);
    let queue = job.queue.as_ref().map(|queue| quote!(const QUEUE: &'static str = #queue;));
    let version = job.version.map(|version| quote!(const VERSION: u16 = #version;));
    let policy = policy(&job.kinds, &private);
    let expires = expires(&job.kinds);
    let unique = unique(&job.kinds, &private);
    let group = group(&job.kinds);
    let cost = cost(&job.kinds, &private);
    let of_an_enum = of_an_enum(&job.kinds, &private);

    quote! {
        #assertion

        #[automatically_derived]
        #[allow(deprecated, reason = "a deprecated variant is still a kind")]
        impl #impl_generics #private::Job for #ident #type_generics #where_clause {
            const KINDS: &'static [&'static str] = &[#(#names),*];
            #queue
            #version
            #policy
            #expires
            #unique
            #group
            #cost
            #of_an_enum
        }
    }
}

/// Returns the method `policy`, or `None` when no kind has a policy.
fn policy(kinds: &[Kind], private: &TokenStream) -> Option<TokenStream> {
    if kinds.iter().all(|kind| kind.policy.is_default()) {
        return None;
    }
    let own = |kind: &Kind| match kind.policy.is_default() {
        true => quote!(::core::option::Option::None),
        false => {
            let policy = kind.policy.tokens(private);
            quote!(::core::option::Option::Some(#policy))
        }
    };
    let all_alike = kinds.windows(2).all(|pair| pair[0].policy == pair[1].policy);
    let body = match kinds {
        [first, ..] if all_alike => own(first),
        _ => {
            let arms = kinds.iter().map(|kind| {
                let (variant, policy) = (&kind.variant, own(kind));
                quote!(Self::#variant { .. } => #policy,)
            });
            quote!(match self { #(#arms)* })
        }
    };
    Some(quote! {
        fn policy(&self) -> ::core::option::Option<#private::Policy> {
            #body
        }
    })
}

/// Returns the method `expires_in`, or `None` when no kind expires.
fn expires(kinds: &[Kind]) -> Option<TokenStream> {
    let time = |kind: &Kind| match kind.expires.flatten().map(Millis::tokens) {
        Some(time) => quote!(::core::option::Option::Some(#time)),
        None => quote!(::core::option::Option::None),
    };
    let [first, rest @ ..] = kinds else { return None };
    let all_alike = rest.iter().all(|kind| kind.expires.flatten() == first.expires.flatten());
    let body = match all_alike {
        true => {
            first.expires.flatten()?;
            time(first)
        }
        false => {
            let arms = kinds.iter().map(|kind| {
                let (variant, time) = (&kind.variant, time(kind));
                quote!(Self::#variant { .. } => #time,)
            });
            quote!(match self { #(#arms)* })
        }
    };
    Some(quote! {
        fn expires_in(&self) -> ::core::option::Option<::core::time::Duration> {
            #body
        }
    })
}

/// Returns the method `unique`, or `None` when no kind has a rule.
fn unique(kinds: &[Kind], private: &TokenStream) -> Option<TokenStream> {
    let body = by_kind(kinds, |kind| kind.unique.as_ref().map(|unique| unique.tokens(private)))?;
    Some(quote! {
        fn unique(&self) -> ::core::option::Option<#private::Unique> {
            #body
        }
    })
}

/// Returns the method `group`, or `None` when no kind has a field for it.
fn group(kinds: &[Kind]) -> Option<TokenStream> {
    let of_field = |kind: &Kind| kind.flow.group.as_ref().map(flow::group);
    let body = by_kind(kinds, of_field)?;
    Some(quote! {
        fn group(&self) -> ::core::option::Option<::std::string::String> {
            #body
        }
    })
}

/// Returns the method `cost`, or `None` when no kind has a field for it.
fn cost(kinds: &[Kind], private: &TokenStream) -> Option<TokenStream> {
    let of_field = |kind: &Kind| kind.flow.cost.as_ref().map(|field| flow::cost(field, private));
    let body = by_kind(kinds, of_field)?;
    Some(quote! {
        fn cost(&self) -> ::core::option::Option<u32> {
            #body
        }
    })
}

/// Returns a `match` with the value of each kind, from the pattern that binds its field; `None` when
/// no kind has one.
fn by_kind(
    kinds: &[Kind],
    of_field: impl Fn(&Kind) -> Option<(TokenStream, TokenStream)>,
) -> Option<TokenStream> {
    if kinds.iter().all(|kind| of_field(kind).is_none()) {
        return None;
    }
    let arms = kinds.iter().map(|kind| {
        let variant = kind.variant.as_ref();
        let path = variant.map_or_else(|| quote!(Self), |variant| quote!(Self::#variant));
        match of_field(kind) {
            None => quote!(#path { .. } => ::core::option::Option::None,),
            Some((pattern, value)) => {
                quote!(#path #pattern => ::core::option::Option::Some(#value),)
            }
        }
    });
    Some(quote!(match self { #(#arms)* }))
}

/// Returns the methods of an enum, which distinguish its variants; `None` for a struct.
fn of_an_enum(kinds: &[Kind], private: &TokenStream) -> Option<TokenStream> {
    if kinds.iter().any(|kind| kind.variant.is_none()) {
        return None;
    }
    let arms =
        kinds.iter().map(|Kind { name, variant, .. }| quote!(Self::#variant { .. } => #name,));
    Some(quote! {
        fn kind(&self) -> &'static str {
            match self { #(#arms)* }
        }

        fn encode(
            &self,
            out: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<(), #private::Error> {
            #private::variant::encode_kind(self, out)
        }

        fn decode(raw: #private::RawJob<'_>) -> ::core::result::Result<Self, #private::Error> {
            #private::variant::decode_kind(raw)
        }
    })
}

/// Returns a constant that fails to build, with a readable message, for a type that serde cannot
/// store.
///
/// The compiler reports such a type as well, but only by the names of traits. Of two constants of
/// the same name, the compiler uses the one of the type itself when its bounds hold, and else the
/// one of the trait. No job has the names used here.
fn assertion(input: &DeriveInput, private: &TokenStream) -> TokenStream {
    let ident = &input.ident;
    let message = format!(
        "`{ident}` is stored as a job: derive serde::Serialize and serde::Deserialize for it"
    );
    quote_spanned! {ident.span()=>
        #[allow(dead_code, deprecated, reason = "one constant is dead; the type may be deprecated")]
        const _: () = {
            struct __Check<__T>(::core::marker::PhantomData<__T>);
            trait __Otherwise {
                const IS_STORABLE: bool = false;
            }
            impl<__T> __Otherwise for __Check<__T> {}
            impl<__T: #private::Serialize + #private::DeserializeOwned> __Check<__T> {
                const IS_STORABLE: bool = true;
            }
            ::core::assert!(__Check::<#ident>::IS_STORABLE, #message);
        };
    }
}
