//! `#[scheduler(…)]`: makes a scheduler, which is a component of a node, of an `impl` block and a
//! list of timings.

mod methods;
mod write;

use poolder_cron::{Timing, Zone};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Error, Expr, ExprCall, ExprLit, Ident, ItemImpl, Lit, Path, parse_quote};

use crate::attributes::{Attribute, Attributes, Known, integer, read_open, take_nested, text};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::{names, retry};
use methods::Methods;

/// The attributes of a scheduler.
const KNOWN: Known<'static> = Known {
    names: &[
        "name", "queue", "size", "zone", "timeout", "missed", "overlap", "jitter", "lane",
        "deploy", "crate",
    ],
    elsewhere: &[
        ("retry", r#"write `retry(count = 5, backoff = "1s")`"#),
        ("jobs", r#"write `jobs(prune = "*/15 * * * * *", poll = "5s")`"#),
    ],
};

const MAX_SIZE: u16 = 10_000;
const MAX_MISSED: u32 = 10_000;

/// The attributes, checked.
struct SchedulerType {
    krate: Path,
    name: String,
    jobs: Vec<ScheduledJob>,
    /// Calls on the builder, in order.
    settings: Vec<TokenStream>,
    /// Calls on the default policy.
    policy: Vec<TokenStream>,
}

/// One job of the list.
struct ScheduledJob {
    ident: Ident,
    name: String,
    /// The timing as a text that `poolder-core` can parse; `None` for a job without a schedule.
    timing: Option<String>,
}

/// Returns the block unchanged, with the code that makes its type a component, or with all errors.
pub(crate) fn expand(list: TokenStream, item: &ItemImpl) -> TokenStream {
    let mut errors = Errors::default();
    let scheduler = read(list, &mut errors);
    let jobs = scheduler.as_ref().map_or(&[][..], |scheduler| &scheduler.jobs);
    let methods = Methods::read(item, jobs, &mut errors);
    let written = errors.finish().and_then(|()| {
        scheduler.ok_or_else(|| Error::new(Span::call_site(), "the scheduler could not be read"))
    });
    match written {
        Ok(scheduler) => {
            let component = write::component(&scheduler, &methods, item);
            quote!(#item #component)
        }
        Err(errors) => {
            // Without the block, the compiler would report errors about missing methods, too.
            let errors = errors.into_compile_error();
            quote!(#item #errors)
        }
    }
}

fn read(list: TokenStream, errors: &mut Errors) -> Option<SchedulerType> {
    let (list, retry) = take_nested(list, "retry");
    let (list, jobs) = take_nested(list, "jobs");
    let attributes = Attributes::of_list(list, &KNOWN, errors);
    let krate = attributes.get("crate").and_then(|path| errors.catch(names::read_crate(path)));
    let krate = krate.unwrap_or_else(|| parse_quote!(::poolder));
    let name = match attributes.get("name") {
        Some(name) => errors.catch(names::SCHEDULER.read(name)),
        None => {
            let message = r#"a scheduler needs a name: `name = "myjobs"`"#;
            errors.push(Error::new(Span::call_site(), message));
            None
        }
    };
    let jobs = read_jobs(jobs, errors);
    let settings = read_settings(&attributes, &krate, errors);
    let policy = read_policy(&attributes, retry, errors);
    Some(SchedulerType { krate, name: name?, jobs, settings, policy })
}

/// Reads `jobs(…)`, which must be given once.
fn read_jobs(nested: Vec<(Ident, TokenStream)>, errors: &mut Errors) -> Vec<ScheduledJob> {
    let mut nested = nested.into_iter();
    let Some((at, list)) = nested.next() else {
        let message = r#"a scheduler needs jobs: `jobs(prune = "*/15 * * * * *", poll = "5s")`"#;
        errors.push(Error::new(Span::call_site(), message));
        return vec![];
    };
    for (again, _) in nested {
        errors.at(&again, "`jobs` is given twice: put all jobs into one");
    }
    let mut jobs: Vec<ScheduledJob> = vec![];
    for (ident, value) in read_open(list, errors) {
        let name = ident.unraw().to_string();
        if jobs.iter().any(|job| job.name == name) {
            errors.at(&ident, format!("job `{name}` is given twice: a job has one schedule"));
            continue;
        }
        // A bad timing is reported; the job is kept, so that no second error says it is missing.
        let timing = value.and_then(|value| errors.catch(read_timing(&name, &value)));
        jobs.push(ScheduledJob { ident, name, timing });
    }
    if jobs.is_empty() {
        errors.at(&at, r#"`jobs` is empty: write `jobs(prune = "*/15 * * * * *")`"#);
    }
    jobs
}

/// Reads a timing: a cron expression, or an interval.
fn read_timing(job: &str, value: &Expr) -> syn::Result<String> {
    let read = match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.value().parse::<Timing>(),
        Expr::Lit(ExprLit { lit: Lit::Int(_), .. }) => {
            let Millis(ms) = duration::read(job, value)?;
            Timing::try_from(ms)
        }
        _ => {
            let message = format!(
                "`{job}` takes a cron expression such as \"*/15 * * * *\", or an interval such as \
                 \"90s\" or 5000 (milliseconds)"
            );
            return Err(Error::new_spanned(value, message));
        }
    };
    match read {
        Ok(timing) => Ok(timing.to_string()),
        Err(why) => Err(Error::new_spanned(value, format!("`{job}`: {why}"))),
    }
}

fn read_settings(attributes: &Attributes, krate: &Path, errors: &mut Errors) -> Vec<TokenStream> {
    let mut settings = vec![];
    let mut set = |name: &str, read: &dyn Fn(&Attribute) -> syn::Result<TokenStream>| {
        if let Some(attribute) = attributes.get(name) {
            settings.extend(errors.catch(read(attribute)));
        }
    };
    set("queue", &|queue| names::QUEUE.read(queue).map(|queue| quote!(.queue(#queue))));
    set("size", &|size| integer::<u16>(size, 1, MAX_SIZE).map(|size| quote!(.size(#size))));
    set("zone", &|zone| {
        let expected = "`zone` takes a name of the IANA database such as \"Europe/Berlin\"";
        let text = text(&zone.value, expected)?;
        match text.value().parse::<Zone>() {
            Ok(zone) => {
                let zone = zone.to_string();
                Ok(quote!(.zone(#zone)))
            }
            Err(why) => Err(Error::new(text.span(), format!("`zone`: {why}"))),
        }
    });
    set("missed", &|missed| {
        let policy = read_missed(krate, &missed.value)?;
        Ok(quote!(.missed(#policy)))
    });
    set("overlap", &|overlap| {
        let words = [("allow", "Allow"), ("skip", "Skip"), ("queue_one", "QueueOne")];
        let variant = one_of(overlap, &words)?;
        Ok(quote!(.overlap(#krate::Overlap::#variant)))
    });
    set("lane", &|lane| {
        let words = [("high", "High"), ("normal", "Normal"), ("low", "Low")];
        let variant = one_of(lane, &words)?;
        Ok(quote!(.lane(#krate::Lane::#variant)))
    });
    set("jitter", &|jitter| {
        let jitter = duration::read("jitter", &jitter.value)?.tokens();
        Ok(quote!(.jitter(#jitter)))
    });
    set("deploy", &|deploy| {
        let name = text(&deploy.value, "`deploy` takes a name such as \"2026-11-25\"")?;
        Ok(quote!(.deploy(#name)))
    });
    settings
}

/// Reads the policy for missed ticks: `"skip"`, `"one"` or `all(100, "1h")`.
fn read_missed(krate: &Path, value: &Expr) -> syn::Result<TokenStream> {
    let missed = quote!(#krate::Missed);
    let forms = || {
        let message = r#"`missed` takes "skip", "one", or all(100, "1h"): at most 100 ticks, and none more than 1h late"#;
        Error::new_spanned(value, message)
    };
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match text.value().as_str() {
            "skip" => Ok(quote!(#missed::Skip)),
            "one" => Ok(quote!(#missed::One)),
            _ => Err(forms()),
        },
        Expr::Call(ExprCall { func, args, .. }) => {
            let is_all = matches!(&**func, Expr::Path(path) if path.path.is_ident("all"));
            let (true, 2) = (is_all, args.len()) else { return Err(forms()) };
            let most =
                Attribute { name: Ident::new("all", Span::call_site()), value: args[0].clone() };
            let most = integer::<u32>(&most, 1, MAX_MISSED)?;
            let within = duration::read("all", &args[1])?;
            if within.is_zero() {
                let message = "0 would make up for nothing: write `missed = \"skip\"`";
                return Err(Error::new_spanned(&args[1], message));
            }
            let within = within.tokens();
            Ok(quote!(#missed::All { most: #most, within: #within }))
        }
        _ => Err(forms()),
    }
}

/// Returns the variant that `words` gives for the value of the attribute.
fn one_of(attribute: &Attribute, words: &[(&str, &str)]) -> syn::Result<Ident> {
    let known: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    let expected = format!("`{}` takes one of {}", attribute.name, known.join(", "));
    let text = text(&attribute.value, &expected)?;
    let value = text.value();
    let found = words.iter().find(|(word, _)| *word == value);
    found
        .map(|(_, variant)| Ident::new(variant, Span::call_site()))
        .ok_or_else(|| Error::new(text.span(), expected))
}

/// Reads `timeout` and `retry(count = …, backoff = …)`, each given at most once, as calls on a
/// policy.
fn read_policy(
    attributes: &Attributes,
    nested: Vec<(Ident, TokenStream)>,
    errors: &mut Errors,
) -> Vec<TokenStream> {
    let mut policy = vec![];
    if let Some(attribute) = attributes.get("timeout") {
        let zero = "0 would let no attempt run";
        let limit = errors.catch(duration::read_limit("timeout", &attribute.value, zero));
        policy.extend(limit.map(|limit| match limit {
            None => quote!(.timeout(::core::option::Option::None)),
            Some(limit) => {
                let limit = limit.tokens();
                quote!(.timeout(#limit))
            }
        }));
    }
    policy.extend(retry::read(nested, errors));
    policy
}
