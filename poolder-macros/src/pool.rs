//! `#[pool(…)]`: makes a pool, which is a component of a node, of a worker and the arguments.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use syn::parse::Parser;
use syn::{Error, Expr, Ident, ImplItem, ItemImpl, Path, Token, Type, parse_quote};

use crate::attributes::{Attributes, Known, integer, split, text};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::names;
use crate::policy::Policy;

/// The names of the modes, each with its variant of `Mode`.
const MODES: [(&str, &str); 6] = [
    ("shared", "Shared"),
    ("round_robin", "RoundRobin"),
    ("random", "Random"),
    ("monotonic", "Monotonic"),
    ("phash", "Phash"),
    ("broadcast", "Broadcast"),
];

/// The places where a retry can wait, each with its variant of `RetryPlacement`.
const PLACEMENTS: [(&str, &str); 2] = [("block_slot", "BlockSlot"), ("reschedule", "Reschedule")];

const MAX_SIZE: u16 = 10_000;

const KNOWN: Known<'static> = Known {
    names: &[
        "name",
        "size",
        "mode",
        "hibernate_after",
        "handover_timeout",
        "retry_placement",
        "join_set",
        "crate",
    ],
    elsewhere: &[
        ("retry", "write `retry(count = 5, backoff = \"1s\")`"),
        ("callbacks", "write `callbacks(event, push = path::to::function)`"),
        ("pool_size", "`pool_size` is called `size` here"),
        ("callback", "write `callbacks(event, push = path::to::function)`"),
    ],
};

const RETRY: Known<'static> = Known {
    names: &["count", "backoff", "timeout", "retry_for", "crashes"],
    elsewhere: &[(
        "attempts",
        "`attempts` is called `count` here: all attempts, the first included",
    )],
};

/// The arguments of the attribute, checked.
struct PoolType {
    krate: Path,
    name: String,
    size: Option<u16>,
    mode: Ident,
    policy: Policy,
    callbacks: Vec<(Ident, Path)>,
    hibernate_after: Option<Millis>,
    handover_timeout: Option<Millis>,
    retry_placement: Option<Ident>,
    join_set: Option<String>,
}

/// Returns the code of the pool, or all errors at once.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let worker = errors.catch(syn::parse2::<ItemImpl>(item.clone()).map_err(|_| {
        Error::new_spanned(&item, "`#[pool]` stands on the `impl Worker for …` of a pool's worker")
    }));
    if let Some(worker) = &worker {
        check(worker, &mut errors);
    }
    let pool = read(arguments, &mut errors);
    errors.finish()?;
    match (worker, pool) {
        (Some(worker), Some(pool)) => Ok(write(worker, &pool)),
        // Cannot happen: a missing part is an error, which `finish` has returned.
        _ => Ok(item),
    }
}

/// Checks the items of the `impl Worker` block.
fn check(worker: &ItemImpl, errors: &mut Errors) {
    let of_worker = worker
        .trait_
        .as_ref()
        .and_then(|(_, path, _)| path.segments.last())
        .is_some_and(|segment| segment.ident == "Worker");
    if !of_worker {
        let message = "`#[pool]` stands on the `impl Worker for …` of a pool's worker";
        return errors.at(&worker.self_ty, message);
    }
    let has = |name: &str| {
        worker.items.iter().any(|item| match item {
            ImplItem::Fn(function) => function.sig.ident == name,
            ImplItem::Type(ty) => ty.ident == name,
            ImplItem::Const(constant) => constant.ident == name,
            _ => false,
        })
    };
    if !has("Job") {
        errors.at(&worker.self_ty, "`type Job = …;` is missing: the jobs that this pool runs");
    }
    if !has("handle_job") {
        let message = "the handler is missing: write \
                       `async fn handle_job(&mut self, job: Self::Job, cx: Context) -> Result<Outcome>`";
        errors.at(&worker.self_ty, message);
    }
    if has("CALLBACKS") {
        let message = "`CALLBACKS` is written by `#[pool(callbacks(…))]`: leave it out here";
        errors.at(&worker.self_ty, message);
    }
}

