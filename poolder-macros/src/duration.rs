//! Reads times: a whole number of milliseconds, or a text such as `"1m 30s"`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit};

/// The forms of a time, as part of a sentence in an error.
const FORMS: &str = r#"whole milliseconds, or a text like "500ms", "1s", "1m 30s", "2h" or "1d""#;

/// A time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) u64);

impl Millis {
    /// Returns true for 0 ms.
    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns an expression that makes a `Duration` of this time.
    pub(crate) fn tokens(self) -> TokenStream {
        let Self(ms) = self;
        quote!(::core::time::Duration::from_millis(#ms))
    }
}

/// Reads a time. `name` is the name of the attribute, for the error.
pub(crate) fn read(name: &str, value: &Expr) -> syn::Result<Millis> {
    read_any(value).map_err(|why| Error::new_spanned(value, format!("`{name}` takes {FORMS}{why}")))
}

/// Reads a time above 0, or `None` from `"none"`. `zero` is the reason in the error for 0.
pub(crate) fn read_limit(name: &str, value: &Expr, zero: &str) -> syn::Result<Option<Millis>> {
    read_or(name, value, "none", zero)
}

/// Reads a time above 0, or `None` from the text `unlimited`. `zero` is the reason in the error for
/// 0.
pub(crate) fn read_or(
    name: &str,
    value: &Expr,
    unlimited: &str,
    zero: &str,
) -> syn::Result<Option<Millis>> {
    if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = value
        && text.value() == unlimited
    {
        return Ok(None);
    }
    let read = match read_any(value) {
        Ok(time) if time.is_zero() => Err(format!(": {zero}")),
        other => other,
    };
    read.map(Some).map_err(|why| {
        let message = format!("`{name}` takes {FORMS}, or {unlimited:?} for no limit{why}");
        Error::new_spanned(value, message)
    })
}

/// Reads a time. The error is a reason that follows a sentence, or empty when the value has none of
/// the forms.
fn read_any(value: &Expr) -> Result<Millis, String> {
    let read = match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => match number.suffix() {
            "" => number.base10_parse().map_err(|_| too_long()).and_then(bounded),
            suffix => Err(format!("put it in quotes: \"{}{suffix}\"", number.base10_digits())),
        },
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => parse(&text.value()),
        // An expression that a `macro_rules!` macro passes on stands in an invisible group.
        Expr::Group(group) => return read_any(&group.expr),
        _ => return Err(String::new()),
    };
    read.map(Millis).map_err(|why| format!(": {why}"))
}

/// Returns the milliseconds in a text, or the reason why the text is no time.
fn parse(text: &str) -> Result<u64, String> {
    poolder_cron::span(text).map(millis)
}

fn bounded(ms: u64) -> Result<u64, String> {
    if ms <= millis(poolder_cron::MAX_SPAN) { Ok(ms) } else { Err(too_long()) }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn too_long() -> String {
    "this is longer than 100 years (36500d)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn texts_and_numbers_are_milliseconds() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("1s", 1_000),
            (" 1m 30s ", 90_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1d 2h 3m 4s 5ms", 93_784_005),
            ("36500d", 36_500 * 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
        assert_eq!(read("t", &parse_quote!(1_500)).unwrap(), Millis(1_500));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "empty"),
            ("30", "unit is missing after 30"),
            ("1 s", "unit is missing after 1"),
            ("s", "number is missing before \"s\""),
            ("-1s", "number is missing before \"-1s\""),
            ("1.5s", "smaller unit"),
            ("5 minutes", "unit is missing after 5"),
            ("5minutes", "\"minutes\" is no unit"),
            ("1S", "\"S\" is no unit"),
            ("1µs", "\"µs\" is no unit"),
            ("1s 1s", "each unit once"),
            ("1s 1m", "largest first"),
            ("36500d 1ms", "100 years"),
            ("99999999999999999999d", "100 years"),
            ("999999999999999999d", "100 years"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let values: [(Expr, &str); 4] = [
            (parse_quote!(30s), "put it in quotes: \"30s\""),
            (parse_quote!(-1), "or \"1d\""),
            (parse_quote!(99999999999999999999), "100 years"),
            (parse_quote!(1.5), "or \"1d\""),
        ];
        for (value, why) in values {
            let error = read("timeout", &value).unwrap_err().to_string();
            assert!(error.starts_with("`timeout` takes whole milliseconds"), "{error}");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_limit_is_above_0_or_none() {
        let read = |value: Expr| read_limit("timeout", &value, "it would end at once");
        assert_eq!(read(parse_quote!("none")).unwrap(), None);
        assert_eq!(read(parse_quote!("1s")).unwrap(), Some(Millis(1_000)));
        for (value, end) in [
            (parse_quote!(0), "no limit: it would end at once"),
            (parse_quote!("0s"), "no limit: it would end at once"),
            (parse_quote!("None"), "no limit: a number is missing before \"None\""),
            (parse_quote!(none), "or \"none\" for no limit"),
        ] {
            let error = read(value).unwrap_err().to_string();
            assert!(error.ends_with(end), "{error}");
        }
    }
}
