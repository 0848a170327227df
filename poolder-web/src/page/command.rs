//! The command lines of all changes, for one example.

use crate::request::Fields;

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
    ("for", "4h"),
    ("ends", "with the next deploy, if it is earlier"),
    ("most", "100"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::change::Action;

    #[test]
    fn each_action_names_a_command() {
        let named = example_commands();
        for action in Action::ALL {
            let name = action.name();
            let line = named.iter().find(|(of, _)| of == name);
            let line = line.unwrap_or_else(|| panic!("{name} names no command"));
            assert!(line.1.starts_with("poolder ") && line.1.len() > 20, "{}", line.1);
        }
    }
}
