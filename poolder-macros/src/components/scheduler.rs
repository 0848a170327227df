//! `#[scheduler(…)]`: makes a scheduler of the `impl` block whose methods are its jobs.

mod methods;
mod write;

use poolder_cron::{Timing, Zone};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Error, Expr, ExprCall, ExprLit, Ident, ItemImpl, Lit, Path};

use super::{Common, NO_RETRY, POLICY_LIST, Place};
use crate::attributes::{Attribute, Attributes, Known, integer, parse_item, split, text, word};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::names;
use methods::Methods;

/// The attributes of a scheduler.
const KNOWN: Known<'static> = Known {
    names: &[
        "name", "queue", "size", "zone", "missed", "overlap", "jitter", "lane", "deploy", "crate",
    ],
    lists: &[("jobs", r#"jobs(prune = "*/15 * * * * *", poll = "5s")"#), POLICY_LIST],
    elsewhere: &[
        NO_RETRY,
        ("timeout", r#"write `policy(timeout = "30s")`: the timeout of an attempt"#),
        ("attempts", "write `policy(attempts = 5)`"),
        ("cron", r#"write the timing beside its job: `jobs(prune = "*/15 * * * * *")`"#),
        ("every", r#"write the timing beside its job: `jobs(poll = "5s")`"#),
    ],
};

const PLACE: Place = Place {
    attribute: "scheduler",
    of_trait: None,
    block: "the `impl MyJobs { … }` whose methods are the jobs",
};

const MAX_MISSED: u32 = 10_000;

/// The attributes, checked.
struct SchedulerType {
    common: Common,
    name: String,
    queue: Option<String>,
    jobs: Vec<ScheduledJob>,
    /// Calls on the builder, in order.
    settings: Vec<TokenStream>,
}

/// One job of the list.
struct ScheduledJob {
    ident: Ident,
    name: String,
    /// The timing as a text that `poolder-core` can parse; `None` for a job without a schedule.
    timing: Option<String>,
}

pub(crate) fn expand(list: TokenStream, item: TokenStream) -> TokenStream {
    let read = |block: Option<&ItemImpl>, errors: &mut Errors| {
        let scheduler = read(list, errors);
        let jobs = scheduler.as_ref().map_or(&[][..], |scheduler| &scheduler.jobs);
        let methods = block.map(|block| Methods::read(block, jobs, errors));
        Some((scheduler?, methods?))
    };
    super::expand(&PLACE, item, read, |(scheduler, methods), block| {
        write::component(scheduler, methods, block)
    })
}

fn read(list: TokenStream, errors: &mut Errors) -> Option<SchedulerType> {
    let attributes = Attributes::of_list(list, &KNOWN, errors);
    let missing = r#"`name` is missing: write `name = "myjobs"`"#;
    let common = Common::read(&attributes, &names::SCHEDULER, missing, errors);
    let jobs = match attributes.list("jobs") {
        None if attributes.is_given("jobs") => vec![],
        list => read_jobs(list, errors),
    };
    let (queue, settings) = read_settings(&attributes, &common.krate, errors);
    Some(SchedulerType { name: common.name.clone()?, queue, common, jobs, settings })
}

/// Reads `jobs(…)`, which must be given.
fn read_jobs(list: Option<(&Ident, TokenStream)>, errors: &mut Errors) -> Vec<ScheduledJob> {
    let Some((at, list)) = list else {
        let message = r#"`jobs` is missing: write `jobs(prune = "*/15 * * * * *", poll = "5s")`"#;
        errors.push(Error::new(Span::call_site(), message));
        return vec![];
    };
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
        errors.at(at, r#"`jobs` is empty: write `jobs(prune = "*/15 * * * * *")`"#);
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

/// Reads the queue, and the other settings as calls on the builder.
fn read_settings(
    attributes: &Attributes,
    krate: &Path,
    errors: &mut Errors,
) -> (Option<String>, Vec<TokenStream>) {
    let queue = attributes.get("queue").and_then(|name| errors.catch(names::QUEUE.read(name)));
    let mut settings: Vec<_> = queue.iter().map(|queue| quote!(.queue(#queue))).collect();
    let mut set = |name: &str, read: &dyn Fn(&Attribute) -> syn::Result<TokenStream>| {
        if let Some(attribute) = attributes.get(name) {
            settings.extend(errors.catch(read(attribute)));
        }
    };
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
        let variant = word(overlap, &words)?;
        Ok(quote!(.overlap(#krate::Overlap::#variant)))
    });
    set("lane", &|lane| {
        let words = [("high", "High"), ("normal", "Normal"), ("low", "Low")];
        let variant = word(lane, &words)?;
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
    (queue, settings)
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

/// Reads the jobs of the list: names, with or without a value.
fn read_open(list: TokenStream, errors: &mut Errors) -> Vec<(Ident, Option<Expr>)> {
    let mut found = vec![];
    for item in split(list) {
        let mut tokens = item.clone().into_iter();
        let read = match (tokens.next(), tokens.next()) {
            (Some(TokenTree::Ident(name)), None) => Ok((name, None)),
            (Some(TokenTree::Ident(name)), Some(TokenTree::Group(_))) => Err(Error::new_spanned(
                &item,
                format!("`{name}` has one timing: write `{name} = \"*/15 * * * *\"` or `\"90s\"`"),
            )),
            _ => parse_item.parse2(item).map(|Attribute { name, value }| (name, Some(value))),
        };
        found.extend(errors.catch(read));
    }
    found
}
