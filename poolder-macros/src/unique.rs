//! Reads the rule by which a job is unique from the attribute `unique(…)`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, Expr, ExprLit, Fields, Ident, Lit, Member};

use crate::attributes::{Attribute, Attributes, Known, text};
use crate::duration::{self, Millis};
use crate::errors::Errors;
use crate::fields;

/// An example of the list, for errors.
pub(crate) const EXAMPLE: &str = "unique(until = \"done\", by = (tenant, month))";

/// The attributes of the rule.
const IN_LIST: Known<'static> = Known {
    names: &[
        "until",
        "window",
        "debounce",
        "at_most",
        "keep",
        "by",
        "across_kinds",
        "replace",
        "hold_for",
    ],
    lists: &[],
    elsewhere: &[],
};

/// The rule of a kind.
#[derive(Clone, PartialEq)]
pub(crate) struct Unique {
    mode: Mode,
    /// The fields of which the key is made; `None` for all of the payload.
    by: Option<Vec<Member>>,
    across_kinds: bool,
    replace: bool,
    hold_for: Option<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Done,
    Start,
    Window(Millis),
    Debounce(Millis, Option<Millis>),
    KeepLast,
}

impl Unique {
    /// Reads the list `unique(…)`, if it is given. `fields` are those of the struct or the variant;
    /// `None` for an enum as a whole.
    pub(crate) fn read(
        attributes: &Attributes,
        fields: Option<&Fields>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let (name, list) = attributes.list("unique")?;
        let name = name.clone();
        let list = Attributes::of_list(list, &IN_LIST, errors);
        let mut time = |item: &str| {
            let attribute = list.get(item)?;
            let read = duration::read(item, &attribute.value).and_then(|time| {
                let zero = format!("`{item}` takes a time above 0");
                if time.is_zero() {
                    Err(Error::new_spanned(&attribute.value, zero))
                } else {
                    Ok(time)
                }
            });
            errors.catch(read)
        };
        let (window, debounce) = (time("window"), time("debounce"));
        let (at_most, hold_for) = (time("at_most"), time("hold_for"));
        let start = list.get("until").and_then(|until| errors.catch(until_start(until)));
        if let Some(keep) = list.get("keep") {
            errors.catch(keep_last(keep));
        }
        let mode = match (window, debounce) {
            (Some(window), _) => Mode::Window(window),
            (None, Some(delay)) => Mode::Debounce(delay, at_most),
            (None, None) if list.is_given("keep") => Mode::KeepLast,
            (None, None) if start == Some(true) => Mode::Start,
            (None, None) => Mode::Done,
        };
        let ends: Vec<_> =
            ["until", "window", "debounce"].into_iter().filter(|it| list.is_given(it)).collect();
        if let [first, second, ..] = ends[..] {
            errors.push(refusal(
                &list,
                second,
                &name,
                format!("`{first}` says already when the key is free: keep one of them"),
            ));
        }
        let starts = (start == Some(true)).then_some("until");
        let other = ["window", "debounce"].into_iter().find(|it| list.is_given(it)).or(starts);
        if let Some(other) = other.filter(|_| list.is_given("keep")) {
            let why = format!(
                "the last job waits until the one before has ended: leave out `keep`, or `{other}`"
            );
            errors.push(refusal(&list, "keep", &name, why));
        }
        if list.is_given("replace") && list.is_given("keep") {
            let why = "`keep` replaces in any case: leave out `replace`".to_owned();
            errors.push(refusal(&list, "replace", &name, why));
        }
        if list.is_given("at_most") && !list.is_given("debounce") {
            let why = "`at_most` bounds a `debounce`: give both, or leave it out".to_owned();
            errors.push(refusal(&list, "at_most", &name, why));
        }
        if let Mode::Debounce(delay, Some(most)) = mode
            && most < delay
        {
            let why = "`at_most` is shorter than the delay of `debounce`".to_owned();
            errors.push(refusal(&list, "at_most", &name, why));
        }
        if list.is_given("hold_for") && list.is_given("window") {
            let why = "a `window` holds the key for its time: leave out `hold_for`".to_owned();
            errors.push(refusal(&list, "hold_for", &name, why));
        }
        if list.is_given("replace") && list.is_given("debounce") {
            let why = "a `debounce` replaces in any case: leave out `replace`".to_owned();
            errors.push(refusal(&list, "replace", &name, why));
        }
        let mut flag = |item: &str| {
            list.get(item).and_then(|attribute| errors.catch(read_flag(attribute))).unwrap_or(false)
        };
        let (across_kinds, replace) = (flag("across_kinds"), flag("replace"));
        let by = list.get("by").and_then(|by| errors.catch(read_fields(by, fields)));
        Some(Self { mode, by, across_kinds, replace, hold_for })
    }

