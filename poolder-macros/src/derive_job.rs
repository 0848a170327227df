//! `#[derive(Job)]`: reads the kinds of a type from the type and its attributes.

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Error, Fields, Ident, Path, Variant, parse_quote,
};

use crate::attributes::{Attributes, Known, integer};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::flow::Flow;
use crate::policy::Policy;
use crate::unique::{self, Unique};
use crate::{expand, names, serde_attributes};

/// The attributes of a struct or an enum.
const ON_TYPE: Known<'static> = Known {
    names: &[
        "kind",
        "version",
        "queue",
        "attempts",
        "backoff",
        "timeout",
        "retry_for",
        "crashes",
        "group",
        "cost",
        "expires",
        "crate",
    ],
    lists: &[("unique", unique::EXAMPLE)],
    elsewhere: &[
        (
            "policy",
            "write the settings of the policy by themselves: `attempts = 5, backoff = \"1s\"`",
        ),
        ("expires_in", "write `expires = \"10m\"`"),
    ],
};

/// The attributes of a variant.
const ON_VARIANT: Known<'static> = Known {
    names: &[
        "kind",
        "attempts",
        "backoff",
        "timeout",
        "retry_for",
        "crashes",
        "group",
        "cost",
        "expires",
    ],
    lists: &[("unique", unique::EXAMPLE)],
    elsewhere: &[
        ("queue", "`queue` belongs on the enum: its variants share one queue"),
        ("version", "`version` belongs on the enum: its variants share one version"),
        ("crate", "`crate` belongs on the enum"),
        ("expires_in", "write `expires = \"10m\"`"),
    ],
};

/// The attributes of the type, checked.
pub(crate) struct JobType {
    /// The path of the crate that the generated code uses.
    pub(crate) krate: Path,
    /// The queue; `None` for the default queue.
    pub(crate) queue: Option<String>,
    /// The version; `None` for the default version.
    pub(crate) version: Option<u16>,
    /// The kinds: one per variant of an enum, in their order, or the one kind of a struct.
    pub(crate) kinds: Vec<Kind>,
}

/// A kind of the type.
pub(crate) struct Kind {
    /// The name of the kind.
    pub(crate) name: String,
    /// The policy of its jobs.
    pub(crate) policy: Policy,
    /// The time within which its jobs start; the inner `None` stands for `"none"`.
    pub(crate) expires: Option<Option<Millis>>,
    /// The rule by which its jobs are unique.
    pub(crate) unique: Option<Unique>,
    /// The fields that say the group and the cost of its jobs.
    pub(crate) flow: Flow,
    /// The variant of an enum; `None` for a struct.
    pub(crate) variant: Option<Ident>,
}

/// Returns the implementation of `Job`, or all errors at once.
pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut errors = Errors::default();
    let job = read(input, &mut errors);
    errors.finish()?;
    Ok(expand::job(input, &job))
}

fn read(input: &DeriveInput, errors: &mut Errors) -> JobType {
    let attributes = Attributes::of(&input.attrs, "job", &ON_TYPE, errors);
    for lifetime in input.generics.lifetimes() {
        let message = "a job owns its data: it outlives the borrow, so use owned types like String";
        errors.at(lifetime, message);
    }
    let krate = attributes.get("crate").and_then(|path| errors.catch(names::read_crate(path)));
    let queue = attributes.get("queue").and_then(|name| errors.catch(names::QUEUE.read(name)));
    let version =
        attributes.get("version").and_then(|version| errors.catch(integer(version, 1, u16::MAX)));
    let policy = Policy::read(&attributes, errors);
    let expires = read_expires(&attributes, errors);
    let kind = kind_of(&attributes, &input.ident, names::snake_case(&input.ident), errors);

    let kinds = match &input.data {
        Data::Struct(data) => {
            refuse_on_fields(&data.fields, errors);
            let unique = Unique::read(&attributes, Some(&data.fields), errors);
            let flow = Flow::read(&attributes, Some(&data.fields), errors);
            kind.into_iter()
                .map(|name| Kind {
                    name,
                    policy: policy.clone(),
                    expires,
                    unique: unique.clone(),
                    flow: flow.clone(),
                    variant: None,
                })
                .collect()
        }
        Data::Enum(data) => {
            serde_attributes::check(input, data, errors);
            let unique = Unique::read(&attributes, None, errors);
            Flow::read(&attributes, None, errors);
            read_variants(input, data, (kind.as_deref(), &policy, expires, unique), errors)
        }
        Data::Union(_) => {
            let message = "a union cannot be serialized: a job is a struct or an enum";
            errors.at(&input.ident, message);
            vec![]
        }
    };
    JobType { krate: krate.unwrap_or_else(|| parse_quote!(::poolder)), queue, version, kinds }
}

