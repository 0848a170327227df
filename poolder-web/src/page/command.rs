//! The command lines that do the same as forms.

use super::change::{moment, quoted};
use crate::request::Fields;

/// The longest JSON text that a command line has, in bytes. A longer one stands in a file.
const SHORT: usize = 300;

/// Returns the value of a field as one word of a shell; another word, in capitals, as long as it is
/// not given.
pub(super) fn word(fields: &Fields, name: &str, other: &str) -> String {
    match fields.get(name) {
        "" => other.to_owned(),
        value => quoted(value),
    }
}

/// Returns an option with the value of a field; nothing where the field is empty.
pub(super) fn option(fields: &Fields, name: &str, option: &str) -> String {
    match fields.get(name) {
        "" => String::new(),
        value => format!(" --{option} {}", quoted(value)),
    }
}

/// Returns an option with a moment that a browser has sent; nothing where the field is empty.
pub(super) fn moment_option(fields: &Fields, name: &str) -> String {
    match moment(fields.get(name)) {
        Ok(at) => {
            let at = chrono::DateTime::from_timestamp_millis(at.millis()).unwrap_or_default();
            format!(" --{name} {}", at.format("%Y-%m-%dT%H:%M:%SZ"))
        }
        Err(_) => String::new(),
    }
}

/// Returns the options for a time from now, or a moment; nothing where neither is given.
pub(super) fn time_options(fields: &Fields) -> String {
    option(fields, "in", "in") + &moment_option(fields, "at")
}

/// Returns JSON as one word of a shell. A text that is long, or of several lines, stands in a file
/// that is named after what it is.
pub(super) fn json_word(text: &str, what: &str) -> String {
    match text.len() {
        1..=SHORT if !text.contains(['\n', '\r']) => quoted(text),
        _ => format!("@{what}.json"),
    }
}

/// Returns several commands as one line, each of which runs when the one before has succeeded.
pub(super) fn joined(commands: impl Iterator<Item = String>) -> String {
    commands.collect::<Vec<_>>().join(" && ")
}

/// The fields of a form that has all of them.
const EXAMPLE: &[(&str, &str)] = &[
    ("queue", "mail"),
    ("job", "mail.0/019e3c7a-5b1f-7000-8000-00000000002a"),
    ("node", "web 1:4711:8c1f"),
    ("schedule", "nightly"),
    ("batcher", "rows"),
    ("group", "tenant-42"),
    ("key", "4f6c1e0a9b3d27c58e01f2a4"),
    ("error", "9f1c04ab77de"),
    ("size", "8"),
    ("slot", "3"),
    ("in", "2h 30m"),
    ("patch", r#"{"template":"it's v3"}"#),
    ("index", "7"),
    ("kind", "email.welcome"),
    ("timing", "30 7 * * Mon-Fri"),
    ("zone", "Europe/Berlin"),
    ("lane", "high"),
    ("overlap", "queue one"),
    ("missed", "all:7:1d"),
    ("jitter", "30s"),
    ("start", "2026-12-01T08:00"),
    ("end", "2027-12-01T08:00:30"),
    ("attempts", "5"),
    ("version", "2"),
    ("payload", r#"{"user":7}"#),
    ("id", "welcome 9"),
    ("where", r#"error~"SMTP 451" age>2h"#),
];

/// Returns the command lines of all changes that the dashboard offers, each with the name of the
/// change, for one example: tests of the program see that it understands them.
#[doc(hidden)]
#[must_use]
pub fn example_commands() -> Vec<(String, String)> {
    let fields: Fields = EXAMPLE.iter().copied().collect();
    let changed: Fields = EXAMPLE.iter().copied().chain([("was", "nightly")]).collect();
    let later: Fields = [("at", "2026-12-01T08:00")]
        .into_iter()
        .chain(EXAMPLE.iter().copied().filter(|(name, _)| *name != "in"))
        .collect();
    let mut all = super::change::example_commands(&fields);
    all.extend(super::bulk::example_commands(&fields));
    all.extend(super::bulk::example_commands(&later));
    all.extend(super::error_change::example_commands(&fields));
    all.extend(super::schedule_changes::example_commands(&fields));
    for fields in [&fields, &later] {
        all.push(("enqueue".into(), super::enqueue::command(fields)));
    }
    all.push(("add a schedule".into(), super::schedule_form::command(&fields)));
    all.push(("change a schedule".into(), super::schedule_form::command(&changed)));
    all
}
