//! The pieces of command lines that do the same as forms.

use crate::request::{Fields, moment};

/// The longest JSON text that a command line has, in bytes. A longer one stands in a file.
const SHORT: usize = 300;

/// The time of a mute, unless the visitor writes another.
pub(super) const MUTE_TIME: &str = "1d";
/// The choices of what else ends a mute.
pub(super) const MUTE_ENDS: &[&str] =
    &["after that time", "with the next deploy, if it is earlier"];

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

/// Returns a text as one word of a shell.
pub(in crate::page) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Returns true when the next deploy shall end a mute.
pub(super) fn mutes_until_deploy(fields: &Fields) -> bool {
    fields.get("ends") == MUTE_ENDS[1]
}

/// Returns the options for a mute.
pub(super) fn mute_options(fields: &Fields) -> String {
    let until = if mutes_until_deploy(fields) { " --until-deploy" } else { "" };
    let time =
        if fields.is_set("for") { word(fields, "for", MUTE_TIME) } else { MUTE_TIME.to_owned() };
    format!(" --for {time}{until}{}", option(fields, "most", "at-most"))
}
