//! Fingerprints of failures: equal for errors that differ only in numbers, ids and quoted names.
//! Fingerprints are stored, so the rules below are frozen; `docs/wire.md` states them as well.
//!
//! ```text
//! fingerprint    hash(cause "\n" shape of the message), see policy/dispatch.rs
//! shape          of a crash: empty, because its message names the node
//!                else the message, in which # stands for
//!                  a text in quotes: " ", ' ' or ` `, if the quote does not follow a letter or digit
//!                  a UUID
//!                  a word of 6 or more hexadecimal digits, one of them decimal, or 0x and such digits
//!                  a run of decimal digits
//!                two # with nothing, or with one of . , : - _ / between them, are one #
//! word           a run of ASCII letters and digits
//! ```

use crate::job::{Cause, Failure};
use crate::policy::dispatch::hash;

/// The lengths of the parts of a UUID.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Returns the fingerprint of a failure.
pub(crate) fn fingerprint(failure: &Failure) -> u64 {
    let shape = match failure.cause {
        Cause::Crash => String::new(),
        _ => shape(&failure.message),
    };
    hash(format!("{}\n{shape}", failure.cause).as_bytes())
}

/// Returns the message without the parts that differ between equal errors.
fn shape(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let follows_word =
            message[..message.len() - rest.len()].ends_with(|c: char| c.is_alphanumeric());
        let quoted = if follows_word { None } else { quoted(rest) };
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let taken = match quoted.or_else(|| uuid(rest)) {
            Some(length) => {
                mark(&mut out);
                length
            }
            None if word > 0 => {
                shape_of_word(&rest[..word], &mut out);
                word
            }
            None if first == '#' => {
                mark(&mut out);
                1
            }
            None => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// Appends a `#`, unless the text ends with one, or with one and a separator.
fn mark(out: &mut String) {
    let before = out.strip_suffix(['.', ',', ':', '-', '_', '/']).unwrap_or(out);
    if before.ends_with('#') {
        out.truncate(before.len());
    } else {
        out.push('#');
    }
}

/// Returns the length of the text in quotes with which this text begins.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    text[1..].find(quote).map(|end| end + 2)
}

/// Returns the length of the UUID with which this text begins.
fn uuid(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(text.len());
    let mut parts = text[..end].split('-');
    let right = |length: &usize| parts.next().is_some_and(|it| it.len() == *length && is_hex(it));
    (UUID.iter().all(right) && parts.next().is_none()).then_some(end)
}

fn is_hex(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn shape_of_word(word: &str, out: &mut String) {
    let number = word.len() >= 6 && is_hex(word) && word.bytes().any(|byte| byte.is_ascii_digit());
    if number || word.strip_prefix("0x").is_some_and(is_hex) {
        return mark(out);
    }
    for c in word.chars() {
        if c.is_ascii_digit() { mark(out) } else { out.push(c) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_frozen() {
        let cases = [
            ("user 17 not found", "user # not found"),
            ("user 0190a1b2-aaaa-7bbb-8ccc-123456789abc gone", "user # gone"),
            ("table \"users\" is missing", "table # is missing"),
            ("can't open `a.txt`: it's locked", "can't open #: it's locked"),
            ("connect 10.0.0.1:6379 failed", "connect # failed"),
            ("took longer than 1.5s", "took longer than #s"),
            ("took longer than 30s", "took longer than #s"),
            ("at 0x7f3a, commit 3f9a2c1", "at #, commit #"),
            ("a1b2c3 and a1b2c", "# and a#b#c"),
            ("the decade of the facade", "the decade of the facade"),
            ("node a1b2c3d4e5f6:1:0123456789ab died", "node # died"),
            ("an \"unclosed 7", "an \"unclosed #"),
            ("größer als 5 €", "größer als # €"),
            ("#1 and #2", "# and #"),
            ("", ""),
        ];
        for (message, expected) in cases {
            assert_eq!(shape(message), expected, "{message}");
        }
    }

    #[test]
    fn fingerprints_are_frozen_and_group_equal_errors() {
        let of = |cause, message: &str| fingerprint(&Failure::new(cause, message));
        assert_eq!(of(Cause::Error, "user 17 not found"), 0xf1ff_dae6_c73c_798e);
        assert_eq!(of(Cause::Error, "user 17 not found"), of(Cause::Error, "user 4 not found"));
        assert_ne!(of(Cause::Error, "user 17 not found"), of(Cause::Panic, "user 17 not found"));
        assert_eq!(of(Cause::Crash, "node a died"), of(Cause::Crash, "node b died"));
        assert_ne!(of(Cause::Error, "user 17 not found"), of(Cause::Error, "job 17 not found"));
    }

    proptest::proptest! {
        #[test]
        fn any_message_has_a_shape_that_numbers_do_not_change(
            text in "[a-z \"'`#.:-]{0,40}|.{0,40}", one in 0..u64::MAX, other in 0..u64::MAX,
        ) {
            let with = |number: u64| shape(&format!("{text} {number} {text}"));
            proptest::prop_assert_eq!(with(one), with(other));
        }
    }
}
