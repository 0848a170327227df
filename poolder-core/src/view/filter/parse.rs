//! Reads the text form of a filter. An error says what to write instead.

use std::time::Duration;

use serde_json::Value;

use super::term::{Compare, Expected, Pattern, Term};
use crate::job::Error;

/// The most bytes of the text of a filter.
const MAX_BYTES: usize = 4096;
/// The digits of the id of a group of equal errors, and the fewest that stand for one.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=12;

/// Reads the conditions of a filter.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, Error> {
    if text.len() > MAX_BYTES {
        let bytes = text.len();
        return wrong(format!("the filter has {bytes} bytes, the most is {MAX_BYTES}"));
    }
    let parts = split(text, char::is_whitespace)?;
    parts.into_iter().filter(|part| !part.is_empty()).map(term).collect()
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::invalid(text.into()))
}

/// Splits a text at separators that are not in quotes.
fn split(text: &str, is_separator: impl Fn(char) -> bool) -> Result<Vec<&str>, Error> {
    let (mut parts, mut from, mut quoted, mut escaped) = (vec![], 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && is_separator(c) => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if quoted {
        return wrong(format!(
            "the filter {text:?} has a quote that is not closed: add \" at its end"
        ));
    }
    parts.push(&text[from..]);
    Ok(parts)
}

fn term(text: &str) -> Result<Term, Error> {
    let name = split(text, |c| "=~<>".contains(c))?[0];
    let rest = &text[name.len()..];
    let operators = [">=", "<=", "=", "~", ">", "<"];
    let Some(operator) = operators.into_iter().find(|operator| rest.starts_with(operator)) else {
        return wrong(format!(
            "{text:?} is no condition of a filter: write NAME=VALUE, such as kind=mail.welcome, and \
             a value with blanks in double quotes"
        ));
    };
    let raw = &rest[operator.len()..];
    if raw.is_empty() {
        return wrong(format!(
            "{text:?} has no value: write {text}VALUE, or \"\" for an empty one"
        ));
    }
    let head = split(name, |c| c == '.')?[0];
    let path = name[head.len()..].strip_prefix('.');
    let equal = |example: &str| match operator {
        "=" => unquoted(raw),
        _ => wrong(format!("{head} is compared with =: write {example}")),
    };
    match (head, path) {
        ("kind", None) => kinds(raw, operator),
        ("error", None) => error(raw, operator),
        ("attempt", None) => {
            let example = "attempt is a number: write attempt=3, attempt>=3 or attempt<3";
            let number = raw.parse().map_err(|_| Error::invalid(example))?;
            Ok(Term::Attempt(compare(operator).ok_or_else(|| Error::invalid(example))?, number))
        }
        ("age", None) => {
            let example = "age is a time: write age>2h or age<5m (units ms, s, m, h, d)";
            let compare = compare(operator).filter(|compare| *compare != Compare::Equal);
            let (compare, age) =
                compare.zip(duration(raw)).ok_or_else(|| Error::invalid(example))?;
            Ok(Term::Age(compare, age))
        }
        ("node", None) => Ok(Term::Node(equal("node=web-1")?)),
        ("schedule", None) => Ok(Term::Schedule(equal("schedule=nightly")?)),
        ("tick", None) => {
            let example = "tick is a time in ms since 1970: write tick=1700000000000";
            let at = equal(example)?.parse().map_err(|_| Error::invalid(example))?;
            Ok(Term::Tick(at))
        }
        ("id", None) => {
            let id = equal("id=019e1234")?.to_lowercase();
            if !id.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
                return wrong("an id has hexadecimal digits and hyphens: write id=019e1234");
            }
            Ok(Term::Id(id))
        }
        ("header", Some(header)) if !header.is_empty() => {
            let value = equal("header.tenant=acme")?;
            Ok(Term::Header(unquoted(header)?, value))
        }
        ("payload", path) => {
            if operator != "=" {
                return wrong("payload is compared with =: write payload.user.id=7");
            }
            let parts = path.map(|path| split(path, |c| c == '.')).transpose()?;
            let parts = parts.unwrap_or_default().into_iter().map(unquoted);
            let path = parts.collect::<Result<Vec<_>, _>>()?;
            if path.iter().any(String::is_empty) && !name.contains('"') {
                return wrong(format!("{name:?} is no path: write payload.user.id=7"));
            }
            Ok(Term::Payload(path, expected(raw)?))
        }
        _ => wrong(format!(
            "{name:?} is no field of a filter: use kind, error, attempt, age, node, schedule, tick, \
             header.NAME, payload.PATH or id"
        )),
    }
}

fn kinds(raw: &str, operator: &str) -> Result<Term, Error> {
    if operator != "=" {
        return wrong("kind is compared with =: write kind=mail.welcome or kind=mail.*");
    }
    let kind = |text: &str| {
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(rest) if text.len() > 1 => (rest, true),
            _ => (text, false),
        };
        let text = unquoted(text)?;
        if text.is_empty() {
            return wrong("a kind has a name: write kind=mail.welcome,mail.bye");
        }
        Ok(Pattern { text, is_prefix })
    };
    Ok(Term::Kind(split(raw, |c| c == ',')?.into_iter().map(kind).collect::<Result<_, _>>()?))
}

