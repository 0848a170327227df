//! `#[pool(…)]`: makes a pool of a worker.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::Parser;
use syn::{Error, Ident, ItemImpl, Path, Token, Type, parse_quote};

use super::{Common, NO_RETRY, POLICY_LIST, Place, has, read_hibernation, require};
use crate::attributes::{Attributes, Known, integer, split, word};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::names;

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

const CALLBACKS: &str = "callbacks(event, push = path::to::function)";

const KEEP_FINISHED: &str = r#"keep_finished(count = 1000, age = "1d")"#;

/// The most finished jobs that can be kept.
const MAX_KEPT: u32 = 10_000;

const KEPT: Known<'static> = Known { names: &["count", "age"], lists: &[], elsewhere: &[] };

const KNOWN: Known<'static> = Known {
    names: &[
        "name",
        "size",
        "mode",
        "hibernate_after",
        "handover_timeout",
        "retry_placement",
        "join_set",
        "wait_permits",
        "crate",
    ],
    lists: &[POLICY_LIST, ("callbacks", CALLBACKS), ("keep_finished", KEEP_FINISHED)],
    elsewhere: &[
        NO_RETRY,
        ("queue", "a pool serves the queue of its name: write `name = …`"),
        ("timeout", r#"write `policy(timeout = "30s")`: the timeout of an attempt"#),
        ("attempts", "write `policy(attempts = 5)`"),
        ("pool_size", "`pool_size` is called `size` here"),
        ("callback", "write `callbacks(event, push = path::to::function)`"),
    ],
};

const PLACE: Place = Place {
    attribute: "pool",
    of_trait: Some("Worker"),
    block: "the `impl Worker for …` of a pool's worker",
};

/// The arguments of the attribute, checked.
struct PoolType {
    common: Common,
    name: String,
    mode: Ident,
    callbacks: Vec<(Ident, Path)>,
    hibernate_after: Option<Millis>,
    handover_timeout: Option<Millis>,
    retry_placement: Option<Ident>,
    join_set: Option<String>,
    wait_permits: Option<u16>,
    /// The number of finished jobs to keep, and the age.
    keep_finished: Option<(u32, Millis)>,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let read = |worker: Option<&ItemImpl>, errors: &mut Errors| {
        if let Some(worker) = worker {
            check(worker, errors);
        }
        read(arguments, errors)
    };
    super::expand(&PLACE, item, read, write)
}

/// Checks the items of the `impl Worker` block.
fn check(worker: &ItemImpl, errors: &mut Errors) {
    let handler = "the handler is missing: write \
                   `async fn handle_job(&mut self, job: Self::Job, cx: Context) -> Result<Outcome>`";
    let items = [
        ("Job", "`type Job = …;` is missing: the jobs that this pool runs"),
        ("handle_job", handler),
    ];
    require(worker, &items, errors);
    if has(worker, "CALLBACKS") {
        let message = "`CALLBACKS` is written by `#[pool(callbacks(…))]`: leave it out here";
        errors.at(&worker.self_ty, message);
    }
}

fn read(arguments: TokenStream, errors: &mut Errors) -> Option<PoolType> {
    let attributes = Attributes::of_list(arguments, &KNOWN, errors);
    let missing = "`name` is missing: write `name = \"mypool\"`, the queue that the pool serves";
    let common = Common::read(&attributes, &names::QUEUE, missing, errors);
    let callbacks = attributes.list("callbacks").map(|(_, list)| read_callbacks(list, errors));
    let mode = match attributes.get("mode") {
        Some(mode) => errors.catch(word(mode, &MODES)),
        None => Some(parse_quote!(Shared)),
    };
    let retry_placement = attributes
        .get("retry_placement")
        .and_then(|retry_placement| errors.catch(word(retry_placement, &PLACEMENTS)));
    let hibernate_after = read_hibernation(&attributes, errors);
    let handover_timeout = attributes
        .get("handover_timeout")
        .and_then(|time| errors.catch(duration::read("handover_timeout", &time.value)));
    let join_set =
        attributes.get("join_set").and_then(|name| errors.catch(names::QUEUE.read(name)));
    let wait_permits =
        attributes.get("wait_permits").and_then(|nodes| errors.catch(integer(nodes, 1, u16::MAX)));
    let keep_finished =
        attributes.list("keep_finished").and_then(|(name, list)| read_kept(name, list, errors));
    let mode = mode?;
    let of_process = mode == "Shared" || mode == "Broadcast";
    if !of_process && attributes.get("size").is_none() {
        let message = "`size` is missing: an addressed pool has the same number of slots for all \
                       processes together";
        errors.push(Error::new(Span::call_site(), message));
    }
    for name in ["retry_placement", "handover_timeout"] {
        if let (true, Some(attribute)) = (of_process, attributes.get(name)) {
            let message = format!(
                "`{name}` is for slots that are addressed: use mode \"round_robin\", \"random\", \
                 \"monotonic\" or \"phash\", or leave it out"
            );
            errors.at(&attribute.name, message);
        }
    }
    if let (true, Some(attribute)) = (mode != "Shared", attributes.get("wait_permits")) {
        let message = "`wait_permits` is for pools whose nodes wait at one queue: use mode \
                       \"shared\", or leave it out";
        errors.at(&attribute.name, message);
    }
    if let (true, Some((name, _))) = (mode == "Broadcast", attributes.list("keep_finished")) {
        let message = "`keep_finished` is for jobs that are stored: a broadcast leaves none, so \
                       leave it out";
        errors.at(name, message);
    }
    Some(PoolType {
        name: common.name.clone()?,
        common,
        mode,
        callbacks: callbacks.unwrap_or_default(),
        hibernate_after,
        handover_timeout,
        retry_placement,
        join_set,
        wait_permits,
        keep_finished,
    })
}