/// Reads the kinds of an enum. A variant without a policy, a rule or a time of its own has those of
/// the enum.
fn read_variants(
    input: &DeriveInput,
    data: &DataEnum,
    (prefix, base, expires, unique): (
        Option<&str>,
        &Policy,
        Option<Option<Millis>>,
        Option<Unique>,
    ),
    errors: &mut Errors,
) -> Vec<Kind> {
    if data.variants.is_empty() {
        errors.at(&input.ident, "a job enum has one kind per variant: give it a variant");
    }
    let mut kinds: Vec<Kind> = vec![];
    for variant in &data.variants {
        let Variant { ident, fields, attrs, .. } = variant;
        refuse_on_fields(fields, errors);
        let attributes = Attributes::of(attrs, "job", &ON_VARIANT, errors);
        let policy = Policy::read(&attributes, errors).or(base);
        let expires = read_expires(&attributes, errors).or(expires);
        let own = Unique::read(&attributes, Some(fields), errors);
        let flow = Flow::read(&attributes, Some(fields), errors);
        // An illegal prefix was reported already. A variant with its own kind is still checked.
        if prefix.is_none() && attributes.get("kind").is_none() {
            continue;
        }
        let default = format!("{}.{}", prefix.unwrap_or_default(), names::snake_case(ident));
        let Some(name) = kind_of(&attributes, ident, default, errors) else { continue };
        if let Some(Kind { variant: Some(first), .. }) = kinds.iter().find(|kind| kind.name == name)
        {
            let message = format!("kind {name:?} is that of `{first}` already: kinds must differ");
            let span = attributes.get("kind").map_or(ident.span(), |kind| kind.value.span());
            errors.push(Error::new(span, message));
            continue;
        }
        let unique = own.or_else(|| unique.clone());
        kinds.push(Kind { name, policy, expires, unique, flow, variant: Some(ident.clone()) });
    }
    kinds
}

/// Reads the time within which jobs start.
fn read_expires(attributes: &Attributes, errors: &mut Errors) -> Option<Option<Millis>> {
    let attribute = attributes.get("expires")?;
    let zero = "0 would let no job start";
    errors.catch(duration::read_limit("expires", &attribute.value, zero))
}

/// Returns the kind from the attribute, or the default kind.
fn kind_of(
    attributes: &Attributes,
    ident: &Ident,
    default: String,
    errors: &mut Errors,
) -> Option<String> {
    let checked = match attributes.get("kind") {
        Some(kind) => names::KIND.read(kind),
        None => names::KIND.check(&default, ident.span()).map(|()| default).map_err(|error| {
            Error::new(error.span(), format!("{error}; or name it with `#[job(kind = \"…\")]`"))
        }),
    };
    errors.catch(checked)
}

/// Reports attributes on fields: fields take none, and an ignored attribute would mislead its
/// author.
fn refuse_on_fields(fields: &Fields, errors: &mut Errors) {
    let is_job = |attribute: &&Attribute| attribute.path().is_ident("job");
    for attribute in fields.iter().flat_map(|field| field.attrs.iter()).filter(is_job) {
        errors.at(attribute, "`#[job(…)]` belongs on the type or on a variant, not on a field");
    }
}
