//! The methods of the `impl` block: the jobs that they run, and the code that calls them.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, ImplItem, ImplItemFn, ItemImpl, Signature};

use super::ScheduledJob;
use crate::errors::Errors;

/// The methods that override those of the trait `Periodic`.
const HANDLERS: [&str; 4] = ["handle_init", "handle_job", "handle_error", "handle_stop"];

/// The methods of the block, checked.
pub(super) struct Methods {
    /// The call of each job's method, in the order of the list; `None` when `handle_job` runs the
    /// job.
    pub(super) jobs: Vec<Option<TokenStream>>,
    /// True when the block has `handle_init`.
    pub(super) init: bool,
    /// True when the block has `handle_job`.
    pub(super) job: bool,
    /// True when the block has `handle_error`.
    pub(super) error: bool,
    /// True when the block has `handle_stop`.
    pub(super) stop: bool,
}

impl Methods {
    pub(super) fn read(item: &ItemImpl, jobs: &[ScheduledJob], errors: &mut Errors) -> Self {
        let functions: Vec<&ImplItemFn> = item
            .items
            .iter()
            .filter_map(|item| match item {
                ImplItem::Fn(function) => Some(function),
                _ => None,
            })
            .collect();
        let find = |name: &str| functions.iter().find(|function| function.sig.ident == name);
        let [init, job, error, stop] = HANDLERS.map(|name| {
            let Some(function) = find(name) else { return false };
            if function.sig.asyncness.is_none() {
                errors.at(&function.sig.ident, format!("`{name}` must be an `async fn`"));
            }
            true
        });
        let calls = jobs.iter().map(|scheduled| {
            let name = &scheduled.name;
            if HANDLERS.contains(&name.as_str()) {
                errors.at(&scheduled.ident, format!("`{name}` is no job: use another name"));
                return None;
            }
            let function = functions.iter().find(|function| function.sig.ident == scheduled.ident);
            match function {
                Some(function) => call(&function.sig, errors),
                None if job => None,
                None => {
                    let message = format!(
                        "job `{name}` has no method in this block: add `async fn {name}(&mut self)`, \
                         or a `handle_job` that stands in for it"
                    );
                    errors.at(&scheduled.ident, message);
                    None
                }
            }
        });
        Self { jobs: calls.collect(), init, job, error, stop }
    }
}

/// Returns the call of a job's method.
fn call(signature: &Signature, errors: &mut Errors) -> Option<TokenStream> {
    let name = &signature.ident;
    let shape = || {
        format!(
            "a job is written `async fn {name}(&mut self)`, or with a `Context` behind; \
             `&self` or no receiver will do too"
        )
    };
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, format!("`{name}` is no `async fn`: {}", shape()));
        return None;
    }
    if let Some(generic) = signature.generics.params.first() {
        errors.at(generic, format!("a job has no parameters of its own: {}", shape()));
        return None;
    }
    let mut inputs = signature.inputs.iter().peekable();
    let receiver = match inputs.peek() {
        Some(FnArg::Receiver(receiver)) => {
            if receiver.reference.is_none() {
                errors.at(receiver, format!("a job runs again and again: {}", shape()));
                return None;
            }
            inputs.next();
            Some(quote!(self))
        }
        _ => None,
    };
    let context = inputs.next().map(|_| quote!(cx));
    if let Some(more) = inputs.next() {
        errors.at(more, shape());
        return None;
    }
    let arguments = receiver.into_iter().chain(context);
    Some(quote!(Self::#name(#(#arguments),*)))
}
