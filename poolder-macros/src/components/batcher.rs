//! `#[batcher(…)]`: makes a batcher of the worker that runs its batches.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Expr, ExprLit, Ident, ItemImpl, Lit};

use super::{Common, NO_RETRY, POLICY_LIST, Place, read_hibernation, require};
use crate::attributes::{Attribute, Attributes, Known, integer};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::names;

/// The attributes of a batcher.
const KNOWN: Known<'static> = Known {
    names: &[
        "name",
        "queue",
        "limit",
        "timeout",
        "max_bytes",
        "max_waiting",
        "max_groups",
        "lifo",
        "revision",
        "size",
        "hibernate_after",
        "crate",
    ],
    lists: &[POLICY_LIST],
    elsewhere: &[
        NO_RETRY,
        ("reverse", "`reverse` is called `lifo` here: the last entry first"),
        ("attempts", "write `policy(attempts = 5)`"),
    ],
};

const PLACE: Place = Place {
    attribute: "batcher",
    of_trait: Some("BatchWorker"),
    block: "the `impl BatchWorker for …` of a batcher's worker",
};

/// The default timeout; the same as in `poolder-core`.
const DEFAULT_TIMEOUT: Millis = Millis(10_000);
const MAX_LIMIT: u32 = 1_000_000;

/// The attributes, checked.
struct BatcherType {
    common: Common,
    name: String,
    queue: Option<String>,
    /// Calls that set options of `BatchOptions`.
    options: Vec<TokenStream>,
    hibernate_after: Option<Millis>,
}

pub(crate) fn expand(list: TokenStream, item: TokenStream) -> TokenStream {
    let read = |worker: Option<&ItemImpl>, errors: &mut Errors| {
        if let Some(worker) = worker {
            let handler = "the handler is missing: write `async fn handle_batch(&mut self, batch: \
                           &mut Batch<Self::Entry>, cx: Context) -> Result<Outcome>`";
            let items = [
                ("Entry", "`type Entry = …;` is missing: the entries that are pushed"),
                ("handle_batch", handler),
            ];
            require(worker, &items, errors);
        }
        read(list, errors)
    };
    super::expand(&PLACE, item, read, write)
}

fn read(list: TokenStream, errors: &mut Errors) -> Option<BatcherType> {
    let attributes = Attributes::of_list(list, &KNOWN, errors);
    let missing = r#"`name` is missing: write `name = "rows"`, under which entries are pushed"#;
    let common = Common::read(&attributes, &names::BATCHER, missing, errors);
    let queue = attributes.get("queue").and_then(|name| errors.catch(names::QUEUE.read(name)));
    let mut options = read_numbers(&attributes, errors);
    if attributes.get("lifo").and_then(|it| errors.catch(boolean(it))) == Some(true) {
        options.push(quote!(.lifo()));
    }
    let (timeout, hibernate_after) = read_times(&attributes, errors);
    options.extend(timeout);
    let name = common.name.clone()?;
    Some(BatcherType { common, name, queue, options, hibernate_after })
}

