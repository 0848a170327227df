//! Reads the wait between attempts from the value of an attribute.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprCall, ExprPath};

use crate::duration::{self, Millis};

/// The forms of a backoff, as the end of a sentence in an error.
const FORMS: &str = "a time such as \"10s\", a list such as [\"1s\", \"10s\", \"1m\"], polynomial, \
    fixed(\"10s\"), exponential(\"1s\", \"1h\") or linear(\"10s\", \"10m\")";

/// The maximum length of a list; `poolder-core` refuses longer lists.
const MAX_LIST: usize = 64;

/// The wait after the n-th failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Backoff {
    Polynomial,
    Exponential(Millis, Millis),
    Linear(Millis, Millis),
    Fixed(Millis),
    List(Vec<Millis>),
}

impl Backoff {
    /// Reads a backoff. `name` is the name of the attribute, for the error.
    pub(crate) fn read(name: &str, value: &Expr) -> syn::Result<Self> {
        match value {
            Expr::Lit(_) => duration::read(name, value).map(Self::Fixed),
            Expr::Array(list) => {
                if list.elems.is_empty() || list.elems.len() > MAX_LIST {
                    let message = format!("a backoff list has 1 to {MAX_LIST} waits");
                    return Err(Error::new_spanned(value, message));
                }
                let waits = list.elems.iter().map(|wait| duration::read(name, wait));
                waits.collect::<syn::Result<_>>().map(Self::List)
            }
            Expr::Path(path) if named(path).as_deref() == Some("polynomial") => {
                Ok(Self::Polynomial)
            }
            Expr::Call(call) => Self::read_call(name, call),
            _ => Err(unknown(name, value)),
        }
    }

    fn read_call(name: &str, call: &ExprCall) -> syn::Result<Self> {
        let form = match &*call.func {
            Expr::Path(path) => named(path),
            _ => None,
        };
        let times = || -> syn::Result<Vec<Millis>> {
            call.args.iter().map(|time| duration::read(name, time)).collect()
        };
        match form.as_deref() {
            Some("polynomial") if call.args.is_empty() => Ok(Self::Polynomial),
            Some("polynomial") => Err(Error::new_spanned(&call.args, "polynomial takes no times")),
            Some("fixed") => match times()?[..] {
                [wait] => Ok(Self::Fixed(wait)),
                _ => Err(Error::new_spanned(call, r#"fixed takes one wait: fixed("10s")"#)),
            },
            Some("exponential") => {
                let (base, cap) = growing(call, &times()?, "exponential", "the first wait")?;
                Ok(Self::Exponential(base, cap))
            }
            Some("linear") => {
                let (step, cap) = growing(call, &times()?, "linear", "the step")?;
                Ok(Self::Linear(step, cap))
            }
            _ => Err(unknown(name, &call.func)),
        }
    }

    /// Returns an expression that makes this backoff.
    pub(crate) fn tokens(&self, private: &TokenStream) -> TokenStream {
        let backoff = quote!(#private::Backoff);
        match self {
            Self::Polynomial => quote!(#backoff::Polynomial),
            Self::Fixed(wait) => {
                let wait = wait.tokens();
                quote!(#backoff::Fixed(#wait))
            }
            Self::Exponential(base, cap) => {
                let (base, cap) = (base.tokens(), cap.tokens());
                quote!(#backoff::Exponential { base: #base, cap: #cap })
            }
            Self::Linear(step, cap) => {
                let (step, cap) = (step.tokens(), cap.tokens());
                quote!(#backoff::Linear { step: #step, cap: #cap })
            }
            Self::List(waits) => {
                let waits = waits.iter().map(|wait| wait.tokens());
                quote!(#backoff::List(::std::vec::Vec::from([#(#waits),*])))
            }
        }
    }
}

/// Returns the first time and the cap of a growing backoff. `first` names the first time in errors.
fn growing(
    call: &ExprCall,
    times: &[Millis],
    form: &str,
    first: &str,
) -> syn::Result<(Millis, Millis)> {
    let [start, cap] = times else {
        let message = format!(r#"{form} takes {first} and the longest wait: {form}("1s", "1h")"#);
        return Err(Error::new_spanned(call, message));
    };
    if start.is_zero() {
        let message = format!("{first} of {form} is 0, so that it never grows: use 1ms or more");
        return Err(Error::new_spanned(&call.args[0], message));
    }
    if cap < start {
        let message = format!("the longest wait is shorter than {first}");
        return Err(Error::new_spanned(&call.args[1], message));
    }
    Ok((*start, *cap))
}

fn named(path: &ExprPath) -> Option<String> {
    path.path.get_ident().map(ToString::to_string)
}

fn unknown(name: &str, value: &Expr) -> Error {
    Error::new_spanned(value, format!("`{name}` takes {FORMS}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn each_form_is_read() {
        let (s, m) = (Millis(1_000), Millis(60_000));
        let forms: [(Expr, Backoff); 9] = [
            (parse_quote!("1s"), Backoff::Fixed(s)),
            (parse_quote!(1000), Backoff::Fixed(s)),
            (parse_quote!(fixed("1s")), Backoff::Fixed(s)),
            (parse_quote!(exponential("1s", "1m")), Backoff::Exponential(s, m)),
            (parse_quote!(linear("1s", 60_000)), Backoff::Linear(s, m)),
            (parse_quote!(linear("1s", "1s")), Backoff::Linear(s, s)),
            (parse_quote!(polynomial), Backoff::Polynomial),
            (parse_quote!(polynomial()), Backoff::Polynomial),
            (parse_quote!(["1s", "1m"]), Backoff::List(vec![s, m])),
        ];
        for (value, expected) in forms {
            assert_eq!(Backoff::read("backoff", &value).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let many = vec!["1s"; 65];
        let forms: [(Expr, &str); 13] = [
            (parse_quote!([]), "1 to 64 waits"),
            (parse_quote!([#(#many),*]), "1 to 64 waits"),
            (parse_quote!(["1s", "x"]), "number is missing"),
            (parse_quote!(true), "`backoff` takes whole milliseconds"),
            (parse_quote!(never), "polynomial, fixed("),
            (parse_quote!(a::linear("1s", "1m")), "polynomial, fixed("),
            (parse_quote!(cubic("1s", "1m")), "polynomial, fixed("),
            (parse_quote!(polynomial("1s")), "takes no times"),
            (parse_quote!(fixed()), "fixed takes one wait"),
            (parse_quote!(fixed("1s", "1m")), "fixed takes one wait"),
            (parse_quote!(linear("1s")), "linear takes the step and the longest wait"),
            (parse_quote!(exponential(0, "1m")), "the first wait of exponential is 0"),
            (parse_quote!(exponential("1m", "1s")), "shorter than the first wait"),
        ];
        for (value, why) in forms {
            let error = Backoff::read("backoff", &value).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