/// Reads how many finished jobs are kept, and for how long.
fn read_kept(name: &Ident, list: TokenStream, errors: &mut Errors) -> Option<(u32, Millis)> {
    let attributes = Attributes::of_list(list, &KEPT, errors);
    for part in KEPT.names.iter().filter(|part| !attributes.is_given(part)) {
        errors.at(name, format!("`{part}` is missing: write `{KEEP_FINISHED}`"));
    }
    let count = attributes.get("count").map(|count| integer(count, 1, MAX_KEPT));
    let age = attributes.get("age").map(|age| match duration::read("age", &age.value) {
        Ok(time) if time.is_zero() => {
            Err(Error::new_spanned(&age.value, "`age` is above 0: nothing is kept for 0 ms"))
        }
        age => age,
    });
    let (count, age) = (count.map(|it| errors.catch(it)), age.map(|it| errors.catch(it)));
    count.flatten().zip(age.flatten())
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
            let message = format!(
                "a callback is the name of a function, or a name and a path: `{CALLBACKS}`"
            );
            Error::new_spanned(&item, message)
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

fn write(pool: &PoolType, worker: &ItemImpl) -> TokenStream {
    let mut worker = worker.clone();
    let PoolType { common, name, mode, .. } = pool;
    let krate = &common.krate;
    let names = pool.callbacks.iter().map(|(name, _)| name.to_string());
    if !pool.callbacks.is_empty() {
        worker
            .items
            .insert(0, parse_quote!(const CALLBACKS: &'static [&'static str] = &[#(#names),*];));
    }
    let ty: &Type = &worker.self_ty;
    let (generics, _, clause) = worker.generics.split_for_impl();
    let size = common.size_call();
    let policy = common
        .policy_on(&quote!(<#krate::Policy as ::core::default::Default>::default()))
        .map(|policy| quote!(.policy(#policy)));
    let time = |name: &str, time: Option<Millis>| {
        let (method, time) = (Ident::new(name, Span::call_site()), time?.tokens());
        Some(quote!(.#method(#time)))
    };
    let hibernate_after = time("hibernate_after", pool.hibernate_after);
    let handover_timeout = time("handover_timeout", pool.handover_timeout);
    let retry_placement = pool
        .retry_placement
        .as_ref()
        .map(|variant| quote!(.retry_placement(#krate::RetryPlacement::#variant)));
    let join_set = pool.join_set.as_ref().map(|join_set| quote!(.join_set(#join_set)));
    let wait_permits = pool.wait_permits.map(|nodes| quote!(.wait_permits(#nodes)));
    let keep_finished = pool.keep_finished.map(|(count, age)| {
        let age = age.tokens();
        quote!(.keep_finished(#count, #age))
    });
    let sinks = pool.callbacks.iter().map(|(name, path)| {
        let name = name.to_string();
        quote!(.callback(#name, #path))
    });
    let local = match (mode.to_string().as_str(), common.size) {
        ("Shared", size) => {
            let size = size.unwrap_or(0);
            Some(quote!(.with_shared_slots(#size)))
        }
        ("Broadcast", Some(size)) => Some(quote!(.with_size(#size))),
        _ => None,
    };
    quote! {
        #worker

        #[automatically_derived]
        #[allow(dead_code, reason = "a process may only run the pool, or only feed it")]
        impl #generics #ty #clause {
            /// Returns the pool with this worker.
            #[must_use]
            pub fn pool(self) -> #krate::Pool {
                #krate::Pool::new(#name)
                    .mode(#krate::Mode::#mode)
                    #size #policy #hibernate_after #handover_timeout #retry_placement #join_set
                    #wait_permits #keep_finished #(#sinks)*
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

        #[automatically_derived]
        impl #generics #krate::Component for #ty #clause {
            fn install(self, node: #krate::NodeBuilder) -> #krate::NodeBuilder {
                node.pool(self.pool())
            }
        }
    }
}
