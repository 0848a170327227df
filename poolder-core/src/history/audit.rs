//! The audit: who has changed what.
//!
//! ```text
//! entry   field "e": JSON object of an AuditRecord
//! ```

use std::env;

use serde::{Deserialize, Serialize};

use crate::history::LogId;
use crate::job::{Timestamp, beginning, host};

/// The longest name of an actor, and of the program by which it acts, in bytes.
const MAX_NAME: usize = 100;
/// The longest target, detail and reason in bytes.
const MAX_TEXT: usize = 300;

/// The author of changes: the name of a person or a program, the program used, and perhaps why. Texts
/// are cut, a name at 100 bytes and a reason at 300, and lose control characters.
///
/// ```
/// # use poolder_core::history::Actor;
/// let actor = Actor::new("ann").via("dashboard").reason("incident 7");
/// assert_eq!((actor.name(), Actor::from("ann").name()), ("ann", "ann"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    name: String,
    via: String,
    reason: String,
}

impl Actor {
    /// Returns an actor of this name that acts by code of its own.
    #[must_use]
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { name: plain(name.as_ref(), MAX_NAME), via: "code".into(), reason: String::new() }
    }

    /// Sets the program by which the actor acts, such as `dashboard`. Default `code`.
    #[must_use]
    pub fn via(mut self, program: impl AsRef<str>) -> Self {
        self.via = plain(program.as_ref(), MAX_NAME);
        self
    }

    /// Sets the reason for all changes of the actor. Default none.
    #[must_use]
    pub fn reason(mut self, reason: impl AsRef<str>) -> Self {
        self.reason = plain(reason.as_ref(), MAX_TEXT);
        self
    }

    /// Returns the user who runs this process, as `user@host`.
    #[must_use]
    pub fn user() -> Self {
        let set = |name| env::var(name).ok().filter(|user| !user.is_empty());
        let user = set("USER").or_else(|| set("LOGNAME")).or_else(|| set("USERNAME"));
        Self::new(at_host(user.as_deref().unwrap_or("unknown")))
    }

    /// Returns the program of this process, as `program@host`.
    #[must_use]
    pub fn process() -> Self {
        let path = env::current_exe().ok();
        let name = path.as_deref().and_then(|path| path.file_name()?.to_str());
        Self::new(at_host(name.unwrap_or("unknown")))
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the reason; empty when none was given.
    pub(crate) fn why(&self) -> &str {
        &self.reason
    }
}

impl From<&str> for Actor {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Actor {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

fn at_host(name: &str) -> String {
    match host(MAX_NAME) {
        host if host.is_empty() => name.into(),
        host => format!("{name}@{host}"),
    }
}

fn plain(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(most).collect();
    beginning(text.trim(), most).into()
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditOutcome {
    /// A change of many things has begun; its end is an entry of its own.
    Begun,
    /// The change was made.
    Done,
    /// The change of many things ended with an error, after some had been changed.
    Failed,
    /// The reply was lost: the change may have been made.
    Unknown,
}

/// The content of an entry of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// The name of the actor.
    pub actor: String,
    /// The program by which it acts: `command`, `dashboard`, `code`, or another name.
    #[serde(default)]
    pub via: String,
    /// The action, such as `queue.pause` or `job.cancel`.
    pub action: String,
    /// The target: a queue, `queue/schedule`, a partition or the handle of a job.
    pub target: String,
    /// The rest of what was asked for, such as the filter of a change of many jobs; at most 300
    /// bytes, as the reason and the target.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The number of things that were changed.
    #[serde(default)]
    pub changed: u64,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The time that it took, in milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// The reason, if one was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Of the end of a change of many things: the entry of its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<LogId>,
}

impl AuditRecord {
    /// Creates the record of a change by an actor that is not made yet.
    #[must_use]
    pub fn new(actor: &Actor, action: &str, target: &str, detail: &str) -> Self {
        Self {
            actor: actor.name.clone(),
            via: actor.via.clone(),
            action: plain(action, MAX_NAME),
            target: plain(target, MAX_TEXT),
            detail: plain(detail, MAX_TEXT),
            changed: 0,
            outcome: AuditOutcome::Begun,
            ms: 0,
            reason: actor.reason.clone(),
            begun: None,
        }
    }
}

/// An entry of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// The id of the entry.
    pub id: LogId,
    /// When it was written, by the server's clock.
    pub at: Timestamp,
    /// The content.
    #[serde(flatten)]
    pub record: AuditRecord,
}

impl AuditEntry {
    /// Creates an entry of its id and its record.
    pub(crate) fn new(id: LogId, record: AuditRecord) -> Self {
        Self { id, at: id.at(), record }
    }
}

/// Selects entries of the audit; the default selects all. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    actor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    oldest: Option<LogId>,
}

impl AuditFilter {
    /// Selects the changes of the actor of this name.
    #[must_use]
    pub fn actor(mut self, name: impl Into<String>) -> Self {
        self.actor = Some(name.into());
        self
    }

    /// Selects an action, or the actions that begin with a text: `queue.drain`, `queue.*`.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Selects the changes of targets that contain this text, such as a queue or the id of a job.
    #[must_use]
    pub fn target(mut self, text: impl Into<String>) -> Self {
        self.target = Some(text.into());
        self
    }

    /// Selects what was written at this time or later.
    #[must_use]
    pub fn since(self, at: impl Into<Timestamp>) -> Self {
        self.from(LogId::first_at(at.into()))
    }

    /// Selects what was written after this entry: to follow the audit, ask for what came after the
    /// latest one that you have seen.
    #[must_use]
    pub fn after(self, entry: LogId) -> Self {
        self.from(entry.following())
    }

    fn from(mut self, id: LogId) -> Self {
        self.oldest = self.oldest.max(Some(id));
        self
    }

    /// Returns the lowest id that is selected.
    pub(crate) fn oldest(&self) -> Option<LogId> {
        self.oldest
    }

    /// Returns true when the record satisfies the conditions, apart from the times.
    pub(crate) fn is_satisfied_by(&self, record: &AuditRecord) -> bool {
        let acts = |wanted: &String| match wanted.strip_suffix('*') {
            Some(start) => record.action.starts_with(start),
            None => record.action == *wanted,
        };
        self.actor.as_ref().is_none_or(|actor| *actor == record.actor)
            && self.action.as_ref().is_none_or(acts)
            && self.target.as_ref().is_none_or(|text| record.target.contains(text))
    }
}
