//! `#[batcher(…)]`: makes a batcher, which is a component of a node, of a worker's type and the
//! attributes.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Expr, ExprLit, ItemStruct, Lit, Path, parse_quote};

use crate::attributes::{Attribute, Attributes, Known, integer, take_nested};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::{names, retry};

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
    elsewhere: &[("retry", r#"write `retry(count = 3, backoff = "1s")`"#)],
};

/// The default timeout; the same as in `poolder-core`.
const DEFAULT_TIMEOUT: Millis = Millis(10_000);
const MAX_LIMIT: u32 = 1_000_000;
const MAX_SIZE: u16 = 10_000;

/// The attributes, checked.
struct BatcherType {
    krate: Path,
    name: String,
    queue: Option<String>,
    options: Vec<TokenStream>,
    retry: Option<TokenStream>,
    size: Option<u16>,
    hibernate_after: Option<Millis>,
}

/// Returns the type unchanged, with the code that makes it a component, or with all errors.
pub(crate) fn expand(list: TokenStream, item: &ItemStruct) -> TokenStream {
    let mut errors = Errors::default();
    let batcher = read(list, &mut errors);
    if let Some(generic) = item.generics.params.first() {
        errors.at(generic, "a batcher's type has no parameters: put what varies into its fields");
    }
    let written = errors.finish().and_then(|()| {
        batcher.ok_or_else(|| Error::new(Span::call_site(), "the batcher could not be read"))
    });
    match written {
        Ok(batcher) => {
            let component = write(&batcher, item);
            quote!(#item #component)
        }
        Err(errors) => {
            // Without the type, the compiler would report errors about the missing type, too.
            let errors = errors.into_compile_error();
            quote!(#item #errors)
        }
    }
}

fn read(list: TokenStream, errors: &mut Errors) -> Option<BatcherType> {
    let (list, nested) = take_nested(list, "retry");
    let attributes = Attributes::of_list(list, &KNOWN, errors);
    let krate = attributes.get("crate").and_then(|path| errors.catch(names::read_crate(path)));
    let name = match attributes.get("name") {
        Some(name) => errors.catch(names::BATCHER.read(name)),
        None => {
            let message =
                r#"a batcher needs a name, under which entries are pushed: `name = "rows"`"#;
            errors.push(Error::new(Span::call_site(), message));
            None
        }
    };
    let queue = attributes.get("queue").and_then(|name| errors.catch(names::QUEUE.read(name)));

    let mut options = vec![];
    let mut number = |name: &str, min: u64, max: u64| {
        attributes.get(name).and_then(|attribute| errors.catch(integer(attribute, min, max)))
    };
    if let Some(limit) = number("limit", 1, u64::from(MAX_LIMIT)) {
        let limit = u32::try_from(limit).unwrap_or(MAX_LIMIT);
        options.push(quote!(limit: #limit));
    }
    for name in ["max_bytes", "max_waiting"] {
        if let Some(most) = number(name, 1, u64::MAX) {
            let name = syn::Ident::new(name, Span::call_site());
            options.push(quote!(#name: ::core::option::Option::Some(#most)));
        }
    }
    for (name, min) in [("max_groups", 1), ("revision", 0)] {
        if let Some(value) = number(name, min, u64::from(u32::MAX)) {
            let (name, value) = (syn::Ident::new(name, Span::call_site()), value as u32);
            options.push(quote!(#name: #value));
        }
    }
    let size =
        attributes.get("size").and_then(|size| errors.catch(integer::<u16>(size, 1, MAX_SIZE)));
    if let Some(lifo) = attributes.get("lifo").and_then(|it| errors.catch(boolean(it))) {
        options.push(quote!(lifo: #lifo));
    }
    let times = read_times(&attributes, errors);
    if let Some(timeout) = times.timeout {
        let timeout = optional(timeout);
        options.push(quote!(timeout: #timeout));
    }
    let retry = retry::read(nested, errors);
    Some(BatcherType {
        krate: krate.unwrap_or_else(|| parse_quote!(::poolder)),
        name: name?,
        queue,
        options,
        retry,
        size,
        hibernate_after: times.hibernate_after,
    })
}

struct Times {
    /// The outer `None` stands for no attribute, the inner `None` for `"infinity"`.
    timeout: Option<Option<Millis>>,
    hibernate_after: Option<Millis>,
}

fn read_times(attributes: &Attributes, errors: &mut Errors) -> Times {
    let mut time = |name, zero| {
        let attribute = attributes.get(name)?;
        errors.catch(duration::read_or(name, &attribute.value, "infinity", zero))
    };
    let timeout = time("timeout", "0 would seal every entry by itself: write `limit = 1`");
    let hibernate_after = time("hibernate_after", "0 would let it never be awake").flatten();
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
    Times { timeout, hibernate_after }
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

fn optional(time: Option<Millis>) -> TokenStream {
    match time {
        Some(time) => {
            let time = time.tokens();
            quote!(::core::option::Option::Some(#time))
        }
        None => quote!(::core::option::Option::None),
    }
}

fn write(batcher: &BatcherType, item: &ItemStruct) -> TokenStream {
    let BatcherType { krate, name, queue, options, retry, size, hibernate_after } = batcher;
    let (ident, vis) = (&item.ident, &item.vis);
    let queue_name = queue.as_ref().unwrap_or(name);
    let policy = retry.as_ref().map(|retry| {
        quote! {
            policy: {
                use #krate as __poolder;
                <__poolder::Policy as ::core::default::Default>::default() #retry
            },
        }
    });
    let queue = queue.as_ref().map(|queue| quote!(.queue(#queue)));
    let size = size.map(|size| quote!(.size(#size)));
    let hibernate = hibernate_after.map(|idle| {
        let idle = idle.tokens();
        quote!(.hibernate_after(#idle))
    });
    let handle = quote_spanned! {ident.span()=>
        #krate::BatcherHandle<<Self as #krate::BatchWorker>::Entry>
    };
    quote! {
        #[automatically_derived]
        impl #ident {
            /// Returns the options, which must be the same in producers and nodes.
            #[allow(clippy::needless_update, reason = "the attributes may set all fields")]
            #vis fn options() -> #krate::BatchOptions {
                #krate::BatchOptions {
                    #(#options,)*
                    #policy
                    ..::core::default::Default::default()
                }
            }

            /// Returns the builder of the batcher, for settings that the attributes do not have.
            #vis fn batcher(self) -> #krate::Batcher<Self> {
                #krate::Batcher::new(#name, self) #queue .with_options(Self::options())
                    #size #hibernate
            }

            /// Returns a handle for pushing entries from any host.
            #[allow(dead_code, reason = "a node may never push")]
            #[must_use]
            #vis fn handle(client: &#krate::Client) -> #handle {
                let handle = client.batcher_on(#queue_name, #name);
                handle.declare_later(Self::options());
                handle
            }
        }

        #[automatically_derived]
        impl #krate::Component for #ident {
            fn install(self, node: #krate::NodeBuilder) -> #krate::NodeBuilder {
                #krate::Component::install(self.batcher(), node)
            }
        }
    }
}