    /// Returns the pattern that binds the fields of the key, and the expression of the rule.
    pub(crate) fn tokens(&self, private: &TokenStream) -> (TokenStream, TokenStream) {
        let rule = quote!(#private::Unique);
        let mode = match self.mode {
            Mode::Done => quote!(#rule::until_done()),
            Mode::Start => quote!(#rule::until_start()),
            Mode::KeepLast => quote!(#rule::keep_last()),
            Mode::Window(window) => {
                let window = window.tokens();
                quote!(#rule::window(#window))
            }
            Mode::Debounce(delay, most) => {
                let delay = delay.tokens();
                let most = most.map(|most| {
                    let most = most.tokens();
                    quote!(.at_most(#most))
                });
                quote!(#rule::debounce(#delay)#most)
            }
        };
        let members = self.by.as_deref().unwrap_or_default();
        let names: Vec<Ident> = (0..members.len()).map(|at| format_ident!("__by_{}", at)).collect();
        let by = self.by.as_ref().map(|_| quote!(.by(&(#(#names,)*))));
        let across = self.across_kinds.then(|| quote!(.across_kinds()));
        let replace = self.replace.then(|| quote!(.replace()));
        let hold = self.hold_for.map(|time| {
            let time = time.tokens();
            quote!(.hold_for(#time))
        });
        (quote!({ #(#members: #names,)* .. }), quote!(#mode #by #across #replace #hold))
    }
}

/// Returns whether the key is free at the start of its job; false for its end.
fn until_start(until: &Attribute) -> syn::Result<bool> {
    let expected = "`until` takes \"done\" or \"start\"";
    let word = text(&until.value, expected)?;
    match word.value().as_str() {
        "done" => Ok(false),
        "start" => Ok(true),
        _ => Err(Error::new(word.span(), expected)),
    }
}

/// Checks the word that says which jobs are kept beside the one that holds the key.
fn keep_last(keep: &Attribute) -> syn::Result<()> {
    let expected = "`keep` takes \"last\"";
    let word = text(&keep.value, expected)?;
    if word.value() == "last" { Ok(()) } else { Err(Error::new(word.span(), expected)) }
}

fn read_flag(attribute: &Attribute) -> syn::Result<bool> {
    match &attribute.value {
        Expr::Lit(ExprLit { lit: Lit::Bool(flag), .. }) => Ok(flag.value),
        other => {
            let message = format!("`{}` takes true or false", attribute.name);
            Err(Error::new_spanned(other, message))
        }
    }
}

/// Reads the names or the numbers of fields: one, or several in parentheses.
fn read_fields(by: &Attribute, of: Option<&Fields>) -> syn::Result<Vec<Member>> {
    let Some(of) = of else {
        let message = "`by` names fields of a variant: write `unique(…)` on the variant";
        return Err(Error::new_spanned(&by.value, message));
    };
    let expected =
        "`by` takes the names of fields, such as `by = (tenant, month)`, or their numbers";
    let member = |expr| fields::member(expr, expected);
    let members: Vec<Member> = match &by.value {
        Expr::Tuple(tuple) => tuple.elems.iter().map(member).collect::<syn::Result<_>>()?,
        Expr::Paren(one) => vec![member(&one.expr)?],
        one => vec![member(one)?],
    };
    if members.is_empty() {
        let message = "`by` names at least one field: leave it out for all of the payload";
        return Err(Error::new_spanned(&by.value, message));
    }
    members.iter().try_for_each(|member| fields::check(member, of))?;
    Ok(members)
}

fn refusal(list: &Attributes, item: &str, name: &Ident, why: String) -> Error {
    let span = list.get(item).map_or(name.span(), |attribute| attribute.name.span());
    Error::new(span, why)
}