fn read_numbers(attributes: &Attributes, errors: &mut Errors) -> Vec<TokenStream> {
    let mut options = vec![];
    if let Some(limit) =
        attributes.get("limit").and_then(|it| errors.catch(integer(it, 1, MAX_LIMIT)))
    {
        options.push(quote!(.limit(#limit)));
    }
    for name in ["max_bytes", "max_waiting"] {
        let most = attributes.get(name).and_then(|it| errors.catch(integer(it, 1, u64::MAX)));
        if let Some(most) = most {
            let name = Ident::new(name, Span::call_site());
            options.push(quote!(.#name(#most)));
        }
    }
    for (name, min) in [("max_groups", 1), ("revision", 0)] {
        let value = attributes.get(name).and_then(|it| errors.catch(integer(it, min, u32::MAX)));
        if let Some(value) = value {
            let name = Ident::new(name, Span::call_site());
            options.push(quote!(.#name(#value)));
        }
    }
    options
}

/// Reads `timeout`, as a call on the options, and `hibernate_after`, which must be longer.
fn read_times(
    attributes: &Attributes,
    errors: &mut Errors,
) -> (Option<TokenStream>, Option<Millis>) {
    let timeout = attributes.get("timeout").and_then(|timeout| {
        let zero = "0 would seal every entry by itself: write `limit = 1`";
        errors.catch(duration::read_limit("timeout", &timeout.value, zero))
    });
    let hibernate_after = read_hibernation(attributes, errors);
    if let (Some(attribute), Some(idle)) = (attributes.get("hibernate_after"), hibernate_after) {
        // A timeout that could not be read is reported already.
        let known = timeout.is_some() || attributes.get("timeout").is_none();
        let longest = timeout.unwrap_or(Some(DEFAULT_TIMEOUT)).filter(|_| known);
        if longest.is_some_and(|timeout| idle <= timeout) {
            let message = if timeout.is_some() {
                "`hibernate_after` is not above `timeout`: a batch may take that long to gather"
            } else {
                "`hibernate_after` is not above `timeout`, which is \"10s\" when it is left out: a \
                 batch may take that long to gather"
            };
            errors.at(&attribute.value, message);
        }
    }
    let timeout = timeout.map(|timeout| match timeout {
        Some(time) => {
            let time = time.tokens();
            quote!(.timeout(#time))
        }
        None => quote!(.timeout(::core::option::Option::None)),
    });
    (timeout, hibernate_after)
}

fn boolean(attribute: &Attribute) -> syn::Result<bool> {
    match &attribute.value {
        Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) => Ok(value.value),
        other => {
            let message = format!("`{}` takes true or false", attribute.name);
            Err(Error::new_spanned(other, message))
        }
    }
}

fn write(batcher: &BatcherType, worker: &ItemImpl) -> TokenStream {
    let BatcherType { common, name, queue, options, hibernate_after } = batcher;
    let (krate, ty) = (&common.krate, &worker.self_ty);
    let (generics, _, clause) = worker.generics.split_for_impl();
    let queue_name = queue.as_ref().unwrap_or(name);
    let policy = common
        .policy_on(&quote!(<#krate::Policy as ::core::default::Default>::default()))
        .map(|policy| quote!(.policy(#policy)));
    let queue = queue.as_ref().map(|queue| quote!(.queue(#queue)));
    let size = common.size_call();
    let hibernate = hibernate_after.map(|idle| {
        let idle = idle.tokens();
        quote!(.hibernate_after(#idle))
    });
    quote! {
        #worker

        #[automatically_derived]
        #[allow(dead_code, reason = "a process may only run the batcher, or only push")]
        impl #generics #ty #clause {
            /// Returns the options, which must be the same in producers and nodes.
            #[must_use]
            pub fn options() -> #krate::BatchOptions {
                <#krate::BatchOptions as ::core::default::Default>::default()
                    #(#options)* #policy
            }

            /// Returns the batcher with this worker.
            #[must_use]
            pub fn batcher(self) -> #krate::Batcher<Self> {
                #krate::Batcher::new(#name, self) #queue .with_options(Self::options())
                    #size #hibernate
            }

            /// Returns a handle for pushing entries from any host.
            #[must_use]
            pub fn on(
                client: &#krate::Client,
            ) -> #krate::BatcherHandle<<Self as #krate::BatchWorker>::Entry> {
                let handle = client.batcher_on(#queue_name, #name);
                handle.declare_later(Self::options());
                handle
            }
        }

        #[automatically_derived]
        impl #generics #krate::Component for #ty #clause {
            fn install(self, node: #krate::NodeBuilder) -> #krate::NodeBuilder {
                #krate::Component::install(self.batcher(), node)
            }
        }
    }
}
