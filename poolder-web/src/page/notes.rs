//! The findings that need a person, as sentences.

use poolder_client::{Finding, Severity};

use crate::request::Context;
use crate::show::with_class;

/// A sentence with the thing to do.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) icon: String,
    pub(crate) severity: &'static str,
    pub(crate) subject: String,
    pub(crate) what: String,
    pub(crate) cure: String,
    pub(crate) why: String,
    pub(crate) link: String,
    pub(crate) link_name: String,
}

impl Note {
    /// Makes the note of a finding.
    pub(super) fn of(context: &Context, finding: &Finding) -> Self {
        let (image, tone, severity) = match finding.severity {
            Severity::Problem => ("errors", "bad", "Problem"),
            Severity::Warning => ("errors", "warn", "Warning"),
            _ => ("info", "faint", "Note"),
        };
        let queue = queue_of(&finding.subject);
        let link = queue.map(|queue| context.link(&format!("/queues/{queue}")));
        Self {
            icon: with_class(image, tone),
            severity,
            subject: finding.subject.clone(),
            what: finding.what.clone(),
            cure: finding.cure.clone(),
            why: finding.why.clone(),
            link: link.unwrap_or_default(),
            link_name: queue.map_or_else(String::new, |queue| format!("Open {queue}")),
        }
    }
}

/// Returns the queue of which a finding speaks.
pub(super) fn queue_of(subject: &str) -> Option<&str> {
    let name = subject.strip_prefix("queue ").or(subject.strip_prefix("slot "))?;
    let end = |c: char| c == ' ' || c == '.';
    Some(name.split(end).next().unwrap_or(name))
}

/// Returns the notes that a visitor may see.
pub(super) fn notes(context: &Context, findings: &[Finding]) -> Vec<Note> {
    let seen = |finding: &&Finding| {
        queue_of(&finding.subject).is_none_or(|queue| context.visitor.sees(queue))
    };
    findings.iter().filter(seen).map(|finding| Note::of(context, finding)).collect()
}