fn read(arguments: TokenStream, errors: &mut Errors) -> Option<PoolType> {
    let (mut plain, mut lists) = (TokenStream::new(), vec![]);
    for item in split(arguments) {
        match as_list(&item) {
            Some(list) => lists.push(list),
            None => plain.extend(quote!(#item,)),
        }
    }
    let attributes = Attributes::of_list(plain, &KNOWN, errors);
    let (mut retry, mut callbacks) = (None, None);
    for (name, list) in lists {
        let twice = match name.to_string().as_str() {
            "retry" => retry.replace(Attributes::of_list(list, &RETRY, errors)).is_some(),
            "callbacks" => callbacks.replace(read_callbacks(list, errors)).is_some(),
            _ => {
                let message = format!(
                    "unknown list `{name}(…)`: known here are `retry(…)` and `callbacks(…)`"
                );
                errors.at(&name, message);
                continue;
            }
        };
        if twice {
            errors.at(&name, format!("`{name}(…)` is given twice: keep one of them"));
        }
    }
    let krate = attributes.get("crate").and_then(|path| errors.catch(names::read_crate(path)));
    let size = attributes.get("size").and_then(|size| errors.catch(integer(size, 1, MAX_SIZE)));
    let mode = match attributes.get("mode") {
        Some(mode) => errors.catch(one_of("mode", &mode.value, &MODES)),
        None => Some(parse_quote!(Shared)),
    };
    let retry_placement = attributes.get("retry_placement").and_then(|retry_placement| {
        errors.catch(one_of("retry_placement", &retry_placement.value, &PLACEMENTS))
    });
    let hibernate_after = attributes.get("hibernate_after").and_then(|idle| {
        let zero = "the slot would never keep its state";
        errors.catch(duration::read_limit("hibernate_after", &idle.value, zero)).flatten()
    });
    let handover_timeout = attributes
        .get("handover_timeout")
        .and_then(|time| errors.catch(duration::read("handover_timeout", &time.value)));
    let join_set =
        attributes.get("join_set").and_then(|name| errors.catch(names::QUEUE.read(name)));
    let policy =
        retry.map_or_else(Policy::default, |retry| Policy::read_counting(&retry, "count", errors));
    let here = proc_macro2::Span::call_site();
    let name = match attributes.get("name") {
        Some(name) => errors.catch(names::QUEUE.read(name)),
        None => errors.catch(Err(Error::new(
            here,
            "`name` is missing: write `name = \"mypool\"`, the queue that the pool serves",
        ))),
    };
    let mode = mode?;
    let of_process = mode == "Shared" || mode == "Broadcast";
    if !of_process && attributes.get("size").is_none() {
        let message = "`size` is missing: an addressed pool has the same number of slots for all \
                       processes together";
        errors.catch::<()>(Err(Error::new(here, message)));
    }
    for (name, value) in [
        ("retry_placement", &attributes.get("retry_placement")),
        ("handover_timeout", &attributes.get("handover_timeout")),
    ] {
        if let (true, Some(attribute)) = (of_process, value) {
            let message = format!(
                "`{name}` is for slots that are addressed: use mode \"round_robin\", \"random\", \
                 \"monotonic\" or \"phash\", or leave it out"
            );
            errors.at(&attribute.name, message);
        }
    }
    Some(PoolType {
        krate: krate.unwrap_or_else(|| parse_quote!(::poolder)),
        name: name?,
        size,
        mode,
        policy,
        callbacks: callbacks.unwrap_or_default(),
        hibernate_after,
        handover_timeout,
        retry_placement,
        join_set,
    })
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

/// Reads callbacks such as `event, push = path::to::function`. A name without a path is also the
/// name of the function.
fn read_callbacks(list: TokenStream, errors: &mut Errors) -> Vec<(Ident, Path)> {
    let mut callbacks: Vec<(Ident, Path)> = vec![];
    for item in split(list) {
        let parse = |input: syn::parse::ParseStream<'_>| {
            let name: Ident = input.parse()?;
            let path = match input.parse::<Option<Token![=]>>()? {
                Some(_) => input.parse::<Path>()?,
                None => name.clone().into(),
            };
            Ok((name, path))
        };
        let read = parse.parse2(item.clone()).map_err(|_| {
            Error::new_spanned(
                &item,
                "a callback is the name of a function, or a name and a path: \
                 `callbacks(event, push = path::to::function)`",
            )
        });
        let Some((name, path)) = errors.catch(read) else { continue };
        if callbacks.iter().any(|(other, _)| *other == name) {
            errors.at(&name, format!("callback `{name}` is given twice: keep one of them"));
        } else {
            callbacks.push((name, path));
        }
    }
    callbacks
}

/// Returns the variant that `words` gives for the value of the attribute.
fn one_of(name: &str, value: &Expr, words: &[(&str, &str)]) -> syn::Result<Ident> {
    let known: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    let expected = format!("`{name}` takes one of {}", known.join(", "));
    let text = text(value, &expected)?;
    let found = words.iter().find(|(word, _)| *word == text.value());
    found
        .map(|(_, variant)| Ident::new(variant, text.span()))
        .ok_or_else(|| Error::new(text.span(), expected))
}

fn write(mut worker: ItemImpl, pool: &PoolType) -> TokenStream {
    let PoolType { krate, name, mode, .. } = pool;
    let private = quote!(#krate::__private);
    let names = pool.callbacks.iter().map(|(name, _)| name.to_string());
    if !pool.callbacks.is_empty() {
        worker
            .items
            .insert(0, parse_quote!(const CALLBACKS: &'static [&'static str] = &[#(#names),*];));
    }
    let ty: &Type = &worker.self_ty;
    let (generics, _, clause) = worker.generics.split_for_impl();
    let size = pool.size.map(|size| quote!(.size(#size)));
    let policy = (!pool.policy.is_default()).then(|| {
        let policy = pool.policy.tokens(&private);
        quote!(.policy(#policy))
    });
    let time = |name: &str, time: Option<Millis>| {
        let (method, time) = (Ident::new(name, proc_macro2::Span::call_site()), time?.tokens());
        Some(quote!(.#method(#time)))
    };
    let hibernate_after = time("hibernate_after", pool.hibernate_after);
    let handover_timeout = time("handover_timeout", pool.handover_timeout);
    let retry_placement = pool
        .retry_placement
        .as_ref()
        .map(|variant| quote!(.retry_placement(#krate::RetryPlacement::#variant)));
    let join_set = pool.join_set.as_ref().map(|join_set| quote!(.join_set(#join_set)));
    let sinks = pool.callbacks.iter().map(|(name, path)| {
        let name = name.to_string();
        quote!(.callback(#name, #path))
    });
    let local = match (mode.to_string().as_str(), pool.size) {
        ("Shared", Some(size)) => Some(quote!(.with_shared_slots(#size))),
        ("Shared", None) => Some(quote!(.with_shared_slots(0))),
        ("Broadcast", Some(size)) => Some(quote!(.with_size(#size))),
        _ => None,
    };
    quote! {
        #worker

        impl #generics #ty #clause {
            /// Returns the pool with this worker.
            #[must_use]
            pub fn pool(self) -> #krate::Pool {
                #krate::Pool::new(#name)
                    .mode(#krate::Mode::#mode)
                    #size #policy #hibernate_after #handover_timeout #retry_placement #join_set #(#sinks)*
                    .worker(self)
            }

            /// Returns a client of the pool, for producers.
            #[must_use]
            pub fn on(
                client: &#krate::Client,
            ) -> #krate::PoolClient<<Self as #krate::Worker>::Job> {
                client.pool(#name) #local #policy
            }
        }

        impl #generics #krate::Component for #ty #clause {
            fn install(self, node: #krate::NodeBuilder) -> #krate::NodeBuilder {
                node.pool(self.pool())
            }
        }
    }
}