fn error(raw: &str, operator: &str) -> Result<Term, Error> {
    let text = unquoted(raw)?;
    match operator {
        "~" => Ok(Term::Message(text.to_lowercase())),
        "=" if DIGITS.contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit()) => {
            Ok(Term::Error(text.to_lowercase()))
        }
        "=" => wrong(
            "error= takes the id of a group of equal errors, 8 to 12 hexadecimal digits: for a part \
             of the message, write error~\"SMTP 451\"",
        ),
        _ => wrong("error is compared with ~ or =: write error~\"SMTP 451\""),
    }
}

fn compare(operator: &str) -> Option<Compare> {
    Some(match operator {
        "=" => Compare::Equal,
        ">=" => Compare::AtLeast,
        "<=" => Compare::AtMost,
        ">" => Compare::Above,
        "<" => Compare::Below,
        _ => return None,
    })
}

/// Reads a duration: a whole number and a unit.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = (text[..digits].parse::<u64>().ok()?, &text[digits..]);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// Returns a text without its quotes, if it has any.
fn unquoted(text: &str) -> Result<String, Error> {
    if !text.contains('"') {
        return Ok(text.to_owned());
    }
    serde_json::from_str(text).or_else(|_| {
        wrong(format!(
            "{text} is no text in quotes: quote all of it, and write \\\" for a quote in it"
        ))
    })
}

/// Reads the value of a payload: JSON, else a string.
fn expected(raw: &str) -> Result<Expected, Error> {
    let value = serde_json::from_str::<Value>(raw).ok();
    match value {
        Some(value @ (Value::String(_) | Value::Object(_) | Value::Array(_))) => {
            Ok(Expected { value, text: None })
        }
        Some(value) => Ok(Expected { value, text: Some(raw.to_owned()) }),
        None => Ok(Expected { value: unquoted(raw)?.into(), text: Some(raw.to_owned()) }),
    }
}

#[cfg(test)]
mod tests {
    use crate::view::Filter;

    #[test]
    fn a_filter_survives_being_text() {
        let good = [
            "",
            "kind=mail.welcome,mail.*",
            r#"error~"no such \"column\" here""#,
            "error=9f1c04ab77de",
            "attempt>=3 attempt<9 age>2h age<=5m",
            "node=web-1 schedule=nightly tick=-5",
            r#"header.tenant="a b" header."x=y"="""#,
            r#"payload.user.0.id=7 payload."a.b"."c d"=true payload=null"#,
            r#"payload.n="7" payload.list=[1,"a"] payload.s=plain"#,
            "id=019E12",
        ];
        for text in good {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter, "{text}");
        }
        assert_eq!("  \t ".parse::<Filter>().unwrap(), Filter::any());
        let group = "9f1c04ab77de".parse().unwrap();
        let made = Filter::any().kind("a,b*").error_contains("X \"y\"").error(group);
        let made = made.payload(["a.b", "0"], "seven").payload(Vec::<String>::new(), 7);
        assert_eq!(made.to_string().parse::<Filter>().unwrap().to_string(), made.to_string());
    }

    #[test]
    fn a_wrong_filter_says_what_to_write() {
        let bad = [
            ("mail", "NAME=VALUE"),
            ("=7", "use kind"),
            ("knd=x", "use kind"),
            ("kind~x", "kind=mail.welcome"),
            ("kind=", "no value"),
            ("kind=a,", "has a name"),
            ("error=timeout", "error~"),
            ("error>3", "error~"),
            ("attempt=x", "attempt>=3"),
            ("attempt~3", "attempt>=3"),
            ("attempt=-1", "attempt>=3"),
            ("age=5m", "age>2h"),
            ("age>5", "age>2h"),
            ("age>99999999999999999999d", "age>2h"),
            ("age>18446744073709551615d", "age>2h"),
            ("node>x", "node=web-1"),
            ("tick=soon", "tick=1700000000000"),
            ("id=xyz", "id=019e1234"),
            ("header=x", "use kind"),
            ("header.=x", "use kind"),
            ("payload.=x", "payload.user.id=7"),
            ("payload.a..b=x", "payload.user.id=7"),
            ("payload.a>7", "payload.user.id=7"),
            ("kind=\"a", "not closed"),
            ("node=a\"b\"", "quote all of it"),
            ("kind.x=1", "use kind"),
        ];
        for (text, hint) in bad {
            let error = text.parse::<Filter>().unwrap_err();
            assert!(error.is_invalid(), "{text}");
            assert!(error.to_string().contains(hint), "{text}: {error}");
            assert!(!error.to_string().contains('\n'), "{text}");
        }
        assert!("x".repeat(5_000).parse::<Filter>().unwrap_err().is_invalid());
    }
}
